#include "model/lm.h"

#include "base/alloc.h"
#include "model/encode.h"
#include "model/graph.h"
#include "model/score_plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ROWS_CPU = 480, ROWS_GPU = 2048 };

struct scorer {
    struct model *m;
    const struct lora *adapter;
    struct encoder encoder;
    struct lm_options options;
    struct graph *graph;
    struct score_batch batch;
    struct graph_pick *picks; /* [batch.picks_max] */
    struct lm *lm;            /* whose tokens are counted */
    size_t done, total;       /* asks, for progress */
    uint64_t dropped;
    /* the item under way */
    struct encoded *encoded;
    size_t encoded_n, encoded_cap;
    struct score_sequence *sequences;
    size_t sequences_n, sequences_cap;
};

static uint32_t max_len_of(const struct model_hyper *h, const struct lm_options *o)
{
    const uint32_t asked = o->max_len ? o->max_len : LM_MAX_LEN_DEFAULT;
    return asked < h->context ? asked : h->context;
}

static struct graph_options sizes_of(const struct model_hyper *h, const struct lm_options *o, uint32_t rank)
{
    const uint32_t len = max_len_of(h, o), rows = o->rows ? o->rows : ROWS_CPU;
    return (struct graph_options){
        .rows_max = rows > len ? rows : len,
        .positions_max = len,
        .rank_max = rank,
    };
}

uint64_t model_lm_plan(const struct model_hyper *h, const struct lm_options *options, uint32_t rank)
{
    const struct graph_options sizes = sizes_of(h, options, rank);
    return graph_plan(h, &sizes);
}

/* ---- an item ---- */

static void item_clear(struct scorer *s)
{
    for (size_t i = 0; i < s->encoded_n; i++)
        encoded_release(&s->encoded[i]);
    s->encoded_n = s->sequences_n = 0;
}

/* Encodes asks [first, first + n) of one item. */
static int item_encode(struct scorer *s, const struct lm_ask *asks, size_t first, size_t n, size_t *bad,
                       struct status *st)
{
    int rc = 0;
    item_clear(s);
    for (size_t i = first; i < first + n; i++) {
        *bad = i;
        TRY(mem_grow(&s->encoded, s->encoded_n, &s->encoded_cap, sizeof *s->encoded, st));
        struct encoded *e = &s->encoded[s->encoded_n];
        *e = (struct encoded){ 0 };
        TRY(encode_ask(&s->encoder, &asks[i], e, st));
        s->encoded_n++;
        for (size_t w = 0; w < e->n; w++) {
            TRY(mem_grow(&s->sequences, s->sequences_n, &s->sequences_cap, sizeof *s->sequences, st));
            s->sequences[s->sequences_n++] = (struct score_sequence){
                .ids = e->ids + e->windows[w].first,
                .n = e->windows[w].n,
                .scored = e->windows[w].scored,
                .owner = i,
            };
        }
    }
out:
    return rc;
}

static size_t item_size(const struct lm_ask *asks, size_t first, size_t n)
{
    size_t end = first + 1;
    while (end < n && asks[end].item == asks[first].item && !asks[end].rolling && !asks[first].rolling)
        end++;
    return end - first;
}

/* Two texts that the tokenizer cannot tell apart cannot be compared. */
static int item_distinct(const struct scorer *s, const struct lm_ask *asks, size_t first, size_t *bad,
                         struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < s->encoded_n; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct encoded *a = &s->encoded[i], *b = &s->encoded[j];
            const struct lm_ask *x = &asks[first + i], *y = &asks[first + j];
            const bool same_text =
                x->target_size == y->target_size && memcmp(x->target, y->target, x->target_size) == 0;
            *bad = first + i;
            if (!same_text && a->ids_n == b->ids_n && a->n_tok == b->n_tok &&
                memcmp(a->ids, b->ids, a->ids_n * sizeof *a->ids) == 0)
                FAIL(st, RC_FORMAT, "continuations %zu and %zu are the same tokens", j, i);
        }
    }
out:
    return rc;
}

static int lm_check(void *self, const struct lm_ask *asks, size_t n, size_t *bad, struct status *st)
{
    int rc = 0;
    struct scorer *s = self;
    for (size_t first = 0, size; first < n; first += size) {
        size = item_size(asks, first, n);
        TRY(item_encode(s, asks, first, size, bad, st));
        TRY(item_distinct(s, asks, first, bad, st));
        for (size_t i = 0; i < s->encoded_n; i++)
            s->dropped += s->encoded[i].dropped;
    }
out:
    item_clear(s);
    return rc;
}

/* ---- scoring ---- */

static int batch_run(struct scorer *s, struct lm_answer *out, size_t *bad, struct status *st)
{
    int rc = 0;
    struct score_batch *b = &s->batch;
    if (b->rows == 0)
        goto out;
    const struct graph_batch batch = {
        .rows = b->rows,
        .ids = b->ids,
        .positions = b->positions,
        .spans = b->spans,
        .picks = b->picks,
        .pick_rows = b->pick_rows,
        .targets = b->targets,
        .lora = s->adapter,
    };
    TRY(graph_forward(s->graph, &batch, s->picks, st));
    s->lm->tokens += b->rows;
    for (size_t e = 0; e < b->entries_n; e++) {
        const struct score_entry *entry = &b->entries[e];
        struct lm_answer *a = &out[entry->owner];
        for (uint32_t i = 0; i < entry->n; i++) {
            const uint32_t pick = b->order[entry->first + i];
            const float logp = s->picks[pick].logp;
            *bad = entry->owner;
            if (!isfinite(logp))
                FAIL(st, RC_FORMAT, "the score of scored token %" PRIu32 " is not finite", i);
            a->ll += (double)logp;
            a->greedy = a->greedy && s->picks[pick].top == b->targets[pick];
        }
    }
    score_batch_clear(b);
    event_progress(s->options.sink, s->options.what, s->done, s->total);
out:
    return rc;
}

/* Places the item, running the batch when it is full. An item that is too large for any batch stands in it
 * sequence by sequence. */
static int item_place(struct scorer *s, struct lm_answer *out, size_t *bad, struct status *st)
{
    int rc = 0;
    bool placed = false;
    TRY(score_batch_place(&s->batch, s->sequences, s->sequences_n, !s->options.no_prefix, &placed, st));
    if (!placed && s->batch.rows > 0) {
        TRY(batch_run(s, out, bad, st));
        TRY(score_batch_place(&s->batch, s->sequences, s->sequences_n, !s->options.no_prefix, &placed, st));
    }
    for (size_t i = 0; !placed && i < s->sequences_n; i++) {
        bool one = false;
        TRY(score_batch_place(&s->batch, &s->sequences[i], 1, false, &one, st));
        if (one)
            continue;
        TRY(batch_run(s, out, bad, st));
        TRY(score_batch_place(&s->batch, &s->sequences[i], 1, false, &one, st));
        if (!one)
            FAIL(st, RC_LIMIT, "a sequence of %" PRIu32 " tokens does not fit a batch", s->sequences[i].n);
    }
out:
    return rc;
}

static int lm_score(void *self, const struct lm_ask *asks, size_t n, struct lm_answer *out, size_t *bad,
                    struct status *st)
{
    int rc = 0;
    struct scorer *s = self;
    score_batch_clear(&s->batch);
    for (size_t first = 0, size; first < n; first += size) {
        size = item_size(asks, first, n);
        TRY(item_encode(s, asks, first, size, bad, st));
        for (size_t i = 0; i < size; i++)
            out[first + i] = (struct lm_answer){ .n_ctx = s->encoded[i].n_ctx,
                                                 .n_tok = s->encoded[i].n_tok,
                                                 .flags = s->encoded[i].flags,
                                                 .greedy = true };
        s->done = first;
        s->total = n;
        TRY(item_place(s, out, bad, st));
    }
    s->done = n;
    TRY(batch_run(s, out, bad, st));
out:
    item_clear(s);
    return rc;
}

/* ---- open, close ---- */

static void scorer_free(struct scorer *s)
{
    if (!s)
        return;
    item_clear(s);
    graph_close(s->graph);
    score_batch_release(&s->batch);
    mem_free(s->picks);
    mem_free(s->encoded);
    mem_free(s->sequences);
    mem_free(s);
}

static int chat_check(const struct model *m, const struct template **out, struct status *st)
{
    int rc = 0;
    const char *why = NULL;
    *out = model_get_template(m, &why);
    if (!*out)
        FAIL(st, RC_UNSUPPORTED, "%s: the chat template cannot be used: %s", model_get_path(m),
             why ? why : "the file has none");
out:
    return rc;
}

int model_lm(struct model *m, const struct lora *adapter, const struct lm_options *options, struct lm *out,
             struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    struct lm_options o = options ? *options : (struct lm_options){ 0 };
    if (!o.rows && strcmp(gpu_get_info(model_get_gpu(m))->type, "cpu") != 0)
        o.rows = ROWS_GPU;
    o.what = o.what ? o.what : "score";
    const struct graph_options sizes = sizes_of(h, &o, adapter ? adapter->r_max : 0);
    struct scorer *s = mem_calloc(1, sizeof *s);
    if (!s)
        FAIL(st, RC_NOMEM, "no memory for a scorer");
    s->m = m;
    s->adapter = adapter;
    s->options = o;
    s->encoder = (struct encoder){ .tokenizer = model_get_tokenizer(m),
                                   .render_asks = o.template,
                                   .len_max = sizes.positions_max };
    if (o.template)
        TRY(chat_check(m, &s->encoder.chat, st));
    TRY(encoder_check(&s->encoder, st));
    TRY(graph_open(m, &sizes, &s->graph, st));
    TRY(score_batch_init(&s->batch, sizes.rows_max, sizes.rows_max, st));
    s->picks = mem_calloc(s->batch.picks_max, sizeof *s->picks);
    if (!s->picks)
        FAIL(st, RC_NOMEM, "no memory for a scorer");
    *out = (struct lm){ .self = s, .check = lm_check, .score = lm_score };
    s->lm = out;
    s = NULL;
out:
    scorer_free(s);
    return rc;
}

void model_lm_close(struct lm *lm)
{
    scorer_free(lm->self);
    *lm = (struct lm){ 0 };
}

void model_lm_progress(struct lm *lm, struct event_sink *sink, const char *what)
{
    struct scorer *s = lm->self;
    s->options.sink = sink;
    s->options.what = what ? what : "score";
}

uint32_t model_lm_max_len(const struct lm *lm)
{
    return ((const struct scorer *)lm->self)->encoder.len_max;
}

uint64_t model_lm_dropped(const struct lm *lm)
{
    return ((const struct scorer *)lm->self)->dropped;
}
