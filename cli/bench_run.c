#include "cli/bench.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "cli/host.h"
#include "gpu/op.h"
#include "model/graph.h"
#include "train/train.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1 };

/* ---- peaks ---- */

static const double LEAST_S = 0.03; /* of one measurement, so that its start does not count */
enum { PEAK_ELEMENTS = 1 << 18, PEAK_TIMES = 10, COPY_BYTES = 64 << 20 };

static int peak_once(struct gpu *g, const struct gpu_buffer *b, uint32_t rounds, double *s, struct status *st)
{
    int rc = 0;
    const struct op_call call = { .op = OP_peak,
                                  .args = { .p = { b->addr, b->addr + PEAK_ELEMENTS * sizeof(float) },
                                            .d = { PEAK_ELEMENTS, rounds } } };
    TRY(op_run(g, &call, st));
    *s = clock_seconds();
    TRY(gpu_submit(g, st));
    *s = clock_seconds() - *s;
out:
    return rc;
}

static int flops_measure(struct gpu *g, double *gflops, struct status *st)
{
    int rc = 0;
    double s = 0;
    uint32_t rounds = 16;
    struct gpu_buffer b = { 0 };
    TRY(gpu_alloc(g, (uint64_t)2 * PEAK_ELEMENTS * sizeof(float), "peak", &b, st));
    TRY(peak_once(g, &b, 1, &s, st)); /* compiles, and touches the pages */
    for (int i = 0; i < PEAK_TIMES;) {
        TRY(peak_once(g, &b, rounds, &s, st));
        if (s < LEAST_S && rounds < 1 << 24) {
            rounds *= 2;
            continue;
        }
        const double rate = 2.0 * PEAK_CHAINS * PEAK_ELEMENTS * rounds / s * 1e-9;
        *gflops = rate > *gflops ? rate : *gflops;
        i++;
    }
out:
    gpu_free(g, &b);
    return rc;
}

static int copy_measure(struct gpu *g, double *gbs, struct status *st)
{
    int rc = 0;
    struct gpu_buffer from = { 0 }, to = { 0 };
    TRY(gpu_alloc(g, COPY_BYTES, "copy", &from, st));
    TRY(gpu_alloc(g, COPY_BYTES, "copy", &to, st));
    for (int i = 0, times = 1; i < PEAK_TIMES;) {
        for (int k = 0; k < times; k++)
            TRY(gpu_copy(g, &from, 0, &to, 0, COPY_BYTES, st));
        double s = clock_seconds();
        TRY(gpu_submit(g, st));
        s = clock_seconds() - s;
        if (s < LEAST_S && times < 1 << 16) {
            times *= 2;
            continue;
        }
        const double rate = 2.0 * COPY_BYTES * times / s * 1e-9;
        *gbs = rate > *gbs ? rate : *gbs;
        i++;
    }
out:
    gpu_free(g, &from);
    gpu_free(g, &to);
    return rc;
}

int bench_peak(struct gpu *g, struct bench_peak *best, struct status *st)
{
    int rc = 0;
    TRY(flops_measure(g, &best->gflops, st));
    TRY(copy_measure(g, &best->copy, st));
out:
    return rc;
}

double bench_ideal(const struct gpu_time *k, const struct bench_peak *peak)
{
    const double flops = (double)k->flops / peak->gflops * 1e-9, bytes = (double)k->bytes / peak->copy * 1e-9;
    return flops > bytes ? flops : bytes;
}

/* ---- one sequence ---- */

struct subject {
    struct model *m;
    const struct bench_options *o;
    struct recipe recipe;
    struct data data;
    struct data_sequence sequence;
    int32_t *ids;  /* [tokens] */
    uint8_t *mask; /* [tokens] */
    double *times; /* [rounds] */
};

static int subject_open(const struct model_hyper *h, const struct bench_options *o, struct subject *s,
                        struct status *st)
{
    int rc = 0;
    s->o = o;
    s->ids = mem_calloc(o->tokens, sizeof *s->ids);
    s->mask = mem_calloc(o->tokens, 1);
    s->times = mem_calloc(o->rounds, sizeof *s->times);
    if (!s->ids || !s->mask || !s->times)
        FAIL(st, RC_NOMEM, "no memory for %" PRIu32 " tokens", o->tokens);
    for (uint32_t i = 0; i < o->tokens; i++) {
        const struct rng_block b = rng_at(SEED, RNG_SAMPLING, i, 0, 0);
        s->ids[i] = (int32_t)rng_below((uint64_t)b.w[0] << 32 | b.w[1], h->vocab);
        s->mask[i] = i > 0;
    }
    s->sequence =
        (struct data_sequence){ .n = o->tokens, .supervised = o->tokens - 1, .ids = s->ids, .mask = s->mask };
    s->data = (struct data){ .sequences = &s->sequence, .sequences_n = 1, .longest = o->tokens };
    TRY(recipe_init(o->full ? "full" : "lora", &s->recipe, st));
    s->recipe.seed = SEED;
    s->recipe.rank = o->full ? 0 : o->rank;
    s->recipe.length = o->tokens;
    s->recipe.batch = 1;
    s->recipe.epochs = BENCH_ROUNDS_MAX + 10;
out:
    return rc;
}

static void subject_release(struct subject *s)
{
    mem_free(s->ids);
    mem_free(s->mask);
    mem_free(s->times);
}

int bench_plan(const struct model_hyper *h, const struct bench_options *o, uint64_t *out, struct status *st)
{
    int rc = 0;
    struct subject s = { 0 };
    struct train_plan plan;
    TRY(subject_open(h, o, &s, st));
    TRY(train_plan(h, &(struct train_options){ .recipe = &s.recipe, .data = &s.data }, &plan, st));
    *out = plan.device_bytes;
out:
    subject_release(&s);
    return rc;
}

/* ---- timing ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, uint32_t n)
{
    qsort(times, n, sizeof *times, by_value);
    return n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
}

static int interrupted(struct status *st)
{
    return cli_stop ? status_fail(st, RC_INTERRUPTED, "stopped") : 0;
}

/* One more step, every kernel of it timed. */
static int kernels_time(struct subject *s, struct train *t, struct bench_result *out, struct status *st)
{
    int rc = 0;
    struct train_step step;
    struct status why = { 0 };
    const struct gpu_time *rows;
    size_t n = 0;
    struct gpu *g = model_get_gpu(s->m);
    rc = gpu_time_begin(g, &why);
    if (rc == RC_UNSUPPORTED) {
        rc = 0;
        goto out;
    }
    if (rc != 0)
        FAIL(st, (enum rc)rc, "%s", why.msg);
    TRY(train_step(t, &step, st));
    TRY(gpu_time_read(g, &rows, &n, st));
    out->kernels = mem_calloc(n, sizeof *out->kernels);
    if (!out->kernels)
        FAIL(st, RC_NOMEM, "no memory for %zu kernels", n);
    memcpy(out->kernels, rows, n * sizeof *rows);
    out->kernels_n = n;
    for (size_t i = 0; i < n; i++)
        out->kernels_s += (double)rows[i].ns * 1e-9;
out:
    gpu_time_end(g);
    return rc;
}

static int steps_time(struct subject *s, struct bench_result *out, struct status *st)
{
    int rc = 0;
    struct train *t = NULL;
    struct train_step step;
    TRY(train_open(s->m,
                   &(struct train_options){ .recipe = &s->recipe, .data = &s->data, .again = s->o->again },
                   &t, st));
    out->again = train_again(t);
    TRY(train_step(t, &step, st)); /* compiles, and touches the pages */
    for (uint32_t i = 0; i < s->o->rounds; i++) {
        TRY(interrupted(st));
        s->times[i] = clock_seconds();
        TRY(train_step(t, &step, st));
        s->times[i] = clock_seconds() - s->times[i];
    }
    out->step_s = median(s->times, s->o->rounds);
    out->device_bytes = gpu_bytes_used(model_get_gpu(s->m));
    out->host_bytes = host_most_bytes();
    TRY(interrupted(st));
    TRY(kernels_time(s, t, out, st));
out:
    train_close(t);
    return rc;
}

static int forwards_time(struct subject *s, struct bench_result *out, struct status *st)
{
    int rc = 0;
    const uint32_t n = s->o->tokens;
    struct graph *g = NULL;
    uint32_t *positions = mem_calloc(n, sizeof *positions);
    struct graph_span *spans = mem_calloc(n, sizeof *spans);
    struct graph_pick *picks = mem_calloc(n, sizeof *picks);
    if (!positions || !spans || !picks)
        FAIL(st, RC_NOMEM, "no memory for %" PRIu32 " tokens", n);
    for (uint32_t i = 0; i < n; i++) {
        positions[i] = i;
        spans[i] = (struct graph_span){ .end = n };
    }
    const struct graph_batch batch = { .rows = n,
                                       .ids = s->ids,
                                       .positions = positions,
                                       .spans = spans,
                                       .picks = n,
                                       .pick_rows = positions,
                                       .targets = s->ids };
    TRY(graph_open(s->m, &(struct graph_options){ .rows_max = n }, &g, st));
    TRY(graph_forward(g, &batch, picks, st));
    for (uint32_t i = 0; i < s->o->rounds; i++) {
        TRY(interrupted(st));
        s->times[i] = clock_seconds();
        TRY(graph_forward(g, &batch, picks, st));
        s->times[i] = clock_seconds() - s->times[i];
    }
    out->forward_s = median(s->times, s->o->rounds);
out:
    graph_close(g);
    mem_free(positions);
    mem_free(spans);
    mem_free(picks);
    return rc;
}

int bench_run(struct model *m, const struct bench_options *o, struct bench_result *out, struct status *st)
{
    int rc = 0;
    struct subject s = { .m = m };
    struct bench_result r = { 0 };
    TRY(subject_open(model_get_hyper(m), o, &s, st));
    TRY(steps_time(&s, &r, st)); /* first: what is measured of memory is then its own */
    TRY(bench_peak(model_get_gpu(m), &r.peak, st));
    TRY(forwards_time(&s, &r, st));
    TRY(bench_peak(model_get_gpu(m), &r.peak, st)); /* a busy machine disturbs one of two rather than both */
    *out = r;
    r = (struct bench_result){ 0 };
out:
    bench_release(&r);
    subject_release(&s);
    return rc;
}

void bench_release(struct bench_result *r)
{
    mem_free(r->kernels);
    *r = (struct bench_result){ 0 };
}
