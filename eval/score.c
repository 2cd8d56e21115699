#include "eval/score.h"

#include "base/alloc.h"
#include "base/file.h"
#include "eval/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 64 };

/* Asks of an item have an even number, its unconditional ones the odd number above. */
static uint32_t number_of(size_t item)
{
    return (uint32_t)(2 * item);
}

struct scoring {
    const struct probe_set *set;
    struct lm *lm;
    struct probe_asking how;
    struct probe_asks asks;
    struct lm_answer *answers;
    size_t cap;
};

static void scoring_release(struct scoring *s)
{
    probe_asks_release(&s->asks);
    mem_free(s->answers);
}

/* "suite 'capitals', item 'cap-01', choice 2: ..." in front of what went wrong with ask `bad`. */
static void name_ask(const struct scoring *s, size_t bad, struct status *st)
{
    if (bad >= s->asks.n) {
        status_prefix(st, "suite '%s'", s->set->id);
        return;
    }
    const uint32_t number = s->asks.asks[bad].item;
    const struct probe_item *item = &s->set->items[number / 2];
    size_t part = 0;
    while (part < bad && s->asks.asks[bad - part - 1].item == number)
        part++;
    status_prefix(st, "suite '%s', item '%.200s', part %zu%s", s->set->id, item->id, part,
                  number % 2 ? " without its context" : "");
}

static size_t item_at(const struct scoring *s, size_t place, bool reverse)
{
    return reverse ? s->set->n - 1 - place : place;
}

/* The asks of the items at places from .. to. */
static int collect(struct scoring *s, size_t from, size_t to, bool reverse, struct status *st)
{
    int rc = 0;
    probe_asks_clear(&s->asks);
    for (size_t p = from; p < to; p++) {
        const size_t i = item_at(s, p, reverse);
        TRY(probe_item_asks(s->set->kind, &s->set->items[i], &s->how, number_of(i), &s->asks, st));
    }
out:
    if (rc != 0)
        status_prefix(st, "suite '%s'", s->set->id);
    return rc;
}

static int ask_model(struct scoring *s, struct status *st)
{
    int rc = 0;
    size_t bad = SIZE_MAX;
    if (s->asks.n > s->cap) {
        struct lm_answer *more = mem_realloc(s->answers, s->asks.n, sizeof(*more));
        if (!more)
            FAIL(st, RC_NOMEM, "no memory for %zu answers", s->asks.n);
        s->answers = more;
        s->cap = s->asks.n;
    }
    TRY(s->lm->score(s->lm->self, s->asks.asks, s->asks.n, s->answers, &bad, st));
    for (bad = 0; bad < s->asks.n && isfinite(s->answers[bad].ll);)
        bad++;
    if (bad < s->asks.n)
        FAIL(st, RC_FORMAT, "the score is not finite");
out:
    if (rc != 0)
        name_ask(s, bad, st);
    return rc;
}

/* The answers from *at on that belong to the row's item. */
static void take_answers(const struct scoring *s, size_t *at, struct item_row *row)
{
    const struct lm_answer *answer = &s->answers[*at];
    row->n_ctx = row->kind == PROBE_text ? 0 : answer[0].n_ctx;
    for (size_t k = 0; k < row->n; k++) {
        row->n_tok[k] = answer[k].n_tok;
        row->ll[k] = answer[k].ll;
        if (row->greedy)
            row->greedy[k] = answer[k].greedy;
        row->flags |= answer[k].flags;
    }
    *at += row->n;
    for (size_t k = 0; row->ll_uncond && k < row->n; k++)
        row->ll_uncond[k] = s->answers[(*at)++].ll;
    row->right = item_row_judge(row);
}

static int score_chunk(struct scoring *s, size_t from, size_t to, bool reverse, struct item_rows *rows,
                       struct status *st)
{
    int rc = 0;
    size_t at = 0;
    TRY(collect(s, from, to, reverse, st));
    TRY(ask_model(s, st));
    for (size_t p = from; p < to; p++) {
        const size_t i = item_at(s, p, reverse);
        struct item_row *row = &rows->rows[i];
        TRY(item_row_of_item(s->set->kind, &s->set->items[i], i, s->how.unconditional, &rows->pool, row, st));
        take_answers(s, &at, row);
    }
out:
    return rc;
}

static int tell(const struct probe_set *set, const struct score_options *o, const struct item_rows *rows,
                uint64_t tokens, double seconds, struct event_sink *sink, struct status *st)
{
    struct str keys = { 0 };
    str_printf(&keys,
               ",\"suite\":\"%s\",\"side\":\"%s\",\"items\":%zu,\"tokens\":%" PRIu64 ",\"ms\":%" PRIu64,
               set->id, o->side, rows->n, tokens, (uint64_t)(seconds * 1e3));
    if (o->base) {
        uint64_t flips = 0;
        double ll_max = 0;
        rows_compare(o->base, rows, &flips, &ll_max);
        str_printf(&keys, ",\"flips\":%" PRIu64 ",\"ll_max\":", flips);
        str_json_f64(&keys, ll_max);
    }
    int rc = event_send(sink, o->base ? "zero" : "score", &keys, st);
    str_release(&keys);
    return rc;
}

static void prepare(struct scoring *s, const struct probe_set *set, struct lm *lm, bool rendered)
{
    *s = (struct scoring){ .set = set, .lm = lm };
    s->how.delimiter = set->delimiter;
    s->how.rendered = rendered;
    s->how.unconditional = set->metric == METRIC_acc_mutual_info;
}

int score_set(const struct probe_set *set, struct lm *lm, const struct score_options *options,
              struct event_sink *sink, struct item_rows *out, struct status *st)
{
    int rc = 0;
    struct scoring s;
    struct item_rows rows = { 0 };
    const size_t chunk = options->chunk ? options->chunk : CHUNK;
    const uint64_t tokens = lm->tokens;
    const double start = clock_seconds();
    char what[64]; /* "tuned capitals": which side of which suite is under way */
    snprintf(what, sizeof what, "%s %s", options->side, set->id);
    prepare(&s, set, lm, options->rendered);
    rows.rows = mem_calloc(set->n, sizeof(*rows.rows));
    if (!rows.rows)
        FAIL(st, RC_NOMEM, "no memory for %zu rows", set->n);
    rows.n = rows.cap = set->n;
    for (size_t from = 0; from < set->n; from += chunk) {
        const size_t to = set->n - from < chunk ? set->n : from + chunk;
        TRY(score_chunk(&s, from, to, options->reverse, &rows, st));
        event_progress(sink, what, to, set->n);
    }
    if (options->salt_key)
        TRY(item_rows_salt(&rows, options->salt_key, set->id, options->side, st));
    TRY(tell(set, options, &rows, lm->tokens - tokens, clock_seconds() - start, sink, st));
    *out = rows;
    rows = (struct item_rows){ 0 };
out:
    scoring_release(&s);
    item_rows_release(&rows);
    return rc;
}

int score_check(const struct probe_set *set, struct lm *lm, bool rendered, struct status *st)
{
    int rc = 0;
    struct scoring s;
    prepare(&s, set, lm, rendered);
    for (size_t from = 0; from < set->n; from += CHUNK) {
        const size_t to = set->n - from < CHUNK ? set->n : from + CHUNK;
        size_t bad = SIZE_MAX;
        TRY(collect(&s, from, to, false, st));
        rc = lm->check(lm->self, s.asks.asks, s.asks.n, &bad, st);
        if (rc != 0) {
            name_ask(&s, bad, st);
            goto out;
        }
    }
out:
    scoring_release(&s);
    return rc;
}
