/* A Vulkan device, its memory, and one queue of work.
 *
 * Buffers are plain device addresses. Where the device's memory is visible to the host (integrated GPUs,
 * software drivers) gpu_write and gpu_read are copies; elsewhere they go through a staging ring. Work is
 * recorded by op_run (gpu/op.h) and starts with gpu_submit; everything recorded runs in order, each operator
 * after the one before.
 *
 * One device a process at a time. Open it in the process that uses it: a device does not survive fork.
 *
 * Environment: LETHE_DEVICE (below), LETHE_TIMEOUT (seconds that one submission may take; 120, on a CPU
 * 3600), LETHE_VALIDATION=1 (validation layer); for tests LETHE_STAGING=1 (as if the host saw no device
 * memory) and LETHE_SUBMIT_FLOPS (operations after which a recording starts, and over which an operator
 * runs in parts; 1e10, on a CPU without end). LETHE_VARIANTS: gpu_variants_load.
 */
#ifndef LETHE_GPU_DEVICE_H
#define LETHE_GPU_DEVICE_H

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gpu;

struct gpu_info {
    char name[256], vendor[64], type[16], driver[256], driver_version[64], vulkan[16];
    uint64_t memory_bytes; /* of the heap that buffers come from */
    uint32_t lanes_min, lanes_max;
    bool f16, int8, coop, int64;
    uint32_t coop_sides[3]; /* where coop: M, N and K of the cooperative matrices that kernels use */
    const char *refused;    /* NULL: usable; else the required feature that is missing */
};

struct gpu_choice {
    const char *device; /* number or part of a name; NULL: LETHE_DEVICE, else discrete, integrated, CPU */
    const char *driver_file; /* ICD used when the system has none but CPUs and the user set none; or NULL */
    uint64_t bytes_max;      /* that buffers may take together; 0: what the device has */
};

/* Up to `cap` devices, in the order of their numbers. */
MUST_USE int gpu_list(const struct gpu_choice *choice, struct gpu_info *out, size_t cap, size_t *n,
                      struct status *st);

/* RC_UNSUPPORTED: no loader, no driver, no such device, or a required feature is missing (named). On a CPU
 * driver sets LP_NATIVE_VECTOR_WIDTH to 512 before the loader opens it when the CPU has AVX-512 and the user
 * has set none. */
MUST_USE int gpu_open(const struct gpu_choice *choice, struct gpu **out, struct status *st);
void gpu_close(struct gpu *g); /* a device that hangs is left to the end of the process */
const struct gpu_info *gpu_get_info(const struct gpu *g);

/* A buffer in one allocation or several (an address range is always contiguous; a buffer over
 * maxMemoryAllocationSize is RC_LIMIT). Zeroed. RC_NOMEM names the bytes and what was asked for
 * ("weights"). */
struct gpu_buffer {
    uint64_t addr; /* 0: none. Aligned to 256 */
    uint64_t bytes;
    void *handle; /* private to gpu/ */
};
MUST_USE int gpu_alloc(struct gpu *g, uint64_t bytes, const char *what, struct gpu_buffer *out,
                       struct status *st);
void gpu_free(struct gpu *g, struct gpu_buffer *b);
uint64_t gpu_bytes_used(const struct gpu *g); /* by all buffers now */
/* What buffers can still take: what is left of memory_bytes or of the choice's bytes_max, or less where the
 * driver tells that others hold some of it (VK_EXT_memory_budget). */
uint64_t gpu_bytes_free(const struct gpu *g);
/* For tests: how often memory was taken from the driver since gpu_open. */
uint64_t gpu_allocations(const struct gpu *g);

/* For tests: operators that were recorded since gpu_open. */
uint64_t gpu_operators(const struct gpu *g);

/* Host to device and back, at byte `at` of the buffer. Both wait for submitted work first; recorded work that
 * was not submitted is an error (assert). */
MUST_USE int gpu_write(struct gpu *g, const struct gpu_buffer *b, uint64_t at, const void *data, uint64_t n,
                       struct status *st);
MUST_USE int gpu_read(struct gpu *g, const struct gpu_buffer *b, uint64_t at, void *data, uint64_t n,
                      struct status *st);
/* Records a fill with zero bytes / a copy between buffers, in order with the operators. n is a multiple of
 * 4. */
MUST_USE int gpu_zero(struct gpu *g, const struct gpu_buffer *b, uint64_t at, uint64_t n, struct status *st);
MUST_USE int gpu_copy(struct gpu *g, const struct gpu_buffer *from, uint64_t from_at,
                      const struct gpu_buffer *to, uint64_t to_at, uint64_t n, struct status *st);

/* Runs what was recorded and waits for it. RC_DEVICE: lost, or a hang; the message names the last
 * operator. */
MUST_USE int gpu_submit(struct gpu *g, struct status *st);

/* The table of variants (one line "operator pass variant" each) that op_choose answers. gpu_open takes the
 * file that LETHE_VARIANTS names, else that of the cache folder, else it measures. RC_FORMAT: a table of
 * another device. */
MUST_USE int gpu_variants_load(struct gpu *g, const char *path, struct status *st);
MUST_USE int gpu_variants_save(const struct gpu *g, const char *path, struct status *st);
struct hash gpu_variants_digest(const struct gpu *g); /* of the file that gpu_variants_save writes */

/* Messages of the validation layer since gpu_open, and the first of them ("" when there is none). Always 0
 * unless the layer was asked for, by LETHE_VALIDATION=1 or a build with LETHE_VALIDATE, and is installed. */
size_t gpu_validation_errors(const struct gpu *g, const char **first);

#endif
