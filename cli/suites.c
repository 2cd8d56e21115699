#include "cli/suites.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/cli.h"

#include <string.h>

/* The shipped suites, by file name. */
static const char *const SHIPPED[] = {
#define SET(id, kind, version, sha256) #id,
#include "probes/sets.def"
#undef SET
};
enum { SHIPPED_N = sizeof SHIPPED / sizeof *SHIPPED };

static int shipped_load(size_t i, struct probe_set *out, struct status *st)
{
    int rc = 0;
    struct str name = { 0 }, installed = { 0 }, path = { 0 };
    str_printf(&name, "probes/sets/%s.jsonl", SHIPPED[i]);
    str_printf(&installed, "sets/%s.jsonl", SHIPPED[i]);
    if (!cli_data_path(str_text(&name), str_text(&installed), &path))
        FAIL(st, RC_IO, "the shipped suite %s.jsonl is not beside the program; name suites with --probes",
             SHIPPED[i]);
    TRY(probe_set_load(str_text(&path), out, st));
out:
    str_release(&name);
    str_release(&installed);
    str_release(&path);
    return rc;
}

int suites_load(const char *const *paths, size_t n, struct suites *out, struct status *st)
{
    int rc = 0;
    size_t wanted = n ? n : SHIPPED_N;
    struct suites s = { .sets = mem_calloc(wanted, sizeof *s.sets) };
    if (!s.sets)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", wanted);
    for (; s.n < wanted; s.n++) {
        if (n)
            TRY(probe_set_load(paths[s.n], &s.sets[s.n], st));
        else
            TRY(shipped_load(s.n, &s.sets[s.n], st));
        for (size_t k = 0; k < s.n; k++) {
            if (strcmp(s.sets[k].id, s.sets[s.n].id) != 0)
                continue;
            rc = status_fail(st, RC_ARG, "two suites have the id '%s'", s.sets[k].id);
            s.n++;
            goto out;
        }
    }
    *out = s;
    s = (struct suites){ 0 };
out:
    suites_release(&s);
    return rc;
}

void suites_release(struct suites *s)
{
    for (size_t i = 0; i < s->n; i++)
        probe_set_release(&s->sets[i]);
    mem_free(s->sets);
    *s = (struct suites){ 0 };
}
