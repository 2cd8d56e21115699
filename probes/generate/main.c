/* lethe-suites: writes the shipped suites, probes/sets.def, and the demo's data from the fact tables. The
 * same tables and seed give the same bytes. */
#include "probes/generate/suite.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum { SEED = 20261124 };

int put_file(const char *to, const char *name, const struct str *text, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, folder = { 0 };
    TRY(str_check(text, st));
    TRY(path_join(to, name, &path, st));
    str_add(&folder, path.data, path.size - strlen(path_name(path.data)));
    TRY(str_check(&folder, st));
    TRY(dir_make(folder.data, st));
    TRY(file_write(path.data, text->data, text->size, 0644, st));
out:
    str_release(&path);
    str_release(&folder);
    return rc;
}

static int sets_write(struct made *m, const char *to, struct status *st)
{
    int rc = 0;
    struct str out = { 0 }, list = { 0 };
    str_puts(&list, "/* Shipped suites: id, kind, version, SHA-256 of probes/sets/<id>.jsonl. Written by "
                    "lethe-suites. */\n");
    for (size_t i = 0; i < m->n; i++) {
        struct suite *s = &m->suites[i];
        char path[128];
        if (strcmp(s->folder, "sets") != 0)
            continue;
        str_clear(&out);
        TRY(suite_write(s, s->id, NULL, s->n, &out, st));
        snprintf(path, sizeof path, "probes/sets/%s.jsonl", s->id);
        TRY(put_file(to, path, &out, st));
        struct hash h = sha256_of(out.data, out.size);
        str_printf(&list, "SET(%s, %s, 1, \"%s\")\n", s->id, s->kind, hash_hex(&h).s);
        printf("%-10s %-7s %5zu items %7zu bytes\n", s->id, s->kind, s->n, out.size);
    }
    TRY(put_file(to, "probes/sets.def", &list, st));
out:
    str_release(&out);
    str_release(&list);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;
    struct status st = { 0 };
    struct made m = { 0 };
    if (argc != 3) {
        fprintf(stderr, "usage: lethe-suites SOURCE_FOLDER OUTPUT_FOLDER\n"
                        "Reads probes/sets/facts and demo/facts below the first, writes below the second.\n");
        return 2;
    }
    TRY(made_open(&m, argv[1], SEED, &st));
    TRY(choice_make(&m, &st));
    TRY(pair_make(&m, &st));
    TRY(letters_make(&m, &st));
    TRY(drawn_make(&m, &st));
    TRY(numbers_make(&m, &st));
    TRY(sets_write(&m, argv[2], &st));
    TRY(demo_write(&m, argv[2], &st));
out:
    if (rc != 0)
        fprintf(stderr, "lethe-suites: %s\n", st.msg);
    made_release(&m);
    return status_exit(rc);
}
