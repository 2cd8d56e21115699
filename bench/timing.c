#include "bench/timing.h"

#include "base/alloc.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double timing_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int timing_calls(struct gpu *g, const struct op_call *call, int rounds, int repeat, struct timing *out,
                 struct status *st)
{
    int rc = 0;
    struct timing best = { .wall = 1e30, .cpu = 1e30, .first = clock_seconds() };
    TRY(op_run(g, call, st)); /* compiles, and touches the pages */
    TRY(gpu_submit(g, st));
    best.first = clock_seconds() - best.first;
    for (int round = 0; round < rounds; round++) {
        const double wall = clock_seconds(), cpu = timing_cpu_seconds();
        for (int i = 0; i < repeat; i++)
            TRY(op_run(g, call, st));
        TRY(gpu_submit(g, st));
        best.wall = fmin(best.wall, clock_seconds() - wall);
        best.cpu = fmin(best.cpu, timing_cpu_seconds() - cpu);
    }
    *out = best;
out:
    return rc;
}

int timing_peak(struct gpu *g, uint64_t x, uint64_t y, int rounds, struct timing_peak *best,
                struct status *st)
{
    int rc = 0;
    enum { ROUNDS = 256, REPEAT = 4 };
    const double flop = 2.0 * PEAK_CHAINS * TIMING_PEAK_ELEMENTS * ROUNDS * REPEAT;
    const struct op_call call = { .op = OP_peak,
                                  .args = { .p = { x, y }, .d = { TIMING_PEAK_ELEMENTS, ROUNDS } } };
    struct timing t;
    TRY(timing_calls(g, &call, rounds, REPEAT, &t, st));
    best->gflops = fmax(best->gflops, flop / t.wall * 1e-9);
    best->per_cpu = fmax(best->per_cpu, flop / t.cpu * 1e-9);
    printf("{\"bench\":\"peak\",\"device\":\"%s\",\"gflops\":%.2f,\"gflops_per_cpu\":%.2f}\n",
           gpu_get_info(g)->name, best->gflops, best->per_cpu);
out:
    return rc;
}

int timing_fill(struct gpu *g, const struct gpu_buffer *b, float low, float span, struct status *st)
{
    int rc = 0;
    const size_t n = b->bytes / sizeof(float);
    float *values = mem_calloc(n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for %zu values", n);
    for (size_t i = 0; i < n; i++)
        values[i] = low + span * 1e-3f * (float)((i * 2654435761u >> 16) % 1000);
    TRY(gpu_write(g, b, 0, values, n * sizeof *values, st));
out:
    mem_free(values);
    return rc;
}

bool timing_wanted(const struct gpu *g, const struct op_call *call, const char *only)
{
    char name[32];
    if (!only)
        return op_choose(g, call->op, call->pass) == call->variant || getenv("LETHE_BENCH_ALL");
    snprintf(name, sizeof name, "%s.%s", variant_name(call->variant), pass_name(call->pass));
    return strcmp(name, only) == 0;
}

int timing_main(int argc, char **argv, const char *name,
                int (*run)(struct gpu *g, int rounds, const char *only, struct status *st))
{
    struct gpu *g = NULL;
    struct status st = { 0 };
    const int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    int rc = gpu_open(NULL, &g, &st);
    if (rc == 0)
        rc = run(g, rounds > 0 ? rounds : 1, argc > 2 ? argv[2] : NULL, &st);
    gpu_close(g);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", name, st.msg);
    return status_exit(rc);
}
