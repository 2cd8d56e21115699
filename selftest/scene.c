#include "selftest/scene.h"

#include "base/alloc.h"
#include "model/quant.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

enum { COLUMNS_MAX = 2048 };

/* Sixteen rows of a weight, in whichever form its format has. */
struct panel {
    float values[WEIGHT_PANEL * COLUMNS_MAX], groups[WEIGHT_PANEL * COLUMNS_MAX];
    uint16_t halves[WEIGHT_PANEL * COLUMNS_MAX];
    int8_t codes[WEIGHT_PANEL * COLUMNS_MAX];
};

double uniform(struct scene *s) /* xorshift64 */
{
    s->stream ^= s->stream << 13;
    s->stream ^= s->stream >> 7;
    s->stream ^= s->stream << 17;
    return (double)(s->stream >> 11) * 0x1p-53 * 4 - 2;
}

uint32_t uniform_below(struct scene *s, uint32_t n)
{
    uint32_t i = (uint32_t)((uniform(s) + 2) / 4 * n);
    return i < n ? i : n - 1;
}

int scene_open(struct gpu *g, struct scene *s, struct status *st)
{
    int rc = 0;
    *s = (struct scene){ .gpu = g };
    s->before = mem_calloc(ARENA, 1);
    s->after = mem_calloc(ARENA, 1);
    s->again = mem_calloc(ARENA, 1);
    s->ref_in = mem_calloc(INPUTS, sizeof *s->ref_in);
    s->panel = mem_calloc(1, sizeof *s->panel);
    s->words = mem_calloc(FLOATS, sizeof *s->words);
    s->scratch = mem_calloc(FLOATS, sizeof *s->scratch);
    if (!s->before || !s->after || !s->again || !s->ref_in || !s->panel || !s->words || !s->scratch)
        FAIL(st, RC_NOMEM, "no memory for references");
    TRY(gpu_alloc(g, ARENA, "arena", &s->arena, st));
out:
    if (rc != 0)
        scene_close(s);
    return rc;
}

void scene_close(struct scene *s)
{
    if (s->gpu)
        gpu_free(s->gpu, &s->arena);
    mem_free(s->before);
    mem_free(s->after);
    mem_free(s->again);
    mem_free(s->ref_in);
    mem_free(s->panel);
    mem_free(s->words);
    mem_free(s->scratch);
    *s = (struct scene){ 0 };
}

/* ---- pages behind the tensors that nobody may touch ---- */

/* The first place from byte `from` of the arena on whose end is a page's. */
static size_t edge_place(struct scene *s, size_t from, size_t bytes)
{
    const uint64_t end = (s->arena.addr + from + bytes + PAGE - 1) / PAGE * PAGE;
    assert(s->edge_pages_n < EDGES);
    s->edge_pages[s->edge_pages_n++] = end;
    return (size_t)(end - s->arena.addr - bytes);
}

static int edges_close(const struct scene *s, bool closed, struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < s->edge_pages_n; i++)
        if (mprotect((void *)(uintptr_t)s->edge_pages[i], PAGE,
                     closed ? PROT_NONE : PROT_READ | PROT_WRITE) != 0)
            FAIL(st, RC_IO, "a page of the arena cannot be closed");
out:
    return rc;
}

/* ---- one row in device memory ---- */

static unsigned char canary(size_t offset)
{
    return (unsigned char)((offset * 2654435761u) >> 13);
}

size_t tensor_place(const struct tensor *t, size_t i)
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
    if (s->edges) {
        const size_t bytes = (t->floats * sizeof(float) + 15) & ~(size_t)15;
        t->at = edge_place(s, s->end - t->floats * sizeof(float), bytes);
        s->end = t->at + bytes + PAGE;
    }
    assert(s->end + GUARD <= ARENA);
    assert(t->n <= FLOATS);
}

static void put(struct scene *s, const struct tensor *t, size_t i, float value)
{
    memcpy(&s->before[t->at + tensor_place(t, i) * sizeof value], &value, sizeof value);
}

float tensor_get(const unsigned char *bytes, const struct tensor *t, size_t i)
{
    float value;
    memcpy(&value, &bytes[t->at + tensor_place(t, i) * sizeof value], sizeof value);
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
static void prepare(struct scene *s, const struct tensor *t, const struct tensor *source)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->before == BEFORE_RANDOM)
            put(s, t, i, (float)uniform(s));
        else if (t->before == BEFORE_ZERO)
            put(s, t, i, 0);
        else if (t->before != BEFORE_CANARY)
            put(s, t, i, tensor_get(s->before, source, i));
    }
}

/* A random value that the format holds, as it stands in the rows that are packed. */
static double packed_value(struct scene *s, enum weight w, size_t at, const float *group)
{
    struct panel *p = s->panel;
    switch (w) {
    case WEIGHT_f16:
        p->halves[at] = f16_of_f32((float)uniform(s));
        return (double)f16_to_f32(p->halves[at]);
    case WEIGHT_bf16:
        p->halves[at] = (uint16_t)(0x3f00 | uniform_below(s, 256) | uniform_below(s, 2) << 15);
        return (double)bf16_to_f32(p->halves[at]);
    case WEIGHT_q4:
        p->codes[at] = (int8_t)uniform_below(s, 16);
        return (double)((float)p->codes[at] * group[0] + group[1]);
    case WEIGHT_q8:
        p->codes[at] = (int8_t)((int)uniform_below(s, 256) - 128);
        return (double)((float)p->codes[at] * group[at % WEIGHT_GROUP / 16]);
    default:
        p->values[at] = (float)uniform(s);
        return (double)p->values[at];
    }
}

static float half_of(float x)
{
    return f16_to_f32(f16_of_f32(x));
}

/* The tensor's rows in its format, panel by panel, and the same values for the reference. Groups are halves:
 * unpacking is exact whether or not a device fuses it, and rounds to f16 in one way only. */
static void fill_packed(struct scene *s, const struct tensor *t, double *values_out)
{
    struct panel *p = s->panel;
    const struct weight_rows panel = { p->values, p->halves, p->codes, p->groups };
    const size_t rows = t->n / t->width, width = t->width;
    assert(width <= COLUMNS_MAX);
    for (size_t first = 0; first < rows; first += WEIGHT_PANEL) {
        memset(p, 0, sizeof *p);
        for (size_t i = 0; i < 16 * (width / WEIGHT_GROUP) * 2; i++)
            p->groups[i] = half_of((float)uniform(s) / (t->format == WEIGHT_q8 ? 64 : i % 2 ? 1 : 8));
        for (size_t r = 0; r < WEIGHT_PANEL && first + r < rows; r++)
            for (size_t c = 0; c < width; c++)
                values_out[(first + r) * width + c] =
                    packed_value(s, t->format, r * width + c,
                                 &p->groups[(r * (width / WEIGHT_GROUP) + c / WEIGHT_GROUP) * 2]);
        weight_pack(t->format, &panel, (uint32_t)width,
                    &s->before[t->at + weight_units_at(t->format, first, width)],
                    &s->before[t->at + t->groups_at + weight_groups_at(t->format, first, width)]);
        weight_turn(t->format, &panel, (uint32_t)width, (uint32_t)first, (uint32_t)rows,
                    &s->before[t->at + t->turned_at]);
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
            s->ref_in[i][j] = uniform(s);
    }
    if (SPECS[s->row->op].values)
        SPECS[s->row->op].values(s);
    for (size_t i = 0; i < INPUTS; i++) {
        if (s->in[i].packed) {
            fill_packed(s, &s->in[i], s->ref_in[i]);
            continue;
        }
        for (size_t j = 0; j < s->in[i].n; j++) {
            put(s, &s->in[i], j, (float)s->ref_in[i][j]);
            s->ref_in[i][j] = (double)(float)s->ref_in[i][j];
        }
    }
    for (size_t j = 0; j < s->dy.n; j++)
        put(s, &s->dy, j, (float)uniform(s));
    for (size_t j = 0; j < s->ints.n; j++)
        memcpy(&s->before[s->ints.at + j * 4], &s->words[j], 4);
}

/* Everything of a row back to zero; what scene_open took stays. */
static void row_clear(struct scene *s, const struct row *row)
{
    memset(s->in, 0, sizeof s->in);
    memset(s->out, 0, sizeof s->out);
    memset(s->grad, 0, sizeof s->grad);
    memset(s->args, 0, sizeof s->args);
    s->dy = s->ints = (struct tensor){ 0 };
    s->block = s->end = 0;
    s->edge_pages_n = 0;
    s->seed = 0;
    s->no_bwd1 = s->halves = false;
    s->row = row;
}

bool scene_serves(struct scene *s, const struct row *row, enum pass pass, enum variant variant)
{
    const char *p = SPECS[row->op].p[pass];
    if (!op_serves(s->gpu, row->op, pass, variant))
        return false;
    row_clear(s, row);
    s->stream = 1;
    SPECS[row->op].shape(s);
    struct op_call call = { .op = row->op, .pass = pass, .variant = variant, .args = s->args[pass] };
    for (size_t i = 0; p && p[i] && i < 8; i++)
        call.args.p[i] = p[i] != '0';
    return op_fits(&call);
}

void scene_make(struct scene *s, const struct row *row, uint64_t seed)
{
    row_clear(s, row);
    s->stream = (row_seed(row) + seed * 0x9e3779b97f4a7c15u) | 1;
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
        s->before[i] = canary(i);
    fill_inputs(s);
    for (size_t i = 0; i < OUTPUTS; i++)
        prepare(s, &s->out[i], &s->in[i]);
    for (size_t i = 0; i < INPUTS; i++)
        prepare(s, &s->grad[i], s->grad[i].before == BEFORE_A ? &s->in[0] : &s->dy);
}

void scene_halve(struct scene *s)
{
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < s->in[i].n; j++)
            s->ref_in[i][j] = (double)half_of((float)s->ref_in[i][j]);
    s->halves = true;
}

double scene_cotangent(const struct scene *s, size_t i)
{
    const float dy = tensor_get(s->before, &s->dy, i);
    return (double)(s->halves ? half_of(dy) : dy);
}

size_t scene_output(char c)
{
    return c == 'w' ? OUTPUTS - 1 : (size_t)(c - 'x');
}

uint64_t scene_pointer(const struct scene *s, char c)
{
    const uint64_t arena = s->arena.addr;
    switch (c) {
    case '0':
        return 0;
    case 'i':
        return arena + s->ints.at;
    case '+':
        return arena + s->dy.at;
    case 'g':
        return arena + packed_of(s)->at + packed_of(s)->groups_at;
    case 't':
        return arena + packed_of(s)->at + packed_of(s)->turned_at;
    case '&':
        return arena + s->block;
    default:
        if (c >= 'a' && c <= 'e')
            return arena + s->in[c - 'a'].at;
        if (c >= 'w' && c <= 'z')
            return arena + s->out[scene_output(c)].at;
        assert(c >= 'A' && c <= 'E');
        return arena + s->grad[c - 'A'].at;
    }
}

/* A chunk of columns of xent, or of kl behind xent on both of its rows; p[5] of kl is for them. */
static int chunk_record(struct scene *s, const struct op_call *whole, uint32_t first, uint32_t columns,
                        struct status *st)
{
    int rc = 0;
    const uint64_t *p = whole->args.p;
    const uint32_t rows = whole->args.d[0], ld = whole->args.d[2], fresh = first == 0;
    const uint64_t at = first * sizeof(float);
    struct op_call call = *whole;
    if (whole->op == OP_kl) {
        struct op_call xent = { .op = OP_xent, .args.d = { rows, columns, ld, first, fresh } };
        for (int side = 0; side < 2; side++) {
            memcpy(xent.args.p, (const uint64_t[]){ p[side] + at, p[5], p[2 + side] }, 3 * sizeof *p);
            TRY(op_run(s->gpu, &xent, st));
        }
        call.args.p[1] = p[1] + at;
    }
    call.args.p[0] = p[0] + at;
    call.args.d[1] = columns;
    call.args.d[3] = whole->op == OP_kl ? fresh : first;
    call.args.d[4] = fresh;
    TRY(op_run(s->gpu, &call, st));
out:
    return rc;
}

/* One call, or for xent and kl one for each chunk of columns. */
static int call_record(struct scene *s, const struct op_call *call, struct status *st)
{
    int rc = 0;
    const uint32_t *n = s->row->n;
    if (call->op != OP_xent && call->op != OP_kl) {
        TRY(op_run(s->gpu, call, st));
        goto out;
    }
    for (uint32_t first = 0; first < n[1]; first += n[3])
        TRY(chunk_record(s, call, first, n[1] - first < n[3] ? n[1] - first : n[3], st));
out:
    return rc;
}

int scene_call(struct scene *s, const struct op_call *call, struct status *st)
{
    int rc = 0;
    TRY(gpu_write(s->gpu, &s->arena, 0, s->before, s->end, st));
    TRY(call_record(s, call, st));
    TRY(edges_close(s, true, st));
    TRY(gpu_submit(s->gpu, st));
    TRY(edges_close(s, false, st));
    TRY(gpu_read(s->gpu, &s->arena, 0, s->after, s->end, st));
out:
    return rc;
}

int scene_run(struct scene *s, enum pass pass, enum variant variant, struct status *st)
{
    struct op_call call = { .op = s->row->op, .pass = pass, .variant = variant, .args = s->args[pass] };
    const char *p = SPECS[s->row->op].p[pass];
    call.args.p[0] = scene_pointer(s, *p);
    if (*p == '&') {
        for (size_t i = 1; p[i]; i++) {
            uint64_t address = scene_pointer(s, p[i]);
            memcpy(&s->before[s->block + (i - 1) * 8], &address, 8);
        }
    } else {
        for (size_t i = 1; p[i]; i++)
            call.args.p[i] = scene_pointer(s, p[i]);
    }
    return scene_call(s, &call, st);
}
