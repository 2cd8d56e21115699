/* Tensor types against the Python package gguf: equal bits (tests/golden/make_quant.py).
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "model/quant.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const uint32_t TYPES[] = { QUANT_F32,  QUANT_F16,  QUANT_BF16, QUANT_Q8_0, QUANT_Q4_0, QUANT_Q4_1,
                                  QUANT_Q5_0, QUANT_Q5_1, QUANT_Q4_K, QUANT_Q5_K, QUANT_Q6_K };
enum { TYPES_N = sizeof TYPES / sizeof TYPES[0] };

static struct str golden(const char *type, const char *what)
{
    char path[512];
    struct status st = { 0 };
    struct str out = { 0 };
    snprintf(path, sizeof path, "%s/golden/quant/%s.%s", TESTS_DIR, type, what);
    ck_assert_msg(file_read(path, 1 << 20, &out, &st) == 0, "%s", st.msg);
    return out;
}

START_TEST(values_have_the_reference_bits)
{
    const struct quant_type *type = quant_find(TYPES[_i]);
    ck_assert_ptr_nonnull(type);
    struct str blocks = golden(type->name, "blocks"), values = golden(type->name, "values");
    size_t n = blocks.size / type->bytes;
    ck_assert_uint_gt(n, 1);
    ck_assert_uint_eq(values.size, n * type->block * sizeof(float));
    float *out = mem_calloc(n * type->block, sizeof *out);
    ck_assert_ptr_nonnull(out);
    quant_rows(type, (const uint8_t *)blocks.data, n * type->block, 0, 1, out);
    for (size_t i = 0; i < n * type->block; i++) {
        float want;
        memcpy(&want, values.data + i * sizeof want, sizeof want);
        ck_assert_msg(memcmp(&want, &out[i], sizeof want) == 0, "%s value %zu: %a, the reference has %a",
                      type->name, i, (double)out[i], (double)want);
    }
    mem_free(out);
    str_release(&blocks);
    str_release(&values);
}
END_TEST

/* What the device makes of codes and groups, in one product and one sum of f32, is what the file means. */
START_TEST(codes_have_the_reference_values)
{
    const struct quant_type *type = quant_find(TYPES[_i]);
    if (!type->codes) {
        ck_assert(!weight_grouped(type->weight));
        return;
    }
    struct str blocks = golden(type->name, "blocks"), values = golden(type->name, "values");
    const size_t n = blocks.size / type->bytes * type->block;
    int8_t *codes = mem_calloc(n, sizeof *codes);
    float *groups = mem_calloc(n / WEIGHT_GROUP * 2, sizeof *groups);
    ck_assert(codes && groups);
    quant_codes(type, (const uint8_t *)blocks.data, n, 0, 1, codes, groups);
    for (size_t i = 0; i < n; i++) {
        const float *group = &groups[i / WEIGHT_GROUP * 2];
        const bool q4 = type->weight == WEIGHT_q4;
        const float have =
            q4 ? (float)codes[i] * group[0] + group[1] : (float)codes[i] * group[i % WEIGHT_GROUP / 16];
        float want;
        memcpy(&want, values.data + i * sizeof want, sizeof want);
        ck_assert_msg(have == want || (isnan(have) && isnan(want)), "%s value %zu: %a, the reference has %a",
                      type->name, i, (double)have, (double)want);
        ck_assert(!q4 || (codes[i] >= 0 && codes[i] < 16));
    }
    mem_free(codes);
    mem_free(groups);
    str_release(&blocks);
    str_release(&values);
}
END_TEST

/* Rows first … first + rows - 1 are those of the whole, and nothing else is written. */
START_TEST(a_range_of_rows_is_part_of_the_whole)
{
    const struct quant_type *type = quant_find(TYPES[_i]);
    struct str blocks = golden(type->name, "blocks"), values = golden(type->name, "values");
    size_t rows = blocks.size / type->bytes, columns = type->block, first = rows - 2;
    float *out = mem_calloc(columns + 1, sizeof *out);
    ck_assert_ptr_nonnull(out);
    out[columns] = 12345.0f;
    quant_rows(type, (const uint8_t *)blocks.data, columns, first, 1, out);
    ck_assert_mem_eq(out, values.data + first * columns * sizeof *out, columns * sizeof *out);
    ck_assert_float_eq(out[columns], 12345.0f);
    mem_free(out);
    str_release(&blocks);
    str_release(&values);
}
END_TEST

START_TEST(sizes_of_blocks)
{
    static const uint32_t SIZES[TYPES_N][2] = { { 1, 4 },     { 1, 2 },     { 1, 2 },    { 32, 34 },
                                                { 32, 18 },   { 32, 20 },   { 32, 22 },  { 32, 24 },
                                                { 256, 144 }, { 256, 176 }, { 256, 210 } };
    for (int i = 0; i < TYPES_N; i++) {
        const struct quant_type *type = quant_find(TYPES[i]);
        ck_assert_uint_eq(type->id, TYPES[i]);
        ck_assert_uint_eq(type->block, SIZES[i][0]);
        ck_assert_uint_eq(type->bytes, SIZES[i][1]);
        ck_assert_str_eq(quant_name(TYPES[i]), type->name);
    }
    ck_assert_ptr_null(quant_find(10));
    ck_assert_str_eq(quant_name(10), "Q2_K");
    ck_assert_ptr_null(quant_find(4));
    ck_assert_str_eq(quant_name(4), "unknown");
    ck_assert_str_eq(quant_name(UINT32_MAX), "unknown");
}
END_TEST

/* Every half there and back, and the rounding between two of them. */
START_TEST(halves)
{
    for (uint32_t h = 0; h <= 0xffff; h++) {
        float x = f16_to_f32((uint16_t)h);
        if (isnan(x))
            ck_assert(isnan(f16_to_f32(f16_of_f32(x))));
        else
            ck_assert_uint_eq(f16_of_f32(x), h);
    }
    for (uint32_t h = 0; h < 0x7c00; h++) {
        float low = f16_to_f32((uint16_t)h);
        float high = h == 0x7bff ? 65536.0f : f16_to_f32((uint16_t)(h + 1));
        float middle = low + (high - low) / 2; /* exact: one bit more */
        uint32_t even = h % 2 ? h + 1 : h;
        ck_assert_uint_eq(f16_of_f32(middle), even);
        ck_assert_uint_eq(f16_of_f32(nextafterf(middle, 0.0f)), h);
        ck_assert_uint_eq(f16_of_f32(-nextafterf(middle, INFINITY)), 0x8000 | (h + 1));
    }
    ck_assert_uint_eq(f16_of_f32(INFINITY), 0x7c00);
    ck_assert_uint_eq(f16_of_f32(1e30f), 0x7c00);
    ck_assert_float_eq(bf16_to_f32(0xc049), -3.140625f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quant");
    TCase *tc = tcase_create("types");
    tcase_add_loop_test(tc, values_have_the_reference_bits, 0, TYPES_N);
    tcase_add_loop_test(tc, codes_have_the_reference_values, 0, TYPES_N);
    tcase_add_loop_test(tc, a_range_of_rows_is_part_of_the_whole, 0, TYPES_N);
    tcase_add_test(tc, sizes_of_blocks);
    tcase_add_test(tc, halves);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || run == 0;
}
