#include "probes/set.h"

#include "base/alloc.h"
#include "base/file.h"
#include "probes/index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A file on its way to a suite. */
struct reading {
    struct probe_set set;
    size_t cap;
    const char *name;
    bool blimp;
    struct text_index ids, clusters;
    struct probe_errors *errors; /* NULL: the first error ends the load */
};

static void reading_release(struct reading *r)
{
    text_index_release(&r->ids);
    text_index_release(&r->clusters);
    probe_set_release(&r->set);
}

static int keep(struct reading *r, const char *text, const char **out, struct status *st)
{
    *out = pool_text(&r->set.pool, text, strlen(text));
    return *out ? 0 : status_fail(st, RC_NOMEM, "no memory for the header");
}

static int keep_key(struct reading *r, const struct json *header, const char *key, const char **out,
                    struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(header, key, &text, st));
    TRY(keep(r, text, out, st));
out:
    return rc;
}

/* ---- header ---- */

static int one_of(const char *key, const char *text, const char *const *names, size_t n, size_t *out,
                  struct status *st)
{
    struct str all = { 0 };
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = i;
            str_release(&all);
            return 0;
        }
        str_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    int rc = status_fail(st, RC_FORMAT, "%s is '%.60s', wanted one of: %s", key, text, str_text(&all));
    str_release(&all);
    return rc;
}

static int header_kind(struct reading *r, const struct json *header, struct status *st)
{
    int rc = 0;
    const char *text = NULL, *names[PROBE_KINDS];
    size_t at = 0;
    for (size_t i = 0; i < PROBE_KINDS; i++)
        names[i] = probe_kind_name((enum probe_kind)i);
    TRY(json_get_text(header, "kind", &text, st));
    TRY(one_of("kind", text, names, PROBE_KINDS, &at, st));
    r->set.kind = (enum probe_kind)at;
    r->set.metric = probe_kind_ops(r->set.kind)->metrics[0];
    if (!json_find(header, "metric"))
        goto out;
    TRY(json_get_text(header, "metric", &text, st));
    if (!probe_metric_find(text, &r->set.metric) || !probe_kind_has_metric(r->set.kind, r->set.metric))
        FAIL(st, RC_FORMAT, "metric '%.60s' is none of kind '%s'", text, names[at]);
out:
    return rc;
}

static int header_stops(struct reading *r, const struct json *header, struct status *st)
{
    int rc = 0;
    const struct json *stops = NULL;
    if (!json_find(header, "stop"))
        return 0;
    TRY(json_get(header, "stop", JSON_ARRAY, &stops, st));
    if (json_size(stops) > PROBE_STOPS_MAX)
        FAIL(st, RC_LIMIT, "stop has %zu strings, over %d", json_size(stops), PROBE_STOPS_MAX);
    r->set.n_stop = 0;
    for (const struct json *j = json_first(stops); j; j = json_next(j)) {
        const char *text = json_text(j);
        if (!text || !*text)
            FAIL(st, RC_FORMAT, "stop holds something that is not a string with characters");
        TRY(keep(r, text, &r->set.stop[r->set.n_stop++], st));
    }
out:
    return rc;
}

static int header_exact(struct reading *r, const struct json *header, struct status *st)
{
    static const char *const names[] = { [NORMALISE_text] = "text", [NORMALISE_none] = "none" };
    static const char *const keys[] = { "max_tokens", "stop", "normalise" };
    int rc = 0;
    size_t at = 0;
    const char *text = NULL;
    int64_t tokens = 0;
    for (size_t i = 0; r->set.kind != PROBE_exact && i < 3; i++)
        if (json_find(header, keys[i]))
            FAIL(st, RC_FORMAT, "key '%s' is for kind 'exact' only", keys[i]);
    if (json_find(header, "max_tokens")) {
        TRY(json_get_int(header, "max_tokens", 1, PROBE_TOKENS_MAX, &tokens, st));
        r->set.max_tokens = (uint32_t)tokens;
    }
    TRY(header_stops(r, header, st));
    if (json_find(header, "normalise")) {
        TRY(json_get_text(header, "normalise", &text, st));
        TRY(one_of("normalise", text, names, 2, &at, st));
        r->set.normalise = (enum probe_normalise)at;
    }
out:
    return rc;
}

static int header_choices(struct reading *r, const struct json *header, struct status *st)
{
    static const char *const roles[] = {
        "task", "retention", "ood", "grammar", "facts", "critical", "custom"
    };
    static const char *const clusters[] = { "item", "cluster" };
    int rc = 0;
    size_t at = 0;
    const char *text = NULL;
    TRY(json_get_text(header, "role", &text, st));
    TRY(one_of("role", text, roles, 7, &at, st));
    r->set.role = roles[at];
    if (json_find(header, "cluster_by")) {
        TRY(json_get_text(header, "cluster_by", &text, st));
        TRY(one_of("cluster_by", text, clusters, 2, &at, st));
        r->set.by_cluster = at == 1;
    }
    if (json_find(header, "delimiter"))
        TRY(keep_key(r, header, "delimiter", &r->set.delimiter, st));
out:
    return rc;
}

static int read_header(struct reading *r, const struct json *header, struct status *st)
{
    static const char *const keys[] = { "lethe_probe", "id",         "version",   "title",
                                        "licence",     "source",     "kind",      "role",
                                        "metric",      "meta",       "stop",      "delimiter",
                                        "cluster_by",  "max_tokens", "normalise", NULL };
    int rc = 0;
    const struct json *version = json_find(header, "lethe_probe");
    if (!json_is_int(version) || json_int(version) < 1)
        FAIL(st, RC_FORMAT, "lethe_probe is not a version number");
    if (json_int(version) > 1)
        FAIL(st, RC_UNSUPPORTED, "lethe_probe is version %" PRId64 ", this reads 1", json_int(version));
    TRY(json_only(header, keys, st));
    TRY(keep_key(r, header, "id", &r->set.id, st));
    if (!probe_suite_id_valid(r->set.id))
        FAIL(st, RC_FORMAT, "id '%.60s' is not 1 to 40 of a-z 0-9 _ -, the first a letter or digit",
             r->set.id);
    TRY(keep_key(r, header, "version", &r->set.version, st));
    TRY(keep_key(r, header, "title", &r->set.title, st));
    TRY(keep_key(r, header, "licence", &r->set.licence, st));
    TRY(keep_key(r, header, "source", &r->set.source, st));
    TRY(header_kind(r, header, st));
    TRY(header_choices(r, header, st));
    TRY(header_exact(r, header, st));
out:
    return rc;
}

/* A name longer than an id may be keeps its beginning and gets eight digits of its digest: BLiMP has names of
 * 42 characters that differ in the last one. */
static void id_shorten(char *id)
{
    size_t n = strlen(id);
    if (n <= PROBE_SUITE_ID_MAX)
        return;
    struct hash h = sha256_of(id, n);
    snprintf(id + PROBE_SUITE_ID_MAX - 9, 10, "-%.8s", hash_hex(&h).s);
}

/* What a file without a header is: by its name, and by the keys of its first line. */
static int guess_header(struct reading *r, const struct json *first, struct status *st)
{
    static const struct {
        const char *key;
        enum probe_kind kind;
    } by_key[] = { { "choices", PROBE_choice },
                   { "good", PROBE_pair },
                   { "text", PROBE_text },
                   { "answers", PROBE_cloze },
                   { "sentence_good", PROBE_pair } };
    int rc = 0;
    struct probe_set *set = &r->set;
    const char *file = path_name(r->name);
    char *id = pool_text(&set->pool, file, strcspn(file, "."));
    if (!id)
        FAIL(st, RC_NOMEM, "no memory for the header");
    for (char *c = id; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    id_shorten(id);
    if (!probe_suite_id_valid(id))
        FAIL(st, RC_FORMAT, "no header, and the file's name gives no id ('%.60s')", id);
    size_t at = 0, n = sizeof(by_key) / sizeof(by_key[0]);
    while (at < n && !json_find(first, by_key[at].key))
        at++;
    if (at == n)
        FAIL(st, RC_FORMAT,
             "neither a header nor an item: no key 'lethe_probe', 'choices', 'good', 'text' or "
             "'answers'");
    r->blimp = at == n - 1;
    if (r->blimp && !json_find(first, "sentence_bad"))
        FAIL(st, RC_FORMAT, "'sentence_good' without 'sentence_bad'");
    set->id = set->title = id;
    set->version = "0";
    set->licence = "unknown";
    TRY(keep(r, file, &set->source, st));
    set->role = r->blimp ? "grammar" : "custom";
    set->kind = by_key[at].kind;
    set->metric = probe_kind_ops(set->kind)->metrics[0];
out:
    return rc;
}

/* ---- items ---- */

/* BLiMP's line as the object of a pair. */
static int blimp_object(const struct json *line, size_t index, struct json **out, struct status *st)
{
    int rc = 0;
    struct str id = { 0 };
    struct json *object = NULL;
    const char *uid = NULL, *good = NULL, *bad = NULL;
    TRY(json_get_text(line, "UID", &uid, st));
    TRY(json_get_text(line, "sentence_good", &good, st));
    TRY(json_get_text(line, "sentence_bad", &bad, st));
    const struct json *pair = json_find(line, "pairID");
    if (pair && !json_text(pair) && !json_is_int(pair))
        FAIL(st, RC_FORMAT, "pairID is neither a string nor an integer");
    if (!pair)
        str_printf(&id, "%s-%zu", uid, index);
    else if (json_text(pair))
        str_printf(&id, "%s-%s", uid, json_text(pair));
    else
        str_printf(&id, "%s-%" PRId64, uid, json_int(pair));
    TRY(str_check(&id, st));
    object = json_object();
    json_put_text(object, "id", str_text(&id));
    json_put_text(object, "good", good);
    json_put_text(object, "bad", bad);
    TRY(json_check(object, st));
    *out = object;
    object = NULL;
out:
    json_free(object);
    str_release(&id);
    return rc;
}

/* Puts a parsed item in: its id must be new, its cluster must be there where clusters count. */
static int add_item(struct reading *r, struct probe_item *item, struct status *st)
{
    int rc = 0;
    bool fresh = false;
    size_t number = 0, cluster = 0;
    struct probe_set *set = &r->set;
    if (set->by_cluster && !item->cluster)
        FAIL(st, RC_FORMAT, "key 'cluster' is missing, and the header has cluster_by 'cluster'");
    if (!set->by_cluster)
        item->cluster = item->id;
    if (set->n == PROBE_ITEMS_MAX)
        FAIL(st, RC_LIMIT, "over %d items", PROBE_ITEMS_MAX);
    TRY(mem_grow(&set->items, set->n, &r->cap, sizeof(*set->items), st));
    TRY(text_index_put(&r->ids, item->id, strlen(item->id), &number, &fresh, st));
    if (!fresh)
        FAIL(st, RC_FORMAT, "the id of line %zu again", set->items[number].line);
    assert(number == set->n);
    set->items[set->n++] = *item;
    TRY(text_index_put(&r->clusters, item->cluster, strlen(item->cluster), &cluster, &fresh, st));
    set->clusters = r->clusters.n;
out:
    return rc;
}

static int read_item(struct reading *r, const struct json *line, size_t number, struct status *st)
{
    int rc = 0;
    struct json *made = NULL;
    struct probe_item item = { 0 };
    const struct json *object = line;
    if (r->blimp) {
        TRY(blimp_object(line, number - 1, &made, st));
        object = made;
    }
    if (json_find(object, "lethe_probe"))
        FAIL(st, RC_FORMAT, "a header, which only the first line can be");
    TRY(probe_item_parse(object, r->set.kind, &r->set.pool, &item, st));
    item.line = number;
    TRY(add_item(r, &item, st));
out:
    if (rc != 0 && json_text(json_find(object, "id")))
        status_prefix(st, "item '%.200s'", json_text(json_find(object, "id")));
    json_free(made);
    return rc;
}

static int read_line(struct reading *r, const char *line, size_t n, size_t number, struct status *st)
{
    int rc = 0;
    struct json *json = NULL;
    if (n == 0)
        FAIL(st, RC_FORMAT, "a blank line, wanted an item");
    TRY(json_parse(line, n, &json, st));
    if (json_type(json) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an object");
    if (number == 1) {
        bool header = json_find(json, "lethe_probe") != NULL;
        TRY(header ? read_header(r, json, st) : guess_header(r, json, st));
        if (header)
            goto out;
    }
    TRY(read_item(r, json, number, st));
out:
    json_free(json);
    return rc;
}

/* Notes an error of a line and says whether reading goes on. */
static bool go_on(struct reading *r, struct status *st)
{
    if (!r->errors || st->rc == RC_NOMEM)
        return false;
    memcpy(r->errors->text[r->errors->n++], st->msg, sizeof(st->msg));
    *st = (struct status){ 0 };
    // Without a header nothing is known of the lines below.
    return r->set.id && r->set.role && r->errors->n < PROBE_ERRORS_MAX;
}

static int read_set(struct reading *r, const char *data, size_t size, struct status *st)
{
    int rc = 0;
    struct status own = { 0 };
    struct lines lines = { .data = data, .size = size };
    const char *line = NULL;
    size_t n = 0;
    r->set.delimiter = " ";
    r->set.max_tokens = 32;
    r->set.stop[0] = "\n";
    r->set.n_stop = 1;
    r->set.sha256 = sha256_of(data, size);
    r->set.size = size;
    while (lines_next(&lines, &line, &n, &own)) {
        if (read_line(r, line, n, lines.number, &own) == 0)
            continue;
        status_prefix(&own, "%s:%zu", r->name, lines.number);
        if (!go_on(r, &own))
            goto out;
    }
    if (own.rc != 0)
        status_prefix(&own, "%s", r->name);
    else if (r->set.n == 0 && !(r->errors && r->errors->n))
        status_fail(&own, RC_FORMAT, "%s: no items", r->name);
    if (own.rc != 0)
        (void)go_on(r, &own);
out:
    rc = own.rc;
    return rc == 0 ? 0 : status_fail(st, own.rc, "%s", own.msg);
}

int probe_set_parse(const char *data, size_t size, const char *name, struct probe_set *out, struct status *st)
{
    int rc = 0;
    struct reading r = { .name = name };
    if (size > PROBE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "%s: %zu bytes, over %zu", name, size, PROBE_BYTES_MAX);
    TRY(read_set(&r, data, size, st));
    *out = r.set;
    r.set = (struct probe_set){ 0 };
out:
    reading_release(&r);
    return rc;
}

int probe_set_load(const char *path, struct probe_set *out, struct status *st)
{
    int rc = 0;
    struct file_map file = { 0 };
    TRY(file_map_open(path, &file, st));
    TRY(probe_set_parse((const char *)file.data, file.size, path, out, st));
out:
    file_map_close(&file);
    return rc;
}

int probe_set_check(const char *path, struct probe_errors *out, struct status *st)
{
    int rc = 0;
    struct file_map file = { 0 };
    struct reading r = { .name = path, .errors = out };
    out->n = 0;
    TRY(file_map_open(path, &file, st));
    if (file.size > PROBE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "%s: %zu bytes, over %zu", path, file.size, PROBE_BYTES_MAX);
    TRY(read_set(&r, (const char *)file.data, file.size, st));
out:
    reading_release(&r);
    file_map_close(&file);
    return rc;
}

void probe_set_release(struct probe_set *set)
{
    mem_free(set->items);
    pool_release(&set->pool);
    *set = (struct probe_set){ 0 };
}
