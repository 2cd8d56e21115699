#include "reports/run.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/fields.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int run_path(const char *run, const char *member, struct str *out, struct status *st)
{
    if (strncmp(member, "run/", 4) == 0)
        member += 4;
    else if (strncmp(member, "evidence/", 9) == 0)
        member += 9;
    return path_join(run, member, out, st);
}

bool run_has(const char *run, const char *member)
{
    struct str path = { 0 };
    bool has = run_path(run, member, &path, NULL) == 0 && path_exists(str_text(&path));
    str_release(&path);
    return has;
}

static int write_with(const char *run, const char *member, struct bytes data, unsigned mode, bool create,
                      struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    TRY(run_path(run, member, &path, st));
    char *slash = strrchr(path.data, '/');
    if (slash) {
        *slash = 0;
        rc = dir_make(path.data, st);
        *slash = '/';
        if (rc != 0)
            goto out;
    }
    if (create)
        TRY(file_create(path.data, data.data, data.size, mode, st));
    else
        TRY(file_write(path.data, data.data, data.size, mode, st));
out:
    str_release(&path);
    return rc;
}

int run_write(const char *run, const char *member, const void *data, size_t n, struct status *st)
{
    return write_with(run, member, (struct bytes){ data, n }, 0644, false, st);
}

int run_read(const char *run, const char *member, struct str *out, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    TRY(run_path(run, member, &path, st));
    TRY(file_read(path.data, RUN_FILE_BYTES_MAX, out, st));
out:
    str_release(&path);
    return rc;
}

void run_item_name(const char *suite, const char *side, struct str *out)
{
    str_printf(out, "evidence/items/%s.%s.jsonl", suite, side);
}

void run_probe_name(const char *suite, struct str *out)
{
    member_write_name(MEMBER_PROBES, suite, out);
}

int run_salt_create(const char *run, uint8_t key[32], struct status *st)
{
    int rc = 0;
    uint8_t fresh[32];
    struct str text = { 0 };
    if (getrandom(fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
        FAIL(st, RC_IO, "the system gives no random bytes");
    str_hex(&text, fresh, sizeof fresh);
    str_putc(&text, '\n');
    TRY(str_check(&text, st));
    TRY(write_with(run, "plan.salt", (struct bytes){ text.data, text.size }, 0600, true, st));
    memcpy(key, fresh, sizeof fresh);
out:
    str_release(&text);
    return rc;
}

int run_salt_load(const char *run, uint8_t key[32], struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    TRY(run_read(run, "plan.salt", &text, st));
    if (text.size != 65 || text.data[64] != '\n' || hex_read(text.data, 64, key, 32, NULL) != 0)
        FAIL(st, RC_FORMAT, "%s/plan.salt: not 64 hex digits and a line end", run);
out:
    str_release(&text);
    return rc;
}

int run_plan_load(const char *run, struct plan *out, struct hash *digest, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    TRY(run_read(run, "plan.json", &text, st));
    if ((rc = plan_parse(str_text(&text), text.size, out, st)) != 0) {
        status_prefix(st, "%s/plan.json", run);
        goto out;
    }
    *digest = sha256_of(text.data, text.size);
out:
    str_release(&text);
    return rc;
}

/* ---- paths ---- */

static struct json *paths_of(char *const *paths, size_t n)
{
    struct json *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_of_text(paths[i]));
    return list;
}

int run_paths_write(const char *run, const struct run_paths *p, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct json *root = json_object();
    json_put_int(root, "lethe_paths", 1);
    json_put_text(root, "base", p->base);
    if (p->tuned)
        json_put_text(root, "tuned", p->tuned);
    json_put(root, "data", paths_of(p->data, p->data_n));
    json_put(root, "suites", paths_of(p->suites, p->suites_n));
    TRY(json_check(root, st));
    TRY(field_canonical(root, &text, st));
    TRY(run_write(run, "paths.json", text.data, text.size, st));
out:
    json_free(root);
    str_release(&text);
    return rc;
}

static char *text_copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = mem_calloc(n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

static int paths_read(const struct json *root, const char *key, char ***out, size_t *n, struct status *st)
{
    int rc = 0;
    const struct json *list;
    size_t size = 0;
    TRY(field_array(root, key, PLAN_DATA_MAX, &list, &size, st));
    *out = mem_calloc(size, sizeof **out);
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for paths");
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        if (!json_text(j))
            FAIL(st, RC_FORMAT, "key '%s': not a list of paths", key);
        (*out)[*n] = text_copy(json_text(j));
        if (!(*out)[*n])
            FAIL(st, RC_NOMEM, "no memory for paths");
        ++*n;
    }
out:
    return rc;
}

int run_paths_load(const char *run, struct run_paths *out, struct status *st)
{
    int rc = 0;
    struct run_paths p = { 0 };
    struct str text = { 0 };
    struct json *root = NULL;
    const char *base, *tuned;
    TRY(run_read(run, "paths.json", &text, st));
    TRY(json_parse(str_text(&text), text.size, &root, st));
    TRY(field_version(root, "lethe_paths", st));
    TRY(json_get_text(root, "base", &base, st));
    TRY(field_text_maybe(root, "tuned", &tuned, st));
    p.base = text_copy(base);
    p.tuned = tuned ? text_copy(tuned) : NULL;
    if (!p.base || (tuned && !p.tuned))
        FAIL(st, RC_NOMEM, "no memory for paths");
    TRY(paths_read(root, "data", &p.data, &p.data_n, st));
    TRY(paths_read(root, "suites", &p.suites, &p.suites_n, st));
    *out = p;
    p = (struct run_paths){ 0 };
out:
    if (rc != 0)
        status_prefix(st, "%s/paths.json", run);
    run_paths_release(&p);
    json_free(root);
    str_release(&text);
    return rc;
}

void run_paths_release(struct run_paths *p)
{
    for (size_t i = 0; i < p->data_n; i++)
        mem_free(p->data[i]);
    for (size_t i = 0; i < p->suites_n; i++)
        mem_free(p->suites[i]);
    mem_free(p->data);
    mem_free(p->suites);
    mem_free(p->base);
    mem_free(p->tuned);
    *p = (struct run_paths){ 0 };
}

int run_row_salt(const uint8_t key[32], const char *path, uint64_t index, const char *row, size_t n,
                 struct str *out, struct status *st)
{
    int rc = 0;
    char salt[33];
    if (n < 2 || row[0] != '{' || row[n - 1] != '}')
        FAIL(st, RC_ARG, "%s: row %llu is no record", path, (unsigned long long)index);
    salt_of(key, path, index, salt);
    str_add(out, row, n - 1);
    str_printf(out, "%s\"salt\":\"%s\"}\n", n > 2 ? "," : "", salt);
    TRY(str_check(out, st));
out:
    return rc;
}
