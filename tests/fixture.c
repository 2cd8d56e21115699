#include "tests/fixture.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/rng.h"
#include "train/train.h"
#include "train/train_own.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 3, SEED = 7 };

static struct status st;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static const struct safetensors_tensor *tensor(const struct safetensors *g, const char *name)
{
    const struct safetensors_tensor *t = safetensors_find(g, name);
    ck_assert_msg(t != NULL, "no golden tensor '%s'", name);
    return t;
}

float *golden_f32(const struct safetensors *g, const char *name, size_t *n)
{
    const struct safetensors_tensor *t = tensor(g, name);
    float *out = mem_calloc(t->n, sizeof *out);
    ck_assert_ptr_nonnull(out);
    OK(safetensors_f32(t, out, &st));
    *n = t->n;
    return out;
}

int32_t *golden_ids(const struct safetensors *g, const char *name, size_t *n)
{
    const struct safetensors_tensor *t = tensor(g, name);
    int32_t *out = mem_calloc(t->n, sizeof *out);
    ck_assert_ptr_nonnull(out);
    OK(safetensors_i32(t, out, &st));
    *n = t->n;
    return out;
}

void golden_batch(const struct safetensors *g, struct data *out)
{
    *out = (struct data){ 0 };
    out->sequences = mem_calloc(BATCH, sizeof *out->sequences);
    ck_assert_ptr_nonnull(out->sequences);
    for (int k = 0; k < BATCH; k++) {
        struct data_sequence *s = &out->sequences[out->sequences_n++];
        char name[32];
        size_t n = 0;
        snprintf(name, sizeof name, "batch.%d.ids", k);
        s->ids = golden_ids(g, name, &n);
        s->n = (uint32_t)n;
        snprintf(name, sizeof name, "batch.%d.mask", k);
        int32_t *wide = golden_ids(g, name, &n);
        uint8_t *mask = mem_calloc(n, 1);
        ck_assert_ptr_nonnull(mask);
        for (size_t i = 0; i < n; i++) {
            mask[i] = (uint8_t)wide[i];
            s->supervised += (uint32_t)wide[i];
        }
        mem_free(wide);
        s->mask = mask;
        out->longest = s->n > out->longest ? s->n : out->longest;
    }
}

void golden_batch_release(struct data *d)
{
    for (size_t i = 0; i < d->sequences_n; i++) {
        mem_free((void *)(uintptr_t)d->sequences[i].ids);
        mem_free((void *)(uintptr_t)d->sequences[i].mask);
    }
    mem_free(d->sequences);
    *d = (struct data){ 0 };
}

void golden_adapter(const struct model_hyper *h, uint32_t r, double alpha, uint64_t seed, struct adapter *out)
{
    const struct adapter_config config = { .r = r, .alpha = alpha, .targets = ROLE_BITS_LINEAR };
    OK(adapter_init(h, &config, out, &st));
    adapter_draw(out, seed);
    for (size_t i = 0; i < out->n; i++) {
        struct adapter_part *p = &out->parts[i];
        for (uint32_t e = 0; e < p->r * p->out; e++) {
            const struct rng_block b = rng_at(seed, RNG_INIT, e >> 2, p->tensor, 1);
            p->b[e] = (2 * rng_uniform(b.w[e & 3]) - 1) * 0.05f;
        }
    }
}

static double distance(const float *is, const float *want, size_t n)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        apart += ((double)is[i] - (double)want[i]) * ((double)is[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(apart / size);
}

bool golden_gradient(const struct safetensors *g, const struct model_hyper *h, const struct adapter_part *p,
                     double out[2])
{
    char path[ROLE_PATH_MAX], name[128];
    size_t n = 0;
    role_path(p->role, p->block, path);
    snprintf(name, sizeof name, "grad.%s.lora_A.weight", path);
    if (!safetensors_find(g, name))
        return false;
    float *a = golden_f32(g, name, &n);
    ck_assert_uint_eq(n, (size_t)p->r * p->in);
    out[0] = distance(p->a, a, n);
    mem_free(a);
    snprintf(name, sizeof name, "grad.%s.lora_B.weight", path);
    float *b = golden_f32(g, name, &n), *moved = mem_calloc(n, sizeof *moved);
    ck_assert_ptr_nonnull(moved);
    ck_assert_uint_eq(n, (size_t)p->r * p->out);
    for (uint32_t row = 0; row < p->out; row++)
        memcpy(moved + (size_t)row * p->r, b + (size_t)role_row_hf(h, p->role, row) * p->r, p->r * sizeof *b);
    out[1] = distance(p->b, moved, n);
    mem_free(b);
    mem_free(moved);
    return true;
}

/* A run over the golden batch that stands at the golden adapter. */
static struct train *run_open(struct model *m, const struct data *d, struct recipe *recipe, uint32_t r,
                              const char *lr, uint32_t steps)
{
    struct train *t = NULL;
    struct adapter x = { 0 };
    struct lora moved = { 0 };
    struct json *tree = NULL;
    struct str text = { 0 };
    str_printf(&text,
               "{\"name\":\"lora\",\"seed\":%d,\"rank\":%" PRIu32 ",\"alpha\":\"%" PRIu32
               "\",\"lr\":\"%s\",\"steps\":%" PRIu32
               ",\"batch\":3,\"length\":128,\"schedule\":\"constant\",\"warmup_steps\":0,"
               "\"weight_decay\":\"0.01\",\"clip\":\"0\"}",
               SEED, r, 2 * r, lr, steps);
    OK(json_parse(text.data, text.size, &tree, &st));
    OK(recipe_parse(tree, recipe, &st));
    OK(train_open(m, &(struct train_options){ .recipe = recipe, .data = d }, &t, &st));
    golden_adapter(model_get_hyper(m), r, 2 * r, SEED, &x);
    OK(lora_open(m, &x, &moved, &st));
    OK(gpu_copy(model_get_gpu(m), &moved.values, 0, &t->lora.values, 0, moved.n * sizeof(float), &st));
    OK(gpu_submit(model_get_gpu(m), &st));
    lora_close(&moved);
    adapter_release(&x);
    json_free(tree);
    str_release(&text);
    return t;
}

void golden_train(struct model *m, const struct safetensors *g, uint32_t r, const char *lr, uint32_t steps,
                  double *losses)
{
    struct data d;
    struct recipe recipe;
    golden_batch(g, &d);
    struct train *t = run_open(m, &d, &recipe, r, lr, steps);
    for (uint32_t i = 0; i < steps; i++) {
        struct train_step step;
        OK(train_step(t, &step, &st));
        losses[i] = step.loss;
    }
    train_close(t);
    golden_batch_release(&d);
}

void golden_backward(struct model *m, const struct safetensors *g, uint32_t r, struct adapter *out,
                     double *loss)
{
    struct data d;
    struct recipe recipe;
    struct train_step step;
    golden_batch(g, &d);
    struct train *t = run_open(m, &d, &recipe, r, "0", 1);
    OK(train_gradient(t, out, &step, &st));
    *loss = step.loss;
    train_close(t);
    golden_batch_release(&d);
}
