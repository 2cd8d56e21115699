/* GFLOP/s of the product, one JSON line for each pass and shape of SmolLM2-135M at 512 tokens (and one of
 * 480), and its share of what the device does with products and sums alone, measured again before each shape:
 * the best so far counts. LETHE_BENCH_ALL=1: every variant, not only the chosen
 * one.
 *
 *   bench_matmul [rounds [variant.pass]]    for one of them alone
 *
 * wall: best round. cpu: from processor seconds of all threads, which holds up on a busy machine (software
 * devices only). Timings decide nothing; the line names the device, so that ratios travel. */
#include "bench/timing.h"
#include "gpu/weight.h"

#include <inttypes.h>
#include <stdio.h>

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

static int measure(struct gpu *g, const struct buffers *b, struct op_call *call, const struct shape *s,
                   enum weight format, int rounds, const struct timing_peak *peak, struct status *st)
{
    int rc = 0;
    const double flop = 2.0 * s->m * s->n * s->k * REPEAT;
    struct timing t;
    bind(b, call, s, format);
    TRY(timing_calls(g, call, rounds, REPEAT, &t, st));
    printf("{\"bench\":\"matmul\",\"device\":\"%s\",\"driver\":\"%s\",\"variant\":\"%s\",\"pass\":\"%s\","
           "\"weight\":\"%s\","
           "\"m\":%" PRIu32 ",\"n\":%" PRIu32 ",\"k\":%" PRIu32 ",\"gflops\":%.2f,\"of_peak\":%.3f,"
           "\"gflops_per_cpu\":%.2f,\"of_peak_per_cpu\":%.3f}\n",
           gpu_get_info(g)->name, gpu_get_info(g)->driver_version, variant_name(call->variant),
           pass_name(call->pass), call->pass == PASS_bwd1 ? "f32" : weight_name(format), s->m, s->n, s->k,
           flop / t.wall * 1e-9, flop / t.wall * 1e-9 / peak->gflops, flop / t.cpu * 1e-9,
           flop / t.cpu * 1e-9 / peak->per_cpu);
out:
    return rc;
}

static int measure_variants(struct gpu *g, const struct buffers *b, const struct shape *s, enum pass pass,
                            enum weight format, int rounds, const char *only, const struct timing_peak *peak,
                            struct status *st)
{
    int rc = 0;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_matmul, .pass = pass, .variant = (enum variant)v };
        if (op_serves(g, call.op, pass, call.variant) && timing_wanted(g, &call, only))
            TRY(measure(g, b, &call, s, format, rounds, peak, st));
    }
out:
    return rc;
}

static int run(struct gpu *g, int rounds, const char *only, struct status *st)
{
    int rc = 0;
    struct buffers b = { 0 };
    struct timing_peak peak = { 0 };
    const uint64_t most = 2048 + 16, floats = sizeof(float);
    TRY(gpu_alloc(g, (ROWS + 16) * most * floats, "x", &b.x, st));
    TRY(gpu_alloc(g, most * 1536 * floats, "w", &b.w, st));
    TRY(gpu_alloc(g, (ROWS + 16) * most * floats, "y", &b.y, st));
    TRY(gpu_alloc(g, most * 1536 * floats, "dw", &b.dw, st));
    TRY(timing_fill(g, &b.x, -0.5f, 1, st));
    TRY(timing_fill(g, &b.w, -0.5f, 1, st));
    TRY(timing_fill(g, &b.y, -0.5f, 1, st));
    for (size_t s = 0; s < sizeof SHAPES / sizeof *SHAPES; s++) {
        TRY(timing_peak(g, b.x.addr, b.y.addr, rounds, &peak, st));
        for (int pass = 0; pass < PASS_COUNT; pass++)
            for (int w = 0; w < (pass == PASS_bwd1 ? 1 : WEIGHT_COUNT); w++)
                TRY(measure_variants(g, &b, &SHAPES[s], (enum pass)pass, (enum weight)w, rounds, only, &peak,
                                     st));
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
    return timing_main(argc, argv, "bench_matmul", run);
}
