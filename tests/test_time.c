/* What an operator costs by its sizes, and the time that the device says it took.
 * tier: quick, device: yes */
#include "gpu/cost.h"
#include "gpu/device.h"
#include "gpu/time.h"
#include "gpu/vk.h"

#include <check.h>
#include <string.h>

static struct gpu *gpu;
static struct gpu_buffer buffer;
static struct status st;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void device_open(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(gpu_alloc(gpu, 1 << 16, "rows", &buffer, &st));
}

static void device_close(void)
{
    const char *first;
    gpu_time_end(gpu);
    ck_assert_msg(gpu_validation_errors(gpu, &first) == 0, "%s", first);
    gpu_free(gpu, &buffer);
    gpu_close(gpu);
}

/* g and u at 0, y behind. */
static struct op_call swiglu(uint32_t elements)
{
    return (struct op_call){ .op = OP_swiglu,
                             .args = { .p = { buffer.addr, buffer.addr, buffer.addr + (1 << 15) },
                                       .d = { elements } } };
}

static const struct gpu_time *row_find(const struct gpu_time *rows, size_t n, const char *shape)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].shape, shape) == 0)
            return &rows[i];
    ck_abort_msg("no row of shape %s", shape);
    return NULL;
}

START_TEST(calls_of_a_shape_are_one_row)
{
    const struct gpu_time *rows;
    const struct op_call many = swiglu(8000), few = swiglu(10);
    size_t n = 0;
    OK(op_run(gpu, &many, &st)); /* before it is switched on */
    OK(gpu_time_begin(gpu, &st));
    OK(op_run(gpu, &many, &st));
    OK(op_run(gpu, &few, &st));
    OK(op_run(gpu, &many, &st));
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(n, 2);
    const struct gpu_time *row = row_find(rows, n, "8000");
    ck_assert_str_eq(row->name, "swiglu.plain.fwd");
    ck_assert_uint_eq(row->calls, 2);
    ck_assert_uint_eq(row->flops, 2 * 5 * 8000);
    ck_assert_uint_eq(row->bytes, 2 * 3 * 4 * 8000);
    ck_assert_uint_gt(row->ns, 0);
    ck_assert_uint_lt(row->ns, 10000000000u);
    ck_assert_uint_ge(rows[0].ns, rows[1].ns);
    OK(op_run(gpu, &few, &st)); /* goes on where it was */
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(row_find(rows, n, "10")->calls, 2);
    OK(gpu_time_begin(gpu, &st)); /* from zero */
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(a_call_in_parts_is_one_call)
{
    const struct gpu_time *rows;
    const struct op_call many = swiglu(8000);
    size_t n = 0;
    uint32_t groups[2], part[2];
    gpu->flops_max = 1;
    op_grid(gpu, &many, groups, part);
    ck_assert_uint_gt(groups[0], 1);
    ck_assert_uint_eq(part[0] * part[1], 1);
    OK(gpu_time_begin(gpu, &st));
    OK(op_run(gpu, &many, &st));
    OK(op_run(gpu, &many, &st));
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(rows->calls, 2);
    ck_assert_uint_eq(rows->flops, 2 * 5 * 8000);
    ck_assert_uint_eq(rows->bytes, 2 * 3 * 4 * 8000);
    ck_assert_uint_gt(rows->ns, 0);
}
END_TEST

START_TEST(fills_and_copies_count_bytes)
{
    const struct gpu_time *rows;
    size_t n = 0;
    OK(gpu_time_begin(gpu, &st));
    OK(gpu_zero(gpu, &buffer, 0, 64, &st));
    OK(gpu_zero(gpu, &buffer, 64, 64, &st));
    OK(gpu_copy(gpu, &buffer, 0, &buffer, 1024, 256, &st));
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(n, 2);
    const struct gpu_time *fill = &rows[strcmp(rows[0].name, "a fill") == 0 ? 0 : 1],
                          *copy = &rows[fill == rows ? 1 : 0];
    ck_assert_str_eq(copy->name, "a copy");
    ck_assert_uint_eq(fill->calls, 2);
    ck_assert_uint_eq(fill->bytes, 128);
    ck_assert_uint_eq(copy->calls, 1);
    ck_assert_uint_eq(copy->bytes, 512);
    ck_assert_uint_eq(fill->flops + copy->flops, 0);
}
END_TEST

START_TEST(a_long_recording_loses_no_call)
{
    enum { CALLS = 20000 };
    const struct gpu_time *rows;
    const struct op_call few = swiglu(10);
    size_t n = 0;
    OK(gpu_time_begin(gpu, &st));
    for (int i = 0; i < CALLS; i++)
        OK(op_run(gpu, &few, &st));
    OK(gpu_time_read(gpu, &rows, &n, &st));
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(rows[0].calls, CALLS);
}
END_TEST

// clang-format off
static const struct {
    enum op op;
    enum pass pass;
    uint32_t d[8];
    uint64_t flops, bytes;
    const char *shape;
} COSTS[] = {
    { OP_embed,     PASS_fwd,  { 12, 4 },                0,              12 * 2 * 4, "3x4" },
    { OP_rmsnorm,   PASS_fwd,  { 3, 5 },                 4 * 15,         15 * 2 * 4, "3x5" },
    { OP_embed,     PASS_bwd0, { 12, 4 },                12,             12 * 3 * 4, "3x4" },
    { OP_rmsnorm,   PASS_bwd0, { 3, 5 },                 9 * 15,         15 * 4 * 4, "3x5" },
    { OP_rmsnorm,   PASS_bwd1, { 3, 5 },                 3 * 15,         15 * 2 * 4, "3x5" },
    { OP_rope,      PASS_fwd,  { 24, 3, 8 },             6 * 24,         24 * 4 * 4, "24 pairs, heads 3x8" },
    /* 4 rows: 10 pairs; a product is 2 * 6 heads * 8 */
    { OP_attention, PASS_fwd,  { 24, 6, 2, 8 },          2 * 10 * 96,    4 * 8 * (2 * 6 + 2 * 2) * 4,
      "4 rows, 6/2 heads x8" },
    { OP_attention, PASS_bwd0, { 24, 6, 2, 8 },          3 * 10 * 96,    4 * 8 * (4 * 6 + 2 * 2) * 4,
      "4 rows, 6/2 heads x8" },
    { OP_attention, PASS_bwd1, { 8, 6, 2, 8 },           4 * 10 * 96,    4 * 8 * (3 * 6 + 4 * 2) * 4,
      "4 rows, 6/2 heads x8" },
    { OP_swiglu,    PASS_bwd0, { 7 },                    9 * 7,          7 * 4 * 4, "7" },
    { OP_matmul,    PASS_fwd,  { 2, 3, 32 },             2 * 2 * 3 * 32, (6 + 64 + 96) * 4, "2x3x32 f32" },
    { OP_matmul,    PASS_bwd0, { 2, 3, 32, 0, 0, 0, 3 }, 2 * 2 * 3 * 32, (6 + 64) * 4 + 72, "2x3x32 q4" },
    { OP_matmul,    PASS_bwd1, { 2, 3, 32 },             2 * 2 * 3 * 32, (6 + 64 + 192) * 4, "2x3x32 f32" },
    { OP_matmul,    PASS_fwd,  { 2, 3, 32, 0, 0, 0, 4, 8 }, 2 * 2 * 3 * 32 + 2 * 2 * 8 * 3,
      (6 + 64 + 8 * (2 + 3)) * 4 + 120, "2x3x32 q8 +r8" },
    { OP_lora,      PASS_fwd,  { 5, 2, 7 },              2 * 70,         (35 + 10 + 14) * 4, "5x2x7" },
    { OP_lora,      PASS_bwd0, { 5, 2, 7 },              2 * 70,         (70 + 10 + 14) * 4, "5x2x7" },
    { OP_lora,      PASS_bwd1, { 5, 2, 7 },              2 * 70,         (35 + 10 + 28) * 4, "5x2x7" },
    { OP_gather,    PASS_fwd,  { 12, 4 },                0,              12 * 2 * 4, "3x4" },
    { OP_xent,      PASS_bwd0, { 3, 5 },                 4 * 15,         15 * 2 * 4, "3x5" },
    { OP_kl,        PASS_fwd,  { 3, 5 },                 32 * 15,        15 * 2 * 4, "3x5" },
    { OP_sumsq,     PASS_fwd,  { 2, 5, 9 },                 18,             36, "9" },
    { OP_adamw,     PASS_fwd,  { 9 },                    16 * 9,         7 * 9 * 4, "9" },
    { OP_adamw,     PASS_fwd,  { 256, 16, 9, 16 },       16 * 256,       8 * 256 * 4, "256" },
    { OP_peak,      PASS_fwd,  { 9, 2 },                 2 * PEAK_CHAINS * 18, 9 * 2 * 4, "9x2" },
};
// clang-format on
enum { COST_ROWS = sizeof COSTS / sizeof *COSTS };

START_TEST(costs_by_hand)
{
    struct op_call call = { .op = COSTS[_i].op, .pass = COSTS[_i].pass };
    memcpy(call.args.d, COSTS[_i].d, sizeof call.args.d);
    const struct op_cost c = op_cost(&call);
    ck_assert_uint_eq(c.flops, COSTS[_i].flops);
    ck_assert_uint_eq(c.bytes, COSTS[_i].bytes);
    ck_assert_str_eq(c.shape, COSTS[_i].shape);
    ck_assert_uint_eq(c.work, c.flops > 4 * c.bytes ? c.flops : 4 * c.bytes);
}
END_TEST

START_TEST(every_operator_has_a_cost)
{
    for (int op = 0; op < OP_COUNT; op++) {
        size_t i = 0;
        while (i < COST_ROWS && COSTS[i].op != (enum op)op)
            i++;
        ck_assert_msg(i < COST_ROWS, "%s has no row here", op_name((enum op)op));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("time");
    TCase *times = tcase_create("times"), *costs = tcase_create("costs");
    tcase_add_checked_fixture(times, device_open, device_close);
    tcase_add_test(times, calls_of_a_shape_are_one_row);
    tcase_add_test(times, a_call_in_parts_is_one_call);
    tcase_add_test(times, fills_and_copies_count_bytes);
    tcase_add_test(times, a_long_recording_loses_no_call);
    tcase_add_loop_test(costs, costs_by_hand, 0, COST_ROWS);
    tcase_add_test(costs, every_operator_has_a_cost);
    suite_add_tcase(suite, times);
    suite_add_tcase(suite, costs);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
