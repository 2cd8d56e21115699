/* Plan against what ran: objects key by key, everything else as one value. */
#include "base/alloc.h"
#include "eval/verdict.h"

#include <stdlib.h>
#include <string.h>

enum { DEVIATIONS_MAX = 65536 };

struct deviation {
    char *path, *planned, *ran;
};

struct walk {
    struct deviation *list;
    size_t n, cap;
};

static char *text_of(const struct json *j, struct status *st)
{
    struct str text = { 0 };
    char *out = NULL;
    int rc = 0;
    if (j)
        rc = json_write_canonical(j, &text, st);
    else
        str_puts(&text, "absent");
    if (rc == 0)
        rc = str_check(&text, st);
    if (rc == 0)
        out = mem_calloc(text.size + 1, 1);
    if (out)
        memcpy(out, text.data, text.size);
    else if (rc == 0)
        status_fail(st, RC_NOMEM, "no memory for a deviation");
    str_release(&text);
    return out;
}

static char *path_of(const char *path, struct status *st)
{
    const size_t n = strlen(path) + 1;
    char *out = mem_calloc(n, 1);
    if (out)
        memcpy(out, path, n);
    else
        status_fail(st, RC_NOMEM, "no memory for a deviation");
    return out;
}

static int add(struct walk *w, const char *path, const struct json *planned, const struct json *ran,
               struct status *st)
{
    int rc = 0;
    struct status own = { 0 };
    if (w->n == DEVIATIONS_MAX)
        FAIL(st, RC_LIMIT, "over %d deviations", DEVIATIONS_MAX);
    TRY(mem_grow(&w->list, w->n, &w->cap, sizeof(*w->list), st));
    struct deviation *d = &w->list[w->n++];
    *d = (struct deviation){ .path = path_of(path, &own) };
    d->planned = text_of(planned, &own);
    d->ran = text_of(ran, &own);
    if (own.rc != 0)
        FAIL(st, own.rc, "%s: %s", path, own.msg);
out:
    return rc;
}

/* RFC 6901: ~ and / of a key are escaped. */
static void step_into(struct str *path, const char *key)
{
    str_putc(path, '/');
    for (const char *c = key; *c; c++) {
        if (*c == '~')
            str_puts(path, "~0");
        else if (*c == '/')
            str_puts(path, "~1");
        else
            str_putc(path, *c);
    }
}

static int compare(struct walk *w, struct str *path, const struct json *planned, const struct json *ran,
                   struct status *st);

static int compare_key(struct walk *w, struct str *path, const char *key, const struct json *planned,
                       const struct json *ran, struct status *st)
{
    int rc = 0;
    const size_t before = path->size;
    step_into(path, key);
    TRY(str_check(path, st));
    TRY(compare(w, path, planned, ran, st));
    path->size = before;
    path->data[before] = 0;
out:
    return rc;
}

static bool is_object(const struct json *j)
{
    return j && json_type(j) == JSON_OBJECT;
}

/* Depth is bounded by that of the documents, JSON_DEPTH_MAX. */
static int compare(struct walk *w, struct str *path, const struct json *planned, const struct json *ran,
                   struct status *st)
{
    int rc = 0;
    if (!is_object(planned) || !is_object(ran)) {
        if ((planned || ran) && !(planned && ran && json_equal(planned, ran)))
            rc = add(w, str_text(path), planned, ran, st);
        return rc;
    }
    for (const struct json *j = json_first(planned); j; j = json_next(j))
        TRY(compare_key(w, path, json_key(j), j, json_find(ran, json_key(j)), st));
    for (const struct json *j = json_first(ran); j; j = json_next(j))
        if (!json_find(planned, json_key(j)))
            TRY(compare_key(w, path, json_key(j), NULL, j, st));
out:
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct deviation *)a)->path, ((const struct deviation *)b)->path);
}

static int write_list(const struct walk *w, struct json **out, struct status *st)
{
    struct json *list = json_array();
    for (size_t k = 0; k < w->n; k++) {
        struct json *one = json_object();
        json_put_text(one, "path", w->list[k].path);
        json_put_text(one, "planned", w->list[k].planned);
        json_put_text(one, "ran", w->list[k].ran);
        json_push(list, one);
    }
    int rc = json_check(list, st);
    if (rc == 0)
        *out = list;
    else
        json_free(list);
    return rc;
}

int deviations_compute(const struct json *plan, const struct json *config, struct json **out,
                       struct status *st)
{
    static const char *const keys[] = { "base", "data", "method", "scoring", "template", "tokenizer" };
    int rc = 0;
    struct walk w = { 0 };
    struct str path = { 0 };
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
        TRY(compare_key(&w, &path, keys[k], json_find(plan, keys[k]), json_find(config, keys[k]), st));
    if (w.n)
        qsort(w.list, w.n, sizeof(*w.list), by_path);
    TRY(write_list(&w, out, st));
out:
    for (size_t k = 0; k < w.n; k++) {
        mem_free(w.list[k].path);
        mem_free(w.list[k].planned);
        mem_free(w.list[k].ran);
    }
    mem_free(w.list);
    str_release(&path);
    return rc;
}
