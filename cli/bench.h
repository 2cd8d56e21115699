/* What `lethe bench` measures, and how it is written. */
#ifndef LETHE_CLI_BENCH_H
#define LETHE_CLI_BENCH_H

#include "base/json.h"
#include "cli/cli.h"
#include "gpu/time.h"
#include "model/model.h"

#include <stdint.h>

/* What the device does when nothing else is in the way. */
struct bench_peak {
    double gflops; /* OP_peak: independent chains of products and sums, no loads */
    double copy;   /* GB/s of gpu_copy, read and written */
};
/* The best of a few runs; may be called again later, and keeps what was better before. */
MUST_USE int bench_peak(struct gpu *g, struct bench_peak *best, struct status *st);

enum { BENCH_ROUNDS_MAX = 1000 };
struct bench_options {
    uint32_t tokens, rank, rounds;
    uint32_t again; /* blocks whose activations a step computes again, where memory does not want more */
    bool full;      /* steps train all weights, of a model that was opened in f32, and not an adapter */
};
struct bench_result {
    struct bench_peak peak;
    double forward_s, step_s;          /* medians */
    uint32_t again;                    /* blocks whose activations a step computed again */
    uint64_t device_bytes, host_bytes; /* during a step: of all buffers; most memory of the process at once */
    struct gpu_time *kernels;          /* [kernels_n] of one step, the longest first */
    size_t kernels_n;                  /* 0: the device has no time stamps */
    double kernels_s;                  /* their sum */
};
/* Bytes on the device beside the weights. */
MUST_USE int bench_plan(const struct model_hyper *h, const struct bench_options *o, uint64_t *out,
                        struct status *st);
/* One sequence of random tokens: steps with the loss at every position, of LoRA on all linears or of all
 * weights, then forwards with the head at every position. Ctrl-C ends it with RC_INTERRUPTED. */
MUST_USE int bench_run(struct model *m, const struct bench_options *o, struct bench_result *out,
                       struct status *st);
void bench_release(struct bench_result *r);

/* Seconds that a kernel would take if it did nothing but its operations, or moved nothing but its operands,
 * at the device's best rate, whichever is longer. */
double bench_ideal(const struct gpu_time *k, const struct bench_peak *peak);

/* ---- what is written ---- */

struct bench_subject {
    const char *shape;           /* NULL: a model file */
    const char *weights;         /* types of its tensors */
    const struct model_hyper *h; /* as measured */
    uint32_t blocks_whole;       /* of the shape, when not all fit */
    const struct bench_options *o;
};
void bench_text(const struct bench_subject *s, const struct bench_result *r, struct str *out);
void bench_peak_text(const struct bench_peak *p, struct str *out);
/* docs/performance.md, result files. Names no host and no path. Roots; json_check them. */
struct json *bench_json(const struct gpu *g, const struct bench_subject *s, const struct bench_result *r);
struct json *bench_peak_json(const struct gpu *g, const struct bench_peak *p);

#endif
