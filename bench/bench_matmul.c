/* GFLOP/s of the product, one JSON line for each pass and shape of SmolLM2-135M at 512 tokens (and one of
 * 480), and its share of what the device does with products and sums alone, measured again before each shape:
 * the best so far counts. LETHE_BENCH_ALL=1: every variant, not only the chosen
 * one.
 *
 *   bench_matmul [rounds]
 *
 * wall: best round. cpu: from processor seconds of all threads, which holds up on a busy machine (software
 * devices only). Timings decide nothing; the line names the device, so that ratios travel. */
#include "base/alloc.h"
#include "base/file.h"
#include "gpu/device.h"
#include "gpu/op.h"
#include "gpu/weight.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 512, REPEAT = 4 };

static const struct shape {
    uint32_t m, n, k;
} SHAPES[] = {
    { ROWS, 576, 576 },  { ROWS, 192, 576 },  { ROWS, 1536, 576 },
    { ROWS, 576, 1536 }, { ROWS, 2048, 576 }, { 480, 1920, 576 },
};

struct buffers {
    struct gpu_buffer x, w, y, dw;
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fill(struct gpu *g, const struct gpu_buffer *b, struct status *st)
{
    int rc = 0;
    size_t n = b->bytes / sizeof(float);
    float *values = mem_calloc(n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for %zu values", n);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)((i * 2654435761u >> 16) % 1000) * 1e-3f - 0.5f;
    TRY(gpu_write(g, b, 0, values, b->bytes, st));
out:
    mem_free(values);
    return rc;
}

static void bind(const struct buffers *b, struct op_call *call, const struct shape *s, enum weight format)
{
    const uint32_t m = s->m, n = s->n, k = s->k;
    const uint64_t x = b->x.addr, w = b->w.addr, y = b->y.addr, dw = b->dw.addr;
    const uint32_t ldx = k + 16, ldy = n + 16;
    const uint64_t groups = w + weight_units_bytes(format, n, k);
    const struct op_args args[PASS_COUNT] = {
        { .p = { x, w, y, 0, 0, 0, 0, groups }, .d = { m, n, k, ldx, ldy, 0, format } },
        { .p = { 0, w, y, x, 0, 0, w, groups }, .d = { m, n, k, ldy, ldx, 0, format } },
        { .p = { x, 0, y, dw }, .d = { m, n, k, ldx, ldy } },
    };
    call->args = args[call->pass];
}

/* Seconds of the best of some runs, on the wall and of the processor. */
static int time_calls(struct gpu *g, const struct op_call *call, int rounds, double *wall, double *cpu,
                      struct status *st)
{
    int rc = 0;
    *wall = *cpu = 1e30;
    TRY(op_run(g, call, st)); /* compiles, and touches the pages */
    TRY(gpu_submit(g, st));
    for (int round = 0; round < rounds; round++) {
        double w = clock_seconds(), c = cpu_seconds();
        for (int i = 0; i < REPEAT; i++)
            TRY(op_run(g, call, st));
        TRY(gpu_submit(g, st));
        w = clock_seconds() - w;
        c = cpu_seconds() - c;
        *wall = w < *wall ? w : *wall;
        *cpu = c < *cpu ? c : *cpu;
    }
out:
    return rc;
}

struct peak {
    double gflops, per_cpu;
};

static int peak_measure(struct gpu *g, const struct buffers *b, int rounds, struct peak *out,
                        struct status *st)
{
    int rc = 0;
    enum { ELEMENTS = 1 << 18, ROUNDS = 256 };
    const double flop = 2.0 * PEAK_CHAINS * ELEMENTS * ROUNDS * REPEAT;
    double wall, cpu;
    struct op_call call = { .op = OP_peak,
                            .args = { .p = { b->x.addr, b->y.addr }, .d = { ELEMENTS, ROUNDS } } };
    TRY(time_calls(g, &call, rounds, &wall, &cpu, st));
    out->gflops = fmax(out->gflops, flop / wall * 1e-9);
    out->per_cpu = fmax(out->per_cpu, flop / cpu * 1e-9);
    printf("{\"bench\":\"peak\",\"device\":\"%s\",\"gflops\":%.2f,\"gflops_per_cpu\":%.2f}\n",
           gpu_get_info(g)->name, out->gflops, out->per_cpu);
out:
    return rc;
}

static int measure(struct gpu *g, const struct buffers *b, struct op_call *call, const struct shape *s,
                   enum weight format, int rounds, const struct peak *peak, struct status *st)
{
    static const char *const PASSES[] = { "fwd", "bwd0", "bwd1" };
    int rc = 0;
    const double flop = 2.0 * s->m * s->n * s->k * REPEAT;
    double wall, cpu;
    bind(b, call, s, format);
    TRY(time_calls(g, call, rounds, &wall, &cpu, st));
    printf("{\"bench\":\"matmul\",\"device\":\"%s\",\"driver\":\"%s\",\"variant\":\"%s\",\"pass\":\"%s\","
           "\"weight\":\"%s\","
           "\"m\":%" PRIu32 ",\"n\":%" PRIu32 ",\"k\":%" PRIu32 ",\"gflops\":%.2f,\"of_peak\":%.3f,"
           "\"gflops_per_cpu\":%.2f,\"of_peak_per_cpu\":%.3f}\n",
           gpu_get_info(g)->name, gpu_get_info(g)->driver_version, variant_name(call->variant),
           PASSES[call->pass], call->pass == PASS_bwd1 ? "f32" : weight_name(format), s->m, s->n, s->k,
           flop / wall * 1e-9, flop / wall * 1e-9 / peak->gflops, flop / cpu * 1e-9,
           flop / cpu * 1e-9 / peak->per_cpu);
out:
    return rc;
}

static int measure_variants(struct gpu *g, const struct buffers *b, const struct shape *s, enum pass pass,
                            enum weight format, int rounds, const struct peak *peak, struct status *st)
{
    int rc = 0;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_matmul, .pass = pass, .variant = (enum variant)v };
        if (op_serves(g, call.op, pass, call.variant) &&
            (op_choose(g, call.op, pass) == call.variant || getenv("LETHE_BENCH_ALL")))
            TRY(measure(g, b, &call, s, format, rounds, peak, st));
    }
out:
    return rc;
}

static int run(struct gpu *g, int rounds, struct status *st)
{
    int rc = 0;
    struct buffers b = { 0 };
    struct peak peak = { 0 };
    const uint64_t most = 2048 + 16, floats = sizeof(float);
    TRY(gpu_alloc(g, (ROWS + 16) * most * floats, "x", &b.x, st));
    TRY(gpu_alloc(g, most * 1536 * floats, "w", &b.w, st));
    TRY(gpu_alloc(g, (ROWS + 16) * most * floats, "y", &b.y, st));
    TRY(gpu_alloc(g, most * 1536 * floats, "dw", &b.dw, st));
    TRY(fill(g, &b.x, st));
    TRY(fill(g, &b.w, st));
    TRY(fill(g, &b.y, st));
    for (size_t s = getenv("LETHE_BENCH_SHAPE") ? strtoul(getenv("LETHE_BENCH_SHAPE"), NULL, 10) : 0;
         s < sizeof SHAPES / sizeof *SHAPES; s++) {
        TRY(peak_measure(g, &b, rounds, &peak, st));
        for (int pass = 0; pass < PASS_COUNT; pass++)
            for (int w = 0; w < (pass == PASS_bwd1 ? 1 : WEIGHT_COUNT); w++)
                TRY(measure_variants(g, &b, &SHAPES[s], (enum pass)pass, (enum weight)w, rounds, &peak, st));
    }
out:
    gpu_free(g, &b.x);
    gpu_free(g, &b.w);
    gpu_free(g, &b.y);
    gpu_free(g, &b.dw);
    return rc;
}

int main(int argc, char **argv)
{
    struct gpu *g = NULL;
    struct status st = { 0 };
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    int rc = gpu_open(NULL, &g, &st);
    if (rc == 0)
        rc = run(g, rounds > 0 ? rounds : 1, &st);
    gpu_close(g);
    if (rc != 0)
        fprintf(stderr, "bench_matmul: %s\n", st.msg);
    return status_exit(rc);
}
