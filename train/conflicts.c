#include "train/conflicts.h"

#include "base/alloc.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    ROWS_DEFAULT = 480,
    FULL_MAX = 64, /* positions whose whole distributions are on the host at a time */
};

void conflict_part(const struct conflict *c, char out[16])
{
    switch (c->form) {
    case LINE_PROMPT:
        snprintf(out, 16, "completion");
        break;
    case LINE_TEXT:
        snprintf(out, 16, "text");
        break;
    case LINE_MESSAGES:
        snprintf(out, 16, "turn:%" PRIu32, c->turn);
        break;
    }
}

void conflicts_release(struct conflicts *c)
{
    mem_free(c->rows);
    mem_free(c->of_line);
    *c = (struct conflicts){ 0 };
}

static bool stopped(const struct conflicts_options *o)
{
    return o->stop && *o->stop;
}

static uint32_t rows_of(const struct data *d, const struct conflicts_options *o)
{
    const uint32_t rows = o->rows ? o->rows : ROWS_DEFAULT;
    return rows > d->longest ? rows : d->longest;
}

/* ---- before training ---- */

/* Where token `at` of a sequence stands: its turn and its place in the scored part. */
static void place_of(const struct data *d, const struct data_sequence *s, uint32_t at, struct conflict *out)
{
    const struct data_line *l = &d->lines[s->line];
    uint32_t runs = 0, run = 0, before = 0, in_run = 0;
    for (uint32_t t = 1; t < s->n; t++) {
        if (s->mask[t] && !s->mask[t - 1])
            runs++;
        if (t > at || !s->mask[t])
            continue;
        in_run = s->mask[t - 1] ? in_run + 1 : 0;
        run = runs;
        before += t < at ? 1 : 0;
    }
    out->form = l->form;
    out->pos = l->form == LINE_MESSAGES ? in_run : s->scored_before + before;
    /* Turns that were cut are the oldest, so runs are counted from the end. */
    if (l->form == LINE_MESSAGES)
        out->turn = l->turn_first + 2 * (l->turns - runs + run - 1);
}

struct scan {
    struct graph *graph, *tuned; /* tuned: of conflicts_finish, may be the same */
    struct micro_batch batch;
    struct graph_pick *picks;
};

static void scan_close(struct scan *s)
{
    if (s->tuned != s->graph)
        graph_close(s->tuned);
    graph_close(s->graph);
    micro_batch_release(&s->batch);
    mem_free(s->picks);
}

static int scan_open(const struct conflicts_models *m, const struct data *d,
                     const struct conflicts_options *o, struct scan *out, struct status *st)
{
    int rc = 0;
    struct scan s = { 0 };
    const struct graph_options sizes = { .rows_max = rows_of(d, o),
                                         .positions_max = d->longest,
                                         .rank_max = m->adapter ? m->adapter->r_max : 0 };
    TRY(graph_open(m->base, &sizes, &s.graph, st));
    s.tuned = s.graph;
    if (m->tuned)
        TRY(graph_open(m->tuned, &sizes, &s.tuned, st));
    TRY(micro_batch_init(&s.batch, sizes.rows_max, st));
    s.picks = mem_calloc(sizes.rows_max, sizeof *s.picks);
    if (!s.picks)
        FAIL(st, RC_NOMEM, "no memory for a scan");
    *out = s;
    s = (struct scan){ 0 };
out:
    scan_close(&s);
    return rc;
}

/* Conflicts among the picks of sequences [first, end), which the batch holds. */
static int batch_judge(const struct scan *s, const struct data *d, size_t first, size_t end,
                       const struct conflicts_options *o, struct conflicts *out, double *loss,
                       struct status *st)
{
    int rc = 0;
    uint32_t pick = 0;
    for (size_t i = first; i < end; i++) {
        const struct data_sequence *q = &d->sequences[i];
        for (uint32_t at = 1; at < q->n; at++) {
            if (!q->mask[at])
                continue;
            const struct graph_pick *p = &s->picks[pick++];
            if (!isfinite(p->logp) || !isfinite(p->top_logp))
                FAIL(st, RC_FORMAT,
                     "%s:%" PRIu32 ": example '%s', token %" PRIu32 ": the score is not finite",
                     d->files[d->lines[q->line].file].path, d->lines[q->line].number, d->lines[q->line].id,
                     at);
            *loss -= (double)p->logp;
            if (p->top == q->ids[at] || (double)p->top_logp < o->logp_min)
                continue;
            TRY(mem_grow(&out->rows, out->n, &out->cap, sizeof *out->rows, st));
            struct conflict *c = &out->rows[out->n++];
            *c = (struct conflict){ .line = q->line,
                                    .target = q->ids[at],
                                    .base_top = p->top,
                                    .base_top_logp = p->top_logp,
                                    .base_logp = p->logp,
                                    .sequence = (uint32_t)i,
                                    .at = at };
            place_of(d, q, at, c);
            out->of_line[q->line]++;
        }
    }
out:
    return rc;
}

int conflicts_find(struct model *m, const struct data *d, const struct conflicts_options *o,
                   struct conflicts *out, struct status *st)
{
    int rc = 0;
    struct scan s = { 0 };
    struct conflicts c = { .lines_n = d->lines_n };
    double loss = 0;
    c.of_line = mem_calloc(d->lines_n, sizeof *c.of_line);
    if (!c.of_line)
        FAIL(st, RC_NOMEM, "no memory for a scan");
    TRY(scan_open(&(struct conflicts_models){ .base = m }, d, o, &s, st));
    for (size_t first = 0, end; first < d->sequences_n; first = end) {
        if (stopped(o))
            FAIL(st, RC_INTERRUPTED, "stopped during the scan of the training data");
        micro_batch_clear(&s.batch);
        for (end = first; end < d->sequences_n && s.batch.rows + d->sequences[end].n - 1 <= s.batch.rows_max;
             end++)
            micro_batch_add(&s.batch, &d->sequences[end]);
        const struct graph_batch b = micro_batch_view(&s.batch);
        TRY(graph_forward(s.graph, &b, s.picks, st));
        TRY(batch_judge(&s, d, first, end, o, &c, &loss, st));
        event_progress(o->sink, "scan", end, d->sequences_n);
    }
    c.base_loss = d->supervised ? loss / (double)d->supervised : 0;
    *out = c;
    c = (struct conflicts){ 0 };
out:
    scan_close(&s);
    conflicts_release(&c);
    return rc;
}

/* ---- after training ---- */

/* KL(p || q) in nats of two rows of logits. */
static double kl_of(const float *base, const float *tuned, uint32_t n)
{
    double top_b = (double)base[0], top_t = (double)tuned[0], sum_b = 0, sum_t = 0, kl = 0;
    for (uint32_t i = 1; i < n; i++) {
        top_b = fmax(top_b, (double)base[i]);
        top_t = fmax(top_t, (double)tuned[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        sum_b += exp((double)base[i] - top_b);
        sum_t += exp((double)tuned[i] - top_t);
    }
    const double lse_b = top_b + log(sum_b), lse_t = top_t + log(sum_t);
    for (uint32_t i = 0; i < n; i++) {
        const double log_p = (double)base[i] - lse_b;
        kl += exp(log_p) * (log_p - ((double)tuned[i] - lse_t));
    }
    return fmax(kl, 0);
}

/* The batch holds the sequences of conflicts [first, end), and picks their positions only. */
static size_t conflicts_place(const struct data *d, const struct conflicts *c, size_t first, struct scan *s)
{
    struct micro_batch *b = &s->batch;
    size_t end = first;
    uint32_t start = 0;
    micro_batch_clear(b);
    for (; end < c->n && end - first < FULL_MAX; end++) {
        const struct conflict *x = &c->rows[end];
        const struct data_sequence *q = &d->sequences[x->sequence];
        if (end == first || c->rows[end - 1].sequence != x->sequence) {
            if (b->rows + q->n - 1 > b->rows_max)
                break;
            start = b->rows;
            micro_batch_add(b, q);
        }
        b->pick_rows[end - first] = start + x->at - 1;
        b->targets[end - first] = x->target;
    }
    b->picks = (uint32_t)(end - first);
    return end;
}

static int batch_finish(const struct scan *s, const struct lora *adapter, struct conflict *rows,
                        uint32_t vocab, float *base, float *tuned, struct status *st)
{
    int rc = 0;
    struct graph_batch b = micro_batch_view(&s->batch);
    TRY(graph_forward(s->graph, &b, s->picks, st));
    TRY(graph_logits(s->graph, 0, b.picks, base, st));
    b.lora = adapter;
    TRY(graph_forward(s->tuned, &b, s->picks, st));
    TRY(graph_logits(s->tuned, 0, b.picks, tuned, st));
    for (uint32_t i = 0; i < b.picks; i++) {
        rows[i].tuned_top = s->picks[i].top;
        rows[i].tuned_top_logp = s->picks[i].top_logp;
        rows[i].tuned_logp = s->picks[i].logp;
        rows[i].kl = (float)kl_of(base + (size_t)i * vocab, tuned + (size_t)i * vocab, vocab);
        if (!isfinite(rows[i].tuned_logp) || !isfinite(rows[i].kl))
            FAIL(st, RC_FORMAT, "a conflict of the training data: the tuned model's score is not finite");
    }
out:
    return rc;
}

int conflicts_finish(const struct conflicts_models *models, const struct data *d,
                     const struct conflicts_options *o, struct conflicts *c, struct status *st)
{
    int rc = 0;
    const uint32_t vocab = model_get_hyper(models->base)->vocab;
    struct scan s = { 0 };
    float *base = NULL, *tuned = NULL;
    if (c->n == 0)
        goto out;
    base = mem_calloc((size_t)FULL_MAX * vocab, sizeof *base);
    tuned = mem_calloc((size_t)FULL_MAX * vocab, sizeof *tuned);
    if (!base || !tuned)
        FAIL(st, RC_NOMEM, "no memory for distributions");
    TRY(scan_open(models, d, o, &s, st));
    for (size_t first = 0, end; first < c->n; first = end) {
        if (stopped(o))
            FAIL(st, RC_INTERRUPTED, "stopped during the scan of the training data");
        end = conflicts_place(d, c, first, &s);
        TRY(batch_finish(&s, models->adapter, c->rows + first, vocab, base, tuned, st));
        event_progress(o->sink, "scan", end, c->n);
    }
out:
    mem_free(base);
    mem_free(tuned);
    scan_close(&s);
    return rc;
}
