#include "model/weights.h"

#include "base/alloc.h"
#include "base/file.h"
#include "gpu/weight.h"
#include "model/graph.h"
#include "model/quant.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Rows that are unpacked at a time: what a piece of a turned head has, and a multiple of the panel. */
enum { ROWS_A_TIME = GRAPH_CHUNK, ALIGN = 256 };

/* The tensors of one buffer: number `blocks` is the embedding, one more the final norm and an own head. */
static bool role_in_buffer(const struct model_hyper *h, enum tensor_role role, size_t buffer)
{
    if (buffer < h->blocks)
        return role_is_block(role);
    if (buffer == h->blocks)
        return role == ROLE_EMBEDDING;
    return role == ROLE_FINAL_NORM || (role == ROLE_HEAD && !h->tied_head);
}

/* Whether the gradient of this tensor's input will be wanted: of an embedding when it is the head, too. */
static bool role_is_turned(const struct model_hyper *h, enum tensor_role role)
{
    return !role_is_norm(role) && (role != ROLE_EMBEDDING || h->tied_head);
}

/* Turned in pieces of GRAPH_CHUNK rows, not as a whole. */
static bool role_is_head(enum tensor_role role)
{
    return role == ROLE_EMBEDDING || role == ROLE_HEAD;
}

/* ---- sizes ---- */

/* A tensor on the device: bytes of its parts, each aligned. */
struct layout {
    const struct source *from;
    const struct model_hyper *h;
    enum tensor_role role;
    uint32_t block;
    const struct gguf_tensor *tensor;
    const struct quant_type *type;
    const float *values; /* instead of the file's, row after row; or NULL */
    enum weight weight;  /* its format on the device */
    struct tensor_shape shape;
    bool norm;
    uint64_t units, groups, turned;
};

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* Sizes of a tensor in a format. */
static int layout_size(const struct model_hyper *h, enum tensor_role role, bool turned, struct layout *l,
                       struct status *st)
{
    int rc = 0;
    l->shape = role_shape(h, role);
    l->norm = role_is_norm(role);
    if (l->norm) {
        l->units = aligned((uint64_t)l->shape.rows * l->shape.columns * sizeof(float));
        goto out;
    }
    const uint32_t step = weight_step(l->weight);
    if (l->shape.columns % step != 0)
        FAIL(st, RC_UNSUPPORTED, "%s has rows of %" PRIu32 ", not a multiple of %" PRIu32, role_name(role),
             l->shape.columns, step);
    l->units = aligned(weight_units_bytes(l->weight, l->shape.rows, l->shape.columns));
    l->groups = aligned(weight_groups_bytes(l->weight, l->shape.rows, l->shape.columns));
    l->turned = turned && role_is_turned(h, role) ? l->units : 0;
out:
    return rc;
}

static int layout_get(const struct model_hyper *h, const struct source *file, enum tensor_role role,
                      uint32_t block, const struct weights_options *o, struct layout *out, struct status *st)
{
    int rc = 0;
    struct layout l = {
        .from = file, .h = h, .role = role, .block = block, .tensor = role_tensor(&file->gguf, role, block)
    };
    if (!l.tensor)
        FAIL(st, RC_FORMAT, "no tensor for %s of block %" PRIu32, role_name(role), block);
    l.type = quant_find(l.tensor->type);
    if (!l.type)
        FAIL(st, RC_UNSUPPORTED, "tensor '%.*s': type %" PRIu32 " is not read", (int)l.tensor->name.n,
             l.tensor->name.s, l.tensor->type);
    l.weight = o->f32 ? WEIGHT_f32 : l.type->weight;
    TRY(layout_size(h, role, o->turned, &l, st));
    *out = l;
out:
    return rc;
}

int weights_plan(const struct model_hyper *h, const struct source *file, bool f32, struct model_plan *out,
                 struct status *st)
{
    int rc = 0;
    const struct weights_options o = { .turned = true, .f32 = f32 };
    uint32_t widest = 0;
    uint64_t turned_most = 0;
    for (size_t i = 0; i < (size_t)h->blocks + 2; i++) {
        uint64_t bytes = 0, turned = 0;
        for (int r = 0; r < ROLES; r++) {
            struct layout l = { 0 };
            if (!role_in_buffer(h, (enum tensor_role)r, i))
                continue;
            TRY(layout_get(h, file, (enum tensor_role)r, i < h->blocks ? (uint32_t)i : 0, &o, &l, st));
            bytes += l.units + l.groups;
            turned += l.turned;
            widest = l.shape.columns > widest ? l.shape.columns : widest;
            turned_most = l.turned > turned_most ? l.turned : turned_most;
        }
        out->weight_bytes += bytes;
        out->turned_bytes += turned;
        out->largest_bytes = bytes + turned > out->largest_bytes ? bytes + turned : out->largest_bytes;
    }
    out->host_bytes = (uint64_t)3 * ROWS_A_TIME * widest * sizeof(float) + turned_most;
out:
    return rc;
}

/* ---- upload ---- */

/* Rows of a tensor on their way: as the file's type gives them, and packed. */
struct staging {
    float *values; /* [ROWS_A_TIME, widest]: values or codes */
    float *groups; /* [ROWS_A_TIME, widest / 32, 2] */
    uint8_t *units, *packed_groups, *turned;
    uint64_t turned_bytes;
};

static void staging_free(struct staging *s)
{
    mem_free(s->values);
    mem_free(s->groups);
    mem_free(s->units);
    mem_free(s->packed_groups);
    mem_free(s->turned);
}

static int staging_open(const struct model_hyper *h, struct staging *s, struct status *st)
{
    int rc = 0;
    uint64_t widest = 0;
    for (int r = 0; r < ROLES; r++) {
        const struct tensor_shape shape = role_shape(h, (enum tensor_role)r);
        widest = shape.columns > widest ? shape.columns : widest;
    }
    const uint64_t values = ROWS_A_TIME * widest;
    s->values = mem_calloc(values, sizeof(float));
    s->groups = mem_calloc(values / WEIGHT_GROUP * 2, sizeof(float));
    s->units = mem_calloc(values, sizeof(float));
    s->packed_groups = mem_calloc(values / WEIGHT_GROUP * 2, sizeof(float));
    if (!s->values || !s->groups || !s->units || !s->packed_groups)
        FAIL(st, RC_NOMEM, "no memory to unpack the weights");
out:
    return rc;
}

static int turned_room(struct staging *s, uint64_t bytes, struct status *st)
{
    int rc = 0;
    if (bytes <= s->turned_bytes)
        goto out;
    mem_free(s->turned);
    s->turned = mem_calloc(bytes, 1);
    s->turned_bytes = s->turned ? bytes : 0;
    if (!s->turned)
        FAIL(st, RC_NOMEM, "no memory to turn the weights");
out:
    return rc;
}

static void values_get(const struct layout *l, uint64_t first, uint32_t n, float *out)
{
    const uint32_t columns = l->shape.columns;
    if (l->values)
        memcpy(out, l->values + first * columns, (size_t)n * columns * sizeof *out);
    else
        source_f32(l->from, l->h, l->role, l->block, first, n, out);
}

/* Rows first … first + n - 1 in the form that weight_pack takes; rows up to a whole panel are zero. */
static void rows_get(const struct layout *l, uint64_t first, uint32_t n, struct staging *s)
{
    const uint32_t columns = l->shape.columns, whole = (n + WEIGHT_PANEL - 1) / WEIGHT_PANEL * WEIGHT_PANEL;
    const size_t from = (size_t)n * columns, to = (size_t)whole * columns;
    int8_t *codes = (int8_t *)s->values;
    uint16_t *halves = (uint16_t *)s->values;
    switch (l->weight) {
    case WEIGHT_f32:
        values_get(l, first, n, s->values);
        memset(s->values + from, 0, (to - from) * sizeof(float));
        break;
    case WEIGHT_f16:
    case WEIGHT_bf16:
        source_halves(l->from, l->h, l->role, l->block, first, n, halves);
        memset(halves + from, 0, (to - from) * sizeof *halves);
        break;
    default:
        quant_codes(l->type, l->tensor->data, columns, first, n, codes, s->groups);
        memset(codes + from, 0, to - from);
        memset(s->groups + from / WEIGHT_GROUP * 2, 0, (to - from) / WEIGHT_GROUP * 2 * sizeof(float));
        break;
    }
}

static struct weight_rows rows_at(const struct layout *l, const struct staging *s, uint32_t row)
{
    const size_t at = (size_t)row * l->shape.columns;
    return (struct weight_rows){
        .values = s->values + at,
        .halves = (const uint16_t *)s->values + at,
        .codes = (const int8_t *)s->values + at,
        .groups = s->groups + at / WEIGHT_GROUP * 2,
    };
}

/* The copies of one tensor. A turned head is turned chunk by chunk, since its products take it so. */
static int tensor_upload(struct gpu *g, const struct layout *l, bool head, const struct gpu_buffer *to,
                         uint64_t at, struct staging *s, struct status *st)
{
    int rc = 0;
    const enum weight w = l->weight;
    const uint32_t columns = l->shape.columns, rows = l->shape.rows;
    const uint64_t turned_at = at + l->units + l->groups;
    if (l->turned && !head)
        TRY(turned_room(s, weight_units_bytes(w, rows, columns), st));
    for (uint32_t first = 0; first < rows; first += ROWS_A_TIME) {
        const uint32_t n = rows - first < ROWS_A_TIME ? rows - first : ROWS_A_TIME;
        rows_get(l, first, n, s);
        if (l->turned && head)
            TRY(turned_room(s, weight_units_bytes(w, n, columns), st));
        for (uint32_t r = 0; r < n; r += WEIGHT_PANEL) {
            const struct weight_rows panel = rows_at(l, s, r);
            weight_pack(w, &panel, columns, s->units + weight_units_at(w, r, columns),
                        s->packed_groups + weight_groups_at(w, r, columns));
            if (l->turned)
                weight_turn(w, &panel, columns, head ? r : first + r, head ? n : rows, s->turned);
        }
        const uint64_t units = weight_units_bytes(w, n, columns), groups = weight_groups_bytes(w, n, columns);
        TRY(gpu_write(g, to, at + weight_units_at(w, first, columns), s->units, units, st));
        if (groups)
            TRY(gpu_write(g, to, at + l->units + weight_groups_at(w, first, columns), s->packed_groups,
                          groups, st));
        if (l->turned && head)
            TRY(gpu_write(g, to, turned_at + weight_units_at(w, first, columns), s->turned, units, st));
    }
    if (l->turned && !head)
        TRY(gpu_write(g, to, turned_at, s->turned, weight_units_bytes(w, rows, columns), st));
out:
    return rc;
}

static int norm_upload(struct gpu *g, const struct layout *l, const struct gpu_buffer *to, uint64_t at,
                       struct staging *s, struct status *st)
{
    values_get(l, 0, l->shape.rows, s->values);
    return gpu_write(g, to, at, s->values, (uint64_t)l->shape.rows * l->shape.columns * sizeof(float), st);
}

/* Buffer i with all that belongs in it. */
static int buffer_open(struct weights *w, const struct model_hyper *h, const struct source *file, size_t i,
                       const struct weights_options *o, struct staging *s, struct status *st)
{
    int rc = 0;
    struct layout layouts[ROLES];
    uint64_t bytes = 0;
    const uint32_t block = i < h->blocks ? (uint32_t)i : 0;
    for (int r = 0; r < ROLES; r++) {
        if (!role_in_buffer(h, (enum tensor_role)r, i))
            continue;
        TRY(layout_get(h, file, (enum tensor_role)r, block, o, &layouts[r], st));
        bytes += layouts[r].units + layouts[r].groups + layouts[r].turned;
    }
    TRY(gpu_alloc(w->g, bytes, "weights", &w->buffers[i], st));
    uint64_t at = 0;
    for (int r = 0; r < ROLES; r++) {
        const struct layout *l = &layouts[r];
        const uint64_t addr = w->buffers[i].addr + at;
        if (!role_in_buffer(h, (enum tensor_role)r, i))
            continue;
        if (l->norm)
            TRY(norm_upload(w->g, l, &w->buffers[i], at, s, st));
        else
            TRY(tensor_upload(w->g, l, role_is_head((enum tensor_role)r), &w->buffers[i], at, s, st));
        file_map_forget(l->tensor->data, l->tensor->size);
        w->places[(size_t)block * ROLES + (size_t)r] = (struct model_weight){
            .format = l->norm ? WEIGHT_f32 : l->weight,
            .buffer = &w->buffers[i],
            .units = addr,
            .groups = addr + l->units,
            .turned = l->turned ? addr + l->units + l->groups : 0,
        };
        at += l->units + l->groups + l->turned;
    }
out:
    return rc;
}

int weights_open(struct gpu *g, const struct model_hyper *h, const struct source *file,
                 const struct weights_options *options, struct weights *out, struct status *st)
{
    int rc = 0;
    struct weights w = { .g = g, .buffers_n = (size_t)h->blocks + 2 };
    struct staging s = { 0 };
    w.buffers = mem_calloc(w.buffers_n, sizeof *w.buffers);
    w.places = mem_calloc((size_t)h->blocks * ROLES, sizeof *w.places);
    if (!w.buffers || !w.places)
        FAIL(st, RC_NOMEM, "no memory for a table of tensors");
    TRY(staging_open(h, &s, st));
    for (size_t i = 0; i < w.buffers_n; i++) {
        TRY(buffer_open(&w, h, file, i, options, &s, st));
        event_progress(options->sink, "load", i + 1, w.buffers_n);
    }
    if (h->tied_head)
        w.places[ROLE_HEAD] = w.places[ROLE_EMBEDDING];
    *out = w;
    w = (struct weights){ 0 };
out:
    staging_free(&s);
    weights_close(&w);
    return rc;
}

void weights_close(struct weights *w)
{
    for (size_t i = 0; w->buffers && i < w->buffers_n; i++)
        gpu_free(w->g, &w->buffers[i]);
    mem_free(w->buffers);
    mem_free(w->places);
    *w = (struct weights){ 0 };
}

/* ---- single tensors of a model in f32 ---- */

uint32_t weights_piece(const struct model_hyper *h, enum tensor_role role)
{
    const uint32_t rows = role_shape(h, role).rows;
    return role_is_head(role) ? GRAPH_CHUNK : (rows + WEIGHT_PANEL - 1) / WEIGHT_PANEL * WEIGHT_PANEL;
}

int weights_write(struct gpu *g, const struct model_hyper *h, enum tensor_role role,
                  const struct model_weight *to, const float *values, struct status *st)
{
    int rc = 0;
    struct staging s = { 0 };
    struct layout l = { .values = values, .weight = WEIGHT_f32 };
    const uint64_t at = to->units - to->buffer->addr;
    assert(to->format == WEIGHT_f32);
    TRY(layout_size(h, role, to->turned != 0, &l, st));
    TRY(staging_open(h, &s, st));
    TRY(l.norm ? norm_upload(g, &l, to->buffer, at, &s, st)
               : tensor_upload(g, &l, role_is_head(role), to->buffer, at, &s, st));
out:
    staging_free(&s);
    return rc;
}

int weights_read(struct gpu *g, const struct model_hyper *h, enum tensor_role role,
                 const struct model_weight *from, float *out, struct status *st)
{
    int rc = 0;
    const struct tensor_shape s = role_shape(h, role);
    const uint64_t at = from->units - from->buffer->addr;
    float *packed = NULL;
    assert(from->format == WEIGHT_f32);
    if (role_is_norm(role)) {
        TRY(gpu_read(g, from->buffer, at, out, (uint64_t)s.rows * s.columns * sizeof *out, st));
        goto out;
    }
    packed = mem_calloc((size_t)ROWS_A_TIME * s.columns, sizeof *packed);
    if (!packed)
        FAIL(st, RC_NOMEM, "no memory to read a weight");
    for (uint32_t first = 0; first < s.rows; first += ROWS_A_TIME) {
        const uint32_t n = s.rows - first < ROWS_A_TIME ? s.rows - first : ROWS_A_TIME;
        TRY(gpu_read(g, from->buffer, at + weight_units_at(WEIGHT_f32, first, s.columns), packed,
                     weight_units_bytes(WEIGHT_f32, n, s.columns), st));
        for (uint32_t r = 0; r < n; r++) {
            const float *panel = packed + (size_t)(r / WEIGHT_PANEL * WEIGHT_PANEL) * s.columns;
            for (uint32_t c = 0; c < s.columns; c++)
                out[(size_t)(first + r) * s.columns + c] =
                    panel[(c / 2 * WEIGHT_PANEL + r % WEIGHT_PANEL) * 2 + c % 2];
        }
    }
out:
    mem_free(packed);
    return rc;
}
