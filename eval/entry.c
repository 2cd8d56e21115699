/* Entries of metrics.json: docs/formats 8.3. */
#include "base/alloc.h"
#include "eval/exact.h"
#include "eval/measure.h"
#include "eval/metrics_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void put_value(struct json *entry, const char *key, const struct tally *t, int64_t sum)
{
    struct json *value = json_object();
    json_put_int(value, "sum", sum);
    json_put_dec6(value, "value", tally_value(t, sum));
    json_put(entry, key, value);
}

static int put_zero(struct json *entry, const struct tally *t, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct json *zero = NULL;
    if (!t->has_zero)
        return 0;
    str_json_f64(&text, t->ll_max);
    TRY(str_check(&text, st));
    zero = json_object();
    json_put_int(zero, "flips", (int64_t)t->flips);
    json_put_text(zero, "ll_max", str_text(&text));
    json_put_dec6(zero, "drop", tally_drop(t, t->zero_d));
    json_put(entry, "zero", zero);
out:
    str_release(&text);
    return rc;
}

/* What happened beyond what guessing explains. */
static double adjusted(const struct tally *t, int64_t flips)
{
    const double n = (double)t->items;
    double f = (double)flips / n, a = tally_value(t, t->base), b = tally_value(t, t->tuned);
    double g = t->guess_sum / n;
    double x = f - (1 - a) * g * (1 - b);
    return x > 0 ? x : 0;
}

static void put_flips(struct json *entry, const struct tally *t)
{
    json_put_int(entry, "forgot", t->forgot);
    json_put_int(entry, "learned", t->learned);
    json_put_dec6(entry, "mcnemar", exact_mcnemar((uint64_t)t->forgot, (uint64_t)t->learned));
    json_put_dec6(entry, "chance", tally_chance(t));
}

static void put_test(struct json *entry, const char *key, uint64_t count, uint64_t adjusted_count,
                     uint32_t replicates)
{
    const double of = (double)replicates + 1;
    struct json *test = json_object();
    json_put_int(test, "count", (int64_t)count);
    json_put_dec6(test, "p", (double)count / of);
    json_put_int(test, "adjusted_count", (int64_t)adjusted_count);
    json_put_dec6(test, "adjusted_p", (double)adjusted_count / of);
    json_put(entry, key, test);
}

/* ---- secondary metrics, tags ---- */

static int64_t count_right(const struct item_rows *rows, enum probe_metric metric)
{
    int64_t sum = 0;
    for (size_t i = 0; i < rows->n; i++)
        sum += item_row_value(&rows->rows[i], metric);
    return sum;
}

static void push_secondary(struct json *list, const char *name, double base, double tuned)
{
    struct json *one = json_object();
    json_put_text(one, "metric", name);
    json_put_dec6(one, "base", base);
    json_put_dec6(one, "tuned", tuned);
    json_push(list, one);
}

static int put_perplexities(struct json *list, const struct tally *t, struct status *st)
{
    int rc = 0;
    const struct {
        const char *name;
        int64_t n;
    } by[] = { { "byte_perplexity", t->weight }, { "word_perplexity", t->words } };
    for (size_t k = 0; k < 2; k++) {
        double base = 0, tuned = 0;
        TRY(exact_exp((double)t->base / ((double)by[k].n * 1e6), &base, st));
        TRY(exact_exp((double)t->tuned / ((double)by[k].n * 1e6), &tuned, st));
        push_secondary(list, by[k].name, base, tuned);
    }
out:
    if (rc != 0)
        status_prefix(st, "perplexity");
    return rc;
}

static int put_secondary(struct json *entry, const struct claim_entry *e, struct status *st)
{
    // In byte order of their names, which is the order of the entry.
    static const enum probe_metric metrics[] = { METRIC_acc, METRIC_acc_bytes, METRIC_acc_mutual_info,
                                                 METRIC_acc_norm };
    const struct eval_suite *suite = e->suite;
    if (suite->kind != PROBE_choice && suite->kind != PROBE_text)
        return 0;
    struct json *list = json_array();
    int rc = suite->kind == PROBE_text ? put_perplexities(list, &e->tally, st) : 0;
    for (size_t k = 0; suite->kind == PROBE_choice && k < 4; k++) {
        if (metrics[k] == suite->metric || item_row_value(&suite->base->rows[0], metrics[k]) < 0)
            continue;
        push_secondary(list, probe_metric_name(metrics[k]),
                       tally_value(&e->tally, count_right(suite->base, metrics[k])),
                       tally_value(&e->tally, count_right(suite->tuned, metrics[k])));
    }
    json_put(entry, "secondary", list);
    return rc;
}

struct tag_order {
    const char *name;
    size_t at;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tag_order *)a)->name, ((const struct tag_order *)b)->name);
}

static int put_tags(struct json *entry, const struct tally *t, struct status *st)
{
    const size_t n = t->tags.n;
    if (n == 0)
        return 0;
    struct tag_order *order = mem_calloc(n, sizeof(*order));
    if (!order)
        return status_fail(st, RC_NOMEM, "no memory for %zu tags", n);
    for (size_t k = 0; k < n; k++)
        order[k] = (struct tag_order){ t->tags.entries[k].text, k };
    qsort(order, n, sizeof(*order), by_name);
    struct json *list = json_array();
    for (size_t k = 0; k < n; k++) {
        const struct tag_tally *tag = &t->tag[order[k].at];
        struct json *one = json_object();
        json_put_text(one, "tag", order[k].name);
        json_put_int(one, "items", tag->items);
        json_put_int(one, "base", tag->base);
        json_put_int(one, "tuned", tag->tuned);
        if (!t->accuracy) {
            json_put_int(one, "bytes", tag->bytes);
        } else {
            json_put_int(one, "forgot", tag->forgot);
            json_put_int(one, "learned", tag->learned);
        }
        json_push(list, one);
    }
    json_put(entry, "tags", list);
    mem_free(order);
    return 0;
}

/* ---- measures ---- */

/* The measure as an archive states it in the entry of this id; NULL: it does not. */
static const struct json *archived_measure(const struct claim_entry *e, const struct eval_input *in,
                                           const char *name)
{
    const struct json *list = json_find(in->archived, e->suite ? "suites" : "groups");
    for (const struct json *j = list ? json_first(list) : NULL; j; j = json_next(j)) {
        const char *id = json_text(json_find(j, "id"));
        const struct json *measures = json_find(j, "measures");
        if (!id || strcmp(id, e->id) != 0 || !measures)
            continue;
        for (const struct json *m = json_first(measures); m; m = json_next(m)) {
            const char *is = json_text(json_find(m, "name"));
            if (is && strcmp(is, name) == 0)
                return m;
        }
    }
    return NULL;
}

/* Another version of a measure, or one that is not known here, is taken over and said to be unchecked. */
static int take_over(struct json *list, const struct claim_entry *e, const struct json *foreign,
                     const char *name, struct json *unchecked, struct status *st)
{
    struct str text = { 0 };
    const struct json *version = json_find(foreign, "version");
    str_printf(&text, "%s '%s': measure '%s'", e->suite ? "suite" : "group", e->id, name);
    if (version && json_is_int(version))
        str_printf(&text, " version %" PRId64, json_int(version));
    str_puts(&text, " is not known here and was taken over");
    json_push(list, json_copy(foreign));
    json_push(unchecked, json_of_text(str_text(&text)));
    int rc = str_check(&text, st);
    str_release(&text);
    return rc;
}

static void push_measure(struct json *list, const struct measure_ops *ops, const struct measure *m)
{
    struct json *one = json_object();
    json_put_text(one, "name", ops->name);
    json_put_int(one, "version", ops->version);
    json_put_dec6(one, "value", m->value);
    if (m->has_bounds) {
        json_put_dec6(one, "lower", m->lower);
        json_put_dec6(one, "upper", m->upper);
    }
    json_put_int(one, "n", (int64_t)m->n);
    json_push(list, one);
}

static int put_measures(struct json *entry, const struct claim_entry *e, const struct eval_input *in,
                        struct json *unchecked, struct status *st)
{
    int rc = 0;
    const struct tally *t = &e->tally;
    const struct measure_counts counts = {
        .accuracy = t->accuracy,
        .items = (uint64_t)t->items,
        .base = t->accuracy ? (uint64_t)t->base : 0,
        .tuned = t->accuracy ? (uint64_t)t->tuned : 0,
        .forgot = (uint64_t)t->forgot,
        .learned = (uint64_t)t->learned,
    };
    if (!in->has_measures)
        return 0;
    struct json *list = json_array();
    for (size_t k = 0; k < in->n_measures; k++) {
        const struct measure_ops *ops = measure_find(in->measures[k]);
        const struct json *foreign = archived_measure(e, in, in->measures[k]);
        const struct json *version = foreign ? json_find(foreign, "version") : NULL;
        struct measure m = { 0 };
        if (foreign && !(ops && version && json_is_int(version) && json_int(version) == ops->version))
            TRY(take_over(list, e, foreign, in->measures[k], unchecked, st));
        else if (ops && ops->compute(&counts, &m))
            push_measure(list, ops, &m);
    }
    json_put(entry, "measures", list);
    list = NULL;
out:
    json_free(list);
    return rc;
}

/* ---- the entry ---- */

static void put_name(struct json *entry, const struct claim_entry *e)
{
    json_put_text(entry, "id", e->id);
    json_put_text(entry, "use", eval_use_name(e->use));
    json_put_int(entry, "items", e->complete ? e->tally.items : e->present);
    if (!e->suite)
        return;
    json_put_text(entry, "kind", probe_kind_name(e->suite->kind));
    json_put_text(entry, "metric", probe_metric_name(e->suite->metric));
}

static int put_suite(struct json *entry, const struct claim_entry *e, struct status *st)
{
    int rc = 0;
    const struct tally *t = &e->tally;
    if (e->suite->kind == PROBE_choice || e->suite->kind == PROBE_pair) {
        json_put_dec6(entry, "forgot_adjusted", adjusted(t, t->forgot));
        json_put_dec6(entry, "learned_adjusted", adjusted(t, t->learned));
    }
    if (e->suite->kind == PROBE_text) {
        json_put_int(entry, "bytes", t->weight);
        json_put_int(entry, "words", t->words);
    }
    TRY(put_secondary(entry, e, st));
    TRY(put_tags(entry, t, st));
out:
    return rc;
}

int entry_write(const struct claim_entry *e, const struct eval_input *in, struct json **out,
                struct json *unchecked, struct status *st)
{
    int rc = 0;
    const struct tally *t = &e->tally;
    const struct bootstrap *b = &e->bootstrap;
    struct json *entry = json_object();
    put_name(entry, e);
    if (!e->complete)
        goto done;
    json_put_int(entry, "clusters", (int64_t)t->clusters);
    put_value(entry, "base", t, t->base);
    put_value(entry, "tuned", t, t->tuned);
    json_put_dec6(entry, "drop", b->drop);
    json_put_dec6(entry, "lower", b->lower);
    json_put_dec6(entry, "upper", b->upper);
    json_put_dec6(entry, "resolution", b->upper - b->drop);
    TRY(put_zero(entry, t, st));
    if (t->accuracy)
        put_flips(entry, t);
    if (e->suite)
        TRY(put_suite(entry, e, st));
    if (e->use == USE_gate || e->use == USE_task) {
        json_put_dec6(entry, "limit", e->limit->value);
        put_test(entry, "held", b->held_count, e->held_adjusted, in->statistics.replicates);
        put_test(entry, "broken", b->broken_count, e->broken_adjusted, in->statistics.replicates);
    }
    TRY(put_measures(entry, e, in, unchecked, st));
done:
    TRY(json_check(entry, st));
    *out = entry;
    entry = NULL;
out:
    json_free(entry);
    return rc;
}
