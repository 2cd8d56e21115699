#include "cli/key.h"

#include "base/file.h"
#include "cli/cli.h"
#include "reports/keys.h"

#include <string.h>

int cli_passphrase_read(const char *path, struct str *out, struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    TRY(file_read(path, KEY_PASSPHRASE_BYTES_MAX + 2, &file, st));
    str_add(out, str_text(&file), strcspn(str_text(&file), "\r\n"));
    TRY(str_check(out, st));
    if (out->size == 0)
        FAIL(st, RC_ARG, "%s: the first line is empty, a passphrase was wanted", path);
out:
    if (file.data)
        explicit_bzero(file.data, file.size);
    str_release(&file);
    return rc;
}

static int ask(void *self, struct str *out, struct status *st)
{
    const char *file = self;
    return file ? cli_passphrase_read(file, out, st) : cli_passphrase("passphrase: ", false, out, st);
}

int cli_key_load(const char *path, const char *passphrase_file, struct key_secret **out, struct status *st)
{
    struct key_passphrase how = { .ask = ask };
    memcpy(&how.self, &passphrase_file, sizeof how.self); /* only ever read as the path that it is */
    return key_load_secret(path, &how, out, st);
}
