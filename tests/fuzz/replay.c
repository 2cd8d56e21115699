/* Gives every file of the folders in its arguments to the fuzz entry that it is linked with. */
#include "base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t folder_replay(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct str path = { 0 }, text = { 0 };
        if (e->d_name[0] != '.' && path_join(folder, e->d_name, &path, NULL) == 0 &&
            file_read(str_text(&path), (size_t)64 << 20, &text, NULL) == 0) {
            LLVMFuzzerTestOneInput((const uint8_t *)str_text(&text), text.size);
            n++;
        }
        str_release(&path);
        str_release(&text);
    }
    if (d)
        closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++)
        n += folder_replay(argv[i]);
    printf("%zu inputs replayed\n", n);
    return n == 0;
}
