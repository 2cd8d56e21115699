/* Every operator against its reference in double precision, forward and backward, on the device at hand
 * (selftest/check.h says how), and what single rows of a batch keep.
 * tier: quick, device: yes
 *
 * A row's seed comes from the row, so it fails alone and again. LETHE_SEEDS=100 runs a hundred seeds a row
 * and prints the worst error, which is how tolerances are chosen. LETHE_FULL=1 runs the slow rows too,
 * LETHE_WIDTHS=1 those alone that tests/cli/widths.sh runs.
 */
#include "gpu/cost.h"
#include "gpu/vk.h"
#include "selftest/check.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gpu *gpu;
static struct check *check;
static struct scene *scene; /* of check */
static struct status st;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

/* Opened in the process that runs the test: a device does not survive the runner's fork. */
static void device_open(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(check_open(gpu, &check, &st));
    scene = check_scene(check);
}

static void device_close(void)
{
    const char *first;
    size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    check_close(check);
    gpu_close(gpu);
    gpu = NULL;
}

/* ---- the table ---- */

static size_t seeds(void)
{
    const char *asked = getenv("LETHE_SEEDS");
    return asked ? strtoull(asked, NULL, 10) : 1;
}

static bool widths_alone(void)
{
    return getenv("LETHE_WIDTHS") != NULL;
}

START_TEST(operator_agrees)
{
    const struct row *row = &ROWS[_i];
    if (widths_alone() && !row->widths)
        return;
    if (row->full && !getenv("LETHE_FULL")) {
        printf("  row %2d  %-9s skipped: full tier\n", _i, op_name(row->op));
        return;
    }
    for (int v = 0; v < VARIANT_COUNT; v++) {
        for (int p = 0; p < PASS_COUNT; p++) {
            const enum pass pass = (enum pass)p;
            const enum variant variant = (enum variant)v;
            double worst = 0, one;
            if (!scene_serves(scene, row, pass, variant))
                continue;
            for (uint64_t seed = 0; seed < seeds(); seed++, worst = fmax(worst, one))
                OK(check_pass(check, row, pass, variant, seed, &one, &st));
            printf("  row %2d  %-9s %-5s %-4s  %.1e\n", _i, op_name(row->op), variant_name(variant),
                   pass_name(pass), worst);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_is_told)
{
    static const struct row strict = { .op = OP_swiglu, .n = { 65 }, .fwd = 1e-12, .bwd = 1e-12 };
    double worst = 0;
    ck_assert_int_eq(check_pass(check, &strict, PASS_fwd, VARIANT_plain, 0, &worst, &st), RC_VERIFY);
    ck_assert_msg(strstr(st.msg, "swiglu.plain.fwd at 65") && strstr(st.msg, "output 0 ["), "%s", st.msg);
    ck_assert(worst > 1e-12 && worst < 1e-6);
    st = (struct status){ 0 };
    ck_assert_int_eq(check_pass(check, &strict, PASS_bwd1, VARIANT_plain, 0, &worst, &st), RC_VERIFY);
    ck_assert_msg(strstr(st.msg, "gradient of input 1 ["), "%s", st.msg);
    ck_assert(worst > 1e-12 && worst < 1e-6);
}
END_TEST

START_TEST(a_sum_counts_rows)
{
    struct check_sum sum;
    OK(check_all(check, OP_swiglu, PASS_bwd0, VARIANT_plain, &sum, &st));
    ck_assert_uint_eq(sum.rows, 4);
    ck_assert_uint_eq(sum.wrong, 0);
    ck_assert(sum.worst > 0 && sum.worst <= sum.tolerance);
    OK(check_all(check, OP_embed, PASS_bwd1, VARIANT_plain, &sum, &st));
    ck_assert_uint_eq(sum.rows, 0);
}
END_TEST

static void run(struct scene *s, enum pass pass, enum variant variant)
{
    OK(scene_run(s, pass, variant, &st));
}

/* The scene of a pass, with what its forward pass leaves; false: the variant does not have it. */
static bool scene_ready(const struct row *row, enum pass pass, enum variant variant)
{
    if (!scene_serves(scene, row, pass, variant))
        return false;
    scene_make(scene, row, 0);
    if (pass == PASS_bwd1 && scene->no_bwd1)
        return false;
    if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
        run(scene, PASS_fwd, VARIANT_plain);
        memcpy(scene->before, scene->after, scene->end);
    }
    return true;
}

/* ---- a dispatch in parts ---- */

/* Runs the pass in parts of a `divisor`th of its work, and tells how many there are. */
static size_t check_parts(enum pass pass, enum variant variant, uint64_t divisor)
{
    const struct op_call call = {
        .op = scene->row->op, .pass = pass, .variant = variant, .args = scene->args[pass]
    };
    const uint64_t whole = gpu->flops_max;
    uint32_t groups[2], part[2];
    gpu->flops_max = op_cost(&call).work / divisor + 1;
    op_grid(gpu, &call, groups, part);
    run(scene, pass, variant);
    gpu->flops_max = whole;
    ck_assert_msg(
        memcmp(scene->again, scene->after, scene->end) == 0,
        "%s.%s.%s: other bits in parts of %" PRIu32 "x%" PRIu32 " of %" PRIu32 "x%" PRIu32 " workgroups",
        op_name(call.op), variant_name(variant), pass_name(pass), part[0], part[1], groups[0], groups[1]);
    return (size_t)((groups[0] + part[0] - 1) / part[0]) * ((groups[1] + part[1] - 1) / part[1]);
}

/* Neither reads behind a tensor: a driver may load at an address that is equal for all lanes even where no
 * lane takes part. */
START_TEST(parts_have_the_bits_of_the_whole)
{
    const struct row *row = &ROWS[_i];
    size_t parts = 0;
    if (row->full)
        return; /* nothing but size sets it apart */
    scene->edges = strstr(gpu_get_info(gpu)->driver, "llvmpipe") != NULL;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        for (int pass = 0; pass < PASS_COUNT; pass++) {
            if (!scene_ready(row, (enum pass)pass, (enum variant)v))
                continue;
            run(scene, (enum pass)pass, (enum variant)v);
            memcpy(scene->again, scene->after, scene->end);
            parts += check_parts((enum pass)pass, (enum variant)v, UINT64_MAX);
            parts += check_parts((enum pass)pass, (enum variant)v, 3);
        }
    }
    printf("  row %2d  %-9s in %zu parts%s\n", _i, op_name(row->op), parts,
           scene->edges ? "" : "; skipped: addresses of this process, to close what is behind a tensor");
}
END_TEST

// clang-format off
/* Shapes of large models, too much for one submission of a GPU. */
static const struct op_call LARGE[] = {
    { .op = OP_matmul, .args.d = { 2048, 128256, 2048 } },
    { .op = OP_matmul, .pass = PASS_bwd1, .args.d = { 2048, 128256, 2048 } },
    { .op = OP_matmul, .args.d = { 3000000, 33, 576 } },
    { .op = OP_attention, .args.d = { 16384 * 32, 32, 8, 64 } },
    { .op = OP_attention, .pass = PASS_bwd1, .args.d = { 16384 * 8, 32, 8, 64 } },
    { .op = OP_swiglu, .args.d = { 400000000 } },
};
// clang-format on
enum { LARGE_N = sizeof LARGE / sizeof *LARGE };

/* Operations of the heaviest part: of whole blocks; of the last queries of a sequence, or its first keys; of
 * whole runs of elements. */
static double heaviest(const struct op_call *call, const uint32_t groups[2], const uint32_t part[2])
{
    const uint32_t *d = call->args.d;
    const bool last = call->pass == PASS_bwd1;
    const uint64_t n = (uint64_t)part[0] * part[1];
    double sum = 0;
    if (call->op == OP_matmul)
        return 2.0 * (double)n * 64 * 64 * (last ? d[0] : d[2]);
    if (call->op == OP_swiglu)
        return (double)n * 64 * ((d[0] - 1) / (groups[0] * 64) + 1) * 48;
    const uint32_t heads = last ? d[2] : d[1];
    for (uint64_t w = 0; w < n; w++) /* a query and its keys, or a key and its queries of each head */
        for (uint64_t e = w; e < d[0]; e += groups[0])
            sum += (double)((d[0] - 1 - e) / heads + 1) * d[3] * (last ? 8 * (d[1] / d[2]) : 4);
    return sum;
}

START_TEST(no_part_is_more_than_a_submission_may_hold)
{
    const double most = 1e10;
    const struct op_call *call = &LARGE[_i];
    uint32_t groups[2], part[2];
    snprintf(gpu->info.type, sizeof gpu->info.type, "discrete"); /* a CPU has another grid */
    gpu->flops_max = (uint64_t)most;
    op_grid(gpu, call, groups, part);
    const double all = (double)groups[0] * groups[1], parts = all / part[0] / part[1];
    ck_assert_double_gt((double)op_cost(call).work, most);
    ck_assert_msg(heaviest(call, groups, part) <= most, "%g operations", heaviest(call, groups, part));
    ck_assert_double_le(parts, 4 * (double)op_cost(call).work / most);
}
END_TEST

/* A GPU runs these in workgroups of several subgroups, with barriers that mean something; a CPU in one. */
START_TEST(workgroups_of_a_gpu_have_the_same_bits)
{
    const struct row *row = &ROWS[_i];
    const enum op op = row->op;
    char *type = gpu->info.type;
    if (row->full ||
        (op != OP_attention && op != OP_swiglu && op != OP_rope && op != OP_embed && op != OP_gather))
        return;
    if (strcmp(type, "cpu") != 0)
        return; /* it is one */
    for (int pass = 0; pass < PASS_COUNT; pass++) {
        if (!scene_ready(row, (enum pass)pass, VARIANT_plain))
            continue;
        run(scene, (enum pass)pass, VARIANT_plain);
        memcpy(scene->again, scene->after, scene->end);
        ops_forget(gpu);
        snprintf(type, sizeof gpu->info.type, "discrete");
        run(scene, (enum pass)pass, VARIANT_plain);
        ops_forget(gpu);
        snprintf(type, sizeof gpu->info.type, "cpu");
        ck_assert_msg(memcmp(scene->again, scene->after, scene->end) == 0, "%s.%s: other bits", op_name(op),
                      pass_name((enum pass)pass));
    }
}
END_TEST

/* ---- a row's bits are its own ---- */

// clang-format off
static const struct row ALONE[] = {
    { .op = OP_rmsnorm, .n = { 19, 576 } },
    { .op = OP_rmsnorm, .n = { 5, 127 }, .widths = true },
    { .op = OP_rope, .n = { 7, 2, 32, 1, 0 } },
    { .op = OP_matmul, .n = { 37, 65, 48, 2, 1, 0 } },
    { .op = OP_matmul, .n = { 18, 192, 64, 0, 0, 1 } },
    { .op = OP_matmul, .n = { 35, 80, 96, 0, 0, 1, WEIGHT_q4, 8 }, .widths = true },
    { .op = OP_matmul, .n = { 33, 32, 64, 0, 0, 0, WEIGHT_q8 } },
    { .op = OP_lora, .n = { 37, 8, 64, 0, 0, 0 }, .widths = true },
    { .op = OP_xent, .n = { 19, 300, 16, 128 }, .widths = true },
    { .op = OP_kl, .n = { 19, 300, 16, 128 }, .widths = true },
};
// clang-format on
enum { ALONE_ROWS = sizeof ALONE / sizeof *ALONE };

static struct tensor *tensor_of(struct scene *s, char c)
{
    if (c == 'i')
        return &s->ints;
    if (c == '+')
        return &s->dy;
    if (c >= 'a' && c <= 'e')
        return &s->in[c - 'a'];
    if (c >= 'x' && c <= 'z')
        return &s->out[c - 'x'];
    return &s->grad[c - 'A'];
}

/* Bytes of one of the `rows` rows of a tensor; words and cotangents of rows may be one float each. */
static size_t row_bytes(const struct tensor *t, size_t rows)
{
    return (t->n / rows == t->width ? t->stride : t->n / rows) * sizeof(float);
}

static const struct tensor *result_of(struct scene *s, enum pass pass)
{
    return pass == PASS_fwd ? &s->out[0] : &s->grad[0];
}

static void check_row(struct scene *s, enum pass pass, size_t rows, size_t row, size_t at, const char *where)
{
    const struct tensor *t = result_of(s, pass);
    const size_t bytes = row_bytes(t, rows), values = t->n / rows * sizeof(float);
    ck_assert_msg(memcmp(&s->again[t->at + row * bytes], &s->after[t->at + at * bytes], values) == 0,
                  "%s pass %d: row %zu has other bits %s", op_name(s->row->op), (int)pass, row, where);
}

/* The row as a batch of one, by pointers to it. `again` holds the whole batch's result. */
static void check_alone(struct scene *s, enum pass pass, enum variant variant, size_t rows, size_t row)
{
    struct op_call call = { .op = s->row->op, .pass = pass, .variant = variant, .args = s->args[pass] };
    const char *p = SPECS[s->row->op].p[pass];
    for (size_t i = 0; p[i]; i++) {
        call.args.p[i] = scene_pointer(s, p[i]);
        if (strchr(SPECS[s->row->op].by_row, p[i]))
            call.args.p[i] += row * row_bytes(tensor_of(s, p[i]), rows);
    }
    call.args.d[0] = (uint32_t)(call.args.d[0] / rows);
    OK(scene_call(s, &call, &st));
    check_row(s, pass, rows, row, row, "alone");
}

/* The row at another place, among rows of NaN. */
static void check_moved(struct scene *s, enum pass pass, enum variant variant, size_t rows, size_t row,
                        size_t to)
{
    static unsigned char kept[ARENA];
    memcpy(kept, s->before, s->end);
    for (const char *c = SPECS[s->row->op].by_row; *c; c++) {
        const struct tensor *t = tensor_of(s, *c);
        const size_t bytes = row_bytes(t, rows);
        if (*c != 'i')
            memset(&s->before[t->at], 0xff, rows * bytes);
        memcpy(&s->before[t->at + to * bytes], &kept[t->at + row * bytes], bytes);
    }
    run(s, pass, variant);
    check_row(s, pass, rows, row, to, "elsewhere");
    memcpy(s->before, kept, s->end);
}

START_TEST(rows_keep_their_bits)
{
    const struct row *row = &ALONE[_i];
    const size_t rows = row->n[0];
    if (widths_alone() && !row->widths)
        return;
    for (int i = 0; i < VARIANT_COUNT * 2; i++) {
        enum variant variant = (enum variant)(i / 2);
        enum pass pass = (enum pass)(i % 2);
        if (!scene_serves(scene, row, pass, variant))
            continue;
        scene_make(scene, row, 0);
        if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
            run(scene, PASS_fwd, variant);
            memcpy(scene->before, scene->after, scene->end);
        }
        run(scene, pass, variant);
        memcpy(scene->again, scene->after, scene->end);
        for (size_t r = 0; r < rows; r += 3) {
            check_alone(scene, pass, variant, rows, r);
            check_moved(scene, pass, variant, rows, r, (r * 5 + 2) % rows);
        }
    }
}
END_TEST

enum { HEADS = 3, HEAD = 64 };

/* Rows of q, k and v of the sequence at `from` come to `to`. */
static void attention_copy(const struct scene *s, unsigned char *out, const unsigned char *in, size_t to,
                           size_t from)
{
    for (size_t i = 0; i < 3; i++) {
        size_t bytes = s->in[i].stride * sizeof(float);
        memcpy(&out[s->in[i].at + to * bytes], &in[s->in[i].at + from * bytes], bytes);
    }
}

static void attention_same(const struct scene *s, size_t row, size_t at, const char *where)
{
    for (size_t o = 0; o < 2; o++) {
        size_t bytes = s->out[o].stride * sizeof(float);
        ck_assert_msg(
            memcmp(&s->again[s->out[o].at + row * bytes], &s->after[s->out[o].at + at * bytes], bytes) == 0,
            "attention: row %zu has other bits %s", row, where);
    }
}

/* One sequence of `n` rows at row 0; then its first `prefix` rows at row 1, and what follows them at row
 * `at`, with rows of NaN between that nobody names. */
static void check_sequences(struct scene *s, enum variant variant, uint32_t n, uint32_t prefix, uint32_t at)
{
    static unsigned char kept[ARENA];
    const uint32_t rows = s->row->n[0];
    memcpy(kept, s->before, s->end);
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t first = row < n ? 0 : row;
        memcpy(&s->before[s->ints.at + row * 16], (const uint32_t[4]){ 0, 0, first, row < n ? n : row + 1 },
               16);
    }
    run(s, PASS_fwd, variant);
    memcpy(s->again, s->after, s->end);
    for (size_t i = 0; i < 3; i++)
        memset(&s->before[s->in[i].at], 0xff, s->in[i].floats * sizeof(float));
    for (uint32_t row = 0; row < rows; row++)
        memcpy(&s->before[s->ints.at + row * 16], (const uint32_t[4]){ 0, 0, row, row + 1 }, 16);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = i < prefix ? 1 + i : at + i - prefix;
        const uint32_t own[4] = { 0, 0, 1, 1 + prefix }, tail[4] = { 1, prefix, at, at + n - prefix };
        attention_copy(s, s->before, kept, to, i);
        memcpy(&s->before[s->ints.at + to * 16], i < prefix ? own : tail, 16);
    }
    run(s, PASS_fwd, variant);
    for (uint32_t i = 0; i < n; i++)
        attention_same(s, i, i < prefix ? 1 + i : at + i - prefix, "behind a shared prefix");
    memcpy(s->before, kept, s->end);
}

START_TEST(a_shared_prefix_changes_no_bit)
{
    static const struct row row = { .op = OP_attention, .n = { 70, HEADS, 1, HEAD, 0, 70 } };
    for (int v = 0; v < VARIANT_COUNT; v++) {
        if (!op_serves(gpu, OP_attention, PASS_fwd, (enum variant)v))
            continue;
        scene_make(scene, &row, 0);
        check_sequences(scene, (enum variant)v, 33, 0, 7);
        check_sequences(scene, (enum variant)v, 33, 5, 21);
        check_sequences(scene, (enum variant)v, 20, 19, 40);
        check_sequences(scene, (enum variant)v, 37, 16, 33);
    }
}
END_TEST

/* ---- single facts ---- */

static uint64_t put_floats(struct gpu_buffer *b, uint64_t at, const float *x, size_t n)
{
    OK(gpu_write(gpu, b, at, x, n * sizeof *x, &st));
    return b->addr + at;
}

START_TEST(dropout_keeps_what_the_formats_say)
{
    /* seed 7, tensor 2, step 3, p = 0.5: of elements 0 to 7 the third and the last are kept */
    static const float WANT[8] = { 0, 0, 2, 0, 0, 0, 0, 2 };
    const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const uint32_t draw[4] = { 7, 0, 3, 0 };
    float unit[64] = { 0 }, u[8];
    for (size_t i = 0; i < 8; i++)
        unit[i * 9] = 1;
    struct op_args args = {
        .p = { put_floats(&scene->arena, 0, ones, 8), put_floats(&scene->arena, 256, unit, 64),
               scene->arena.addr + 1024, scene->arena.addr + 2048 },
        .d = { 1, 8, 8, 8, 0x80000000u, 2 },
        .f = { 2, 1 },
    };
    OK(gpu_write(gpu, &scene->arena, 2048, draw, sizeof draw, &st));
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_lora, .variant = (enum variant)v, .args = args };
        if (!op_serves(gpu, OP_lora, PASS_fwd, call.variant))
            continue;
        OK(op_run(gpu, &call, &st));
        OK(gpu_submit(gpu, &st));
        OK(gpu_read(gpu, &scene->arena, 1024, u, sizeof u, &st));
        ck_assert_mem_eq(u, WANT, sizeof u);
    }
}
END_TEST

START_TEST(the_lowest_of_equal_logits_is_the_top)
{
    enum { COLS = 40, CHUNK = 20 };
    float x[COLS], state[8];
    uint32_t id, target = 39;
    for (size_t i = 0; i < COLS; i++)
        x[i] = (i >= 4 && i <= 7) || i == 17 || i == 21 ? 1e4f : -1e4f;
    put_floats(&scene->arena, 0, x, COLS);
    OK(gpu_write(gpu, &scene->arena, 512, &target, 4, &st));
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_xent, .variant = (enum variant)v };
        if (!op_serves(gpu, OP_xent, PASS_fwd, call.variant))
            continue;
        for (uint32_t first = 0; first < COLS; first += CHUNK) {
            call.args = (struct op_args){ .p = { scene->arena.addr + first * 4, scene->arena.addr + 512,
                                                 scene->arena.addr + 1024 },
                                          .d = { 1, CHUNK, COLS, first, first == 0 } };
            OK(op_run(gpu, &call, &st));
        }
        OK(gpu_submit(gpu, &st));
        OK(gpu_read(gpu, &scene->arena, 1024, state, sizeof state, &st));
        memcpy(&id, &state[3], 4);
        ck_assert_uint_eq(id, 4);
        ck_assert_float_eq(state[0], 1e4f);
        ck_assert_float_eq(state[1], 6);
        ck_assert_float_eq(state[4], -1e4f);
        ck_assert_float_eq(state[5], 0); /* all six at the maximum */
    }
}
END_TEST

enum { KL_COLS = 5000 };

/* Divergences of softmax(x) and softmax(y), both ways. */
static void kl_of(const float *x, const float *y, double out[2])
{
    double top[2] = { -INFINITY, -INFINITY }, sum[2] = { 0, 0 };
    for (size_t c = 0; c < KL_COLS; c++) {
        top[0] = fmax(top[0], (double)x[c]);
        top[1] = fmax(top[1], (double)y[c]);
    }
    for (size_t c = 0; c < KL_COLS; c++) {
        sum[0] += exp((double)x[c] - top[0]);
        sum[1] += exp((double)y[c] - top[1]);
    }
    out[0] = out[1] = 0;
    for (size_t c = 0; c < KL_COLS; c++) {
        const double log_p = (double)x[c] - top[0] - log(sum[0]), log_q = (double)y[c] - top[1] - log(sum[1]);
        out[0] += exp(log_p) * (log_p - log_q);
        out[1] += exp(log_q) * (log_q - log_p);
    }
}

/* The device's, chunk by chunk as the head does. */
static void kl_run(enum variant v, const float *x, const float *y, float out[2])
{
    enum { X = 0, Y = 1 << 16, TARGET = 1 << 17, STATES = TARGET + 256, BYTES = 256 };
    const uint32_t target = 3;
    const uint64_t at = scene->arena.addr, p = at + STATES, q = p + BYTES, kl = q + BYTES;
    float state[8];
    put_floats(&scene->arena, X, x, KL_COLS);
    put_floats(&scene->arena, Y, y, KL_COLS);
    OK(gpu_write(gpu, &scene->arena, TARGET, &target, 4, &st));
    for (uint32_t c = 0; c < KL_COLS; c += 2048) {
        const uint32_t cols = KL_COLS - c < 2048 ? KL_COLS - c : 2048, fresh = c == 0;
        const uint64_t row[2] = { at + X + c * 4, at + Y + c * 4 };
        struct op_call call = { .op = OP_xent, .variant = v };
        for (int side = 0; side < 2; side++) {
            call.args = (struct op_args){ .p = { row[side], at + TARGET, side ? q : p },
                                          .d = { 1, cols, KL_COLS, c, fresh } };
            OK(op_run(gpu, &call, &st));
        }
        call.op = OP_kl;
        call.args = (struct op_args){ .p = { row[0], row[1], p, q, kl }, .d = { 1, cols, KL_COLS, fresh } };
        OK(op_run(gpu, &call, &st));
    }
    OK(gpu_submit(gpu, &st));
    OK(gpu_read(gpu, &scene->arena, kl - at, state, sizeof state, &st));
    memcpy(out, &state[4], 2 * sizeof *out);
}

/* Models all but equal up to ones with nothing in common, and logits that lie 50 and 100 apart altogether.
 * On lavapipe over LETHE_SEEDS=100 the worst error is 2.5e-7 sqrt(KL) + 2.5e-6 KL: 3e-11 of a KL of 1e-8. */
START_TEST(divergences_keep_their_digits)
{
    static const struct {
        float apart, spread;
    } CASES[] = { { 0, 4 },    { 1e-5f, 4 }, { 1e-4f, 4 }, { 1e-4f, 1 }, { 1e-2f, 4 },
                  { 0.2f, 4 }, { 1, 4 },     { 8, 4 },     { 8, 0 } };
    enum { CASES_N = sizeof CASES / sizeof *CASES };
    static float x[KL_COLS], y[KL_COLS];
    double want[2], worst = 0;
    float have[2];
    for (uint64_t i = 0; i < 3 * CASES_N * seeds(); i++) {
        const float apart = CASES[i / 3 % CASES_N].apart, spread = CASES[i / 3 % CASES_N].spread,
                    offset = 50 * (float)(i % 3);
        scene_make(scene, &ALONE[0], i); /* for its stream of numbers */
        for (size_t c = 0; c < KL_COLS; c++) {
            x[c] = (float)(uniform(scene) + uniform(scene)) * spread - 50;
            const double step = uniform(scene);
            y[c] = x[c] + (float)(step * step) * apart + offset; /* skewed: no error of odd order cancels */
        }
        kl_of(x, y, want);
        for (int v = 0; v < VARIANT_COUNT; v++) {
            if (!op_serves(gpu, OP_kl, PASS_fwd, (enum variant)v))
                continue;
            kl_run((enum variant)v, x, y, have);
            for (int way = 0; way < 2; way++) {
                const double e = fabs((double)have[way] - want[way]);
                ck_assert_msg((double)have[way] >= 0 && e <= 1e-6 * sqrt(want[way]) + 1e-5 * want[way],
                              "%s, %g apart, spread %g, offset %g: %.9g, not %.9g",
                              variant_name((enum variant)v), (double)apart, (double)spread, (double)offset,
                              (double)have[way], want[way]);
                if (want[way] > 0)
                    worst = fmax(worst, e / (1e-7 * sqrt(want[way]) + 1e-6 * want[way]));
            }
        }
    }
    printf("  KL: %.2f of 1e-7 sqrt(KL) + 1e-6 KL\n", worst);
}
END_TEST

START_TEST(used_shaders_are_listed)
{
    const struct op_used *used;
    struct op_call call = { .op = OP_swiglu };
    ck_assert_uint_eq(op_used(gpu, &used), 0);
    OK(op_run(gpu, &call, &st));
    call = (struct op_call){ .op = OP_gather, .pass = PASS_bwd0 };
    OK(op_run(gpu, &call, &st));
    OK(op_run(gpu, &call, &st));
    ck_assert_uint_eq(op_used(gpu, &used), 2);
    ck_assert_str_eq(used[0].name, "gather.plain.bwd0");
    ck_assert_str_eq(used[1].name, "swiglu.plain.fwd");
    ck_assert(!hash_equal(&used[0].sha256, &used[1].sha256));
}
END_TEST

START_TEST(every_operator_has_a_row)
{
    for (int op = 0; op < OP_COUNT; op++) {
        size_t i = 0;
        while (i < ROWS_N && ROWS[i].op != (enum op)op)
            i++;
        ck_assert_msg(i < ROWS_N, "%s has no row", op_name((enum op)op));
        ck_assert_msg(SPECS[op].ref != NULL, "%s has no reference", op_name((enum op)op));
    }
}
END_TEST

/* Every kernel of this device is among those that run at each width. */
START_TEST(every_kernel_has_a_row_for_widths)
{
    for (int op = 0; op < OP_COUNT; op++)
        for (int p = 0; p < PASS_COUNT; p++)
            for (int v = 0; v < VARIANT_COUNT; v++) {
                bool found = !op_serves(gpu, (enum op)op, (enum pass)p, (enum variant)v);
                for (size_t i = 0; i < ROWS_N && !found; i++)
                    found = ROWS[i].widths && ROWS[i].op == (enum op)op &&
                            scene_serves(scene, &ROWS[i], (enum pass)p, (enum variant)v);
                ck_assert_msg(found, "no row with .widths runs %s.%s.%s", op_name((enum op)op),
                              variant_name((enum variant)v), pass_name((enum pass)p));
            }
}
END_TEST

START_TEST(other_bits_are_never_chosen_by_time)
{
    if (!op_serves(gpu, OP_matmul, PASS_fwd, VARIANT_coop))
        printf("  coop skipped: %s\n", gpu_get_info(gpu)->coop
                                           ? "built without"
                                           : "no cooperative matrices of f16 with f32 sums here");
    for (int op = 0; op < OP_COUNT; op++)
        for (int pass = 0; pass < PASS_COUNT; pass++)
            ck_assert_int_ne(op_choose(gpu, (enum op)op, (enum pass)pass), VARIANT_coop);
}
END_TEST

START_TEST(refuses_what_it_cannot_run)
{
    struct op_call call = { .op = OP_embed, .pass = PASS_bwd1 };
    ck_assert_int_eq(op_run(gpu, &call, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "embed.plain.bwd1"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops");
    TCase *tests = tcase_create("ops"), *widths = tcase_create("widths");
    tcase_set_timeout(tests, 300 * (double)seeds());
    tcase_set_timeout(widths, 300 * (double)seeds());
    tcase_add_checked_fixture(tests, device_open, device_close);
    tcase_add_checked_fixture(widths, device_open, device_close);
    tcase_add_loop_test(widths, operator_agrees, 0, (int)ROWS_N);
    tcase_add_loop_test(widths, rows_keep_their_bits, 0, ALONE_ROWS);
    tcase_add_test(widths, a_shared_prefix_changes_no_bit);
    tcase_add_test(widths, dropout_keeps_what_the_formats_say);
    tcase_add_test(widths, the_lowest_of_equal_logits_is_the_top);
    tcase_add_test(widths, divergences_keep_their_digits);
    tcase_add_test(widths, every_kernel_has_a_row_for_widths);
    tcase_add_test(widths, other_bits_are_never_chosen_by_time);
    tcase_add_test(tests, what_is_wrong_is_told);
    tcase_add_test(tests, a_sum_counts_rows);
    tcase_add_loop_test(tests, parts_have_the_bits_of_the_whole, 0, (int)ROWS_N);
    tcase_add_loop_test(tests, no_part_is_more_than_a_submission_may_hold, 0, LARGE_N);
    tcase_add_loop_test(tests, workgroups_of_a_gpu_have_the_same_bits, 0, (int)ROWS_N);
    tcase_add_test(tests, used_shaders_are_listed);
    tcase_add_test(tests, every_operator_has_a_row);
    tcase_add_test(tests, refuses_what_it_cannot_run);
    suite_add_tcase(suite, widths);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
