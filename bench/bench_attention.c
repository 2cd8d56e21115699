/* GFLOP/s of attention, one JSON line for each pass, variant and batch at the heads of SmolLM2-135M, and the
 * share of what the device does with products and sums alone. LETHE_BENCH_ALL=1: every variant, not only the
 * chosen one.
 *
 *   bench_attention [rounds [variant.pass]]    for one of them alone
 *
 * Only keys that a query sees are counted: 4 operations for each of its elements forward, 6 for dq, 8 for dk
 * and dv. wall: best round. cpu: from processor seconds of all threads (software devices only). first:
 * seconds of the first call, with the pipeline made. */
#include "base/alloc.h"
#include "base/file.h"
#include "gpu/device.h"
#include "gpu/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 512, HEADS = 9, KV_HEADS = 3, WIDTH = 64, REPEAT = 4 };
enum { Q, K, V, O, LSE, SPAN, DO, DQ, DK, DV, BLOCK, BUFFERS };

/* Sequences of `tokens` rows, behind one prefix of `prefix` rows. */
static const struct batch {
    uint32_t rows, prefix, tokens;
} BATCHES[] = { { 512, 0, 512 }, { 128, 0, 128 }, { 480, 0, 12 }, { 500, 0, 25 }, { 512, 32, 12 } };

static const char *const PASSES[] = { "fwd", "bwd0", "bwd1" };

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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

static int fill(struct gpu *g, const struct gpu_buffer *b, struct status *st)
{
    int rc = 0;
    const size_t n = b->bytes / sizeof(float);
    float *values = mem_calloc(n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for %zu values", n);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)((i * 2654435761u >> 16) % 1000) * 4e-3f - 2;
    TRY(gpu_write(g, b, 0, values, b->bytes, st));
out:
    mem_free(values);
    return rc;
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

/* Seconds of the best of some runs, on the wall and of the processor. */
static int time_calls(struct gpu *g, const struct op_call *call, int rounds, double *wall, double *cpu,
                      double *first, struct status *st)
{
    int rc = 0;
    *wall = *cpu = 1e30;
    *first = clock_seconds();
    TRY(op_run(g, call, st)); /* compiles, and touches the pages */
    TRY(gpu_submit(g, st));
    *first = clock_seconds() - *first;
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

static int peak_measure(struct gpu *g, const struct gpu_buffer *b, int rounds, struct peak *out,
                        struct status *st)
{
    int rc = 0;
    enum { ELEMENTS = 1 << 17, ROUNDS = 512 };
    const double flop = 2.0 * PEAK_CHAINS * ELEMENTS * ROUNDS * REPEAT;
    double wall, cpu, first;
    struct op_call call = { .op = OP_peak,
                            .args = { .p = { b[Q].addr, b[O].addr }, .d = { ELEMENTS, ROUNDS } } };
    TRY(time_calls(g, &call, rounds, &wall, &cpu, &first, st));
    *out = (struct peak){ flop / wall * 1e-9, flop / cpu * 1e-9 };
    printf("{\"bench\":\"peak\",\"device\":\"%s\",\"gflops\":%.2f,\"gflops_per_cpu\":%.2f}\n",
           gpu_get_info(g)->name, out->gflops, out->per_cpu);
out:
    return rc;
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
                   double pairs, int rounds, const struct peak *peak, struct status *st)
{
    int rc = 0;
    const double flop = (4 + 2 * (int)call->pass) * pairs * HEADS * WIDTH * REPEAT;
    double wall, cpu, first;
    TRY(bind(g, b, call, batch->rows, st));
    TRY(time_calls(g, call, rounds, &wall, &cpu, &first, st));
    printf("{\"bench\":\"attention\",\"device\":\"%s\",\"driver\":\"%s\",\"variant\":\"%s\",\"pass\":\"%s\","
           "\"rows\":%" PRIu32 ",\"prefix\":%" PRIu32 ",\"tokens\":%" PRIu32
           ",\"ms\":%.3f,\"gflops\":%.2f,\"of_peak\":%.3f,\"of_peak_per_cpu\":%.3f,\"first_s\":%.2f}\n",
           gpu_get_info(g)->name, gpu_get_info(g)->driver_version, variant_name(call->variant),
           PASSES[call->pass], batch->rows, batch->prefix, batch->tokens, wall / REPEAT * 1e3,
           flop / wall * 1e-9, flop / wall * 1e-9 / peak->gflops, flop / cpu * 1e-9 / peak->per_cpu, first);
out:
    return rc;
}

static bool wanted(const struct gpu *g, const struct op_call *call, const char *only)
{
    char name[32];
    if (!only)
        return op_choose(g, call->op, call->pass) == call->variant || getenv("LETHE_BENCH_ALL");
    snprintf(name, sizeof name, "%s.%s", variant_name(call->variant), PASSES[call->pass]);
    return strcmp(name, only) == 0;
}

static int run(struct gpu *g, int rounds, const char *only, struct status *st)
{
    int rc = 0;
    struct gpu_buffer b[BUFFERS] = { 0 };
    struct peak peak = { 0 };
    for (int i = 0; i < BUFFERS; i++) {
        TRY(gpu_alloc(g, bytes_of(i), "a tensor", &b[i], st));
        if (i != SPAN && i != BLOCK)
            TRY(fill(g, &b[i], st));
    }
    TRY(peak_measure(g, b, rounds < 5 ? rounds : 5, &peak, st));
    for (size_t s = 0; s < sizeof BATCHES / sizeof *BATCHES; s++) {
        double pairs;
        TRY(spans_write(g, &b[SPAN], &BATCHES[s], &pairs, st));
        for (int pass = 0; pass < PASS_COUNT; pass++)
            for (int v = 0; v < VARIANT_COUNT; v++) {
                struct op_call call = { .op = OP_attention,
                                        .pass = (enum pass)pass,
                                        .variant = (enum variant)v };
                const bool sound = pass != PASS_bwd1 || BATCHES[s].prefix == 0;
                if (sound && op_serves(g, call.op, call.pass, call.variant) && wanted(g, &call, only))
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
    struct gpu *g = NULL;
    struct status st = { 0 };
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    int rc = gpu_open(NULL, &g, &st);
    if (rc == 0)
        rc = run(g, rounds > 0 ? rounds : 1, argc > 2 ? argv[2] : NULL, &st);
    gpu_close(g);
    if (rc != 0)
        fprintf(stderr, "bench_attention: %s\n", st.msg);
    return status_exit(rc);
}
