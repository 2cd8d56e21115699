/* Two models on one batch: their rows meet at the head, chunk by chunk.
 *
 * On one graph the picks of both stand in one batch of the head, the base's first, so that its weights are
 * unpacked once; no row's bits depend on its neighbours.
 */
#include "model/graph_own.h"

#include <inttypes.h>

enum { BASE, TUNED, SIDES };

struct compare {
    struct graph *g[SIDES];
    struct graph_batch batch[SIDES]; /* with the side's adapter */
    uint32_t graphs;                 /* 1: both sides are one */
    uint32_t first[SIDES];           /* place of the side's picks in its graph */
    uint32_t places;                 /* of picks in a graph */
};

static struct compare compare_of(const struct graph_sides *s, const struct graph_batch *b)
{
    struct compare c = { .g = { s->base, s->tuned }, .batch = { *b, *b }, .graphs = SIDES };
    c.batch[BASE].lora = s->base_lora;
    c.batch[TUNED].lora = s->tuned_lora;
    c.places = b->picks;
    if (s->base == s->tuned) {
        c.graphs = 1;
        c.first[TUNED] = b->picks;
        c.places = 2 * b->picks;
    }
    return c;
}

static int compare_check(const struct compare *c, struct status *st)
{
    int rc = 0;
    if (!c->g[BASE]->options.compare)
        FAIL(st, RC_ARG, "a graph without room to compare");
    if (c->g[BASE]->h->vocab != c->g[TUNED]->h->vocab)
        FAIL(st, RC_ARG, "models with %" PRIu32 " and %" PRIu32 " tokens cannot be compared",
             c->g[BASE]->h->vocab, c->g[TUNED]->h->vocab);
    for (int i = 0; i < SIDES; i++)
        TRY(graph_check(c->g[i], &c->batch[i], st));
out:
    return rc;
}

static int inputs_write(const struct compare *c, struct status *st)
{
    int rc = 0;
    for (uint32_t i = 0; i < c->graphs; i++)
        TRY(graph_inputs_write(c->g[i], &c->batch[i], st));
    if (c->first[TUNED] > 0)
        TRY(gpu_write(c->g[TUNED]->g, &c->g[TUNED]->inputs,
                      c->g[TUNED]->targets + (uint64_t)c->first[TUNED] * sizeof(int32_t),
                      c->batch[TUNED].targets, (uint64_t)c->batch[TUNED].picks * sizeof(int32_t), st));
out:
    return rc;
}

/* Blocks that no adapter touches, where both sides are one model. */
static uint32_t blocks_shared(const struct compare *c)
{
    uint32_t n = c->graphs == 1 ? c->g[BASE]->h->blocks : 0;
    for (int i = 0; i < SIDES; i++)
        if (c->batch[i].lora && c->batch[i].lora->first_block < n)
            n = c->batch[i].lora->first_block;
    return n;
}

static int rows_forward(const struct compare *c, struct status *st)
{
    int rc = 0;
    const uint32_t shared = blocks_shared(c), blocks = c->g[BASE]->h->blocks;
    const uint64_t bytes = (uint64_t)c->batch[BASE].rows * c->g[BASE]->h->width * sizeof(float);
    const bool fork = c->graphs == 1 && shared < blocks;
    uint64_t at;
    for (int i = 0; i < SIDES; i++) {
        struct graph *g = c->g[i];
        const struct graph_pass p = graph_pass(g, &c->batch[i]);
        const struct gpu_buffer *stream = graph_stream(g, shared, &at);
        if (i == BASE || c->graphs == SIDES) {
            TRY(graph_embed(g, &c->batch[i], st));
            TRY(graph_blocks(&p, 0, shared, st));
            if (fork)
                TRY(gpu_copy(g->g, stream, at, &g->scratch, g->fork, bytes, st));
        } else if (fork) {
            TRY(gpu_copy(g->g, &g->scratch, g->fork, stream, at, bytes, st));
        }
        TRY(graph_blocks(&p, shared, g->h->blocks, st));
        if (c->places > 0)
            TRY(graph_pick_rows(g, c->batch[i].picks, c->first[i], st));
    }
out:
    return rc;
}

static int heads_forward(const struct compare *c, struct status *st)
{
    int rc = 0;
    struct graph *g = c->g[BASE];
    struct op_args kl = { .p = { 0, 0, 0, 0, g->scratch.addr + g->kl },
                          .d = { c->batch[BASE].picks, 0, LOGITS_STRIDE } };
    for (int i = 0; i < SIDES; i++) {
        const uint64_t scratch = c->g[i]->scratch.addr;
        kl.p[i] = scratch + c->g[i]->logits + (uint64_t)c->first[i] * LOGITS_STRIDE * sizeof(float);
        kl.p[SIDES + i] = scratch + c->g[i]->state + (uint64_t)c->first[i] * 8 * sizeof(float);
    }
    for (uint32_t column = 0; column < g->h->vocab; column += GRAPH_CHUNK) {
        for (uint32_t i = 0; i < c->graphs; i++)
            TRY(graph_head_fold(c->g[i], c->places, column, st));
        kl.d[1] = graph_head_columns(g, column);
        kl.d[3] = column == 0 ? 1 : 0;
        TRY(graph_run(g, OP_kl, PASS_fwd, &kl, st));
    }
out:
    return rc;
}

/* A divergence is not negative; a driver's rounding may be, and what is not finite stays so. */
static float not_negative(float x)
{
    return x < 0 ? 0 : x;
}

static int pairs_read(const struct compare *c, struct graph_pair *out, struct status *st)
{
    int rc = 0;
    const struct graph *base = c->g[BASE];
    const uint32_t picks = c->batch[BASE].picks;
    float *kl = base->host_state + (size_t)base->options.picks_max * 16;
    for (uint32_t i = 0; i < c->graphs; i++)
        TRY(gpu_read(c->g[i]->g, &c->g[i]->scratch, c->g[i]->state, c->g[i]->host_state,
                     (uint64_t)c->places * 8 * sizeof(float), st));
    TRY(gpu_read(base->g, &base->scratch, base->kl, kl, (uint64_t)picks * 8 * sizeof(float), st));
    for (uint32_t i = 0; i < picks; i++)
        out[i] = (struct graph_pair){
            .base = graph_pick_of(&base->host_state[(size_t)i * 8]),
            .tuned = graph_pick_of(&c->g[TUNED]->host_state[((size_t)c->first[TUNED] + i) * 8]),
            .kl = not_negative(kl[(size_t)i * 8 + 4]),
            .kl_back = not_negative(kl[(size_t)i * 8 + 5]),
        };
out:
    return rc;
}

int graph_compare(const struct graph_sides *sides, const struct graph_batch *batch, struct graph_pair *out,
                  struct status *st)
{
    int rc = 0;
    const struct compare c = compare_of(sides, batch);
    TRY(compare_check(&c, st));
    TRY(inputs_write(&c, st));
    TRY(rows_forward(&c, st));
    if (c.places > 0)
        TRY(heads_forward(&c, st));
    TRY(gpu_submit(sides->base->g, st));
    for (int i = 0; i < SIDES; i++) {
        c.g[i]->tokens += batch->rows;
        c.g[i]->picks = c.places;
    }
    if (c.places > 0)
        TRY(pairs_read(&c, out, st));
out:
    return graph_settle(sides->base, rc);
}
