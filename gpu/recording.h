/* Work that is recorded once and runs again without its operators being recorded again.
 *
 * A recording holds addresses: what changes from run to run lies in buffers, which the host writes before.
 * Its key says everything else that decides it (sizes, addresses). Recordings from before a buffer was freed
 * or a table of variants was loaded are never run again.
 */
#ifndef LETHE_GPU_RECORDING_H
#define LETHE_GPU_RECORDING_H

#include "gpu/device.h"

enum { RECORDING_KEY = 6 };

/* The last few recordings of one owner; a new one takes the place of the one that was not used longest. */
struct gpu_recordings;
MUST_USE int gpu_recordings_open(struct gpu *g, struct gpu_recordings **out, struct status *st);
void gpu_recordings_close(struct gpu_recordings *r); /* NULL is nothing */

/* Nothing is recorded or running. *again: work of this key has started as it was recorded, and only
 * gpu_recording_end is left to call; else what is recorded up to there is kept, unless it is very long or is
 * being timed (gpu/time.h). */
MUST_USE int gpu_recording_begin(struct gpu_recordings *r, const uint64_t key[RECORDING_KEY], bool *again,
                                 struct status *st);
/* gpu_submit, which alone would run it and keep nothing. */
MUST_USE int gpu_recording_end(struct gpu_recordings *r, struct status *st);

#endif
