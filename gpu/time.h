/* Time on the device, by operator and shape: two time stamps around each dispatch, fill and copy while it is
 * switched on. Stamps wait for what they measure, so a timed recording takes a little longer as a whole. */
#ifndef LETHE_GPU_TIME_H
#define LETHE_GPU_TIME_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct gpu;

struct gpu_time {
    char name[40];  /* "matmul.lane.fwd", "a copy" */
    char shape[56]; /* of op_cost */
    uint64_t calls, ns;
    uint64_t flops, bytes; /* estimates of op_cost, of all calls together; a copy or fill has bytes alone */
};

/* From here on everything recorded is timed. RC_UNSUPPORTED: the device has no time stamps in its compute
 * queue. */
MUST_USE int gpu_time_begin(struct gpu *g, struct status *st);
/* Runs what was recorded; sums since gpu_time_begin, the longest first. Lent until the next operator. */
MUST_USE int gpu_time_read(struct gpu *g, const struct gpu_time **out, size_t *n, struct status *st);
void gpu_time_end(struct gpu *g); /* before gpu_close; harmless when it is off */

#endif
