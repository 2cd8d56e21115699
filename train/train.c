#include "train/train.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EVERY_DEFAULT = 10, DIVERGED_STEPS = 20, DIVERGED_TIMES = 3 };

/* ---- plan ---- */

static struct graph_options graph_sizes(const struct train_plan *plan, const struct data *d,
                                        const struct recipe *r)
{
    return (struct graph_options){
        .rows_max = plan->rows_max,
        .positions_max = d->longest,
        .rank_max = r->rank,
        .train = true,
        .full = recipe_wants_f32(r),
        .frozen = plan->frozen,
    };
}

/* The largest micro-batch of the run, and its tokens: every step is packed once without a device. */
static int passes_plan(const struct recipe *r, const struct data *d, const struct recipe_shape *shape,
                       struct train_plan *out, struct status *st)
{
    int rc = 0;
    const uint32_t n = (uint32_t)d->sequences_n;
    uint32_t *order = mem_calloc(n, sizeof *order);
    if (!order)
        FAIL(st, RC_NOMEM, "no memory for an order");
    for (uint32_t step = 0; step < shape->steps; step++) {
        const uint32_t at = step % shape->epoch_steps * r->batch;
        const uint32_t size = n - at < r->batch ? n - at : r->batch;
        if (at == 0)
            rng_order(r->seed, step / shape->epoch_steps, 0, n, order);
        for (uint32_t i = 0; i < size; i++)
            out->supervised += d->sequences[order[at + i]].supervised;
        for (uint32_t done = 0, tokens; done < size; out->tokens += tokens) {
            done += pack_next(r, d, order + at + done, size - done, &tokens);
            out->rows_max = tokens > out->rows_max ? tokens : out->rows_max;
        }
    }
out:
    mem_free(order);
    return rc;
}

int train_plan(const struct model_hyper *h, const struct train_options *options, struct train_plan *out,
               struct status *st)
{
    int rc = 0;
    const struct recipe *r = options->recipe;
    struct recipe_shape shape;
    struct train_plan plan = { .total = hyper_parameters(h) };
    uint64_t beside = 0;
    TRY(recipe_check(r, h, st));
    TRY(recipe_shape(r, (uint32_t)options->data->sequences_n, &shape, st));
    TRY(passes_plan(r, options->data, &shape, &plan, st));
    TRY(r->method->run->plan(h, r, &plan, &beside, st));
    plan.steps = shape.steps;
    plan.epoch_steps = shape.epoch_steps;
    struct graph_options sizes = graph_sizes(&plan, options->data, r);
    const uint64_t all = graph_plan(h, &sizes);
    sizes.again = h->blocks;
    const uint64_t least = graph_plan(h, &sizes);
    if (all == 0 || least == 0)
        FAIL(st, RC_NOMEM, "no memory to plan a run");
    plan.device_bytes = all + beside;
    plan.device_bytes_least = least + beside;
    *out = plan;
out:
    return rc;
}

/* Each block that is computed again saves the same. */
static uint64_t again_bytes(const struct train_plan *plan)
{
    return plan->blocks > 1 ? (plan->device_bytes - plan->device_bytes_least) / (plan->blocks - 1) : 0;
}

uint32_t train_plan_again(const struct train_plan *plan, uint64_t bytes)
{
    if (plan->device_bytes <= bytes)
        return 0;
    if (plan->device_bytes_least >= bytes)
        return plan->blocks - 1;
    const uint64_t one = again_bytes(plan);
    return (uint32_t)((plan->device_bytes - bytes + one - 1) / one);
}

/* ---- open, close ---- */

/* Everything that decides the bits of a run. */
static int config_hash(struct train *t, struct status *st)
{
    int rc = 0;
    struct sha256 *sum = NULL;
    struct str text = { 0 };
    struct json *recipe = recipe_write(&t->recipe);
    TRY(json_check(recipe, st));
    TRY(json_write_canonical(recipe, &text, st));
    TRY(str_check(&text, st));
    TRY(sha256_open(&sum, st));
    sha256_add(sum, text.data, text.size + 1);
    sha256_add(sum, &t->options.base, sizeof t->options.base);
    for (size_t i = 0; i < t->options.data->files_n; i++)
        sha256_add(sum, &t->options.data->files[i].sha256, sizeof(struct hash));
    t->config = sha256_end(sum);
    sum = NULL;
out:
    sha256_close(sum);
    json_free(recipe);
    str_release(&text);
    return rc;
}

static int host_open(struct train *t, struct status *st)
{
    int rc = 0;
    const uint32_t rows = t->plan.rows_max;
    TRY(micro_batch_init(&t->batch, rows, st));
    t->picks = mem_calloc(rows, sizeof *t->picks);
    t->weights = mem_calloc(rows, sizeof *t->weights);
    t->order = mem_calloc(t->options.data->sequences_n, sizeof *t->order);
    if (!t->picks || !t->weights || !t->order)
        FAIL(st, RC_NOMEM, "no memory for a run");
    if (t->options.state_path)
        str_puts(&t->state_path, t->options.state_path);
    else if (t->options.out_dir)
        TRY(path_join(t->options.out_dir, "train.state", &t->state_path, st));
    TRY(str_check(&t->state_path, st));
out:
    return rc;
}

static int again_choose(struct train *t, uint64_t free, struct status *st)
{
    const uint32_t wanted = train_plan_again(&t->plan, free), most = t->plan.blocks - 1;
    t->again = wanted > t->options.again ? wanted : t->options.again;
    t->again = t->again < most ? t->again : most;
    if (wanted == 0)
        return 0;
    return event_warn(t->options.sink, st, "memory",
                      "activations of %" PRIu32 " of %" PRIu32
                      " blocks are computed again in each update: with "
                      "all of them kept, training needs %.0f MiB, and %.0f MiB are free",
                      t->again, t->plan.blocks, (double)t->plan.device_bytes / 0x1p20, (double)free / 0x1p20);
}

int train_room(struct train *t, const struct train_sizes *n, struct status *st)
{
    int rc = 0;
    t->zeroed = mem_calloc(n->zeroed, sizeof *t->zeroed);
    t->gradients = mem_calloc(n->gradients, sizeof *t->gradients);
    t->updates = mem_calloc(n->updates, sizeof *t->updates);
    t->stored = mem_calloc(n->stored, sizeof *t->stored);
    if (!t->zeroed || !t->gradients || !t->updates || !t->stored)
        FAIL(st, RC_NOMEM, "no memory for a run");
    t->n = *n;
out:
    return rc;
}

static int device_open(struct train *t, struct status *st)
{
    int rc = 0;
    struct gpu *g = model_get_gpu(t->m);
    const struct gpu_info *info = gpu_get_info(g);
    struct graph_options sizes = graph_sizes(&t->plan, t->options.data, &t->recipe);
    const uint64_t free = gpu_bytes_free(g);
    if (t->plan.device_bytes_least > free)
        FAIL(st, RC_NOMEM, "training needs %.2f GiB more on %s, which has %.2f GiB free",
             (double)t->plan.device_bytes_least / 0x1p30, info->name, (double)free / 0x1p30);
    TRY(again_choose(t, free, st));
    sizes.again = t->again;
    TRY(graph_open(t->m, &sizes, &t->graph, st));
    TRY(t->recipe.method->run->open(t, st));
    for (size_t i = 0; i < t->n.gradients; i++)
        t->norms_n += train_pieces(t->gradients[i].floats);
    t->host_norms = mem_calloc(t->norms_n, sizeof *t->host_norms);
    t->host_blocks = mem_calloc(t->n.updates * UPDATE_BLOCK, sizeof *t->host_blocks);
    if (!t->host_norms || !t->host_blocks)
        FAIL(st, RC_NOMEM, "no memory for a run");
    TRY(gpu_alloc(g, t->norms_n * sizeof(float), "norms", &t->norms, st));
    TRY(gpu_alloc(g, t->n.updates * UPDATE_BLOCK * sizeof(float), "step", &t->blocks, st));
    TRY(gpu_recordings_open(g, &t->recordings, st));
out:
    return rc;
}

static int state_event(struct train *t, const char *name, const struct hash *sum, struct status *st)
{
    int rc = 0;
    struct str keys = { 0 };
    str_printf(&keys, ",\"step\":%" PRIu32 ",\"sha256\":\"%s\"", t->step, hash_hex(sum).s);
    TRY(event_send(t->options.sink, name, &keys, st));
out:
    str_release(&keys);
    return rc;
}

static int start(struct train *t, struct status *st)
{
    int rc = 0;
    bool found = false;
    struct hash sum;
    if (t->options.out_dir)
        TRY(dir_make(t->options.out_dir, st));
    if (t->options.resume)
        TRY(state_load(t, &found, &sum, st));
    if (found && t->recipe.method->run->resumed)
        TRY(t->recipe.method->run->resumed(t, st));
    if (found)
        TRY(state_event(t, "resume", &sum, st));
out:
    return rc;
}

int train_open(struct model *m, const struct train_options *options, struct train **out, struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    struct train *t = mem_calloc(1, sizeof *t);
    if (!t)
        FAIL(st, RC_NOMEM, "no memory for a run");
    t->m = m;
    t->options = *options;
    t->recipe = *options->recipe;
    TRY(train_plan(h, options, &t->plan, st));
    TRY(recipe_shape(&t->recipe, (uint32_t)options->data->sequences_n, &t->shape, st));
    recipe_settle(&t->recipe, &t->shape);
    TRY(config_hash(t, st));
    TRY(host_open(t, st));
    TRY(device_open(t, st));
    TRY(start(t, st));
    *out = t;
    t = NULL;
out:
    train_close(t);
    return rc;
}

void train_close(struct train *t)
{
    if (!t)
        return;
    gpu_recordings_close(t->recordings);
    if (t->norms.addr)
        gpu_free(model_get_gpu(t->m), &t->norms);
    if (t->blocks.addr)
        gpu_free(model_get_gpu(t->m), &t->blocks);
    t->recipe.method->run->close(t);
    graph_close(t->graph);
    mem_free(t->zeroed);
    mem_free(t->gradients);
    mem_free(t->updates);
    mem_free(t->stored);
    micro_batch_release(&t->batch);
    str_release(&t->state_path);
    mem_free(t->picks);
    mem_free(t->weights);
    mem_free(t->host_norms);
    mem_free(t->host_blocks);
    mem_free(t->order);
    mem_free(t);
}

uint32_t train_again(const struct train *t)
{
    return t->again;
}

/* ---- the run ---- */

static int step_event(struct train *t, const struct train_step *s, double ms, struct status *st)
{
    int rc = 0;
    struct str keys = { 0 };
    str_printf(&keys, ",\"step\":%" PRIu32 ",\"loss\":", s->step);
    str_json_f64(&keys, s->loss);
    str_puts(&keys, ",\"lr\":");
    str_json_f64(&keys, s->lr);
    str_puts(&keys, ",\"grad_norm\":");
    str_json_f64(&keys, s->grad_norm);
    str_printf(&keys, ",\"tokens\":%" PRIu64 ",\"supervised\":%" PRIu64 ",\"ms\":", s->tokens, s->supervised);
    str_json_f64(&keys, ms);
    TRY(event_send(t->options.sink, "step", &keys, st));
out:
    str_release(&keys);
    return rc;
}

static int checkpoint(struct train *t, struct status *st)
{
    int rc = 0;
    struct hash sum;
    TRY(state_save(t, &sum, st));
    TRY(state_event(t, "checkpoint", &sum, st));
out:
    return rc;
}

/* Above three times the first loss for 20 updates in a row (methods 3.1). */
static bool diverged(struct train *t, double loss)
{
    if (t->step == 1)
        t->loss_first = loss;
    t->above = loss > DIVERGED_TIMES * t->loss_first ? t->above + 1 : 0;
    return t->above >= DIVERGED_STEPS;
}

static int one(struct train *t, struct train_result *out, struct status *st)
{
    int rc = 0;
    const double begun = clock_seconds();
    const uint32_t every = t->options.checkpoint_every ? t->options.checkpoint_every : EVERY_DEFAULT;
    struct train_step s;
    TRY(train_step(t, &s, st));
    t->loss_last = s.loss;
    out->diverged = diverged(t, s.loss);
    TRY(step_event(t, &s, (clock_seconds() - begun) * 1e3, st));
    event_progress(t->options.sink, "tune", t->step, t->shape.steps);
    if (out->diverged)
        FAIL(st, RC_ARG,
             "update %" PRIu32 ": the loss was above %d times its first value for %d updates; the last "
             "checkpoint stays",
             s.step, DIVERGED_TIMES, DIVERGED_STEPS);
    if (t->step % every == 0 || t->step % t->shape.epoch_steps == 0 || t->step == t->shape.steps)
        TRY(checkpoint(t, st));
out:
    return rc;
}

static int finish(struct train *t, struct status *st)
{
    int rc = 0;
    TRY(t->recipe.method->run->save(t, st));
    if (!t->options.state_path && unlink(str_text(&t->state_path)) != 0 &&
        path_exists(str_text(&t->state_path)))
        FAIL(st, RC_IO, "%s: cannot be removed", str_text(&t->state_path));
out:
    return rc;
}

int train_run(struct train *t, struct train_result *out, struct status *st)
{
    int rc = 0;
    struct train_result result = { 0 };
    event_progress(t->options.sink, "tune", t->step, t->shape.steps);
    while (t->step < t->shape.steps) {
        struct status why = { 0 };
        rc = train_stopped(t) ? RC_INTERRUPTED : one(t, &result, &why);
        if (rc == RC_INTERRUPTED) {
            TRY(checkpoint(t, st));
            FAIL(st, RC_INTERRUPTED, "stopped after %" PRIu32 " of %" PRIu32 " updates", t->step,
                 t->shape.steps);
        }
        if (rc == RC_DEVICE || rc == RC_NOMEM)
            FAIL(st, (enum rc)rc, "update %" PRIu32 ": %s%s", t->step, why.msg,
                 path_exists(str_text(&t->state_path)) ? "; the last checkpoint stays" : "");
        if (rc != 0)
            FAIL(st, (enum rc)rc, "%s", why.msg);
    }
    TRY(finish(t, st));
    result.steps = t->step;
    result.loss_first = t->loss_first;
    result.loss_last = t->loss_last;
    result.tokens = t->plan.tokens;
    result.supervised = t->plan.supervised;
    *out = result;
out:
    return rc;
}

/* ---- for tests ---- */

int train_adapter(struct train *t, struct adapter *out, struct status *st)
{
    return lora_read(&t->lora, out, st);
}
