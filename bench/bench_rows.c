/* GB/s of the operators that move more than they compute, one JSON line for each pass and variant at the
 * sizes of SmolLM2-135M and 512 tokens, and the share of what a copy reaches. LETHE_BENCH_ALL=1: every
 * variant, not only the chosen one.
 *
 *   bench_rows [rounds [operator]]
 *
 * Bytes count each operand once (gpu/cost.h). wall: best round. cpu: from processor seconds of all threads
 * (software devices only). */
#include "base/file.h"
#include "bench/timing.h"
#include "gpu/cost.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 512, WIDTH = 576, MLP = 1536, CHUNK = 2048, LORA = 2442240, REPEAT = 8, FLOATS = 10 };
enum { BYTES = 12 << 20, COPY = 4 << 20 };

/* A letter for each pointer: a to j tensors, i row numbers, 0 none. */
static const struct row {
    enum op op;
    enum pass pass;
    const char *p;
    uint32_t d[5];
} TABLE[] = {
    { OP_rmsnorm, PASS_fwd, "abc", { ROWS, WIDTH } },
    { OP_rmsnorm, PASS_bwd0, "abcd", { ROWS, WIDTH } },
    { OP_rmsnorm, PASS_bwd1, "abcd", { ROWS, WIDTH } },
    { OP_rope, PASS_fwd, "aib", { ROWS * WIDTH / 2, 9, 64, WIDTH, 1 } },
    { OP_swiglu, PASS_fwd, "abc", { ROWS * MLP } },
    { OP_swiglu, PASS_bwd0, "abcd", { ROWS * MLP } },
    { OP_swiglu, PASS_bwd1, "abcd", { ROWS * MLP } },
    { OP_gather, PASS_fwd, "aib", { ROWS * WIDTH, WIDTH } },
    { OP_gather, PASS_bwd0, "0iab", { ROWS * WIDTH, WIDTH } },
    { OP_xent, PASS_fwd, "aib", { ROWS, CHUNK, CHUNK, 0, 1 } },
    { OP_xent, PASS_bwd0, "aibc", { ROWS, CHUNK, CHUNK, 0, 1 } },
    { OP_kl, PASS_fwd, "abcde", { ROWS, CHUNK, CHUNK, 1 } },
    { OP_sumsq, PASS_fwd, "ab", { 1, LORA, LORA } },
    { OP_adamw, PASS_fwd, "abcde", { LORA } },
    { OP_adamw, PASS_fwd, "abcdef", { MLP * WIDTH, WIDTH, MLP, MLP } },
};
enum { TABLE_ROWS = sizeof TABLE / sizeof *TABLE };

struct buffers {
    struct gpu_buffer floats[FLOATS], rows;
};

struct rate {
    double wall, cpu; /* GB/s */
};

static int buffers_open(struct gpu *g, struct buffers *b, struct status *st)
{
    int rc = 0;
    uint32_t rows[ROWS];
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i * 7 % ROWS;
    for (int i = 0; i < FLOATS; i++) {
        TRY(gpu_alloc(g, BYTES, "a tensor", &b->floats[i], st));
        TRY(timing_fill(g, &b->floats[i], 0.1f, 1, st));
    }
    TRY(gpu_alloc(g, sizeof rows, "rows", &b->rows, st));
    TRY(gpu_write(g, &b->rows, 0, rows, sizeof rows, st));
out:
    return rc;
}

static void buffers_close(struct gpu *g, struct buffers *b)
{
    for (int i = 0; i < FLOATS; i++)
        gpu_free(g, &b->floats[i]);
    gpu_free(g, &b->rows);
}

/* The best of some rounds of the call; of a copy where there is none. */
static int measure(struct gpu *g, const struct buffers *b, const struct op_call *call, int rounds,
                   struct rate *out, struct status *st)
{
    int rc = 0;
    const double bytes = call ? (double)op_cost(call).bytes : 2.0 * COPY;
    *out = (struct rate){ 0 };
    for (int round = 0; round <= rounds; round++) { /* the first compiles, and touches the pages */
        double w = clock_seconds(), c = timing_cpu_seconds();
        for (int i = 0; i < REPEAT; i++) {
            if (call)
                TRY(op_run(g, call, st));
            else
                TRY(gpu_copy(g, &b->floats[0], 0, &b->floats[1], 0, COPY, st));
        }
        TRY(gpu_submit(g, st));
        w = bytes * REPEAT / (clock_seconds() - w) * 1e-9;
        c = bytes * REPEAT / (timing_cpu_seconds() - c) * 1e-9;
        if (round > 0) {
            out->wall = w > out->wall ? w : out->wall;
            out->cpu = c > out->cpu ? c : out->cpu;
        }
    }
out:
    return rc;
}

static void call_make(const struct buffers *b, const struct row *row, enum variant variant,
                      struct op_call *call)
{
    *call = (struct op_call){ .op = row->op, .pass = row->pass, .variant = variant };
    memcpy(call->args.d, row->d, sizeof row->d);
    call->args.f[0] = 1e-5f;
    for (size_t i = 0; row->p[i]; i++)
        call->args.p[i] = row->p[i] == '0'   ? 0
                          : row->p[i] == 'i' ? b->rows.addr
                                             : b->floats[row->p[i] - 'a'].addr;
}

static int row_measure(struct gpu *g, const struct buffers *b, const struct row *row, int rounds,
                       const struct rate *copy, struct status *st)
{
    int rc = 0;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call;
        struct rate rate;
        call_make(b, row, (enum variant)v, &call);
        if (!op_serves(g, row->op, row->pass, call.variant) || !timing_wanted(g, &call, NULL))
            continue;
        TRY(measure(g, b, &call, rounds, &rate, st));
        printf("{\"bench\":\"rows\",\"device\":\"%s\",\"driver\":\"%s\",\"op\":\"%s\",\"variant\":\"%s\","
               "\"pass\":\"%s\",\"ms\":%.3f,\"gbytes\":%.2f,\"of_copy\":%.3f,\"of_copy_per_cpu\":%.3f}\n",
               gpu_get_info(g)->name, gpu_get_info(g)->driver_version, op_name(row->op),
               variant_name(call.variant), pass_name(row->pass),
               (double)op_cost(&call).bytes / rate.wall * 1e-6, rate.wall, rate.wall / copy->wall,
               rate.cpu / copy->cpu);
    }
out:
    return rc;
}

static int run(struct gpu *g, int rounds, const char *only, struct status *st)
{
    int rc = 0;
    struct buffers b = { 0 };
    struct rate copy;
    TRY(buffers_open(g, &b, st));
    TRY(measure(g, &b, NULL, rounds, &copy, st));
    printf("{\"bench\":\"copy\",\"device\":\"%s\",\"gbytes\":%.2f,\"gbytes_per_cpu\":%.2f}\n",
           gpu_get_info(g)->name, copy.wall, copy.cpu);
    for (size_t i = 0; i < TABLE_ROWS; i++)
        if (!only || strcmp(op_name(TABLE[i].op), only) == 0)
            TRY(row_measure(g, &b, &TABLE[i], rounds, &copy, st));
out:
    buffers_close(g, &b);
    return rc;
}

int main(int argc, char **argv)
{
    return timing_main(argc, argv, "bench_rows", run);
}
