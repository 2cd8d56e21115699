/* safetensors: u64 little-endian header length, a JSON header, data. Read: F32, F16, BF16, I32, I64. Written:
 * F32, keys in byte order, header padded with blanks to 8 bytes, metadata {"format":"pt"}: equal tensors give
 * equal bytes. */
#ifndef LETHE_MODEL_SAFETENSORS_H
#define LETHE_MODEL_SAFETENSORS_H

#include "base/file.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_TENSORS_MAX = 4096, SAFETENSORS_DIMS_MAX = 4, SAFETENSORS_NAME_BYTES_MAX = 512 };
#define SAFETENSORS_HEADER_BYTES_MAX ((uint64_t)16 << 20)

enum safetensors_type {
    SAFETENSORS_F32,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I32,
    SAFETENSORS_I64
};

struct safetensors_tensor {
    char *name;
    enum safetensors_type type;
    uint32_t dims;
    uint64_t shape[SAFETENSORS_DIMS_MAX]; /* the last is a row's length; 1 beyond dims */
    uint64_t n;                           /* values */
    const uint8_t *data;
};
struct safetensors {
    struct safetensors_tensor *tensors; /* in the header's order, names all different */
    size_t n;
    struct file_map map; /* empty after safetensors_parse */
};
MUST_USE int safetensors_parse(const uint8_t *data, size_t size, struct safetensors *out, struct status *st);
MUST_USE int safetensors_open(const char *path, struct safetensors *out, struct status *st);
void safetensors_close(struct safetensors *s); /* after either; twice is harmless */
const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name);
/* All values as f32 to out[t->n]. RC_UNSUPPORTED: an integer type. */
MUST_USE int safetensors_f32(const struct safetensors_tensor *t, float *out, struct status *st);
/* All values as i32 to out[t->n]. RC_FORMAT: one does not fit; RC_UNSUPPORTED: not an integer type. */
MUST_USE int safetensors_i32(const struct safetensors_tensor *t, int32_t *out, struct status *st);

#define SAFETENSORS_VECTOR UINT64_MAX /* there is no second dimension */
struct safetensors_part {
    const char *name;  /* ASCII */
    uint64_t shape[2]; /* shape[1] may be SAFETENSORS_VECTOR */
    const float *data; /* [shape[0], shape[1]] */
};
/* Appends the whole file; `parts` in any order. RC_ARG: a name twice. */
MUST_USE int safetensors_write(const struct safetensors_part *parts, size_t n, struct str *out,
                               struct status *st);
/* The same into a file, with one tensor at a time in memory: `get` gives the values of a part, whose data are
 * not read. F16: rounded to the nearest. */
struct safetensors_source {
    enum safetensors_type type; /* F32 or F16 */
    void *self;
    int (*get)(void *self, size_t part, float *out, struct status *st);
};
MUST_USE int safetensors_save(const char *path, const struct safetensors_part *parts, size_t n,
                              const struct safetensors_source *source, struct status *st);

#endif
