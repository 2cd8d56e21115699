/* What a row must be: by its own numbers, by its item, by the other sides. */
#include "base/utf8.h"
#include "eval/row.h"

#include <inttypes.h>
#include <string.h>

struct probe_right item_row_judge(const struct item_row *row)
{
    struct probe_right right = { -1, -1, -1, -1 };
    const struct probe_kind_ops *ops = probe_kind_ops(row->kind);
    if (!ops->judge)
        return row->kind == PROBE_exact ? row->right : right;
    const struct probe_numbers numbers = {
        .n = row->n,
        .gold = row->gold,
        .n_gold = row->n_gold,
        .ll = row->ll,
        .ll_uncond = row->ll_uncond,
        .chars = row->chars,
        .bytes = row->bytes,
        .greedy = row->greedy,
    };
    ops->judge(&numbers, &right);
    return right;
}

int item_row_check(const struct item_row *row, struct status *st)
{
    if (row->withheld)
        return 0;
    const struct probe_right a = row->right, b = item_row_judge(row);
    const struct {
        const char *key;
        int says, is;
    } keys[] = { { "acc", a.acc, b.acc },
                 { "acc_norm", a.acc_norm, b.acc_norm },
                 { "acc_bytes", a.acc_bytes, b.acc_bytes },
                 { "acc_mutual_info", a.acc_mutual_info, b.acc_mutual_info } };
    for (size_t k = 0; k < 4; k++)
        if (keys[k].says != keys[k].is)
            return status_fail(st, RC_VERIFY, "item '%s': recomputed %s %d, the row says %d", row->id,
                               keys[k].key, keys[k].is, keys[k].says);
    return 0;
}

int item_row_value(const struct item_row *row, enum probe_metric metric)
{
    switch (metric) {
    case METRIC_acc_norm:
        return row->right.acc_norm;
    case METRIC_acc_bytes:
        return row->right.acc_bytes;
    case METRIC_acc_mutual_info:
        return row->right.acc_mutual_info;
    default:
        return row->right.acc;
    }
}

static bool same_texts(const char *const *a, size_t n, const char *const *b, size_t m)
{
    if (n != m)
        return false;
    for (size_t k = 0; k < n; k++)
        if (strcmp(a[k], b[k]) != 0)
            return false;
    return true;
}

static int wrong(const struct item_row *row, const char *key, struct status *st)
{
    return status_fail(st, RC_VERIFY, "item '%s': %s of the row is not that of the item", row->id, key);
}

int item_row_check_item(const struct item_row *row, const struct probe_item *item, struct status *st)
{
    if (row->withheld)
        return 0;
    if (strcmp(row->id, item->id) != 0)
        return wrong(row, "id", st);
    if (!same_texts(row->tags, row->n_tags, item->tags, item->n_tags))
        return wrong(row, "tags", st);
    if (row->kind != PROBE_exact && row->n != item->n_parts)
        return wrong(row, "number of choices or answers", st);
    if (row->n_gold != item->n_gold ||
        (row->n_gold && memcmp(row->gold, item->gold, row->n_gold * sizeof(*row->gold)) != 0))
        return wrong(row, "gold", st);
    for (size_t k = 0; row->kind != PROBE_exact && k < row->n; k++) {
        size_t size = strlen(item->parts[k]);
        if (row->bytes && row->bytes[k] != size)
            return wrong(row, "bytes", st);
        if (row->chars && row->chars[k] != utf8_points(item->parts[k], size))
            return wrong(row, "chars", st);
    }
    if (row->kind == PROBE_text && row->words != utf8_words(item->parts[0], strlen(item->parts[0])))
        return wrong(row, "words", st);
    return 0;
}

static bool same_sizes(const uint64_t *a, const uint64_t *b, size_t n)
{
    return !a || !b ? a == b : memcmp(a, b, n * sizeof(*a)) == 0;
}

/* The first key that depends on the item alone and differs; NULL: none. */
static const char *difference(const struct item_row *a, const struct item_row *b)
{
    if (a->i != b->i)
        return "i";
    if (strcmp(a->id, b->id) != 0)
        return "id";
    if (a->kind != b->kind)
        return "kind";
    if (strcmp(a->cluster, b->cluster) != 0)
        return "cluster";
    if (!same_texts(a->tags, a->n_tags, b->tags, b->n_tags))
        return "tags";
    if (a->n != b->n)
        return "number of choices or answers";
    if (a->n_gold != b->n_gold || (a->n_gold && memcmp(a->gold, b->gold, a->n_gold * sizeof(*a->gold)) != 0))
        return "gold";
    if (!same_sizes(a->chars, b->chars, a->n))
        return "chars";
    if (!same_sizes(a->bytes, b->bytes, a->n))
        return "bytes";
    return a->words == b->words ? NULL : "words";
}

int item_rows_agree(const struct item_rows *a, const struct item_rows *b, struct status *st)
{
    if (a->n != b->n)
        return status_fail(st, RC_VERIFY, "%zu rows on one side, %zu on the other", a->n, b->n);
    for (size_t k = 0; k < a->n; k++) {
        const struct item_row *x = &a->rows[k], *y = &b->rows[k];
        const char *key = x->withheld || y->withheld ? NULL : difference(x, y);
        if (key)
            return status_fail(st, RC_VERIFY, "row %zu: the sides differ in %s", k, key);
    }
    return 0;
}
