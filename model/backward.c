/* The gradient of the adapter, or of the weights: head, then blocks from the top down to the lowest that has
 * something to train, and under them the embedding.
 *
 * Normed rows and the MLP's inner rows are computed again from what was kept: one cheap pass for a
 * quarter of the memory. Of blocks that graph_is_again names all rows are, for nearly all of the rest.
 */
#include "model/graph_own.h"

#include <inttypes.h>
#include <math.h>

/* Gradients of the adapter of a linear; du for its input is left in g->du. */
static int adapter_backward(const struct graph_pass *p, enum tensor_role role, uint32_t block,
                            const struct lora_part *part, uint64_t x, uint64_t dy, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const uint64_t u = g->rows[block].buffer->addr + g->rows[block].u[role], du = g->scratch.addr + g->du;
    const uint64_t a_at = part->a_at * sizeof(float), b_at = part->b_at * sizeof(float);
    struct op_args b = { .d = { p->batch->rows, part->r, part->out, graph_out_stride(g, role) },
                         .f = { 1, part->scale } };
    b.p[0] = dy;
    b.p[2] = u;
    b.p[3] = p->gradient->addr + b_at;
    TRY(graph_run(g, OP_lora, PASS_bwd1, &b, st));
    b.p[1] = p->batch->lora->values.addr + b_at;
    b.p[2] = du;
    b.p[3] = 0;
    TRY(graph_run(g, OP_lora, PASS_fwd, &b, st));
    struct op_args a = graph_lora_a(p, role, part);
    a.p[0] = x;
    a.p[2] = du;
    a.p[3] = p->gradient->addr + a_at;
    a.p[4] = g->inputs.addr + g->draw;
    TRY(graph_run(g, OP_lora, PASS_bwd1, &a, st));
out:
    return rc;
}

/* dW += dy^T x, where the weight is trained. */
static int weight_backward(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x,
                           uint64_t dy, struct status *st)
{
    struct graph *g = p->g;
    const struct full_part *part = p->full ? full_part(p->full, role, block) : NULL;
    const struct tensor_shape s = role_shape(g->h, role);
    if (!part)
        return 0;
    return graph_run(
        g, OP_matmul, PASS_bwd1,
        &(struct op_args){
            .p = { x, 0, dy, full_address(part, FULL_GRADIENT) },
            .d = { p->batch->rows, s.rows, s.columns, graph_in_stride(g, role), graph_out_stride(g, role) },
        },
        st);
}

/* Gradients of a linear: of its weight or adapter, and dx = (or +=) unless dx is 0. The adapter's du A goes
 * along with dy W but under dropout, whose mask is for du A alone. */
static int linear_backward(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x,
                           uint64_t dy, uint64_t dx, bool add, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct lora_part *part = p->batch->lora ? lora_part(p->batch->lora, role, block) : NULL;
    const struct model_weight *w = model_weight(g->m, role, block);
    const struct tensor_shape s = role_shape(g->h, role);
    const uint64_t du = g->scratch.addr + g->du;
    struct op_args base = {
        .p = { 0, w->units, dy, dx, 0, 0, w->turned, w->groups },
        .d = { p->batch->rows, s.rows, s.columns, graph_out_stride(g, role), graph_in_stride(g, role),
               add ? 1 : 0, w->format },
    };
    if (part)
        TRY(adapter_backward(p, role, block, part, x, dy, st));
    TRY(weight_backward(p, role, block, x, dy, st));
    if (!dx)
        goto out;
    const uint64_t a = part ? p->batch->lora->values.addr + part->a_at * sizeof(float) : 0;
    if (part && !p->threshold) {
        base.p[4] = du;
        base.p[5] = a;
        base.d[7] = part->r;
    }
    TRY(graph_run(g, OP_matmul, PASS_bwd0, &base, st));
    if (!part || !p->threshold)
        goto out;
    struct op_args drop = graph_lora_a(p, role, part);
    drop.p[1] = a;
    drop.p[2] = du;
    drop.p[3] = dx;
    drop.p[4] = g->inputs.addr + g->draw;
    TRY(graph_run(g, OP_lora, PASS_bwd0, &drop, st));
out:
    return rc;
}

static int rmsnorm_backward(struct graph *g, uint64_t x, uint64_t weight, uint64_t dy, uint64_t dx,
                            uint32_t rows, struct status *st)
{
    return graph_run(
        g, OP_rmsnorm, PASS_bwd0,
        &(struct op_args){ .p = { x, weight, dy, dx }, .d = { rows, g->h->width }, .f = { g->h->norm_eps } },
        st);
}

/* Gradient of a norm's weight, where it is trained, right after graph_rmsnorm of the same rows. */
static int gain_backward(const struct graph_pass *p, enum tensor_role role, uint32_t block, uint64_t x,
                         uint64_t dy, uint32_t rows, struct status *st)
{
    struct graph *g = p->g;
    const struct full_part *part = p->full ? full_part(p->full, role, block) : NULL;
    if (!part)
        return 0;
    return graph_run(
        g, OP_rmsnorm, PASS_bwd1,
        &(struct op_args){ .p = { x, g->scratch.addr + g->roots, dy, full_address(part, FULL_GRADIENT) },
                           .d = { rows, g->h->width } },
        st);
}

/* Gradient of the head's rows of a chunk, where it is trained. */
static int head_weight_backward(const struct graph_pass *p, uint32_t column, struct status *st)
{
    struct graph *g = p->g;
    const struct full_part *part = p->full ? full_part(p->full, ROLE_HEAD, 0) : NULL;
    const uint32_t width = g->h->width;
    if (!part)
        return 0;
    return graph_run(
        g, OP_matmul, PASS_bwd1,
        &(struct op_args){
            .p = { g->scratch.addr + g->picked_normed, 0, g->scratch.addr + g->logits,
                   full_address(part, FULL_GRADIENT) + (uint64_t)column * width * sizeof(float) },
            .d = { p->batch->picks, graph_head_columns(g, column), width, width, LOGITS_STRIDE },
        },
        st);
}

/* d loss / d picked rows, and from there into dx of all rows. */
static int head_backward(const struct graph_pass *p, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const uint32_t rows = p->batch->rows, picks = p->batch->picks;
    const uint64_t base = g->scratch.addr, in = g->inputs.addr;
    const uint32_t width = g->h->width;
    TRY(gpu_zero(g->g, &g->scratch, g->dx, (uint64_t)rows * width * sizeof(float), st));
    TRY(gpu_zero(g->g, &g->scratch, g->dpicked, (uint64_t)picks * width * sizeof(float), st));
    for (uint32_t c = 0; c < g->h->vocab; c += GRAPH_CHUNK) {
        const uint32_t columns = graph_head_columns(g, c);
        const struct model_weight w = graph_head_weight(g, c);
        TRY(graph_head_chunk(g, 0, picks, c, st));
        TRY(graph_run(
            g, OP_xent, PASS_bwd0,
            &(struct op_args){ .p = { base + g->logits, in + g->targets, base + g->state, in + g->weights },
                               .d = { picks, columns, LOGITS_STRIDE, c } },
            st));
        TRY(head_weight_backward(p, c, st));
        TRY(graph_run(
            g, OP_matmul, PASS_bwd0,
            &(struct op_args){
                .p = { 0, w.units, base + g->logits, base + g->dpicked_normed, 0, 0, w.turned, w.groups },
                .d = { picks, columns, width, LOGITS_STRIDE, width, c > 0 ? 1 : 0, w.format },
            },
            st));
    }
    TRY(gain_backward(p, ROLE_FINAL_NORM, 0, base + g->picked, base + g->dpicked_normed, picks, st));
    TRY(rmsnorm_backward(g, base + g->picked, model_weight(g->m, ROLE_FINAL_NORM, 0)->units,
                         base + g->dpicked_normed, base + g->dpicked, picks, st));
    TRY(graph_run(g, OP_gather, PASS_bwd0,
                  &(struct op_args){ .p = { 0, in + g->pick_rows, base + g->dpicked, base + g->dx },
                                     .d = { picks * width, width } },
                  st));
out:
    return rc;
}

static int mlp_backward(const struct graph_pass *p, uint32_t i, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct block_rows *r = &g->rows[i];
    const uint32_t rows = p->batch->rows;
    const uint64_t kept = r->buffer->addr, base = g->scratch.addr, normed = base + g->normed;
    const uint64_t gate = kept + r->gate, up = kept + r->up, dact = base + g->dact;
    const uint64_t norm = model_weight(g->m, ROLE_MLP_NORM, i)->units;
    if (graph_is_again(g, i)) {
        TRY(graph_block_rows(p, i, st));
    } else {
        TRY(graph_rmsnorm(g, kept + r->mid, norm, normed, rows, st));
        TRY(graph_swiglu(g, gate, up, base + g->act, rows, st));
    }
    TRY(linear_backward(p, ROLE_DOWN, i, base + g->act, base + g->dx, dact, false, st));
    struct op_args act = { .p = { gate, up, dact, base + g->dgate }, .d = { rows * g->mlp_stride } };
    TRY(graph_run(g, OP_swiglu, PASS_bwd0, &act, st));
    act.p[3] = base + g->dup;
    TRY(graph_run(g, OP_swiglu, PASS_bwd1, &act, st));
    TRY(linear_backward(p, ROLE_GATE, i, normed, base + g->dgate, base + g->dnormed, false, st));
    TRY(linear_backward(p, ROLE_UP, i, normed, base + g->dup, base + g->dnormed, true, st));
    TRY(gain_backward(p, ROLE_MLP_NORM, i, kept + r->mid, base + g->dnormed, rows, st));
    TRY(rmsnorm_backward(g, kept + r->mid, norm, base + g->dnormed, base + g->dx, rows, st));
out:
    return rc;
}

/* `lowest`: nothing below needs a gradient. */
static int attention_backward(const struct graph_pass *p, uint32_t i, bool lowest, struct status *st)
{
    int rc = 0;
    struct graph *g = p->g;
    const struct model_hyper *h = g->h;
    const struct block_rows *r = &g->rows[i];
    const uint32_t rows = p->batch->rows;
    const uint64_t kept = r->buffer->addr, x = r->in->addr + r->x;
    const uint64_t base = g->scratch.addr, normed = base + g->normed;
    const bool gain = p->full && full_part(p->full, ROLE_ATTENTION_NORM, i);
    const uint64_t dnormed = lowest && !gain ? 0 : base + g->dnormed;
    const uint64_t norm = model_weight(g->m, ROLE_ATTENTION_NORM, i)->units;
    const float scale = (float)(1.0 / sqrt((double)h->head_size));
    TRY(linear_backward(p, ROLE_O, i, kept + r->o, base + g->dx, base + g->do_, false, st));
    TRY(graph_run(g, OP_attention, PASS_bwd0,
                  &(struct op_args){ .p = { kept + r->q, kept + r->k, kept + r->v, kept + r->o, kept + r->lse,
                                            g->inputs.addr + g->spans, base + g->do_, base + g->dq },
                                     .d = { rows * h->heads, h->heads, h->kv_heads, h->head_size },
                                     .f = { scale } },
                  st));
    TRY(graph_run(
        g, OP_attention, PASS_bwd1,
        &(struct op_args){ .p = { g->inputs.addr + g->arguments + (uint64_t)i * 10 * sizeof(uint64_t) },
                           .d = { rows * h->kv_heads, h->heads, h->kv_heads, h->head_size },
                           .f = { scale } },
        st));
    TRY(graph_rope(g, PASS_bwd0, base + g->dq, rows, h->heads, st));
    TRY(graph_rope(g, PASS_bwd0, base + g->dk, rows, h->kv_heads, st));
    TRY(graph_rmsnorm(g, x, norm, normed, rows, st));
    TRY(linear_backward(p, ROLE_Q, i, normed, base + g->dq, dnormed, false, st));
    TRY(linear_backward(p, ROLE_K, i, normed, base + g->dk, dnormed, true, st));
    TRY(linear_backward(p, ROLE_V, i, normed, base + g->dv, dnormed, true, st));
    TRY(gain_backward(p, ROLE_ATTENTION_NORM, i, x, dnormed, rows, st));
    if (!lowest)
        TRY(rmsnorm_backward(g, x, norm, dnormed, base + g->dx, rows, st));
out:
    return rc;
}

/* Adds to the embedding's gradient what its rows of the batch give, where it is trained. */
static int embedding_backward(const struct graph_pass *p, struct status *st)
{
    struct graph *g = p->g;
    const struct full_part *part = p->full ? full_part(p->full, ROLE_EMBEDDING, 0) : NULL;
    const uint32_t width = g->h->width;
    if (!part)
        return 0;
    return graph_run(g, OP_embed, PASS_bwd0,
                     &(struct op_args){ .p = { g->inputs.addr + g->ids, 0, g->scratch.addr + g->dx,
                                               full_address(part, FULL_GRADIENT) },
                                        .d = { p->batch->rows * width, width } },
                     st);
}

static int blocks_backward(const struct graph_pass *p, struct status *st)
{
    int rc = 0;
    const uint32_t lowest = p->full ? p->full->lowest : p->batch->lora->first_block;
    const bool below = p->full && p->full->choice.embedding;
    for (uint32_t i = p->g->h->blocks; i-- > lowest;) {
        TRY(mlp_backward(p, i, st));
        TRY(attention_backward(p, i, i == lowest && !below, st));
    }
out:
    return rc;
}

int graph_backward(struct graph *g, const struct graph_batch *b, const float *weights,
                   const struct gpu_buffer *gradient, struct status *st)
{
    int rc = 0;
    struct graph_pass p = graph_pass(g, b);
    bool again;
    p.gradient = gradient;
    p.full = b->full;
    if (!g->options.train || !b->lora == !b->full || (b->full && (!g->options.full || gradient)) ||
        b->picks == 0 || b->picks != g->picks)
        FAIL(st, RC_ARG,
             "a backward pass without its forward pass, picks, or an adapter or weights to train");
    TRY(gpu_write(g->g, &g->inputs, g->weights, weights, (uint64_t)b->picks * sizeof *weights, st));
    TRY(graph_begin(&p, g->backward, &again, st));
    if (!again) {
        TRY(head_backward(&p, st));
        TRY(blocks_backward(&p, st));
        TRY(embedding_backward(&p, st));
    }
    TRY(graph_end(&p, g->backward, st));
out:
    return graph_settle(g, rc);
}
