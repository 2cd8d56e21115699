#include "eval/row.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "eval/record.h"
#include "eval/row_private.h"

#include <inttypes.h>
#include <string.h>

const char *const row_stop_names[ROW_STOPS] = {
    [STOP_eos] = "eos", [STOP_string] = "string", [STOP_length] = "length"
};
const char *const row_flag_names[ROW_FLAGS] = { "nonprefix", "truncated" };
_Static_assert(LM_NONPREFIX == 1 && LM_TRUNCATED == 2, "name k of row_flag_names is bit k of item_row.flags");

void item_rows_release(struct item_rows *rows)
{
    mem_free(rows->rows);
    pool_release(&rows->pool);
    *rows = (struct item_rows){ 0 };
}

/* ---- writing ---- */

static void put_key(struct str *out, const char *key)
{
    str_printf(out, ",\"%s\":", key);
}

static void put_counts(struct str *out, const char *key, const uint64_t *x, size_t n)
{
    put_key(out, key);
    for (size_t k = 0; k < n; k++)
        str_printf(out, "%c%" PRIu64, k ? ',' : '[', x[k]);
    str_putc(out, ']');
}

static void put_counts32(struct str *out, const char *key, const uint32_t *x, size_t n)
{
    put_key(out, key);
    for (size_t k = 0; k < n; k++)
        str_printf(out, "%c%" PRIu32, k ? ',' : '[', x[k]);
    str_putc(out, ']');
}

static void put_doubles(struct str *out, const char *key, const double *x, size_t n)
{
    put_key(out, key);
    for (size_t k = 0; k < n; k++) {
        str_putc(out, k ? ',' : '[');
        str_json_f64(out, x[k]);
    }
    str_putc(out, ']');
}

static void put_texts(struct str *out, const char *key, const char *const *x, size_t n)
{
    put_key(out, key);
    for (size_t k = 0; k < n; k++) {
        str_putc(out, k ? ',' : '[');
        str_json_string(out, x[k], strlen(x[k]));
    }
    str_putc(out, ']');
}

static void put_numbers(const struct item_row *row, struct str *out)
{
    unsigned in = 1u << row->kind;
    if (row->kind == PROBE_text) {
        str_printf(out, ",\"n_tok\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"words\":%" PRIu64 ",\"ll\":",
                   row->n_tok[0], row->bytes[0], row->words);
        str_json_f64(out, row->ll[0]);
        return;
    }
    if (in & (IN(choice) | IN(pair)))
        put_counts32(out, "gold", row->gold, row->n_gold);
    str_printf(out, ",\"n_ctx\":%" PRIu32, row->n_ctx);
    if (row->kind == PROBE_exact) {
        str_printf(out, ",\"n_tok\":%" PRIu32 ",\"stop\":\"%s\",\"out\":\"%s\"", row->n_tok[0],
                   row_stop_names[row->stop], hash_hex(&row->out).s);
        return;
    }
    put_counts32(out, "n_tok", row->n_tok, row->n);
    if (in & (IN(choice) | IN(pair))) {
        put_counts(out, "chars", row->chars, row->n);
        put_counts(out, "bytes", row->bytes, row->n);
    }
    put_doubles(out, "ll", row->ll, row->n);
    if (row->ll_uncond)
        put_doubles(out, "ll_uncond", row->ll_uncond, row->n);
    put_key(out, "greedy");
    for (size_t k = 0; k < row->n; k++)
        str_printf(out, "%c%s", k ? ',' : '[', row->greedy[k] ? "true" : "false");
    str_putc(out, ']');
}

/* Everything of a row up to its salt. */
static void put_row(const struct item_row *row, struct str *out)
{
    str_printf(out, "{\"i\":%" PRIu64 ",\"id\":", row->i);
    str_json_string(out, row->id, strlen(row->id));
    str_printf(out, ",\"kind\":\"%s\",\"cluster\":", probe_kind_name(row->kind));
    str_json_string(out, row->cluster, strlen(row->cluster));
    if (row->n_tags)
        put_texts(out, "tags", row->tags, row->n_tags);
    put_numbers(row, out);
    if (row->kind != PROBE_text)
        str_printf(out, ",\"acc\":%d", row->right.acc);
    if (row->kind == PROBE_choice)
        str_printf(out, ",\"acc_norm\":%d,\"acc_bytes\":%d", row->right.acc_norm, row->right.acc_bytes);
    if (row->ll_uncond)
        str_printf(out, ",\"acc_mutual_info\":%d", row->right.acc_mutual_info);
    str_puts(out, ",\"flags\":[");
    for (unsigned k = 0; k < ROW_FLAGS; k++)
        if (row->flags & (1u << k))
            str_printf(out, "%s\"%s\"", row->flags & ((1u << k) - 1) ? "," : "", row_flag_names[k]);
    str_putc(out, ']');
}

int item_row_write(const struct item_row *row, struct str *out, struct status *st)
{
    if (row->withheld) {
        withheld_write(&row->leaf, out);
        return str_check(out, st);
    }
    if (strlen(row->salt) != 32)
        return status_fail(st, RC_ARG, "row %" PRIu64 " has no salt", row->i);
    put_row(row, out);
    str_printf(out, ",\"salt\":\"%s\"}", row->salt);
    return str_check(out, st);
}

int item_rows_write_bare(const struct item_rows *rows, struct str *out, struct status *st)
{
    for (size_t i = 0; i < rows->n; i++) {
        put_row(&rows->rows[i], out);
        str_puts(out, "}\n");
    }
    return str_check(out, st);
}

int item_rows_write(const struct item_rows *rows, struct str *out, struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < rows->n; i++) {
        TRY(item_row_write(&rows->rows[i], out, st));
        str_putc(out, '\n');
    }
    TRY(str_check(out, st));
out:
    return rc;
}

int item_rows_salt(struct item_rows *rows, const uint8_t key[32], const char *suite, const char *side,
                   struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    str_printf(&path, "evidence/items/%s.%s.jsonl", suite, side);
    TRY(str_check(&path, st));
    for (size_t i = 0; i < rows->n; i++)
        salt_of(key, str_text(&path), rows->rows[i].i, rows->rows[i].salt);
out:
    str_release(&path);
    return rc;
}

/* ---- rows of items ---- */

int row_take_arrays(struct item_row *row, bool unconditional, struct pool *pool, struct status *st)
{
    unsigned in = 1u << row->kind;
    size_t n = row->n;
    bool ok = true;
    ok = ok && (row->n_tok = pool_take(pool, n, sizeof(*row->n_tok)));
    if (in & (IN(choice) | IN(pair)))
        ok = ok && (row->chars = pool_take(pool, n, sizeof(*row->chars)));
    if (in & (IN(choice) | IN(pair) | IN(text)))
        ok = ok && (row->bytes = pool_take(pool, n, sizeof(*row->bytes)));
    if (row->kind != PROBE_exact)
        ok = ok && (row->ll = pool_take(pool, n, sizeof(*row->ll)));
    if (unconditional)
        ok = ok && (row->ll_uncond = pool_take(pool, n, sizeof(*row->ll_uncond)));
    if (in & ROW_MANY)
        ok = ok && (row->greedy = pool_take(pool, n, sizeof(*row->greedy)));
    return ok ? 0 : status_fail(st, RC_NOMEM, "no memory for a row");
}

static const char *copy(struct pool *pool, const char *text)
{
    return pool_text(pool, text, strlen(text));
}

int item_row_of_item(enum probe_kind kind, const struct probe_item *item, uint64_t i, bool unconditional,
                     struct pool *pool, struct item_row *out, struct status *st)
{
    int rc = 0;
    struct item_row row = { .i = i, .kind = kind, .right = { -1, -1, -1, -1 } };
    row.n = kind == PROBE_exact ? 1 : item->n_parts;
    row.id = copy(pool, item->id);
    row.cluster = copy(pool, item->cluster ? item->cluster : item->id);
    row.tags = pool_take(pool, item->n_tags, sizeof(*row.tags));
    row.gold = item->n_gold ? pool_take(pool, item->n_gold, sizeof(*row.gold)) : NULL;
    if (!row.id || !row.cluster || !row.tags || (item->n_gold && !row.gold))
        FAIL(st, RC_NOMEM, "no memory for a row");
    for (size_t k = 0; k < item->n_tags; k++)
        if (!(row.tags[row.n_tags++] = copy(pool, item->tags[k])))
            FAIL(st, RC_NOMEM, "no memory for a row");
    for (size_t k = 0; k < item->n_gold; k++)
        row.gold[row.n_gold++] = item->gold[k];
    TRY(row_take_arrays(&row, unconditional, pool, st));
    for (size_t k = 0; row.bytes && k < row.n; k++) {
        size_t size = strlen(item->parts[k]);
        row.bytes[k] = size;
        if (row.chars)
            row.chars[k] = utf8_points(item->parts[k], size);
    }
    if (kind == PROBE_text)
        row.words = utf8_words(item->parts[0], strlen(item->parts[0]));
    *out = row;
out:
    return rc;
}
