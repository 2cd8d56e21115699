#include "eval/record.h"

#include "base/json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const class_names[] = {
    [TOKEN_same] = "same",   [TOKEN_forgot] = "forgot",     [TOKEN_learned] = "learned",
    [TOKEN_drift] = "drift", [TOKEN_conflict] = "conflict",
};

/* ---- reading ---- */

/* The object of a line, its keys checked. */
static int open_line(const char *line, size_t n, const char *const *keys, struct json **out,
                     struct status *st)
{
    int rc = 0;
    struct json *json = NULL;
    TRY(json_parse(line, n, &json, st));
    if (json_type(json) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an object");
    TRY(json_only(json, keys, st));
    *out = json;
    json = NULL;
out:
    json_free(json);
    return rc;
}

static int read_text(const struct json *json, const char *key, struct pool *pool, const char **out,
                     struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(json, key, &text, st));
    *out = pool_text(pool, text, strlen(text));
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for a record");
out:
    return rc;
}

static int read_id(const struct json *json, struct pool *pool, const char **out, struct status *st)
{
    int rc = 0;
    TRY(read_text(json, "id", pool, out, st));
    if (!probe_item_id_valid(*out))
        FAIL(st, RC_FORMAT, "id is not 1 to %d bytes without control characters", PROBE_ID_BYTES_MAX);
out:
    return rc;
}

static int read_count(const struct json *json, const char *key, uint64_t *out, struct status *st)
{
    int64_t value = 0;
    int rc = json_get_int(json, key, 0, JSON_INT_MAX, &value, st);
    if (rc == 0)
        *out = (uint64_t)value;
    return rc;
}

static int read_token(const struct json *json, const char *key, int32_t *out, struct status *st)
{
    int64_t value = 0;
    int rc = json_get_int(json, key, 0, INT32_MAX, &value, st);
    if (rc == 0)
        *out = (int32_t)value;
    return rc;
}

static int as_float(const struct json *j, const char *key, float *out, struct status *st)
{
    if (!j || json_type(j) != JSON_NUMBER || fabs(json_double(j)) > (double)FLT_MAX)
        return status_fail(st, RC_FORMAT, "key '%s' holds no number of 32 bits", key);
    *out = (float)json_double(j);
    return 0;
}

static int read_float(const struct json *json, const char *key, float *out, struct status *st)
{
    return as_float(json_find(json, key), key, out, st);
}

static int two_of(const struct json *json, const char *key, const struct json **first, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(json_get(json, key, JSON_ARRAY, &array, st));
    if (json_size(array) != 2)
        FAIL(st, RC_FORMAT, "key '%s' does not hold two numbers", key);
    *first = json_first(array);
out:
    return rc;
}

int output_row_parse(const char *line, size_t n, struct pool *pool, struct output_row *out, struct status *st)
{
    static const char *const keys[] = { "i", "id", "text", "salt", NULL };
    int rc = 0;
    struct json *json = NULL;
    struct output_row row = { 0 };
    row.withheld = withheld_parse(line, n, &row.leaf);
    if (!row.withheld) {
        TRY(open_line(line, n, keys, &json, st));
        TRY(read_count(json, "i", &row.i, st));
        TRY(read_id(json, pool, &row.id, st));
        TRY(read_text(json, "text", pool, &row.text, st));
        TRY(salt_read(json, row.salt, st));
    }
    *out = row;
out:
    json_free(json);
    return rc;
}

static int read_delta(const struct json *json, struct pool *pool, struct delta_row *row, struct status *st)
{
    int rc = 0;
    const struct json *j = NULL;
    TRY(read_count(json, "i", &row->i, st));
    TRY(read_id(json, pool, &row->id, st));
    TRY(read_count(json, "positions", &row->positions, st));
    TRY(read_count(json, "same_top", &row->same_top, st));
    TRY(read_count(json, "forgot", &row->forgot, st));
    TRY(read_count(json, "learned", &row->learned, st));
    TRY(read_count(json, "drift", &row->drift, st));
    const uint64_t parts[] = { row->same_top, row->forgot, row->learned, row->drift };
    for (size_t k = 0; k < 4; k++)
        if (parts[k] > row->positions)
            FAIL(st, RC_FORMAT, "%" PRIu64 " of %" PRIu64 " positions", parts[k], row->positions);
    TRY(json_get(json, "dlogp", JSON_NUMBER, &j, st));
    row->dlogp = json_double(j);
    TRY(two_of(json, "kl", &j, st));
    for (size_t k = 0; k < 2; k++, j = json_next(j)) {
        if (json_type(j) != JSON_NUMBER)
            FAIL(st, RC_FORMAT, "key 'kl' does not hold two numbers");
        row->kl[k] = json_double(j);
    }
    TRY(salt_read(json, row->salt, st));
out:
    return rc;
}

int delta_row_parse(const char *line, size_t n, struct pool *pool, struct delta_row *out, struct status *st)
{
    static const char *const keys[] = { "i",     "id",    "positions", "same_top", "forgot", "learned",
                                        "drift", "dlogp", "kl",        "salt",     NULL };
    int rc = 0;
    struct json *json = NULL;
    struct delta_row row = { 0 };
    row.withheld = withheld_parse(line, n, &row.leaf);
    if (!row.withheld) {
        TRY(open_line(line, n, keys, &json, st));
        TRY(read_delta(json, pool, &row, st));
    }
    *out = row;
out:
    json_free(json);
    return rc;
}

static int read_class(const struct json *json, enum token_class *out, struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(json, "class", &text, st));
    size_t k = TOKEN_forgot;
    while (k <= TOKEN_conflict && strcmp(class_names[k], text) != 0)
        k++;
    if (k > TOKEN_conflict)
        FAIL(st, RC_FORMAT, "class is '%.60s', wanted forgot, learned, drift or conflict", text);
    *out = (enum token_class)k;
out:
    return rc;
}

static int read_position(const struct json *json, struct pool *pool, struct token_row *row, struct status *st)
{
    int rc = 0;
    const struct json *j = NULL;
    TRY(read_text(json, "suite", pool, &row->suite, st));
    TRY(read_count(json, "i", &row->i, st));
    TRY(read_id(json, pool, &row->id, st));
    TRY(read_text(json, "part", pool, &row->part, st));
    TRY(read_count(json, "pos", &row->pos, st));
    TRY(read_token(json, "target", &row->target, st));
    TRY(read_token(json, "base_top", &row->base_top, st));
    TRY(read_token(json, "tuned_top", &row->tuned_top, st));
    TRY(read_text(json, "target_text", pool, &row->target_text, st));
    TRY(read_text(json, "base_top_text", pool, &row->base_top_text, st));
    TRY(read_text(json, "tuned_top_text", pool, &row->tuned_top_text, st));
    TRY(read_float(json, "base_top_logp", &row->base_top_logp, st));
    TRY(read_float(json, "tuned_top_logp", &row->tuned_top_logp, st));
    TRY(read_float(json, "base_logp", &row->base_logp, st));
    TRY(read_float(json, "tuned_logp", &row->tuned_logp, st));
    TRY(two_of(json, "kl", &j, st));
    TRY(as_float(j, "kl", &row->kl[0], st));
    TRY(as_float(json_next(j), "kl", &row->kl[1], st));
    TRY(read_class(json, &row->token_class, st));
    TRY(salt_read(json, row->salt, st));
out:
    return rc;
}

int token_row_parse(const char *line, size_t n, struct pool *pool, struct token_row *out, struct status *st)
{
    static const char *const keys[] = { "suite",
                                        "i",
                                        "id",
                                        "part",
                                        "pos",
                                        "target",
                                        "target_text",
                                        "base_top",
                                        "base_top_text",
                                        "base_top_logp",
                                        "tuned_top",
                                        "tuned_top_text",
                                        "base_logp",
                                        "tuned_top_logp",
                                        "tuned_logp",
                                        "kl",
                                        "class",
                                        "salt",
                                        NULL };
    int rc = 0;
    struct json *json = NULL;
    struct token_row row = { 0 };
    row.withheld = withheld_parse(line, n, &row.leaf);
    if (!row.withheld) {
        TRY(open_line(line, n, keys, &json, st));
        TRY(read_position(json, pool, &row, st));
    }
    *out = row;
out:
    json_free(json);
    return rc;
}

int supervision_row_parse(const char *line, size_t n, struct pool *pool, struct supervision_row *out,
                          struct status *st)
{
    static const char *const keys[] = {
        "i", "id", "tokens", "supervised", "first", "conflicts", "salt", NULL
    };
    int rc = 0;
    struct json *json = NULL;
    struct supervision_row row = { 0 };
    row.withheld = withheld_parse(line, n, &row.leaf);
    if (!row.withheld) {
        TRY(open_line(line, n, keys, &json, st));
        TRY(read_count(json, "i", &row.i, st));
        TRY(read_id(json, pool, &row.id, st));
        TRY(read_count(json, "tokens", &row.tokens, st));
        TRY(read_count(json, "supervised", &row.supervised, st));
        TRY(read_count(json, "first", &row.first, st));
        TRY(read_count(json, "conflicts", &row.conflicts, st));
        if (row.supervised > row.tokens)
            FAIL(st, RC_FORMAT, "%" PRIu64 " supervised of %" PRIu64 " tokens", row.supervised, row.tokens);
        TRY(salt_read(json, row.salt, st));
    }
    *out = row;
out:
    json_free(json);
    return rc;
}

/* ---- writing ---- */

static void put_text(struct str *out, const char *key, const char *text)
{
    str_printf(out, ",\"%s\":", key);
    str_json_string(out, text, strlen(text));
}

static void put_float(struct str *out, const char *key, float x)
{
    str_printf(out, ",\"%s\":", key);
    str_json_f32(out, x);
}

static int put_salt(struct str *out, const char *salt, struct status *st)
{
    if (strlen(salt) != 32)
        return status_fail(st, RC_ARG, "a record without its salt");
    str_printf(out, ",\"salt\":\"%s\"}", salt);
    return str_check(out, st);
}

int output_row_write(const struct output_row *row, struct str *out, struct status *st)
{
    if (row->withheld) {
        withheld_write(&row->leaf, out);
        return str_check(out, st);
    }
    str_printf(out, "{\"i\":%" PRIu64, row->i);
    put_text(out, "id", row->id);
    put_text(out, "text", row->text);
    return put_salt(out, row->salt, st);
}

int delta_row_write(const struct delta_row *row, struct str *out, struct status *st)
{
    if (row->withheld) {
        withheld_write(&row->leaf, out);
        return str_check(out, st);
    }
    if (!isfinite(row->dlogp) || !isfinite(row->kl[0]) || !isfinite(row->kl[1]))
        return status_fail(st, RC_FORMAT, "item '%s': a difference that is not finite", row->id);
    str_printf(out, "{\"i\":%" PRIu64, row->i);
    put_text(out, "id", row->id);
    str_printf(out,
               ",\"positions\":%" PRIu64 ",\"same_top\":%" PRIu64 ",\"forgot\":%" PRIu64
               ",\"learned\":%" PRIu64 ",\"drift\":%" PRIu64 ",\"dlogp\":",
               row->positions, row->same_top, row->forgot, row->learned, row->drift);
    str_json_f64(out, row->dlogp);
    str_puts(out, ",\"kl\":[");
    str_json_f64(out, row->kl[0]);
    str_putc(out, ',');
    str_json_f64(out, row->kl[1]);
    str_putc(out, ']');
    return put_salt(out, row->salt, st);
}

int token_row_write(const struct token_row *row, struct str *out, struct status *st)
{
    if (row->withheld) {
        withheld_write(&row->leaf, out);
        return str_check(out, st);
    }
    const float floats[] = { row->base_top_logp, row->tuned_top_logp, row->base_logp,
                             row->tuned_logp,    row->kl[0],          row->kl[1] };
    for (size_t k = 0; k < sizeof(floats) / sizeof(floats[0]); k++)
        if (!isfinite(floats[k]))
            return status_fail(st, RC_FORMAT, "suite '%s', item '%s', %s, position %" PRIu64 ": not finite",
                               row->suite, row->id, row->part, row->pos);
    str_puts(out, "{\"suite\":");
    str_json_string(out, row->suite, strlen(row->suite));
    str_printf(out, ",\"i\":%" PRIu64, row->i);
    put_text(out, "id", row->id);
    put_text(out, "part", row->part);
    str_printf(out, ",\"pos\":%" PRIu64 ",\"target\":%" PRId32, row->pos, row->target);
    put_text(out, "target_text", row->target_text);
    str_printf(out, ",\"base_top\":%" PRId32, row->base_top);
    put_text(out, "base_top_text", row->base_top_text);
    put_float(out, "base_top_logp", row->base_top_logp);
    str_printf(out, ",\"tuned_top\":%" PRId32, row->tuned_top);
    put_text(out, "tuned_top_text", row->tuned_top_text);
    put_float(out, "tuned_top_logp", row->tuned_top_logp);
    put_float(out, "base_logp", row->base_logp);
    put_float(out, "tuned_logp", row->tuned_logp);
    str_puts(out, ",\"kl\":[");
    str_json_f32(out, row->kl[0]);
    str_putc(out, ',');
    str_json_f32(out, row->kl[1]);
    str_printf(out, "],\"class\":\"%s\"", class_names[row->token_class]);
    return put_salt(out, row->salt, st);
}

int supervision_row_write(const struct supervision_row *row, struct str *out, struct status *st)
{
    if (row->withheld) {
        withheld_write(&row->leaf, out);
        return str_check(out, st);
    }
    str_printf(out, "{\"i\":%" PRIu64, row->i);
    put_text(out, "id", row->id);
    str_printf(out,
               ",\"tokens\":%" PRIu64 ",\"supervised\":%" PRIu64 ",\"first\":%" PRIu64
               ",\"conflicts\":%" PRIu64,
               row->tokens, row->supervised, row->first, row->conflicts);
    return put_salt(out, row->salt, st);
}

/* ---- classes ---- */

enum token_class token_class_of(int32_t target, int32_t base_top, int32_t tuned_top)
{
    if (base_top == tuned_top)
        return TOKEN_same;
    if (base_top == target)
        return TOKEN_forgot;
    return tuned_top == target ? TOKEN_learned : TOKEN_drift;
}

int token_row_check(const struct token_row *row, double conflict_logp_min, struct status *st)
{
    if (row->withheld)
        return 0;
    enum token_class by_ids = token_class_of(row->target, row->base_top, row->tuned_top);
    bool good = false;
    if (row->token_class == TOKEN_conflict)
        good = row->base_top != row->target && (double)row->base_top_logp >= conflict_logp_min;
    else if (row->token_class == TOKEN_drift) // equal tops drift too, when the log-probability fell by enough
        good = by_ids == TOKEN_drift || by_ids == TOKEN_same;
    else
        good = by_ids == row->token_class;
    if (good)
        return 0;
    return status_fail(st, RC_VERIFY,
                       "suite '%s', item '%s', %s, position %" PRIu64 ": class %s is not what its "
                       "ids give",
                       row->suite, row->id, row->part, row->pos, class_names[row->token_class]);
}
