/* Adding up the items of a suite: docs/formats 8.1. */
#include "base/alloc.h"
#include "eval/exact.h"
#include "eval/metrics_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void tally_release(struct tally *t)
{
    mem_free(t->d);
    mem_free(t->w);
    text_index_release(&t->tags);
    mem_free(t->tag);
    *t = (struct tally){ 0 };
}

double tally_drop(const struct tally *t, int64_t d)
{
    return t->accuracy ? (double)d / (double)t->weight : (double)d / ((double)t->weight * MICRONATS_PER_BIT);
}

double tally_value(const struct tally *t, int64_t sum)
{
    return tally_drop(t, sum);
}

double tally_chance(const struct tally *t)
{
    return t->chance_sum / (double)t->items;
}

/* What one row counts: 0 or 1, or micro-nats of -ll. */
static int value_of(const struct eval_suite *suite, const struct item_row *row, int64_t *out,
                    struct status *st)
{
    if (row->kind != suite->kind)
        return status_fail(st, RC_VERIFY, "item '%s' is of kind '%s'", row->id, probe_kind_name(row->kind));
    if (suite->metric == METRIC_bits_per_byte) {
        int rc = row->kind == PROBE_text ? micronats(row->ll[0], out, st) : RC_VERIFY;
        *out = -*out;
        return rc;
    }
    *out = item_row_value(row, suite->metric);
    if (*out < 0)
        return status_fail(st, RC_VERIFY, "item '%s' has no %s", row->id, probe_metric_name(suite->metric));
    return 0;
}

static int cluster_of(struct tally *t, struct text_index *names, size_t first, const struct item_row *row,
                      size_t *out, struct status *st)
{
    int rc = 0;
    bool fresh = false;
    size_t number = 0, cap_d = t->cap, cap_w = t->cap;
    TRY(text_index_put(names, row->cluster, strlen(row->cluster), &number, &fresh, st));
    if (fresh) {
        TRY(mem_grow(&t->d, t->clusters, &cap_d, sizeof(*t->d), st));
        TRY(mem_grow(&t->w, t->clusters, &cap_w, sizeof(*t->w), st));
        t->cap = cap_d;
        t->d[t->clusters] = t->w[t->clusters] = 0;
        t->clusters++;
    }
    *out = first + number;
out:
    return rc;
}

struct item_values {
    int64_t base, tuned, weight;
};

static int add_tags(struct tally *t, const struct item_row *row, const struct item_values *v,
                    struct status *st)
{
    int rc = 0;
    for (size_t k = 0; k < row->n_tags; k++) {
        bool fresh = false;
        size_t number = 0;
        TRY(mem_grow(&t->tag, t->tags.n, &t->tag_cap, sizeof(*t->tag), st));
        TRY(text_index_put(&t->tags, row->tags[k], strlen(row->tags[k]), &number, &fresh, st));
        struct tag_tally *tag = &t->tag[number];
        if (fresh)
            *tag = (struct tag_tally){ 0 };
        tag->items++;
        tag->bytes += v->weight;
        tag->base += v->base;
        tag->tuned += v->tuned;
        tag->forgot += v->base > v->tuned;
        tag->learned += v->base < v->tuned;
    }
out:
    return rc;
}

/* One item's part of the sums; text rows carry micro-nats, so a drop is tuned - base there. */
static void add_values(struct tally *t, const struct item_row *row, const struct item_values *v,
                       size_t cluster)
{
    int64_t d = t->accuracy ? v->base - v->tuned : v->tuned - v->base;
    t->d[cluster] += d;
    t->w[cluster] += v->weight;
    t->items++;
    t->weight += v->weight;
    t->words += (int64_t)row->words;
    t->base += v->base;
    t->tuned += v->tuned;
    if (t->accuracy) {
        t->forgot += v->base > v->tuned;
        t->learned += v->base < v->tuned;
    }
    if (row->n_gold) {
        t->chance_sum += (double)row->n_gold / (double)row->n;
        t->guess_sum += 1 / (double)(row->n - 1);
    }
}

static int add_item(struct tally *t, const struct eval_suite *suite, size_t i, size_t cluster, bool with_tags,
                    struct status *st)
{
    int rc = 0;
    const struct item_row *base = &suite->base->rows[i], *tuned = &suite->tuned->rows[i];
    struct item_values v = { .weight = t->accuracy ? 1 : (int64_t)base->bytes[0] };
    TRY(value_of(suite, base, &v.base, st));
    TRY(value_of(suite, tuned, &v.tuned, st));
    if (suite->zero) {
        int64_t zero = 0;
        TRY(value_of(suite, &suite->zero->rows[i], &zero, st));
        t->zero_d += t->accuracy ? v.base - zero : zero - v.base;
    }
    add_values(t, base, &v, cluster);
    if (with_tags)
        TRY(add_tags(t, base, &v, st));
out:
    return rc;
}

int tally_add(struct tally *t, const struct eval_suite *suite, bool with_tags, struct status *st)
{
    int rc = 0;
    struct text_index names = { 0 };
    const size_t first = t->clusters;
    const bool accuracy = suite->metric != METRIC_bits_per_byte, alone = t->items == 0;
    uint64_t flips = 0;
    double ll_max = 0;
    if (!alone && t->accuracy != accuracy)
        FAIL(st, RC_ARG, "suite '%s' counts another way than the rest of its group", suite->id);
    t->accuracy = accuracy;
    t->has_zero = (alone || t->has_zero) && suite->zero;
    for (size_t i = 0; i < suite->base->n; i++) {
        size_t cluster = 0;
        TRY(cluster_of(t, &names, first, &suite->base->rows[i], &cluster, st));
        TRY(add_item(t, suite, i, cluster, with_tags, st));
    }
    if (suite->zero)
        rows_compare(suite->base, suite->zero, &flips, &ll_max);
    t->flips += flips;
    t->ll_max = ll_max > t->ll_max ? ll_max : t->ll_max;
    if (llabs(t->base) > JSON_INT_MAX || llabs(t->tuned) > JSON_INT_MAX)
        FAIL(st, RC_LIMIT, "its log-likelihoods add up to over 2^53 micro-nats");
out:
    text_index_release(&names);
    if (rc != 0)
        status_prefix(st, "suite '%s'", suite->id);
    return rc;
}

void rows_compare(const struct item_rows *base, const struct item_rows *zero, uint64_t *flips, double *ll_max)
{
    *flips = 0;
    *ll_max = 0;
    for (size_t i = 0; i < base->n && i < zero->n; i++) {
        const struct item_row *a = &base->rows[i], *b = &zero->rows[i];
        if (a->withheld || b->withheld)
            continue;
        const struct probe_right x = a->right, y = b->right;
        *flips += x.acc != y.acc || x.acc_norm != y.acc_norm || x.acc_bytes != y.acc_bytes ||
                  x.acc_mutual_info != y.acc_mutual_info || !hash_equal(&a->out, &b->out);
        for (size_t k = 0; a->ll && b->ll && k < a->n && k < b->n; k++) {
            double change = fabs(a->ll[k] - b->ll[k]);
            *ll_max = change > *ll_max ? change : *ll_max;
        }
    }
}
