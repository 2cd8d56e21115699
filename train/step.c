/* One update: micro-batches in data order into one gradient, its norm, AdamW. */
#include "base/alloc.h"
#include "base/rng.h"
#include "gpu/op.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool train_stopped(const struct train *t)
{
    return (t->options.stop && *t->options.stop) ||
           (t->options.stop_after && t->step >= t->options.stop_after);
}

enum { PIECE = 1 << 20, NORM_KEY, UPDATE_KEY };

uint64_t train_pieces(uint64_t floats)
{
    return (floats + PIECE - 1) / PIECE;
}

static int run(struct train *t, enum op op, const struct op_args *args, struct status *st)
{
    return op_run_chosen(model_get_gpu(t->m), op, PASS_fwd, args, st);
}

/* The sequences of an update: a stretch of its epoch's order. */
static const uint32_t *step_order(struct train *t, uint32_t step, uint32_t *n)
{
    const uint32_t all = (uint32_t)t->options.data->sequences_n;
    const uint32_t epoch = step / t->shape.epoch_steps, at = step % t->shape.epoch_steps * t->recipe.batch;
    if (!t->order_valid || t->order_epoch != epoch) {
        rng_order(t->recipe.seed, epoch, 0, all, t->order);
        t->order_epoch = epoch;
        t->order_valid = true;
    }
    *n = all - at < t->recipe.batch ? all - at : t->recipe.batch;
    return t->order + at;
}

/* Forward and backward of one micro-batch. Adds its negative log-probabilities to *loss, in data order. */
static int micro_step(struct train *t, uint32_t first_token, uint64_t supervised, double *loss,
                      struct status *st)
{
    int rc = 0;
    struct graph_batch b = micro_batch_view(&t->batch);
    b.lora = t->lora.values.addr ? &t->lora : NULL;
    b.full = t->full.n > 0 ? &t->full : NULL;
    b.dropout = t->recipe.dropout.value;
    b.seed = t->recipe.seed;
    b.step = t->step;
    b.first_token = first_token;
    TRY(graph_forward(t->graph, &b, t->picks, st));
    for (uint32_t i = 0; i < b.picks; i++) {
        *loss -= (double)t->picks[i].logp;
        t->weights[i] = (float)(1.0 / (double)supervised);
    }
    if (!isfinite(*loss))
        FAIL(st, RC_ARG, "update %" PRIu32 ": the loss is not finite; the last checkpoint stays", t->step);
    if (b.picks > 0)
        TRY(graph_backward(t->graph, &b, t->weights, b.lora ? &t->gradient : NULL, st));
out:
    return rc;
}

static int gradient_make(struct train *t, struct train_step *out, struct status *st)
{
    int rc = 0;
    struct gpu *g = model_get_gpu(t->m);
    const struct data *d = t->options.data;
    uint32_t n = 0, first_token = 0;
    const uint32_t *order = step_order(t, t->step, &n);
    double loss = 0;
    *out = (struct train_step){ .step = t->step };
    for (uint32_t i = 0; i < n; i++)
        out->supervised += d->sequences[order[i]].supervised;
    for (size_t i = 0; i < t->n.zeroed; i++)
        TRY(gpu_zero(g, t->zeroed[i].buffer, t->zeroed[i].at, t->zeroed[i].floats * sizeof(float), st));
    TRY(gpu_submit(g, st));
    for (uint32_t done = 0, take; done < n; done += take) {
        uint32_t tokens = 0;
        if (train_stopped(t))
            FAIL(st, RC_INTERRUPTED, "stopped during update %" PRIu32, t->step);
        take = pack_next(&t->recipe, d, order + done, n - done, &tokens);
        micro_batch_clear(&t->batch);
        for (uint32_t i = 0; i < take; i++)
            micro_batch_add(&t->batch, &d->sequences[order[done + i]]);
        TRY(micro_step(t, first_token, out->supervised, &loss, st));
        first_token += tokens;
        out->tokens += tokens;
    }
    out->loss = loss / (double)out->supervised;
out:
    return rc;
}

static int squares_sum(struct train *t, struct status *st)
{
    int rc = 0;
    uint64_t to = t->norms.addr;
    for (size_t i = 0; i < t->n.gradients; i++) {
        const struct train_stretch *s = &t->gradients[i];
        const uint32_t pieces = (uint32_t)train_pieces(s->floats), floats = (uint32_t)s->floats;
        TRY(run(t, OP_sumsq,
                &(struct op_args){ .p = { s->buffer->addr + s->at, to },
                                   .d = { pieces, pieces > 1 ? PIECE : floats, floats } },
                st));
        to += pieces * sizeof(float);
    }
out:
    return rc;
}

/* sqrt of the sum of squares: a float a tensor, or a piece of it, in double across them, in model order. */
static int norm_read(struct train *t, double *out, struct status *st)
{
    int rc = 0;
    struct gpu *g = model_get_gpu(t->m);
    double sum = 0;
    bool again;
    TRY(gpu_recording_begin(t->recordings, (const uint64_t[RECORDING_KEY]){ NORM_KEY }, &again, st));
    if (!again)
        TRY(squares_sum(t, st));
    TRY(gpu_recording_end(t->recordings, st));
    TRY(gpu_read(g, &t->norms, 0, t->host_norms, t->norms_n * sizeof(float), st));
    for (size_t i = 0; i < t->norms_n; i++)
        sum += (double)t->host_norms[i];
    *out = sqrt(sum);
    if (!isfinite(*out))
        FAIL(st, RC_ARG, "update %" PRIu32 ": the gradient is not finite; the last checkpoint stays",
             t->step);
out:
    return rc;
}

static void blocks_fill(struct train *t, const struct train_step *s)
{
    const struct recipe *r = &t->recipe;
    const double steps = (double)t->step + 1;
    /* The betas that the device multiplies by: with 0.999 itself, 1 - beta2 would be off by 5e-5 of
     * itself. */
    const double beta1 = (double)(float)r->beta1.value, beta2 = (double)(float)r->beta2.value;
    const double clip = r->clip.value > 0 ? fmin(1.0, r->clip.value / (s->grad_norm + 1e-6)) : 1.0;
    for (size_t i = 0; i < t->n.updates; i++) {
        const struct train_update *u = &t->updates[i];
        const float block[UPDATE_BLOCK] = {
            (float)(s->lr * u->rate),
            (float)beta1,
            (float)beta2,
            (float)r->eps.value,
            u->decays ? (float)r->weight_decay.value : 0,
            (float)(1.0 - pow(beta1, steps)),
            (float)(1.0 - pow(beta2, steps)),
            (float)clip,
        };
        memcpy(&t->host_blocks[i * UPDATE_BLOCK], block, sizeof block);
    }
}

static int update(struct train *t, const struct train_step *s, struct status *st)
{
    int rc = 0;
    bool again;
    blocks_fill(t, s);
    TRY(gpu_write(model_get_gpu(t->m), &t->blocks, 0, t->host_blocks,
                  t->n.updates * UPDATE_BLOCK * sizeof(float), st));
    TRY(gpu_recording_begin(t->recordings, (const uint64_t[RECORDING_KEY]){ UPDATE_KEY }, &again, st));
    for (size_t i = 0; !again && i < t->n.updates; i++) {
        struct op_args args = t->updates[i].args;
        args.p[4] = t->blocks.addr + i * UPDATE_BLOCK * sizeof(float);
        TRY(run(t, OP_adamw, &args, st));
    }
    TRY(gpu_recording_end(t->recordings, st));
out:
    return rc;
}

int train_step(struct train *t, struct train_step *out, struct status *st)
{
    int rc = 0;
    struct train_step s;
    TRY(gradient_make(t, &s, st));
    TRY(norm_read(t, &s.grad_norm, st));
    s.lr = schedule_rate(&t->recipe, &t->shape, t->step);
    TRY(update(t, &s, st));
    t->step++;
    *out = s;
out:
    if (rc != 0)
        (void)!gpu_submit(model_get_gpu(t->m), NULL); /* runs what was recorded: memory can be freed */
    return rc;
}

int train_gradient(struct train *t, struct adapter *out, struct train_step *step, struct status *st)
{
    int rc = 0;
    float *values = NULL;
    TRY(gradient_make(t, step, st));
    TRY(norm_read(t, &step->grad_norm, st));
    step->lr = schedule_rate(&t->recipe, &t->shape, t->step);
    if (!out)
        goto out;
    values = mem_calloc(t->lora.n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    TRY(gpu_read(model_get_gpu(t->m), &t->gradient, 0, values, t->lora.n * sizeof *values, st));
    TRY(lora_copy_out(&t->lora, values, out, st));
out:
    mem_free(values);
    return rc;
}
