/* Reading item rows: strictly, since they come from archives of others. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "eval/record.h"
#include "eval/row.h"
#include "eval/row_private.h"

#include <inttypes.h>
#include <string.h>

enum { COUNT_MAX = INT32_MAX };

/* Keys in the order they are written, the kinds that have them, and whether they may be absent. */
static const struct field {
    const char *key;
    unsigned kinds;
    bool optional;
} fields[] = {
    { "i", ROW_ALL, false },
    { "id", ROW_ALL, false },
    { "kind", ROW_ALL, false },
    { "cluster", ROW_ALL, false },
    { "tags", ROW_ALL, true },
    { "gold", IN(choice) | IN(pair), false },
    { "n_ctx", ROW_RIGHT, false },
    { "n_tok", ROW_ALL, false },
    { "chars", IN(choice) | IN(pair), false },
    { "bytes", IN(choice) | IN(pair) | IN(text), false },
    { "words", IN(text), false },
    { "ll", ROW_MANY | IN(text), false },
    { "ll_uncond", IN(choice), true },
    { "greedy", ROW_MANY, false },
    { "stop", IN(exact), false },
    { "out", IN(exact), false },
    { "acc", ROW_RIGHT, false },
    { "acc_norm", IN(choice), false },
    { "acc_bytes", IN(choice), false },
    { "acc_mutual_info", IN(choice), true },
    { "flags", ROW_ALL, false },
    { "salt", ROW_ALL, false },
};
enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

static int check_keys(const struct json *json, enum probe_kind kind, struct status *st)
{
    int rc = 0;
    const char *allowed[N_FIELDS + 1];
    size_t n = 0;
    for (size_t k = 0; k < N_FIELDS; k++) {
        if (!(fields[k].kinds & (1u << kind)))
            continue;
        allowed[n++] = fields[k].key;
        if (!fields[k].optional && !json_find(json, fields[k].key))
            FAIL(st, RC_FORMAT, "key '%s' is missing", fields[k].key);
    }
    allowed[n] = NULL;
    TRY(json_only(json, allowed, st));
out:
    return rc;
}

/* An array of exactly n elements under `key`. */
static int array_of(const struct json *json, const char *key, size_t n, const struct json **out,
                    struct status *st)
{
    int rc = 0;
    TRY(json_get(json, key, JSON_ARRAY, out, st));
    if (json_size(*out) != n)
        FAIL(st, RC_FORMAT, "'%s' has %zu elements, wanted %zu", key, json_size(*out), n);
out:
    return rc;
}

static int count_of(const struct json *j, const char *key, int64_t min, uint64_t *out, struct status *st)
{
    if (!json_is_int(j) || json_int(j) < min || json_int(j) > COUNT_MAX)
        return status_fail(st, RC_FORMAT, "'%s' holds no count of %" PRId64 " or more", key, min);
    *out = (uint64_t)json_int(j);
    return 0;
}

static int read_counts(const struct json *json, const char *key, size_t n, int64_t min, uint64_t *out,
                       struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(array_of(json, key, n, &array, st));
    for (const struct json *j = json_first(array); j; j = json_next(j))
        TRY(count_of(j, key, min, out++, st));
out:
    return rc;
}

static int read_counts32(const struct json *json, const char *key, size_t n, int64_t min, uint32_t *out,
                         struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(array_of(json, key, n, &array, st));
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        uint64_t x = 0;
        TRY(count_of(j, key, min, &x, st));
        *out++ = (uint32_t)x;
    }
out:
    return rc;
}

static int read_doubles(const struct json *json, const char *key, size_t n, double *out, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(array_of(json, key, n, &array, st));
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        if (json_type(j) != JSON_NUMBER)
            FAIL(st, RC_FORMAT, "'%s' holds something that is not a number", key);
        *out++ = json_double(j);
    }
out:
    return rc;
}

static int read_gold(const struct json *json, struct pool *pool, struct item_row *row, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(json_get(json, "gold", JSON_ARRAY, &array, st));
    size_t n = json_size(array);
    if (n < 1 || n > row->n)
        FAIL(st, RC_FORMAT, "'gold' has %zu elements for %zu choices", n, row->n);
    row->gold = pool_take(pool, n, sizeof(*row->gold));
    if (!row->gold)
        FAIL(st, RC_NOMEM, "no memory for a row");
    TRY(read_counts32(json, "gold", n, 0, row->gold, st));
    row->n_gold = n;
    for (size_t k = 0; k < n; k++) {
        if (row->gold[k] >= row->n)
            FAIL(st, RC_FORMAT, "'gold' is %" PRIu32 " of %zu choices", row->gold[k], row->n);
        for (size_t m = 0; m < k; m++)
            if (row->gold[m] == row->gold[k])
                FAIL(st, RC_FORMAT, "'gold' names %" PRIu32 " twice", row->gold[k]);
    }
    if (row->kind == PROBE_pair && (n != 1 || row->gold[0] != 0))
        FAIL(st, RC_FORMAT, "'gold' of a pair is not [0]");
out:
    return rc;
}

static int read_tags(const struct json *json, struct pool *pool, struct item_row *row, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    if (!json_find(json, "tags"))
        return 0;
    TRY(json_get(json, "tags", JSON_ARRAY, &array, st));
    if (json_size(array) == 0)
        FAIL(st, RC_FORMAT, "'tags' is empty, where the key would be absent");
    row->tags = pool_take(pool, json_size(array), sizeof(*row->tags));
    if (!row->tags)
        FAIL(st, RC_NOMEM, "no memory for a row");
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        const char *text = json_text(j);
        if (!text)
            FAIL(st, RC_FORMAT, "'tags' holds something that is not a string");
        for (size_t k = 0; k < row->n_tags; k++)
            if (strcmp(row->tags[k], text) == 0)
                FAIL(st, RC_FORMAT, "'tags' holds '%.60s' twice", text);
        char *copy = pool_text(pool, text, strlen(text));
        if (!copy)
            FAIL(st, RC_NOMEM, "no memory for a row");
        row->tags[row->n_tags++] = copy;
    }
out:
    return rc;
}

/* n and what stands in arrays of n, of choice, pair and cloze. */
static int read_many(const struct json *json, struct pool *pool, struct item_row *row, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    bool unconditional = json_find(json, "ll_uncond") != NULL;
    if (unconditional != (json_find(json, "acc_mutual_info") != NULL))
        FAIL(st, RC_FORMAT, "one of 'll_uncond' and 'acc_mutual_info' without the other");
    TRY(json_get(json, "n_tok", JSON_ARRAY, &array, st));
    row->n = json_size(array);
    size_t min = row->kind == PROBE_cloze ? 1 : 2, max = row->kind == PROBE_pair ? 2 : PROBE_CHOICES_MAX;
    if (row->n < min || row->n > max)
        FAIL(st, RC_FORMAT, "'n_tok' has %zu elements, wanted %zu to %zu", row->n, min, max);
    TRY(row_take_arrays(row, unconditional, pool, st));
    TRY(read_counts32(json, "n_tok", row->n, 0, row->n_tok, st));
    if (row->chars) {
        TRY(read_counts(json, "chars", row->n, 1, row->chars, st));
        TRY(read_counts(json, "bytes", row->n, 1, row->bytes, st));
        TRY(read_gold(json, pool, row, st));
    }
    TRY(read_doubles(json, "ll", row->n, row->ll, st));
    if (unconditional)
        TRY(read_doubles(json, "ll_uncond", row->n, row->ll_uncond, st));
    TRY(array_of(json, "greedy", row->n, &array, st));
    bool *greedy = row->greedy;
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        if (json_type(j) != JSON_BOOL)
            FAIL(st, RC_FORMAT, "'greedy' holds something that is not true or false");
        *greedy++ = json_bool(j);
    }
out:
    return rc;
}

static int read_exact(const struct json *json, struct item_row *row, struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    size_t k = 0;
    TRY(json_get_text(json, "stop", &text, st));
    while (k < ROW_STOPS && strcmp(row_stop_names[k], text) != 0)
        k++;
    if (k == ROW_STOPS)
        FAIL(st, RC_FORMAT, "'stop' is '%.60s', wanted eos, string or length", text);
    row->stop = (enum row_stop)k;
    TRY(json_get_text(json, "out", &text, st));
    if (strlen(text) != 64 || hash_read(text, &row->out, NULL) != 0)
        FAIL(st, RC_FORMAT, "'out' is not 64 lowercase hex digits");
out:
    return rc;
}

/* n_tok as one number, and what else text and exact have. */
static int read_one(const struct json *json, struct pool *pool, struct item_row *row, struct status *st)
{
    int rc = 0;
    uint64_t tokens = 0;
    row->n = 1;
    TRY(row_take_arrays(row, false, pool, st));
    TRY(count_of(json_find(json, "n_tok"), "n_tok", 0, &tokens, st));
    row->n_tok[0] = (uint32_t)tokens;
    if (row->kind == PROBE_exact) {
        TRY(read_exact(json, row, st));
        goto out;
    }
    TRY(count_of(json_find(json, "bytes"), "bytes", 1, &row->bytes[0], st));
    TRY(count_of(json_find(json, "words"), "words", 1, &row->words, st));
    const struct json *ll = NULL;
    TRY(json_get(json, "ll", JSON_NUMBER, &ll, st));
    row->ll[0] = json_double(ll);
out:
    return rc;
}

static int read_right(const struct json *json, const char *key, int *out, struct status *st)
{
    int64_t value = -1;
    int rc = json_find(json, key) ? json_get_int(json, key, 0, 1, &value, st) : 0;
    *out = (int)value;
    return rc;
}

static int read_flags(const struct json *json, struct item_row *row, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    unsigned next = 0;
    TRY(json_get(json, "flags", JSON_ARRAY, &array, st));
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        while (next < ROW_FLAGS && !(json_text(j) && strcmp(row_flag_names[next], json_text(j)) == 0))
            next++;
        if (next == ROW_FLAGS)
            FAIL(st, RC_FORMAT, "'flags' is not a part of nonprefix, truncated in this order");
        row->flags |= 1u << next++;
    }
out:
    return rc;
}

static int keep_text(const struct json *json, const char *key, struct pool *pool, const char **out,
                     struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(json, key, &text, st));
    *out = pool_text(pool, text, strlen(text));
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for a row");
out:
    return rc;
}

static int read_row(const struct json *json, struct pool *pool, struct item_row *row, struct status *st)
{
    int rc = 0;
    int64_t i = 0;
    uint64_t n_ctx = 0;
    const char *kind = NULL;
    TRY(json_get_text(json, "kind", &kind, st));
    if (!probe_kind_find(kind, &row->kind))
        FAIL(st, RC_FORMAT, "kind is '%.60s'", kind);
    TRY(check_keys(json, row->kind, st));
    TRY(json_get_int(json, "i", 0, ROWS_MAX - 1, &i, st));
    row->i = (uint64_t)i;
    TRY(keep_text(json, "id", pool, &row->id, st));
    if (!probe_item_id_valid(row->id))
        FAIL(st, RC_FORMAT, "id is not 1 to %d bytes without control characters", PROBE_ID_BYTES_MAX);
    TRY(keep_text(json, "cluster", pool, &row->cluster, st));
    TRY(read_tags(json, pool, row, st));
    if (row->kind != PROBE_text)
        TRY(count_of(json_find(json, "n_ctx"), "n_ctx", 0, &n_ctx, st));
    row->n_ctx = (uint32_t)n_ctx;
    TRY((1u << row->kind) & ROW_MANY ? read_many(json, pool, row, st) : read_one(json, pool, row, st));
    TRY(read_right(json, "acc", &row->right.acc, st));
    TRY(read_right(json, "acc_norm", &row->right.acc_norm, st));
    TRY(read_right(json, "acc_bytes", &row->right.acc_bytes, st));
    TRY(read_right(json, "acc_mutual_info", &row->right.acc_mutual_info, st));
    TRY(read_flags(json, row, st));
    TRY(salt_read(json, row->salt, st));
out:
    return rc;
}

int item_row_parse(const char *line, size_t n, struct pool *pool, struct item_row *out, struct status *st)
{
    int rc = 0;
    struct json *json = NULL;
    struct item_row row = { 0 };
    row.withheld = withheld_parse(line, n, &row.leaf);
    if (!row.withheld) {
        TRY(json_parse(line, n, &json, st));
        if (json_type(json) != JSON_OBJECT)
            FAIL(st, RC_FORMAT, "not an object");
        TRY(read_row(json, pool, &row, st));
    }
    *out = row;
out:
    json_free(json);
    return rc;
}

int item_rows_add(struct item_rows *rows, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct item_row row = { 0 };
    uint64_t next = rows->n ? rows->rows[rows->n - 1].i + 1 : 0;
    TRY(item_row_parse(line, n, &rows->pool, &row, st));
    if (row.withheld)
        row.i = next;
    if (row.i < next)
        FAIL(st, RC_FORMAT, "i is %" PRIu64 ", wanted %" PRIu64 " or more", row.i, next);
    if (row.i >= ROWS_MAX)
        FAIL(st, RC_LIMIT, "over %d rows", ROWS_MAX);
    TRY(mem_grow(&rows->rows, rows->n, &rows->cap, sizeof(row), st));
    rows->rows[rows->n++] = row;
out:
    return rc;
}

int item_rows_parse(const char *data, size_t size, const char *name, struct item_rows *out, struct status *st)
{
    int rc = 0;
    struct item_rows rows = { 0 };
    struct status own = { 0 };
    struct lines lines = { .data = data, .size = size };
    const char *line = NULL;
    size_t n = 0;
    while (own.rc == 0 && lines_next(&lines, &line, &n, &own))
        if (item_rows_add(&rows, line, n, &own) != 0)
            status_prefix(&own, "line %zu", lines.number);
    if (own.rc != 0)
        FAIL(st, own.rc, "%s: %s", name, own.msg);
    *out = rows;
    rows = (struct item_rows){ 0 };
out:
    item_rows_release(&rows);
    return rc;
}
