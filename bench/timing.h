/* What the benchmarks of kernels share: calls that are timed, the device's peak, and a main. */
#ifndef LETHE_BENCH_TIMING_H
#define LETHE_BENCH_TIMING_H

#include "gpu/device.h"
#include "gpu/op.h"

/* Best of some rounds, of the wall and of the processor's clock over all threads; the first call alone, with
 * its pipeline made. Seconds. */
struct timing {
    double wall, cpu, first;
};
/* `repeat` calls a round, one submission each. */
MUST_USE int timing_calls(struct gpu *g, const struct op_call *call, int rounds, int repeat,
                          struct timing *out, struct status *st);
double timing_cpu_seconds(void);

/* GFLOP/s of OP_peak, on the wall and for a second of processor time. Keeps the best of what *best holds and
 * this series, and prints it. x and y hold TIMING_PEAK_BYTES. */
enum { TIMING_PEAK_ELEMENTS = 1 << 18, TIMING_PEAK_BYTES = TIMING_PEAK_ELEMENTS * 4 };
struct timing_peak {
    double gflops, per_cpu;
};
MUST_USE int timing_peak(struct gpu *g, uint64_t x, uint64_t y, int rounds, struct timing_peak *best,
                         struct status *st);

/* Values of no pattern from `low` to low + span. */
MUST_USE int timing_fill(struct gpu *g, const struct gpu_buffer *b, float low, float span, struct status *st);

/* "NAME [rounds [only]]": opens the device, runs, says what went wrong. LETHE_BENCH_ALL=1: every variant. */
int timing_main(int argc, char **argv, const char *name,
                int (*run)(struct gpu *g, int rounds, const char *only, struct status *st));
/* Whether a variant is asked for: the chosen one, all, or the one that `only` names ("lane.fwd"). */
bool timing_wanted(const struct gpu *g, const struct op_call *call, const char *only);

#endif
