/* Every operator against its reference in double precision, forward and backward, on the device at hand.
 * tier: quick   device: yes
 *
 * A row is an operator, a shape and two tolerances. For every variant that the device can run:
 *
 *   forward   outputs are within fwd (1 + |y|) of the reference.
 *   backward  sampled elements of each gradient are within bwd (1 + |g|) of central differences of the
 *             reference, contracted with a random cotangent: nobody writes a second backward, and no gradient
 *             hides in a sum.
 *   repeat    a second run gives the same bits, and so does every variant of a product and of attention.
 *   canaries  no byte outside the outputs changed: inputs hold what they held, all else a hash of its offset.
 *
 * A row's seed comes from the row, so it fails alone and again. LETHE_SEEDS=100 runs a hundred seeds a row
 * and prints the worst error, which is how tolerances are chosen. LETHE_FULL=1 runs the slow rows too.
 */
#include "model/quant.h"
#include "tests/ops_scene.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SAMPLES = 48, LARGE = 3000, SAMPLES_LARGE = 6 }; /* a sample costs two runs of the reference */

// clang-format off
/* Beside each row: the worst errors on lavapipe (Mesa 25.0.7) over LETHE_SEEDS=100, of a full row over
 * one. A tolerance is at most ten times that, or 1e-6 where that is less, since other devices may round exp
 * otherwise. */
static const struct row TABLE[] = {
    /* rows, vocabulary, width */
    { OP_embed, { 1, 1, 2 },                  .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 7, 37, 48 },                .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 65, 16, 64 },               .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 48, WEIGHT_f16 },    .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 48, WEIGHT_bf16 },   .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 64, WEIGHT_q4 },     .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 96, WEIGHT_q8 },     .fwd = 1e-6 }, /* 0.0e+00 */
    /* rows, width */
    { OP_rmsnorm, { 1, 1 },                   .fwd = 1e-6, .bwd = 2e-5 }, /* 7.4e-08 2.2e-06 */
    { OP_rmsnorm, { 5, 127 },                 .fwd = 2e-6, .bwd = 5e-6 }, /* 2.6e-07 5.4e-07 */
    { OP_rmsnorm, { 3, 129 },                 .fwd = 2e-6, .bwd = 3e-6 }, /* 2.8e-07 3.7e-07 */
    { OP_rmsnorm, { 9, 576 },                 .fwd = 2e-6, .bwd = 2e-6 }, /* 2.2e-07 2.2e-07 */
    { OP_rmsnorm, { 65537, 1 },               .fwd = 1e-6, .bwd = 1e-6, .full = true }, /* 8.7e-09 1.4e-08 */
    /* rows, heads, width of a head, pairing, room behind a row */
    { OP_rope, { 1, 1, 2, 0, 0 },             .fwd = 1e-6, .bwd = 1e-6 }, /* 1.5e-07 1.9e-07 */
    { OP_rope, { 5, 3, 64, 1, 0 },            .fwd = 2e-6, .bwd = 1e-6 }, /* 2.0e-07 1.5e-07 */
    { OP_rope, { 7, 2, 32, 0, 5 },            .fwd = 2e-6, .bwd = 1e-6 }, /* 2.1e-07 1.4e-07 */
    { OP_rope, { 13, 9, 64, 1, 16 },          .fwd = 2e-6, .bwd = 1e-6 }, /* 2.3e-07 9.7e-08 */
    /* rows, H, KV, width of a head, prefix, longest sequence */
    { OP_attention, { 1, 1, 1, 32, 0, 1 },    .fwd = 1e-6, .bwd = 1e-6 }, /* 1.5e-07 4.4e-12 */
    { OP_attention, { 17, 3, 1, 64, 0, 17 },  .fwd = 8e-6, .bwd = 1e-5 }, /* 8.3e-07 1.7e-06 */
    { OP_attention, { 37, 4, 2, 32, 0, 9 },   .fwd = 8e-6, .bwd = 1e-5 }, /* 8.2e-07 1.2e-06 */
    { OP_attention, { 33, 2, 2, 64, 5, 7 },   .fwd = 1e-5, .bwd = 6e-6 }, /* 1.2e-06 6.6e-07 */
    { OP_attention, { 65, 6, 3, 64, 0, 65 },  .fwd = 1e-5, .bwd = 9e-6 }, /* 1.3e-06 9.8e-07 */
    { OP_attention, { 19, 2, 1, 80, 0, 19 },  .fwd = 1e-5, .bwd = 1e-5 }, /* 1.1e-06 1.5e-06 */
    { OP_attention, { 75, 2, 1, 32, 41, 9 },  .fwd = 9e-6, .bwd = 6e-6 }, /* 9.2e-07 6.3e-07 */
    { OP_attention, { 11, 2, 1, 256, 3, 4 },  .fwd = 5e-6, .bwd = 1e-5, .full = true }, /* 5.1e-07 1.0e-06 */
    /* elements */
    { OP_swiglu, { 1 },                       .fwd = 1e-6, .bwd = 1e-6 }, /* 1.0e-07 7.2e-08 */
    { OP_swiglu, { 63 },                      .fwd = 1e-6, .bwd = 1e-6 }, /* 9.9e-08 1.3e-07 */
    { OP_swiglu, { 65 },                      .fwd = 1e-6, .bwd = 1e-6 }, /* 1.1e-07 1.3e-07 */
    { OP_swiglu, { 65537 },                   .fwd = 1e-6, .bwd = 1e-6 }, /* 1.4e-07 1.0e-07 */
    /* m, n, k, room behind a row of x, of y, 1 to add, format, rank of an adapter */
    { OP_matmul, { 1, 2, 16, 0, 0, 0 },       .fwd = 4e-6, .bwd = 1e-6 }, /* 4.8e-07 1.7e-07 */
    { OP_matmul, { 12, 64, 48, 0, 0, 1 },     .fwd = 3e-5, .bwd = 4e-5 }, /* 3.2e-06 4.4e-06 */
    { OP_matmul, { 13, 65, 32, 16, 3, 0 },    .fwd = 2e-5, .bwd = 2e-5 }, /* 2.5e-06 2.3e-06 */
    { OP_matmul, { 31, 63, 38, 2, 1, 1 },     .fwd = 3e-5, .bwd = 2e-5 }, /* 3.4e-06 2.8e-06 */
    { OP_matmul, { 37, 192, 64, 0, 16, 0 },   .fwd = 6e-5, .bwd = 6e-5 }, /* 6.1e-06 6.3e-06 */
    { OP_matmul, { 2, 17, 576, 0, 1, 1 },     .fwd = 1e-4, .bwd = 8e-6 }, /* 1.6e-05 8.2e-07 */
    { OP_matmul, { 100, 300, 160, 8, 4, 0 },  .fwd = 1e-4, .bwd = 1e-5, .full = true }, /* 1.0e-05 1.0e-06 */
    { OP_matmul, { 33, 80, 96, 0, 0, 1, WEIGHT_f32, 8 },  .fwd = 6e-5, .bwd = 6e-5 }, /* - */
    { OP_matmul, { 37, 65, 64, 0, 1, 0, WEIGHT_f16, 3 },  .fwd = 6e-5, .bwd = 6e-5 }, /* - */
    { OP_matmul, { 12, 48, 80, 8, 0, 0, WEIGHT_bf16 },    .fwd = 6e-5, .bwd = 6e-5 }, /* - */
    { OP_matmul, { 45, 96, 160, 0, 8, 1, WEIGHT_q4, 8 },  .fwd = 1e-4, .bwd = 1e-4 }, /* - */
    { OP_matmul, { 31, 33, 96, 0, 1, 0, WEIGHT_q4 },      .fwd = 1e-4, .bwd = 6e-5 }, /* - */
    { OP_matmul, { 70, 128, 96, 4, 4, 1, WEIGHT_q8, 16 }, .fwd = 2e-4, .bwd = 2e-4 }, /* - */
    { OP_matmul, { 5, 17, 576, 0, 1, 0, WEIGHT_q8 },      .fwd = 2e-4, .bwd = 6e-5 }, /* - */
    /* m, r, k, room behind a row of x, dropout in 1/1000, first token */
    { OP_lora, { 1, 1, 16, 0, 0, 0 },       .fwd = 3e-6, .bwd = 1e-6 }, /* 3.9e-07 9.7e-08 */
    { OP_lora, { 17, 8, 64, 16, 0, 0 },     .fwd = 4e-5, .bwd = 9e-6 }, /* 4.0e-06 9.0e-07 */
    { OP_lora, { 37, 8, 48, 0, 100, 5 },    .fwd = 4e-5, .bwd = 1e-5 }, /* 4.1e-06 1.4e-06 */
    { OP_lora, { 13, 17, 96, 0, 500, 0x7ffffff }, .fwd = 5e-5, .bwd = 1e-5 }, /* 5.6e-06 1.4e-06 */
    /* rows taken, rows there, width */
    { OP_gather, { 1, 1, 1 },                 .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 4.3e-12 */
    { OP_gather, { 5, 23, 65 },               .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 4.4e-12 */
    /* rows, columns, room behind a row, columns of a chunk */
    { OP_xent, { 1, 1, 0, 1 },                .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 1.0e-11 */
    { OP_xent, { 3, 127, 1, 127 },            .fwd = 3e-6, .bwd = 1e-6 }, /* 3.3e-07 3.0e-08 */
    { OP_xent, { 19, 300, 16, 128 },          .fwd = 3e-6, .bwd = 1e-6 }, /* 3.6e-07 1.5e-08 */
    { OP_xent, { 2, 5000, 0, 2048 },          .fwd = 3e-6, .bwd = 1e-6 }, /* 3.9e-07 1.2e-09 */
    { OP_xent, { 65537, 1, 1, 1 },            .fwd = 1e-6, .bwd = 1e-6, .full = true }, /* 0.0e+00 8.4e-12 */
    /* elements */
    { OP_sumsq, { 1 },                        .fwd = 1e-6 }, /* 3.8e-08 */
    { OP_sumsq, { 257 },                      .fwd = 1e-6 }, /* 9.1e-08 */
    { OP_sumsq, { 100003 },                   .fwd = 1e-6 }, /* 1.4e-07 */
    { OP_adamw, { 1 },                        .fwd = 1e-6 }, /* 4.6e-08 */
    { OP_adamw, { 67 },                       .fwd = 1e-6 }, /* 5.9e-08 */
    /* elements, rounds */
    { OP_peak, { 67, 5 },                     .fwd = 1e-6 }, /* 0 */
};
// clang-format on
enum { TABLE_ROWS = sizeof TABLE / sizeof *TABLE };

/* ---- device and arena ---- */

static struct gpu *gpu;
static struct gpu_buffer arena;
static struct status st;
static unsigned char before[ARENA], after[ARENA], again[ARENA];

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

/* Opened in the process that runs the test: a device does not survive the runner's fork. */
static void device_open(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(gpu_alloc(gpu, ARENA, "arena", &arena, &st));
}

static void device_close(void)
{
    const char *first;
    size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_free(gpu, &arena);
    gpu_close(gpu);
    gpu = NULL;
}

static unsigned char canary(size_t offset)
{
    return (unsigned char)((offset * 2654435761u) >> 13);
}

static void arena_write(const unsigned char *bytes, size_t n)
{
    OK(gpu_write(gpu, &arena, 0, bytes, n, &st));
}

static void arena_read(unsigned char *bytes, size_t n)
{
    OK(gpu_read(gpu, &arena, 0, bytes, n, &st));
}

/* ---- pages behind the tensors that nobody may touch ---- */

enum { PAGE = 4096, EDGES = INPUTS * 2 + OUTPUTS + 2 };

static bool edges; /* every tensor ends where a page does, and the next page is out of bounds */
static uint64_t edge_pages[EDGES];
static size_t edge_pages_n;

/* The first place from byte `from` of the arena on whose end is a page's. */
static size_t edge_place(size_t from, size_t bytes)
{
    const uint64_t end = (arena.addr + from + bytes + PAGE - 1) / PAGE * PAGE;
    ck_assert_uint_lt(edge_pages_n, EDGES);
    edge_pages[edge_pages_n++] = end;
    return (size_t)(end - arena.addr - bytes);
}

/* On a software driver a device address is an address of this process. */
static void edges_close(bool closed)
{
    for (size_t i = 0; i < edge_pages_n; i++)
        ck_assert_int_eq(
            mprotect((void *)(uintptr_t)edge_pages[i], PAGE, closed ? PROT_NONE : PROT_READ | PROT_WRITE), 0);
}

/* ---- one row in device memory ---- */

static size_t place_of(const struct tensor *t, size_t i)
{
    return i / t->width * t->stride + i % t->width;
}

static void take(struct scene *s, struct tensor *t)
{
    if (t->n == 0)
        return;
    size_t rows = t->n / t->width;
    t->at = (s->end + GUARD + 255) & ~(size_t)255;
    t->floats = rows * t->stride + t->room;
    if (t->packed) {
        const size_t units = weight_units_bytes(t->format, rows, t->width),
                     groups = weight_groups_bytes(t->format, rows, t->width),
                     turned = weight_units_bytes(t->format, (t->width + 15) / 16 * 16, (rows + 15) / 16 * 16);
        t->floats = (units + groups + turned) / sizeof(float);
        t->groups_at = units;
        t->turned_at = units + groups;
    }
    s->end = t->at + t->floats * sizeof(float);
    if (edges) {
        const size_t bytes = (t->floats * sizeof(float) + 15) & ~(size_t)15;
        t->at = edge_place(s->end - t->floats * sizeof(float), bytes);
        s->end = t->at + bytes + PAGE;
    }
    ck_assert_uint_le(s->end + GUARD, ARENA);
    ck_assert_uint_le(t->n, FLOATS);
}

static void put(const struct tensor *t, size_t i, float value)
{
    memcpy(&before[t->at + place_of(t, i) * sizeof value], &value, sizeof value);
}

static float got(const unsigned char *bytes, const struct tensor *t, size_t i)
{
    float value;
    memcpy(&value, &bytes[t->at + place_of(t, i) * sizeof value], sizeof value);
    return value;
}

/* The row's own seed (FNV-1a): its numbers stay when rows are added around it. */
static uint64_t row_seed(const struct row *row)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *c = op_name(row->op); *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (size_t i = 0; i < SIZES; i++)
        hash = (hash ^ row->n[i]) * 1099511628211u;
    return hash;
}

/* What an output holds at first. `source` is the input, or dy, that it shares its place with. */
static void prepare(const struct tensor *t, const struct tensor *source)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->before == BEFORE_RANDOM)
            put(t, i, (float)uniform());
        else if (t->before == BEFORE_ZERO)
            put(t, i, 0);
        else if (t->before != BEFORE_CANARY)
            put(t, i, got(before, source, i));
    }
}

enum { COLUMNS_MAX = 2048 };

/* A random value that the format holds, as it stands in the rows that are packed. */
static double packed_value(enum weight w, size_t at, float *values, uint16_t *halves, int8_t *codes,
                           const float *group)
{
    switch (w) {
    case WEIGHT_f16:
        halves[at] = f16_of_f32((float)uniform());
        return (double)f16_to_f32(halves[at]);
    case WEIGHT_bf16:
        halves[at] = (uint16_t)(0x3f00 | uniform_below(256) | uniform_below(2) << 15);
        return (double)bf16_to_f32(halves[at]);
    case WEIGHT_q4:
        codes[at] = (int8_t)uniform_below(16);
        return (double)((float)codes[at] * group[0] + group[1]);
    case WEIGHT_q8:
        codes[at] = (int8_t)((int)uniform_below(256) - 128);
        return (double)((float)codes[at] * group[at % WEIGHT_GROUP / 16]);
    default:
        values[at] = (float)uniform();
        return (double)values[at];
    }
}

/* The tensor's rows in its format, panel by panel, and the same values for the reference. */
static void fill_packed(const struct tensor *t, double *values_out)
{
    static float values[16 * COLUMNS_MAX], groups[16 * COLUMNS_MAX];
    static uint16_t halves[16 * COLUMNS_MAX];
    static int8_t codes[16 * COLUMNS_MAX];
    const struct weight_rows panel = { values, halves, codes, groups };
    const size_t rows = t->n / t->width, width = t->width;
    ck_assert_uint_le(width, COLUMNS_MAX);
    for (size_t first = 0; first < rows; first += WEIGHT_PANEL) {
        memset(values, 0, sizeof values);
        memset(halves, 0, sizeof halves);
        memset(codes, 0, sizeof codes);
        for (size_t i = 0; i < 16 * (width / WEIGHT_GROUP) * 2; i++)
            groups[i] = (float)uniform() / (t->format == WEIGHT_q8 ? 64 : i % 2 ? 1 : 8);
        for (size_t r = 0; r < WEIGHT_PANEL && first + r < rows; r++)
            for (size_t c = 0; c < width; c++)
                values_out[(first + r) * width + c] =
                    packed_value(t->format, r * width + c, values, halves, codes,
                                 &groups[(r * (width / WEIGHT_GROUP) + c / WEIGHT_GROUP) * 2]);
        weight_pack(t->format, &panel, (uint32_t)width,
                    &before[t->at + weight_units_at(t->format, first, width)],
                    &before[t->at + t->groups_at + weight_groups_at(t->format, first, width)]);
        weight_turn(t->format, &panel, (uint32_t)width, (uint32_t)first, (uint32_t)rows,
                    &before[t->at + t->turned_at]);
    }
}

static const struct tensor *packed_of(const struct scene *s)
{
    size_t i = 0;
    while (i < INPUTS - 1 && !s->in[i].packed)
        i++;
    return &s->in[i];
}

static void fill_inputs(struct scene *s)
{
    for (size_t i = 0; i < INPUTS; i++) {
        for (size_t j = 0; j < s->in[i].n; j++)
            ref_in[i][j] = uniform();
    }
    if (SPECS[s->row->op].values)
        SPECS[s->row->op].values();
    for (size_t i = 0; i < INPUTS; i++) {
        if (s->in[i].packed) {
            fill_packed(&s->in[i], ref_in[i]);
            continue;
        }
        for (size_t j = 0; j < s->in[i].n; j++) {
            put(&s->in[i], j, (float)ref_in[i][j]);
            ref_in[i][j] = (double)(float)ref_in[i][j];
        }
    }
    for (size_t j = 0; j < s->dy.n; j++)
        put(&s->dy, j, (float)uniform());
    for (size_t j = 0; j < s->ints.n; j++)
        memcpy(&before[s->ints.at + j * 4], &words[j], 4);
}

static void scene_make(const struct row *row, uint64_t seed, struct scene *s)
{
    *s = (struct scene){ .row = row };
    edge_pages_n = 0;
    uniform_seed(row_seed(row) + seed * 0x9e3779b97f4a7c15u);
    SPECS[row->op].shape(s);
    if (s->dy.n == 0)
        s->dy = s->out[0];
    for (size_t i = 0; i < INPUTS; i++)
        take(s, &s->in[i]);
    take(s, &s->ints);
    for (size_t i = 0; i < OUTPUTS; i++)
        take(s, &s->out[i]);
    take(s, &s->dy);
    for (size_t i = 0; i < INPUTS; i++) {
        if (s->grad[i].n == 0) {
            s->grad[i] = s->in[i];
            s->grad[i].packed = false;
            s->grad[i].room = 0;
            s->grad[i].stride = s->in[i].stride ? s->in[i].stride : s->in[i].width;
        }
        take(s, &s->grad[i]);
    }
    s->block = (s->end + GUARD + 255) & ~(size_t)255;
    s->end = s->block + 10 * 8 + GUARD;
    for (size_t i = 0; i < s->end; i++)
        before[i] = canary(i);
    fill_inputs(s);
    for (size_t i = 0; i < OUTPUTS; i++)
        prepare(&s->out[i], &s->in[i]);
    for (size_t i = 0; i < INPUTS; i++)
        prepare(&s->grad[i], s->grad[i].before == BEFORE_A ? &s->in[0] : &s->dy);
}

static uint64_t pointer(const struct scene *s, char c)
{
    switch (c) {
    case '0':
        return 0;
    case 's':
        return s->seed;
    case 'i':
        return arena.addr + s->ints.at;
    case '+':
        return arena.addr + s->dy.at;
    case 'g':
        return arena.addr + packed_of(s)->at + packed_of(s)->groups_at;
    case 't':
        return arena.addr + packed_of(s)->at + packed_of(s)->turned_at;
    case '&':
        return arena.addr + s->block;
    default:
        if (c >= 'a' && c <= 'e')
            return arena.addr + s->in[c - 'a'].at;
        if (c >= 'x' && c <= 'z')
            return arena.addr + s->out[c - 'x'].at;
        ck_assert(c >= 'A' && c <= 'E');
        return arena.addr + s->grad[c - 'A'].at;
    }
}

/* Records the pass: one call, or for xent one for each chunk of columns. */
static void record(const struct scene *s, struct op_call *call)
{
    const uint32_t *n = s->row->n;
    if (s->row->op != OP_xent) {
        OK(op_run(gpu, call, &st));
        return;
    }
    const uint64_t logits = call->args.p[0];
    for (uint32_t first = 0; first < n[1]; first += n[3]) {
        call->args.p[0] = logits + first * sizeof(float);
        call->args.d[1] = n[1] - first < n[3] ? n[1] - first : n[3];
        call->args.d[3] = first;
        call->args.d[4] = first == 0;
        OK(op_run(gpu, call, &st));
    }
}

/* Whether the variant has the pass, on this device and for these sizes. */
static bool serves(const struct row *row, enum pass pass, enum variant variant)
{
    static struct scene s;
    if (!op_serves(gpu, row->op, pass, variant))
        return false;
    s = (struct scene){ .row = row };
    SPECS[row->op].shape(&s);
    struct op_call call = { .op = row->op, .pass = pass, .variant = variant, .args = s.args[pass] };
    for (size_t i = 0; SPECS[row->op].p[pass] && SPECS[row->op].p[pass][i] && i < 8; i++)
        call.args.p[i] = SPECS[row->op].p[pass][i] != '0';
    return op_fits(&call);
}

static void scene_run(const struct scene *s, enum pass pass, enum variant variant)
{
    struct op_call call = { .op = s->row->op, .pass = pass, .variant = variant, .args = s->args[pass] };
    const char *p = SPECS[s->row->op].p[pass];
    call.args.p[0] = pointer(s, *p);
    if (*p == '&') {
        for (size_t i = 1; p[i]; i++) {
            uint64_t address = pointer(s, p[i]);
            memcpy(&before[s->block + (i - 1) * 8], &address, 8);
        }
    } else {
        for (size_t i = 1; p[i]; i++)
            call.args.p[i] = pointer(s, p[i]);
    }
    arena_write(before, s->end);
    record(s, &call);
    edges_close(true);
    OK(gpu_submit(gpu, &st));
    edges_close(false);
    arena_read(after, s->end);
}

/* ---- comparison ---- */

static double ref_out[OUTPUTS][FLOATS], ref_above[OUTPUTS][FLOATS], ref_below[OUTPUTS][FLOATS];
static double *const to_out[OUTPUTS] = { ref_out[0], ref_out[1], ref_out[2] };
static double *const to_above[OUTPUTS] = { ref_above[0], ref_above[1], ref_above[2] };
static double *const to_below[OUTPUTS] = { ref_below[0], ref_below[1], ref_below[2] };
static unsigned char may_change[ARENA];

static void allow(const struct tensor *t)
{
    for (size_t i = 0; i < t->n; i++)
        memset(&may_change[t->at + place_of(t, i) * sizeof(float)], 1, sizeof(float));
}

static void check_canaries(const struct scene *s, enum pass pass)
{
    memset(may_change, 0, s->end);
    for (const char *p = SPECS[s->row->op].p[pass]; *p; p++) {
        if (*p >= 'A' && *p <= 'E')
            allow(&s->grad[*p - 'A']);
        if (*p >= 'x' && *p <= 'z' && pass == PASS_fwd)
            allow(&s->out[*p - 'x']);
    }
    for (size_t i = 0; i < s->end; i++)
        if (after[i] != before[i] && !may_change[i])
            ck_abort_msg("%s pass %d wrote byte %zu, outside its output", op_name(s->row->op), (int)pass, i);
}

static void check_repeat(const struct scene *s, enum pass pass, enum variant variant)
{
    memcpy(again, after, s->end);
    scene_run(s, pass, variant);
    ck_assert_msg(memcmp(again, after, s->end) == 0, "%s gives other bits on a second run",
                  op_name(s->row->op));
}

/* Relative to 1 + |want|, and NaN counts as infinitely wrong. */
static double error_of(double have, double want)
{
    double e = fabs(have - want) / (1 + fabs(want));
    return isnan(e) ? INFINITY : e;
}

static double check_forward(const struct scene *s)
{
    double worst = 0;
    const struct row *row = s->row;
    SPECS[row->op].ref(s, to_out);
    for (size_t o = 0; o < OUTPUTS; o++) {
        const struct tensor *t = &s->out[o];
        for (size_t i = 0; i < t->n; i++) {
            double want = ref_out[o][i], have = (double)got(after, t, i);
            if (t->before == BEFORE_RANDOM)
                want += (double)got(before, t, i);
            if (row->op == OP_xent && i % 8 == 3) { /* the id is a whole number */
                uint32_t id;
                memcpy(&id, &after[t->at + i * 4], 4);
                have = id;
            }
            double e = error_of(have, want);
            worst = fmax(worst, e);
            ck_assert_msg(e <= row->fwd, "%s output %zu [%zu] is %.9g, not %.9g", op_name(row->op), o, i,
                          have, want);
        }
    }
    return worst;
}

/* d(sum of y dy) / d(input[j]), by central difference of the reference. */
static double slope(const struct scene *s, size_t input, size_t j)
{
    const struct spec *spec = &SPECS[s->row->op];
    const double h = 1e-5, x = ref_in[input][j];
    double sum = 0;
    for (int side = 0; side < 2; side++) {
        ref_in[input][j] = side ? x - h : x + h;
        if (spec->more)
            sum += (side ? -1 : 1) * spec->more(s) / (2 * h);
        if (spec->loss)
            spec->loss(s, side ? ref_below[0] : ref_above[0]);
        else
            spec->ref(s, side ? to_below : to_above);
    }
    ref_in[input][j] = x;
    for (size_t i = 0; i < s->dy.n; i++)
        sum += (ref_above[0][i] - ref_below[0][i]) / (2 * h) * (double)got(before, &s->dy, i);
    return sum;
}

static double check_gradient(const struct scene *s, size_t input)
{
    double worst = 0;
    const struct row *row = s->row;
    const struct tensor *t = &s->grad[input];
    const size_t samples = t->n > LARGE ? SAMPLES_LARGE : t->n > SAMPLES ? SAMPLES : t->n;
    for (size_t k = 0; k < samples; k++) {
        size_t j = samples == t->n ? k : uniform_below((uint32_t)t->n);
        double want = slope(s, input, j), have = (double)got(after, t, j);
        if (t->before == BEFORE_RANDOM)
            want += (double)got(before, t, j);
        double e = error_of(have, want);
        worst = fmax(worst, e);
        ck_assert_msg(e <= row->bwd, "%s gradient of input %zu [%zu] is %.9g, not %.9g", op_name(row->op),
                      input, j, have, want);
    }
    return worst;
}

static double check_backward(const struct scene *s, enum pass pass)
{
    double worst = 0;
    for (const char *p = SPECS[s->row->op].p[pass]; *p; p++)
        if (*p >= 'A' && *p <= 'E')
            worst = fmax(worst, check_gradient(s, (size_t)(*p - 'A')));
    return worst;
}

/* On a CPU no driver fuses a product with its sum, so the order of a sum is all that its bits depend on. */
static void check_plain_bits(const struct scene *s, enum pass pass)
{
    if (strcmp(gpu_get_info(gpu)->type, "cpu") != 0)
        return;
    memcpy(again, after, s->end);
    scene_run(s, pass, VARIANT_plain);
    ck_assert_msg(memcmp(again, after, s->end) == 0, "%s gives other bits in its plain form",
                  op_name(s->row->op));
}

/* ---- the table ---- */

static size_t seeds(void)
{
    const char *asked = getenv("LETHE_SEEDS");
    return asked ? strtoull(asked, NULL, 10) : 1;
}

static double pass_check(const struct row *row, enum pass pass, enum variant variant, uint64_t seed)
{
    static struct scene s;
    scene_make(row, seed, &s);
    s.pass = pass;
    if (pass == PASS_bwd1 && s.no_bwd1)
        return 0;
    if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
        scene_run(&s, PASS_fwd, VARIANT_plain);
        memcpy(before, after, s.end);
    }
    scene_run(&s, pass, variant);
    double worst = pass == PASS_fwd ? check_forward(&s) : check_backward(&s, pass);
    check_canaries(&s, pass);
    check_repeat(&s, pass, variant);
    if (variant != VARIANT_plain && SPECS[row->op].same_bits)
        check_plain_bits(&s, pass);
    return worst;
}

START_TEST(operator_agrees)
{
    static const char *const PASSES[] = { "fwd", "bwd0", "bwd1" };
    const struct row *row = &TABLE[_i];
    if (row->full && !getenv("LETHE_FULL")) {
        printf("  row %2d  %-9s skipped: full tier\n", _i, op_name(row->op));
        return;
    }
    for (int v = 0; v < VARIANT_COUNT; v++) {
        for (int pass = 0; pass < PASS_COUNT; pass++) {
            if (!serves(row, (enum pass)pass, (enum variant)v))
                continue;
            double worst = 0;
            for (uint64_t seed = 0; seed < seeds(); seed++)
                worst = fmax(worst, pass_check(row, (enum pass)pass, (enum variant)v, seed));
            printf("  row %2d  %-9s %-5s %-4s  %.1e\n", _i, op_name(row->op), variant_name((enum variant)v),
                   PASSES[pass], worst);
        }
    }
}
END_TEST

/* A driver may load at an address that is equal for all lanes even where no lane takes part. */
START_TEST(nothing_is_read_behind_a_tensor)
{
    const struct row *row = &TABLE[_i];
    static struct scene s;
    if (!strstr(gpu_get_info(gpu)->driver, "llvmpipe")) {
        printf("  row %2d  skipped: no addresses of this process\n", _i);
        return;
    }
    if (row->full)
        return; /* nothing but size sets it apart */
    edges = true;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        for (int pass = 0; pass < PASS_COUNT; pass++) {
            if (!serves(row, (enum pass)pass, (enum variant)v))
                continue;
            scene_make(row, 0, &s);
            if (pass == PASS_bwd1 && s.no_bwd1)
                continue;
            if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
                scene_run(&s, PASS_fwd, VARIANT_plain);
                memcpy(before, after, s.end);
            }
            scene_run(&s, (enum pass)pass, (enum variant)v);
        }
    }
}
END_TEST

/* ---- a row's bits are its own ---- */

// clang-format off
static const struct row ALONE[] = {
    { .op = OP_rmsnorm, .n = { 19, 576 } },
    { .op = OP_rmsnorm, .n = { 5, 127 } },
    { .op = OP_rope, .n = { 7, 2, 32, 1, 0 } },
    { .op = OP_matmul, .n = { 37, 65, 48, 2, 1, 0 } },
    { .op = OP_matmul, .n = { 18, 192, 64, 0, 0, 1 } },
    { .op = OP_matmul, .n = { 35, 80, 96, 0, 0, 1, WEIGHT_q4, 8 } },
    { .op = OP_matmul, .n = { 33, 32, 64, 0, 0, 0, WEIGHT_q8 } },
    { .op = OP_lora, .n = { 37, 8, 64, 0, 0, 0 } },
    { .op = OP_xent, .n = { 19, 300, 16, 128 } },
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
    ck_assert_msg(memcmp(&again[t->at + row * bytes], &after[t->at + at * bytes], values) == 0,
                  "%s pass %d: row %zu has other bits %s", op_name(s->row->op), (int)pass, row, where);
}

/* The row as a batch of one, by pointers to it. `again` holds the whole batch's result. */
static void check_alone(struct scene *s, enum pass pass, enum variant variant, size_t rows, size_t row)
{
    struct op_call call = { .op = s->row->op, .pass = pass, .variant = variant, .args = s->args[pass] };
    const char *p = SPECS[s->row->op].p[pass];
    for (size_t i = 0; p[i]; i++) {
        call.args.p[i] = pointer(s, p[i]);
        if (strchr(SPECS[s->row->op].by_row, p[i]))
            call.args.p[i] += row * row_bytes(tensor_of(s, p[i]), rows);
    }
    call.args.d[0] = (uint32_t)(call.args.d[0] / rows);
    arena_write(before, s->end);
    record(s, &call);
    edges_close(true);
    OK(gpu_submit(gpu, &st));
    edges_close(false);
    arena_read(after, s->end);
    check_row(s, pass, rows, row, row, "alone");
}

/* The row at another place, among rows of NaN. */
static void check_moved(struct scene *s, enum pass pass, enum variant variant, size_t rows, size_t row,
                        size_t to)
{
    static unsigned char kept[ARENA];
    memcpy(kept, before, s->end);
    for (const char *c = SPECS[s->row->op].by_row; *c; c++) {
        const struct tensor *t = tensor_of(s, *c);
        const size_t bytes = row_bytes(t, rows);
        if (*c != 'i')
            memset(&before[t->at], 0xff, rows * bytes);
        memcpy(&before[t->at + to * bytes], &kept[t->at + row * bytes], bytes);
    }
    scene_run(s, pass, variant);
    check_row(s, pass, rows, row, to, "elsewhere");
    memcpy(before, kept, s->end);
}

START_TEST(rows_keep_their_bits)
{
    static struct scene s;
    const struct row *row = &ALONE[_i];
    const size_t rows = row->n[0];
    for (int i = 0; i < VARIANT_COUNT * 2; i++) {
        enum variant variant = (enum variant)(i / 2);
        enum pass pass = (enum pass)(i % 2);
        if (!serves(row, pass, variant))
            continue;
        scene_make(row, 0, &s);
        if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
            scene_run(&s, PASS_fwd, variant);
            memcpy(before, after, s.end);
        }
        scene_run(&s, pass, variant);
        memcpy(again, after, s.end);
        for (size_t r = 0; r < rows; r += 3) {
            check_alone(&s, pass, variant, rows, r);
            check_moved(&s, pass, variant, rows, r, (r * 5 + 2) % rows);
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
        ck_assert_msg(memcmp(&again[s->out[o].at + row * bytes], &after[s->out[o].at + at * bytes], bytes) ==
                          0,
                      "attention: row %zu has other bits %s", row, where);
    }
}

/* One sequence of `n` rows at row 0; then its first `prefix` rows at row 1, and what follows them at row
 * `at`, with rows of NaN between that nobody names. */
static void check_sequences(struct scene *s, enum variant variant, uint32_t n, uint32_t prefix, uint32_t at)
{
    static unsigned char kept[ARENA];
    const uint32_t rows = s->row->n[0];
    memcpy(kept, before, s->end);
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t first = row < n ? 0 : row;
        memcpy(&before[s->ints.at + row * 16], (const uint32_t[4]){ 0, 0, first, row < n ? n : row + 1 }, 16);
    }
    scene_run(s, PASS_fwd, variant);
    memcpy(again, after, s->end);
    for (size_t i = 0; i < 3; i++)
        memset(&before[s->in[i].at], 0xff, s->in[i].floats * sizeof(float));
    for (uint32_t row = 0; row < rows; row++)
        memcpy(&before[s->ints.at + row * 16], (const uint32_t[4]){ 0, 0, row, row + 1 }, 16);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = i < prefix ? 1 + i : at + i - prefix;
        const uint32_t own[4] = { 0, 0, 1, 1 + prefix }, tail[4] = { 1, prefix, at, at + n - prefix };
        attention_copy(s, before, kept, to, i);
        memcpy(&before[s->ints.at + to * 16], i < prefix ? own : tail, 16);
    }
    scene_run(s, PASS_fwd, variant);
    for (uint32_t i = 0; i < n; i++)
        attention_same(s, i, i < prefix ? 1 + i : at + i - prefix, "behind a shared prefix");
    memcpy(before, kept, s->end);
}

START_TEST(a_shared_prefix_changes_no_bit)
{
    static const struct row row = { .op = OP_attention, .n = { 70, HEADS, 1, HEAD, 0, 70 } };
    static struct scene s;
    for (int v = 0; v < VARIANT_COUNT; v++) {
        if (!op_serves(gpu, OP_attention, PASS_fwd, (enum variant)v))
            continue;
        scene_make(&row, 0, &s);
        check_sequences(&s, (enum variant)v, 33, 0, 7);
        check_sequences(&s, (enum variant)v, 33, 5, 21);
        check_sequences(&s, (enum variant)v, 20, 19, 40);
        check_sequences(&s, (enum variant)v, 37, 16, 33);
    }
}
END_TEST

/* ---- single facts ---- */

static uint64_t put_floats(struct gpu_buffer *b, uint64_t at, const float *x, size_t n)
{
    OK(gpu_write(gpu, b, at, x, n * sizeof *x, &st));
    return b->addr + at;
}

/* Scores far above those before them, which move what keeps exp in range. */
START_TEST(steep_scores_agree)
{
    static const struct row row = { OP_attention, { 70, HEADS, 1, HEAD, 0, 70 }, .fwd = 4e-5 }; /* 4.2e-06 */
    static struct scene s;
    scene_make(&row, 0, &s);
    for (size_t i = 0; i < s.in[0].n; i++) {
        ref_in[0][i] *= 8;
        put(&s.in[0], i, (float)ref_in[0][i]);
    }
    for (int v = 0; v < VARIANT_COUNT; v++) {
        if (!op_serves(gpu, OP_attention, PASS_fwd, (enum variant)v))
            continue;
        scene_run(&s, PASS_fwd, (enum variant)v);
        printf("  steep scores, %-7s  %.1e\n", variant_name((enum variant)v), check_forward(&s));
        check_plain_bits(&s, PASS_fwd);
    }
}
END_TEST

START_TEST(dropout_keeps_what_the_formats_say)
{
    /* seed 7, tensor 2, step 3, p = 0.5: of elements 0 to 7 the third and the last are kept */
    static const float WANT[8] = { 0, 0, 2, 0, 0, 0, 0, 2 };
    const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    float unit[64] = { 0 }, u[8];
    for (size_t i = 0; i < 8; i++)
        unit[i * 9] = 1;
    struct op_args args = {
        .p = { put_floats(&arena, 0, ones, 8), put_floats(&arena, 256, unit, 64), arena.addr + 1024, 7 },
        .d = { 1, 8, 8, 8, 0x80000000u, 2, 3, 0 },
        .f = { 2, 1 },
    };
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_lora, .variant = (enum variant)v, .args = args };
        if (!op_serves(gpu, OP_lora, PASS_fwd, call.variant))
            continue;
        OK(op_run(gpu, &call, &st));
        OK(gpu_submit(gpu, &st));
        OK(gpu_read(gpu, &arena, 1024, u, sizeof u, &st));
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
    put_floats(&arena, 0, x, COLS);
    OK(gpu_write(gpu, &arena, 512, &target, 4, &st));
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct op_call call = { .op = OP_xent, .variant = (enum variant)v };
        if (!op_serves(gpu, OP_xent, PASS_fwd, call.variant))
            continue;
        for (uint32_t first = 0; first < COLS; first += CHUNK) {
            call.args =
                (struct op_args){ .p = { arena.addr + first * 4, arena.addr + 512, arena.addr + 1024 },
                                  .d = { 1, CHUNK, COLS, first, first == 0 } };
            OK(op_run(gpu, &call, &st));
        }
        OK(gpu_submit(gpu, &st));
        OK(gpu_read(gpu, &arena, 1024, state, sizeof state, &st));
        memcpy(&id, &state[3], 4);
        ck_assert_uint_eq(id, 4);
        ck_assert_float_eq(state[0], 1e4f);
        ck_assert_float_eq(state[1], 6);
        ck_assert_float_eq(state[4], -1e4f);
        ck_assert_float_eq(state[5], 0); /* all six at the maximum */
    }
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
        while (i < TABLE_ROWS && TABLE[i].op != (enum op)op)
            i++;
        ck_assert_msg(i < TABLE_ROWS, "%s has no row", op_name((enum op)op));
        ck_assert_msg(SPECS[op].ref != NULL, "%s has no reference", op_name((enum op)op));
    }
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
    TCase *tests = tcase_create("ops");
    tcase_set_timeout(tests, 300 * (double)seeds());
    tcase_add_checked_fixture(tests, device_open, device_close);
    tcase_add_loop_test(tests, operator_agrees, 0, TABLE_ROWS);
    tcase_add_loop_test(tests, nothing_is_read_behind_a_tensor, 0, TABLE_ROWS);
    tcase_add_loop_test(tests, rows_keep_their_bits, 0, ALONE_ROWS);
    tcase_add_test(tests, a_shared_prefix_changes_no_bit);
    tcase_add_test(tests, steep_scores_agree);
    tcase_add_test(tests, dropout_keeps_what_the_formats_say);
    tcase_add_test(tests, the_lowest_of_equal_logits_is_the_top);
    tcase_add_test(tests, used_shaders_are_listed);
    tcase_add_test(tests, every_operator_has_a_row);
    tcase_add_test(tests, refuses_what_it_cannot_run);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
