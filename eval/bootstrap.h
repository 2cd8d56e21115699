/* Paired bootstrap over clusters with a pseudo-cluster, and Holm's correction (docs/formats 8.2). */
#ifndef LETHE_EVAL_BOOTSTRAP_H
#define LETHE_EVAL_BOOTSTRAP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bootstrap_ask {
    const char *id;       /* of suite or group: its digest seeds the draws */
    const int64_t *d, *w; /* [clusters] sums of differences (items, or micro-nats) and of weights */
    size_t clusters;      /* 1 to 2^20 */
    bool accuracy;        /* false: text, differences in micro-nats and weights in bytes */
    double limit;         /* L */
    uint64_t seed;
    uint32_t replicates;  /* R */
    uint64_t alpha_count; /* alpha (R + 1) */
};
struct bootstrap {
    double drop;         /* observed */
    double lower, upper; /* share of items, or bits per byte */
    uint64_t held_count, broken_count;
};
/* RC_LIMIT: sums from 2^53 on. RC_ARG: no weight at all. */
MUST_USE int bootstrap_run(const struct bootstrap_ask *ask, struct bootstrap *out, struct status *st);

/* Cluster index of every draw of one replicate among n, for tests: out[count]. */
void bootstrap_draws(uint64_t seed, const char *id, uint32_t n, uint32_t replicate, size_t count,
                     uint32_t *out);

/* Holm: counts [m] with their ids to adjusted counts. none: as they are. */
MUST_USE int holm_adjust(const uint64_t *counts, const char *const *ids, size_t m, uint32_t replicates,
                         uint64_t *adjusted, struct status *st);

#endif
