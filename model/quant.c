#include "model/quant.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The order of operations is that of the reference: one f32 product, then one sum, each rounded. */

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static float f32_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ff;
    if (exponent == 31)
        return f32_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f; /* exact: 10 bits */
    return sign ? -tiny : tiny;
}

uint16_t f16_of_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) /* 65520 rounds up to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* under 2^-14: adding 1/2 leaves multiples of 2^-24, rounded to even */
        float shifted = f32_of_bits(magnitude) + 0.5f;
        memcpy(&bits, &shifted, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000));
    }
    uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

float bf16_to_f32(uint16_t h)
{
    return f32_of_bits((uint32_t)h << 16);
}

static float f16_at(const uint8_t *p)
{
    return f16_to_f32(u16_at(p));
}

static void blocks_f32(const uint8_t *data, size_t n, float *out)
{
    memcpy(out, data, n * sizeof *out);
}

static void blocks_f16(const uint8_t *data, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = f16_at(data + 2 * i);
}

static void blocks_bf16(const uint8_t *data, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = bf16_to_f32(u16_at(data + 2 * i));
}

static void blocks_q8_0(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 34, out += 32) {
        float d = f16_at(data);
        for (int i = 0; i < 32; i++)
            out[i] = (float)(int8_t)data[2 + i] * d;
    }
}

void quant_q8_0(const float *x, size_t n, uint8_t *out)
{
    for (size_t b = 0; b < n; b++, x += 32, out += 34) {
        float most = 0;
        for (int i = 0; i < 32; i++)
            most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
        const float d = most / 127.0f, inverse = isfinite(1.0f / d) ? 1.0f / d : 0;
        const uint16_t half = f16_of_f32(d);
        memcpy(out, &half, sizeof half);
        for (int i = 0; i < 32; i++)
            out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
    }
}

/* Low nibbles are values 0 … 15 of a block, high ones 16 … 31. */
static void blocks_q4_0(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 18, out += 32) {
        float d = f16_at(data);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((data[2 + i] & 15) - 8);
            out[16 + i] = d * (float)((data[2 + i] >> 4) - 8);
        }
    }
}

static void blocks_q4_1(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 20, out += 32) {
        float d = f16_at(data), m = f16_at(data + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)(data[4 + i] & 15) + m;
            out[16 + i] = d * (float)(data[4 + i] >> 4) + m;
        }
    }
}

/* The fifth bit of value i is bit i of a u32. */
static int five_bits(const uint8_t *high, const uint8_t *low, int i)
{
    int nibble = i < 16 ? low[i] & 15 : low[i - 16] >> 4;
    return nibble | ((high[i / 8] >> (i % 8)) & 1) << 4;
}

static void blocks_q5_0(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 22, out += 32) {
        float d = f16_at(data);
        for (int i = 0; i < 32; i++)
            out[i] = d * (float)(five_bits(data + 2, data + 6, i) - 16);
    }
}

static void blocks_q5_1(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 24, out += 32) {
        float d = f16_at(data), m = f16_at(data + 2);
        for (int i = 0; i < 32; i++)
            out[i] = d * (float)five_bits(data + 4, data + 8, i) + m;
    }
}

/* Six-bit scale and minimum of sub-block 0 to 7 from 12 bytes: four scales, four minima, whose upper two bits
 * belong to the last four of each, then nibbles of those. */
static void k_scale(const uint8_t *s, int i, float *scale, float *minimum)
{
    int d, m;
    if (i < 4) {
        d = s[i] & 63;
        m = s[4 + i] & 63;
    } else {
        d = (s[4 + i] & 15) | (s[i - 4] >> 6) << 4;
        m = (s[4 + i] >> 4) | (s[i] >> 6) << 4;
    }
    *scale = (float)d;
    *minimum = (float)m;
}

/* Eight sub-blocks of 32; two share 32 bytes of nibbles, low first. Bit j of `high` (Q5_K) is of sub-block
 * j. */
static void k_block(const uint8_t *data, const uint8_t *high, const uint8_t *low, float *out)
{
    float d = f16_at(data), dmin = f16_at(data + 2);
    for (int j = 0; j < 8; j++) {
        float scale, minimum;
        k_scale(data + 4, j, &scale, &minimum);
        float dl = d * scale, ml = dmin * minimum;
        for (int i = 0; i < 32; i++) {
            int q = (low[32 * (j / 2) + i] >> (4 * (j % 2))) & 15;
            if (high)
                q |= ((high[i] >> j) & 1) << 4;
            out[32 * j + i] = dl * (float)q - ml;
        }
    }
}

static void blocks_q4_k(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 144, out += 256)
        k_block(data, NULL, data + 16, out);
}

static void blocks_q5_k(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 176, out += 256)
        k_block(data, data + 16, data + 48, out);
}

/* Two halves of 128 values. In a half, group j of 32 values has nibble j / 2 of the low bytes from 32 (j % 2)
 * on and bits 2j of the 32 high bytes; a scale serves 16 values. */
static int q6_code(const uint8_t *data, int at)
{
    const int half = at / 128, j = at / 32 % 4, i = at % 32;
    const uint8_t *low = data + 64 * half, *high = data + 128 + 32 * half;
    return ((low[32 * (j % 2) + i] >> (4 * (j / 2))) & 15) | ((high[i] >> (2 * j)) & 3) << 4;
}

static void blocks_q6_k(const uint8_t *data, size_t n, float *out)
{
    for (size_t b = 0; b < n; b++, data += 210, out += 256) {
        const uint8_t *scales = data + 192;
        float d = f16_at(data + 208);
        for (int at = 0; at < 256; at++)
            out[at] = d * (float)(int8_t)scales[at / 16] * (float)(q6_code(data, at) - 32);
    }
}

/* ---- codes and groups ---- */

/* (code - 8) d is code d - 8 d: both products and their sum have at most 15 bits, so nothing is rounded. */
static void codes_q4_0(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 18, codes += 32, groups += 2) {
        groups[0] = f16_at(data);
        groups[1] = -8.0f * groups[0];
        for (int i = 0; i < 16; i++) {
            codes[i] = (int8_t)(data[2 + i] & 15);
            codes[16 + i] = (int8_t)(data[2 + i] >> 4);
        }
    }
}

static void codes_q4_1(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 20, codes += 32, groups += 2) {
        groups[0] = f16_at(data);
        groups[1] = f16_at(data + 2);
        for (int i = 0; i < 16; i++) {
            codes[i] = (int8_t)(data[4 + i] & 15);
            codes[16 + i] = (int8_t)(data[4 + i] >> 4);
        }
    }
}

static void codes_q4_k(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 144, codes += 256, groups += 16) {
        const float d = f16_at(data), dmin = f16_at(data + 2);
        for (int j = 0; j < 8; j++) {
            float scale, minimum;
            k_scale(data + 4, j, &scale, &minimum);
            groups[2 * j] = d * scale;
            groups[2 * j + 1] = -(dmin * minimum);
            for (int i = 0; i < 32; i++)
                codes[32 * j + i] = (int8_t)((data[16 + 32 * (j / 2) + i] >> (4 * (j % 2))) & 15);
        }
    }
}

static void codes_q5_0(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 22, codes += 32, groups += 2) {
        groups[0] = groups[1] = f16_at(data);
        for (int i = 0; i < 32; i++)
            codes[i] = (int8_t)(five_bits(data + 2, data + 6, i) - 16);
    }
}

static void codes_q8_0(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 34, codes += 32, groups += 2) {
        groups[0] = groups[1] = f16_at(data);
        memcpy(codes, data + 2, 32);
    }
}

static void codes_q6_k(const uint8_t *data, size_t n, int8_t *codes, float *groups)
{
    for (size_t b = 0; b < n; b++, data += 210, codes += 256, groups += 16) {
        for (int i = 0; i < 16; i++)
            groups[i] = f16_at(data + 208) * (float)(int8_t)data[192 + i];
        for (int i = 0; i < 256; i++)
            codes[i] = (int8_t)(q6_code(data, i) - 32);
    }
}

static const struct quant_type types[] = {
    { "F32", QUANT_F32, 1, 4, blocks_f32, NULL, WEIGHT_f32 },
    { "F16", QUANT_F16, 1, 2, blocks_f16, NULL, WEIGHT_f16 },
    { "BF16", QUANT_BF16, 1, 2, blocks_bf16, NULL, WEIGHT_bf16 },
    { "Q4_0", QUANT_Q4_0, 32, 18, blocks_q4_0, codes_q4_0, WEIGHT_q4 },
    { "Q4_1", QUANT_Q4_1, 32, 20, blocks_q4_1, codes_q4_1, WEIGHT_q4 },
    { "Q4_K", QUANT_Q4_K, 256, 144, blocks_q4_k, codes_q4_k, WEIGHT_q4 },
    { "Q5_0", QUANT_Q5_0, 32, 22, blocks_q5_0, codes_q5_0, WEIGHT_q8 },
    { "Q8_0", QUANT_Q8_0, 32, 34, blocks_q8_0, codes_q8_0, WEIGHT_q8 },
    { "Q6_K", QUANT_Q6_K, 256, 210, blocks_q6_k, codes_q6_k, WEIGHT_q8 },
    { "Q5_1", QUANT_Q5_1, 32, 24, blocks_q5_1, NULL, WEIGHT_f32 }, /* 5 bits and a minimum fit no format */
    { "Q5_K", QUANT_Q5_K, 256, 176, blocks_q5_k, NULL, WEIGHT_f32 },
};

const struct quant_type *quant_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const char *quant_name(uint32_t id)
{
    static const char *const others[] = {
        [9] = "Q8_1",     [10] = "Q2_K",  [11] = "Q3_K",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS",
        [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S", [22] = "IQ2_S",   [23] = "IQ4_XS",
        [24] = "I8",      [25] = "I16",   [26] = "I32",    [27] = "I64",   [28] = "F64",     [29] = "IQ1_M",
        [34] = "TQ1_0",   [35] = "TQ2_0", [39] = "MXFP4",
    };
    const struct quant_type *type = quant_find(id);
    if (type)
        return type->name;
    if (id < sizeof others / sizeof others[0] && others[id])
        return others[id];
    return "unknown";
}

void quant_rows(const struct quant_type *type, const uint8_t *data, uint64_t columns, uint64_t first,
                uint64_t rows, float *out)
{
    assert(columns % type->block == 0);
    uint64_t blocks = columns / type->block;
    type->blocks(data + first * blocks * type->bytes, (size_t)(rows * blocks), out);
}

void quant_codes(const struct quant_type *type, const uint8_t *data, uint64_t columns, uint64_t first,
                 uint64_t rows, int8_t *codes, float *groups)
{
    assert(columns % type->block == 0);
    uint64_t blocks = columns / type->block;
    type->codes(data + first * blocks * type->bytes, (size_t)(rows * blocks), codes, groups);
}
