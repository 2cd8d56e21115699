/* The decoder forward: embedding, blocks, and the head on the picked rows alone. */
#include "model/graph_own.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int graph_check(const struct graph *g, const struct graph_batch *b, struct status *st)
{
    int rc = 0;
    if (b->rows == 0 || b->rows > g->options.rows_max || b->picks > g->options.picks_max)
        FAIL(st, RC_LIMIT, "a batch of %" PRIu32 " rows and %" PRIu32 " picks, over %" PRIu32 " and %" PRIu32,
             b->rows, b->picks, g->options.rows_max, g->options.picks_max);
    if (b->lora && b->lora->r_max > g->options.rank_max)
        FAIL(st, RC_LIMIT, "an adapter of rank %" PRIu32 ", over %" PRIu32, b->lora->r_max,
             g->options.rank_max);
    for (uint32_t i = 0; i < b->rows; i++) {
        const struct graph_span *s = &b->spans[i];
        if (b->ids[i] < 0 || (uint32_t)b->ids[i] >= g->h->vocab)
            FAIL(st, RC_LIMIT, "token %" PRId32 " of %" PRIu32, b->ids[i], g->h->vocab);
        if (b->positions[i] >= g->options.positions_max)
            FAIL(st, RC_LIMIT, "position %" PRIu32 ", over %" PRIu32, b->positions[i],
                 g->options.positions_max);
        if (s->self_first > i || s->end <= i || s->end > b->rows ||
            (uint64_t)s->prefix_first + s->prefix_len > s->self_first ||
            s->prefix_len + (i - s->self_first) != b->positions[i])
            FAIL(st, RC_ARG, "the span of row %" PRIu32 " does not fit its position", i);
    }
    for (uint32_t i = 0; i < b->picks; i++)
        if (b->pick_rows[i] >= b->rows || b->targets[i] < 0 || (uint32_t)b->targets[i] >= g->h->vocab)
            FAIL(st, RC_LIMIT, "pick %" PRIu32 " is outside the batch or the vocabulary", i);
out:
    return rc;
}

/* The rows of each token in a chain, in ascending order (shaders/embed.comp). */
static void links_make(struct graph *g, const struct graph_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t *last = &g->last_rows[b->ids[i]];
        const bool later =
            *last < i && b->ids[*last] == b->ids[i]; /* what an earlier batch left is no such row */
        g->links[i] = later ? EMBED_LATER : 0;
        if (later)
            g->links[*last] |= i;
        *last = i;
    }
}

int graph_inputs_write(struct graph *g, const struct graph_batch *b, struct status *st)
{
    int rc = 0;
    const uint32_t draw[4] = { (uint32_t)b->seed, (uint32_t)(b->seed >> 32), b->step, b->first_token };
    TRY(gpu_write(g->g, &g->inputs, g->draw, draw, sizeof draw, st));
    TRY(gpu_write(g->g, &g->inputs, g->ids, b->ids, (uint64_t)b->rows * 4, st));
    if (g->options.full) {
        links_make(g, b);
        TRY(gpu_write(g->g, &g->inputs, g->ids + (uint64_t)b->rows * 4, g->links, (uint64_t)b->rows * 4, st));
    }
    TRY(gpu_write(g->g, &g->inputs, g->positions, b->positions, (uint64_t)b->rows * 4, st));
    TRY(gpu_write(g->g, &g->inputs, g->spans, b->spans, (uint64_t)b->rows * sizeof *b->spans, st));
    if (b->picks == 0)
        goto out;
    TRY(gpu_write(g->g, &g->inputs, g->pick_rows, b->pick_rows, (uint64_t)b->picks * 4, st));
    TRY(gpu_write(g->g, &g->inputs, g->targets, b->targets, (uint64_t)b->picks * 4, st));
out:
    return rc;
}

/* u = x A^T of the adapter on a linear, where it has one. */
static int adapter_forward(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x,
                           struct status *st)
{
    struct graph *g = p->g;
    const struct lora *l = p->batch->lora;
    const struct lora_part *part = l ? lora_part(l, role, block) : NULL;
    if (!part)
        return 0;
    struct op_args a = graph_lora_a(p, role, part);
    a.p[0] = x;
    a.p[1] = l->values.addr + part->a_at * sizeof(float);
    a.p[2] = g->rows[block].buffer->addr + g->rows[block].u[role];
    a.p[3] = g->inputs.addr + g->draw;
    return graph_run(g, OP_lora, PASS_fwd, &a, st);
}

/* y = x W^T + scale u B^T (or +=). */
static int product(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x, uint64_t y,
                   bool add, struct status *st)
{
    struct graph *g = p->g;
    const struct lora *l = p->batch->lora;
    const struct lora_part *part = l ? lora_part(l, role, block) : NULL;
    const struct model_weight *w = model_weight(g->m, role, block);
    const struct tensor_shape s = role_shape(g->h, role);
    struct op_args args = {
        .p = { x, w->units, y, 0, 0, 0, 0, w->groups },
        .d = { p->batch->rows, s.rows, s.columns, graph_in_stride(g, role), graph_out_stride(g, role),
               add ? 1 : 0, w->format },
    };
    if (part) {
        args.p[4] = g->rows[block].buffer->addr + g->rows[block].u[role];
        args.p[5] = l->values.addr + part->b_at * sizeof(float);
        args.d[7] = part->r;
        args.f[0] = part->scale;
    }
    return graph_run(g, OP_matmul, PASS_fwd, &args, st);
}

static int linear(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x, uint64_t y,
                  bool add, struct status *st)
{
    int rc = 0;
    TRY(adapter_forward(p, role, block, x, st));
    TRY(product(p, role, block, x, y, add, st));
out:
    return rc;
}

/* The stream continues in another place where the one before is kept. */
static int stream_copy(struct graph *g, const struct gpu_buffer *from, uint64_t from_at,
                       const struct gpu_buffer *to, uint64_t to_at, uint32_t rows, struct status *st)
{
    if (from == to && from_at == to_at)
        return 0;
    return gpu_copy(g->g, from, from_at, to, to_at, (uint64_t)rows * g->h->width * sizeof(float), st);
}

static int attention(const struct graph_pass *p, const struct block_rows *r, struct status *st)
{
    struct graph *g = p->g;
    const uint64_t base = r->buffer->addr;
    return graph_run(g, OP_attention, PASS_fwd,
                     &(struct op_args){
                         .p = { base + r->q, base + r->k, base + r->v, base + r->o, base + r->lse,
                                g->inputs.addr + g->spans },
                         .d = { p->batch->rows * g->h->heads, g->h->heads, g->h->kv_heads, g->h->head_size },
                         .f = { (float)(1.0 / sqrt((double)g->h->head_size)) },
                     },
                     st);
}

int graph_block_rows(const struct graph_pass *p, uint32_t i, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct block_rows *r = &g->rows[i];
    const uint32_t rows = p->batch->rows;
    const uint64_t base = r->buffer->addr, x = r->in->addr + r->x, mid = base + r->mid;
    const uint64_t normed = g->scratch.addr + g->normed, act = g->scratch.addr + g->act;
    TRY(graph_rmsnorm(g, x, model_weight(g->m, ROLE_ATTENTION_NORM, i)->units, normed, rows, st));
    TRY(linear(p, ROLE_Q, i, normed, base + r->q, false, st));
    TRY(linear(p, ROLE_K, i, normed, base + r->k, false, st));
    TRY(linear(p, ROLE_V, i, normed, base + r->v, false, st));
    TRY(graph_rope(g, PASS_fwd, base + r->q, rows, g->h->heads, st));
    TRY(graph_rope(g, PASS_fwd, base + r->k, rows, g->h->kv_heads, st));
    TRY(attention(p, r, st));
    TRY(stream_copy(g, r->in, r->x, r->buffer, r->mid, rows, st));
    TRY(linear(p, ROLE_O, i, base + r->o, mid, true, st));
    TRY(graph_rmsnorm(g, mid, model_weight(g->m, ROLE_MLP_NORM, i)->units, normed, rows, st));
    TRY(linear(p, ROLE_GATE, i, normed, base + r->gate, false, st));
    TRY(linear(p, ROLE_UP, i, normed, base + r->up, false, st));
    TRY(graph_swiglu(g, base + r->gate, base + r->up, act, rows, st));
    TRY(adapter_forward(p, ROLE_DOWN, i, act, st));
out:
    return rc;
}

static int block_forward(const struct graph_pass *p, uint32_t i, const struct gpu_buffer *to, uint64_t to_at,
                         struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct block_rows *r = &g->rows[i];
    TRY(graph_block_rows(p, i, st));
    TRY(stream_copy(g, r->buffer, r->mid, to, to_at, p->batch->rows, st));
    TRY(product(p, ROLE_DOWN, i, g->scratch.addr + g->act, to->addr + to_at, true, st));
out:
    return rc;
}

const struct gpu_buffer *graph_stream(const struct graph *g, uint32_t i, uint64_t *at)
{
    *at = i < g->h->blocks ? g->rows[i].x : g->x;
    return i < g->h->blocks ? g->rows[i].in : &g->scratch;
}

int graph_embed(struct graph *g, const struct graph_batch *b, struct status *st)
{
    const struct block_rows *first = &g->rows[0];
    const struct model_weight *embedding = model_weight(g->m, ROLE_EMBEDDING, 0);
    return graph_run(
        g, OP_embed, PASS_fwd,
        &(struct op_args){
            .p = { g->inputs.addr + g->ids, embedding->units, first->in->addr + first->x, embedding->groups },
            .d = { b->rows * g->h->width, g->h->width, embedding->format },
        },
        st);
}

int graph_blocks(const struct graph_pass *p, uint32_t first, uint32_t end, struct status *st)
{
    int rc = 0;
    for (uint32_t i = first; i < end; i++) {
        uint64_t at;
        const struct gpu_buffer *to = graph_stream(p->g, i + 1, &at);
        TRY(block_forward(p, i, to, at, st));
    }
out:
    return rc;
}

int graph_pick_rows(struct graph *g, uint32_t picks, uint32_t to, struct status *st)
{
    int rc = 0;
    const uint64_t base = g->scratch.addr, place = (uint64_t)to * g->h->width * sizeof(float);
    TRY(graph_run(
        g, OP_gather, PASS_fwd,
        &(struct op_args){ .p = { base + g->x, g->inputs.addr + g->pick_rows, base + g->picked + place },
                           .d = { picks * g->h->width, g->h->width } },
        st));
    TRY(graph_rmsnorm(g, base + g->picked + place, model_weight(g->m, ROLE_FINAL_NORM, 0)->units,
                      base + g->picked_normed + place, picks, st));
out:
    return rc;
}

int graph_head_fold(struct graph *g, uint32_t n, uint32_t column, struct status *st)
{
    int rc = 0;
    const uint64_t base = g->scratch.addr;
    TRY(graph_head_chunk(g, 0, n, column, st));
    TRY(graph_run(g, OP_xent, PASS_fwd,
                  &(struct op_args){
                      .p = { base + g->logits, g->inputs.addr + g->targets, base + g->state },
                      .d = { n, graph_head_columns(g, column), LOGITS_STRIDE, column, column == 0 ? 1 : 0 } },
                  st));
out:
    return rc;
}

struct graph_pick graph_pick_of(const float s[8])
{
    const double max = (double)s[0], sum = (double)s[1], lse = log(sum);
    uint32_t top;
    memcpy(&top, &s[3], sizeof top);
    return (struct graph_pick){
        .logp = (float)((double)s[4] - max - lse),
        .top_logp = (float)((double)s[2] - max - lse),
        .entropy = (float)(lse - (double)s[5] / sum),
        .top = (int32_t)top,
    };
}

static int rows_forward(const struct graph_pass *p, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct graph_batch *b = p->batch;
    TRY(graph_embed(g, b, st));
    TRY(graph_blocks(p, 0, g->h->blocks, st));
    if (b->picks > 0) {
        TRY(graph_pick_rows(g, b->picks, 0, st));
        for (uint32_t c = 0; c < g->h->vocab; c += GRAPH_CHUNK)
            TRY(graph_head_fold(g, b->picks, c, st));
    }
out:
    return rc;
}

int graph_forward(struct graph *g, const struct graph_batch *b, struct graph_pick *out, struct status *st)
{
    int rc = 0;
    const struct graph_pass p = graph_pass(g, b);
    bool again;
    TRY(graph_check(g, b, st));
    TRY(graph_inputs_write(g, b, st));
    TRY(graph_begin(&p, g->forward, &again, st));
    if (!again)
        TRY(rows_forward(&p, st));
    TRY(graph_end(&p, g->forward, st));
    g->tokens += b->rows;
    g->picks = b->picks;
    if (b->picks > 0)
        TRY(gpu_read(g->g, &g->scratch, g->state, g->host_state, (uint64_t)b->picks * 8 * sizeof(float), st));
    for (uint32_t i = 0; i < b->picks; i++)
        out[i] = graph_pick_of(&g->host_state[(size_t)i * 8]);
out:
    return graph_settle(g, rc);
}

int graph_logits(struct graph *g, uint32_t first, uint32_t n, float *out, struct status *st)
{
    int rc = 0;
    if (n == 0 || first >= g->picks || n > g->picks - first)
        FAIL(st, RC_ARG, "logits of picks that the last batch does not have");
    for (uint32_t c = 0; c < g->h->vocab; c += GRAPH_CHUNK) {
        TRY(graph_head_chunk(g, first, n, c, st));
        TRY(gpu_submit(g->g, st));
        for (uint32_t i = 0; i < n; i++)
            TRY(gpu_read(g->g, &g->scratch, g->logits + (uint64_t)i * LOGITS_STRIDE * sizeof(float),
                         out + (size_t)i * g->h->vocab + c,
                         (uint64_t)graph_head_columns(g, c) * sizeof(float), st));
    }
out:
    return graph_settle(g, rc);
}
