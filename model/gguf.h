/* GGUF version 3: metadata, and where each tensor lies. Nothing in the file is trusted: every count, offset,
 * length and product is checked before use, and a message names the byte, and the key or tensor where known.
 * Refused by name: other versions, big-endian files, types that are not in quant.h, arrays inside arrays.
 * Source: the GGUF specification (ggml, docs/gguf.md). */
#ifndef LETHE_MODEL_GGUF_H
#define LETHE_MODEL_GGUF_H

#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GGUF_TENSORS_MAX = 65536,
    GGUF_ENTRIES_MAX = 65536,
    GGUF_KEY_BYTES_MAX = 65535,
    GGUF_NAME_BYTES_MAX = 64, /* of a tensor */
    GGUF_DIMS_MAX = 4,
    GGUF_ALIGNMENT_MAX = 1 << 16,
    GGUF_ELEMENTS_MAX = 1 << 24, /* of an array */
};
#define GGUF_STRING_BYTES_MAX ((uint64_t)16 << 20)

enum gguf_kind {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_KINDS,
};

struct gguf_text {
    const char *s; /* in the file; no zero byte behind it */
    size_t n;
};

struct gguf_entry {
    struct gguf_text key;
    enum gguf_kind kind;
    enum gguf_kind element; /* of an array */
    uint64_t n;             /* elements of an array, else 1 */
    const uint8_t *data;    /* the value; of an array its first element, of a string its length */
    size_t size;            /* bytes from data on */
};

struct gguf_tensor {
    struct gguf_text name;
    uint32_t type; /* enum quant_type_id */
    uint32_t dims;
    uint64_t shape[GGUF_DIMS_MAX]; /* shape[0] is a row's length; the rest is 1 beyond dims */
    uint64_t rows;                 /* product of the others */
    const uint8_t *data;
    size_t size;
};

struct gguf {
    struct gguf_entry *entries;
    size_t entries_n;
    struct gguf_tensor *tensors; /* in the file's order; names are all different */
    size_t tensors_n;
    uint32_t alignment;
    uint32_t *by_name;   /* tensor numbers in order of name */
    struct file_map map; /* empty after gguf_parse */
};

/* The bytes must live as long as *out. RC_FORMAT, RC_LIMIT, RC_UNSUPPORTED, RC_NOMEM. */
MUST_USE int gguf_parse(const uint8_t *data, size_t size, struct gguf *out, struct status *st);
/* Maps the file and parses it; messages begin with the path. */
MUST_USE int gguf_open(const char *path, struct gguf *out, struct status *st);
/* Gives a file that was parsed without tensors those that lie elsewhere; takes the array. RC_FORMAT: two of
 * one name. */
MUST_USE int gguf_tensors_set(struct gguf *g, struct gguf_tensor *tensors, size_t n, struct status *st);
void gguf_close(struct gguf *g); /* after either; twice is harmless */

const struct gguf_entry *gguf_find(const struct gguf *g, const char *key);          /* NULL: not there */
const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name); /* NULL: not there */
bool gguf_text_is(struct gguf_text t, const char *text);

/* Typed values. Missing or of another type: RC_FORMAT "metadata 'K' ...". Integers of any width are read
 * where they fit; gguf_get_f32 takes f32 and f64. */
MUST_USE int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, struct status *st);
MUST_USE int gguf_get_f32(const struct gguf *g, const char *key, float *out, struct status *st);
MUST_USE int gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct status *st);
MUST_USE int gguf_get_text(const struct gguf *g, const char *key, struct gguf_text *out, struct status *st);
/* As above; a missing key leaves *out as it is. */
MUST_USE int gguf_opt_u32(const struct gguf *g, const char *key, uint32_t *out, struct status *st);
MUST_USE int gguf_opt_f32(const struct gguf *g, const char *key, float *out, struct status *st);
MUST_USE int gguf_opt_bool(const struct gguf *g, const char *key, bool *out, struct status *st);
/* An array of strings as [n] views, or of integers as [n] values; mem_free(*out) when done. */
MUST_USE int gguf_get_texts(const struct gguf *g, const char *key, struct gguf_text **out, size_t *n,
                            struct status *st);
MUST_USE int gguf_get_ints(const struct gguf *g, const char *key, int32_t **out, size_t *n,
                           struct status *st);

#endif
