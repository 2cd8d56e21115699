/* GGUF version 3, written: metadata key by key, then a header with the places of all tensors. */
#ifndef LETHE_MODEL_GGUF_WRITE_H
#define LETHE_MODEL_GGUF_WRITE_H

#include "base/str.h"
#include "model/gguf.h"

#include <stddef.h>
#include <stdint.h>

/* Metadata so far: zero-initialise, then put keys that are all different; str_check(&k->bytes) at the end. */
struct gguf_keys {
    struct str bytes;
    uint64_t n;
};
void gguf_put_u32(struct gguf_keys *k, const char *key, uint32_t x);
void gguf_put_f32(struct gguf_keys *k, const char *key, float x);
void gguf_put_bool(struct gguf_keys *k, const char *key, bool x);
void gguf_put_text(struct gguf_keys *k, const char *key, const char *s, size_t n);
/* An array of n strings, which gguf_put_item then gives one by one. */
void gguf_put_texts(struct gguf_keys *k, const char *key, size_t n);
void gguf_put_item(struct gguf_keys *k, const char *s, size_t n);
void gguf_put_i32s(struct gguf_keys *k, const char *key, const int32_t *x, size_t n);
void gguf_put_entry(struct gguf_keys *k, const struct gguf_entry *e); /* as it stands in another file */

/* A tensor of the header; a vector has one row and one dimension. */
struct gguf_place {
    const char *name;
    uint32_t type; /* enum quant_type_id */
    uint32_t rows, columns;
    bool vector;
    uint64_t at; /* from the start of the data, a multiple of the alignment */
};
enum { GGUF_ALIGNMENT = 32 }; /* where the key general.alignment does not say another */
/* Appends everything up to the data, to the alignment with zero bytes. */
MUST_USE int gguf_header_write(const struct gguf_keys *k, const struct gguf_place *places, size_t n,
                               uint32_t alignment, struct str *out, struct status *st);

#endif
