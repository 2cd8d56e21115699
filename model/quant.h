/* Tensor types of GGUF files, and their values as f32: bit for bit what the Python package gguf 0.19.0
 * (quants.py, dequantize) gives. A row is a whole number of blocks; blocks are little-endian. */
#ifndef LETHE_MODEL_QUANT_H
#define LETHE_MODEL_QUANT_H

#include "gpu/weight.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the file. */
enum quant_type_id {
    QUANT_F32 = 0,
    QUANT_F16 = 1,
    QUANT_Q4_0 = 2,
    QUANT_Q4_1 = 3,
    QUANT_Q5_0 = 6,
    QUANT_Q5_1 = 7,
    QUANT_Q8_0 = 8,
    QUANT_Q4_K = 12,
    QUANT_Q5_K = 13,
    QUANT_Q6_K = 14,
    QUANT_BF16 = 30,
};

struct quant_type {
    const char *name;
    uint32_t id;
    uint32_t block;                                            /* values */
    uint32_t bytes;                                            /* of a block */
    void (*blocks)(const uint8_t *data, size_t n, float *out); /* n blocks to n * block values */
    /* n blocks to codes and groups of gpu/weight.h, whose values are those of `blocks` bit for bit but for
     * the sign of a zero; NULL: the device has the type as f32, f16 or bf16. */
    void (*codes)(const uint8_t *data, size_t n, int8_t *codes, float *groups);
    enum weight weight; /* on the device */
};

const struct quant_type *quant_find(uint32_t id); /* NULL: not read here */
const char *quant_name(uint32_t id); /* also of types that are not read; "type 99" is "unknown" */

/* Rows first … first + rows - 1 of a tensor with rows of `columns` values, a multiple of the block.
 *   data  the whole tensor      out  [rows, columns] */
void quant_rows(const struct quant_type *type, const uint8_t *data, uint64_t columns, uint64_t first,
                uint64_t rows, float *out);

/* The same of a type with codes: [rows, columns], and [rows, columns / 32, 2]. */
void quant_codes(const struct quant_type *type, const uint8_t *data, uint64_t columns, uint64_t first,
                 uint64_t rows, int8_t *codes, float *groups);

/* n * 32 values to n blocks of Q8_0, as the package gguf quantises them. */
void quant_q8_0(const float *x, size_t n, uint8_t *out);

float f16_to_f32(uint16_t h); /* exact; NaN payloads kept */
uint16_t f16_of_f32(float x); /* nearest even, overflow to infinity */
float bf16_to_f32(uint16_t h);

#endif
