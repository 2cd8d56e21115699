/* GFLOP/s of attention, one JSON line for each pass, variant and batch at the heads of SmolLM2-135M, and the
 * share of what the device does with products and sums alone. LETHE_BENCH_ALL=1: every variant, not only the
 * chosen one.
 *
 *   bench_attention [rounds [variant.pass]]    for one of them alone
 *
 * Only keys that a query sees are counted: 4 operations for each of its elements forward, 6 for dq, 8 for dk
 * and dv. wall: best round. cpu: from processor seconds of all threads (software devices only). first:
 * seconds of the first call, with the pipeline made. */
#include "bench/timing.h"

#include <inttypes.h>
#include <stdio.h>

enum { ROWS = 512, HEADS = 9, KV_HEADS = 3, WIDTH = 64, REPEAT = 4 };
_Static_assert(ROWS *HEADS *WIDTH * sizeof(float) >= TIMING_PEAK_BYTES, "q and o serve the peak");
enum { Q, K, V, O, LSE, SPAN, DO, DQ, DK, DV, BLOCK, BUFFERS };

/* Sequences of `tokens` rows, behind one prefix of `prefix` rows. */
static const struct batch {
    uint32_t rows, prefix, tokens;
} BATCHES[] = { { 512, 0, 512 }, { 128, 0, 128 }, { 480, 0, 12 }, { 500, 0, 25 }, { 512, 32, 12 } };

static uint64_t bytes_of(int buffer)
{
    switch (buffer) {
    case LSE:
        return ROWS * HEADS * sizeof(float);
    case SPAN:
        return ROWS * 4 * sizeof(uint32_t);
    case BLOCK:
        return 10 * sizeof(uint64_t);
    default: /* keys and values take less */
        return ROWS * HEADS * WIDTH * sizeof(float);
    }
}

/* Spans of the batch, and how many pairs of a query and its key they make. */
static int spans_write(struct gpu *g, const struct gpu_buffer *b, const struct batch *batch, double *pairs,
                       struct status *st)
{
    static uint32_t spans[ROWS * 4];
    *pairs = 0;
    for (uint32_t row = 0; row < batch->rows; row++) {
        const bool own = row >= batch->prefix;
        const uint32_t first = own ? row - (row - batch->prefix) % batch->tokens : 0;
        uint32_t end = own ? first + batch->tokens : batch->prefix;
        end = end < batch->rows ? end : batch->rows;
        spans[row * 4] = 0;
        spans[row * 4 + 1] = own ? batch->prefix : 0;
        spans[row * 4 + 2] = first;
        spans[row * 4 + 3] = end;
        *pairs += spans[row * 4 + 1] + row - first + 1;
    }
    return gpu_write(g, b, 0, spans, sizeof spans, st);
}

static int bind(struct gpu *g, const struct gpu_buffer *b, struct op_call *call, uint32_t rows,
                struct status *st)
{
    int rc = 0;
    static const int ALL[9] = { Q, K, V, O, LSE, SPAN, DO, DK, DV };
    uint64_t block[9];
    for (int i = 0; i < 9; i++)
        block[i] = b[ALL[i]].addr;
    call->args = (struct op_args){ .d = { rows * HEADS, HEADS, KV_HEADS, WIDTH }, .f = { 0.125f } };
    for (int i = 0; i < 7; i++)
        call->args.p[i] = block[i];
    call->args.p[7] = b[DQ].addr;
    if (call->pass == PASS_bwd1) {
        call->args.d[0] = rows * KV_HEADS;
        call->args.p[0] = b[BLOCK].addr;
        TRY(gpu_write(g, &b[BLOCK], 0, block, sizeof block, st));
    }
out:
    return rc;
}

static int measure(struct gpu *g, const struct gpu_buffer *b, struct op_call *call, const struct batch *batch,
                   double pairs, int rounds, const struct timing_peak *peak, struct status *st)
{
    int rc = 0;
    const double flop = (4 + 2 * (int)call->pass) * pairs * HEADS * WIDTH * REPEAT;
    struct timing t;
    TRY(bind(g, b, call, batch->rows, st));
    TRY(timing_calls(g, call, rounds, REPEAT, &t, st));
    printf("{\"bench\":\"attention\",\"device\":\"%s\",\"driver\":\"%s\",\"variant\":\"%s\",\"pass\":\"%s\","
           "\"rows\":%" PRIu32 ",\"prefix\":%" PRIu32 ",\"tokens\":%" PRIu32
           ",\"ms\":%.3f,\"gflops\":%.2f,\"of_peak\":%.3f,\"of_peak_per_cpu\":%.3f,\"first_s\":%.2f}\n",
           gpu_get_info(g)->name, gpu_get_info(g)->driver_version, variant_name(call->variant),
           pass_name(call->pass), batch->rows, batch->prefix, batch->tokens, t.wall / REPEAT * 1e3,
           flop / t.wall * 1e-9, flop / t.wall * 1e-9 / peak->gflops, flop / t.cpu * 1e-9 / peak->per_cpu,
           t.first);
out:
    return rc;
}

static int run(struct gpu *g, int rounds, const char *only, struct status *st)
{
    int rc = 0;
    struct gpu_buffer b[BUFFERS] = { 0 };
    struct timing_peak peak = { 0 };
    for (int i = 0; i < BUFFERS; i++) {
        TRY(gpu_alloc(g, bytes_of(i), "a tensor", &b[i], st));
        if (i != SPAN && i != BLOCK)
            TRY(timing_fill(g, &b[i], -2, 4, st));
    }
    TRY(timing_peak(g, b[Q].addr, b[O].addr, rounds < 5 ? rounds : 5, &peak, st));
    for (size_t s = 0; s < sizeof BATCHES / sizeof *BATCHES; s++) {
        double pairs;
        TRY(spans_write(g, &b[SPAN], &BATCHES[s], &pairs, st));
        for (int pass = 0; pass < PASS_COUNT; pass++)
            for (int v = 0; v < VARIANT_COUNT; v++) {
                struct op_call call = { .op = OP_attention,
                                        .pass = (enum pass)pass,
                                        .variant = (enum variant)v };
                const bool sound = pass != PASS_bwd1 || BATCHES[s].prefix == 0;
                if (sound && op_serves(g, call.op, call.pass, call.variant) && timing_wanted(g, &call, only))
                    TRY(measure(g, b, &call, &BATCHES[s], pairs, rounds, &peak, st));
            }
    }
out:
    for (int i = 0; i < BUFFERS; i++)
        gpu_free(g, &b[i]);
    return rc;
}

int main(int argc, char **argv)
{
    return timing_main(argc, argv, "bench_attention", run);
}
