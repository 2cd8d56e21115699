#include "model/model.h"

#include "base/alloc.h"
#include "model/gguf.h"
#include "model/quant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows of a tensor that are unpacked at a time; a multiple of PANEL. */
enum { PANEL = 16, ROWS_A_TIME = 512, ALIGN = 256 };

struct model {
    struct gpu *g;
    char *path;
    struct model_hyper hyper;
    struct model_plan plan;
    struct tokenizer *tokenizer;
    struct template *chat;
    char *chat_text;
    struct status chat_why;
    struct gpu_buffer *buffers; /* one a block, then the embedding, then the rest */
    size_t buffers_n;
    uint64_t *where; /* [blocks][ROLES] addresses; what stands once is kept in block 0 */
};

static bool role_is_norm(enum tensor_role role)
{
    return role == ROLE_ATTENTION_NORM || role == ROLE_MLP_NORM || role == ROLE_FINAL_NORM;
}

static uint64_t role_bytes(const struct model_hyper *h, enum tensor_role role)
{
    const struct tensor_shape s = role_shape(h, role);
    const uint64_t rows = role_is_norm(role) ? s.rows : ((uint64_t)s.rows + PANEL - 1) / PANEL * PANEL;
    return (rows * s.columns * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

/* The tensors of one buffer: number `blocks` is the embedding, one more the final norm and an own head. */
static bool role_in_buffer(const struct model_hyper *h, enum tensor_role role, size_t buffer)
{
    if (buffer < h->blocks)
        return role_is_block(role);
    if (buffer == h->blocks)
        return role == ROLE_EMBEDDING;
    return role == ROLE_FINAL_NORM || (role == ROLE_HEAD && !h->tied_head);
}

static uint64_t buffer_bytes(const struct model_hyper *h, size_t buffer)
{
    uint64_t bytes = 0;
    for (int role = 0; role < ROLES; role++)
        if (role_in_buffer(h, (enum tensor_role)role, buffer))
            bytes += role_bytes(h, (enum tensor_role)role);
    return bytes;
}

static int widths_check(const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    for (int role = 0; role < ROLES; role++) {
        const struct tensor_shape s = role_shape(h, (enum tensor_role)role);
        if (role_is_norm((enum tensor_role)role) || (role == ROLE_HEAD && h->tied_head))
            continue;
        if (s.columns % 16 != 0)
            FAIL(st, RC_UNSUPPORTED, "%s has rows of %" PRIu32 ", not a multiple of 16",
                 role_name((enum tensor_role)role), s.columns);
    }
    if (h->head_size > 256 || h->head_size % 2 != 0)
        FAIL(st, RC_UNSUPPORTED, "heads of %" PRIu32 ", even and up to 256 are served", h->head_size);
out:
    return rc;
}

static struct model_plan plan_of(const struct model_hyper *h)
{
    struct model_plan plan = { .parameters = hyper_parameters(h) };
    uint32_t widest = 0;
    for (size_t i = 0; i < (size_t)h->blocks + 2; i++) {
        const uint64_t bytes = buffer_bytes(h, i);
        plan.weight_bytes += bytes;
        plan.largest_bytes = bytes > plan.largest_bytes ? bytes : plan.largest_bytes;
    }
    for (int role = 0; role < ROLES; role++) {
        const struct tensor_shape s = role_shape(h, (enum tensor_role)role);
        widest = s.columns > widest ? s.columns : widest;
    }
    plan.host_bytes = (uint64_t)2 * ROWS_A_TIME * widest * sizeof(float);
    return plan;
}

int model_plan(const char *path, struct model_plan *out, struct status *st)
{
    int rc = 0;
    struct gguf file = { 0 };
    struct model_hyper hyper;
    bool named = true;
    TRY(gguf_open(path, &file, st));
    named = false;
    TRY(hyper_parse(&file, &hyper, st));
    TRY(widths_check(&hyper, st));
    *out = plan_of(&hyper);
out:
    if (rc != 0 && !named)
        status_prefix(st, "%s", path);
    gguf_close(&file);
    return rc;
}

/* ---- weights ---- */

static void panels_pack(const float *rows, uint32_t n, uint32_t columns, float *out)
{
    for (uint32_t r = 0; r < n; r++) {
        float *to = out + (size_t)(r / PANEL) * PANEL * columns + (size_t)(r % PANEL) * 2;
        const float *from = rows + (size_t)r * columns;
        for (uint32_t k = 0; k < columns; k += 2, to += (size_t)PANEL * 2) {
            to[0] = from[k];
            to[1] = from[k + 1];
        }
    }
}

/* Unpacks a tensor and writes it at byte `at` of the buffer. rows and packed hold ROWS_A_TIME rows each. */
static int tensor_upload(const struct model *m, const struct gguf_tensor *t, bool norm,
                         const struct gpu_buffer *to, uint64_t at, float *rows, float *packed,
                         struct status *st)
{
    int rc = 0;
    const struct quant_type *type = quant_find(t->type);
    const uint32_t columns = (uint32_t)t->shape[0];
    if (!type)
        FAIL(st, RC_UNSUPPORTED, "type %" PRIu32 " is not read", t->type);
    for (uint64_t first = 0; first < t->rows; first += ROWS_A_TIME) {
        const uint32_t n = t->rows - first < ROWS_A_TIME ? (uint32_t)(t->rows - first) : ROWS_A_TIME;
        const uint32_t whole = norm ? n : (n + PANEL - 1) / PANEL * PANEL;
        quant_rows(type, t->data, columns, first, n, rows);
        if (!norm) {
            memset(rows + (size_t)n * columns, 0, (size_t)(whole - n) * columns * sizeof *rows);
            panels_pack(rows, whole, columns, packed);
        }
        TRY(gpu_write(m->g, to, at + first * columns * sizeof *rows, norm ? rows : packed,
                      (uint64_t)whole * columns * sizeof *rows, st));
    }
out:
    if (rc != 0)
        status_prefix(st, "tensor '%.*s'", (int)t->name.n, t->name.s);
    return rc;
}

static int weights_open(struct model *m, const struct gguf *file, struct event_sink *sink, struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = &m->hyper;
    float *rows = mem_calloc(m->plan.host_bytes / 2, 1), *packed = mem_calloc(m->plan.host_bytes / 2, 1);
    if (!rows || !packed)
        FAIL(st, RC_NOMEM, "no memory to unpack the weights");
    for (size_t i = 0; i < m->buffers_n; i++) {
        uint64_t at = 0;
        TRY(gpu_alloc(m->g, buffer_bytes(h, i), "weights", &m->buffers[i], st));
        for (int r = 0; r < ROLES; r++) {
            const enum tensor_role role = (enum tensor_role)r;
            const uint32_t block = i < h->blocks ? (uint32_t)i : 0;
            if (!role_in_buffer(h, role, i))
                continue;
            const struct gguf_tensor *t = role_tensor(file, role, block);
            if (!t)
                FAIL(st, RC_FORMAT, "no tensor for %s of block %" PRIu32, role_name(role), block);
            TRY(tensor_upload(m, t, role_is_norm(role), &m->buffers[i], at, rows, packed, st));
            m->where[(size_t)block * ROLES + (size_t)r] = m->buffers[i].addr + at;
            at += role_bytes(h, role);
        }
        event_progress(sink, "load", i + 1, m->buffers_n);
    }
    if (h->tied_head)
        m->where[ROLE_HEAD] = m->where[ROLE_EMBEDDING];
out:
    mem_free(rows);
    mem_free(packed);
    return rc;
}

static int memory_check(const struct model *m, uint64_t room, struct status *st)
{
    int rc = 0;
    const struct gpu_info *info = gpu_get_info(m->g);
    const uint64_t free = gpu_bytes_free(m->g), needed = m->plan.weight_bytes + room;
    if (needed > free)
        FAIL(st, RC_NOMEM, "needs %.2f GiB on %s, which has %.2f GiB free", (double)needed / 0x1p30,
             info->name, (double)free / 0x1p30);
out:
    return rc;
}

/* ---- text ---- */

static int text_open(struct model *m, const struct gguf *file, struct status *st)
{
    int rc = 0;
    const struct gguf_entry *chat = gguf_find(file, "tokenizer.chat_template");
    struct gguf_text text;
    TRY(tokenizer_open(file, &m->tokenizer, st));
    if (tokenizer_size(m->tokenizer) > m->hyper.vocab)
        FAIL(st, RC_FORMAT, "%zu tokens, but the embedding has %" PRIu32 " rows",
             tokenizer_size(m->tokenizer), m->hyper.vocab);
    if (!chat)
        goto out;
    TRY(gguf_get_text(file, "tokenizer.chat_template", &text, st));
    m->chat_text = mem_calloc(text.n + 1, 1);
    if (!m->chat_text)
        FAIL(st, RC_NOMEM, "no memory for the chat template");
    memcpy(m->chat_text, text.s, text.n);
    rc = template_parse(text.s, text.n, &m->chat, &m->chat_why);
    if (rc == RC_NOMEM)
        FAIL(st, RC_NOMEM, "no memory for the chat template");
    rc = 0; /* a template that is not read matters to those who want to render it */
out:
    return rc;
}

static int parts_open(struct model *m, const struct gguf *file, const struct model_options *options,
                      struct status *st)
{
    int rc = 0;
    TRY(hyper_parse(file, &m->hyper, st));
    TRY(widths_check(&m->hyper, st));
    m->plan = plan_of(&m->hyper);
    TRY(text_open(m, file, st));
    TRY(memory_check(m, options ? options->room_bytes : 0, st));
    m->buffers_n = (size_t)m->hyper.blocks + 2;
    m->buffers = mem_calloc(m->buffers_n, sizeof *m->buffers);
    m->where = mem_calloc((size_t)m->hyper.blocks * ROLES, sizeof *m->where);
    if (!m->buffers || !m->where)
        FAIL(st, RC_NOMEM, "no memory for a table of tensors");
    TRY(weights_open(m, file, options ? options->sink : NULL, st));
out:
    return rc;
}

int model_open(const char *path, struct gpu *g, const struct model_options *options, struct model **out,
               struct status *st)
{
    int rc = 0;
    const size_t path_bytes = strlen(path) + 1;
    struct gguf file = { 0 };
    bool named = true;
    struct model *m = mem_calloc(1, sizeof *m);
    if (!m)
        FAIL(st, RC_NOMEM, "no memory for a model");
    m->g = g;
    m->path = mem_calloc(path_bytes, 1);
    if (!m->path)
        FAIL(st, RC_NOMEM, "no memory for a model");
    memcpy(m->path, path, path_bytes);
    TRY(gguf_open(path, &file, st));
    named = false;
    TRY(parts_open(m, &file, options, st));
    *out = m;
    m = NULL;
out:
    if (rc != 0 && !named)
        status_prefix(st, "%s", path);
    gguf_close(&file);
    model_close(m);
    return rc;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    for (size_t i = 0; m->buffers && i < m->buffers_n; i++)
        gpu_free(m->g, &m->buffers[i]);
    tokenizer_close(m->tokenizer);
    template_free(m->chat);
    mem_free(m->chat_text);
    mem_free(m->buffers);
    mem_free(m->where);
    mem_free(m->path);
    mem_free(m);
}

/* ---- what it is ---- */

const struct model_hyper *model_get_hyper(const struct model *m)
{
    return &m->hyper;
}

const struct tokenizer *model_get_tokenizer(const struct model *m)
{
    return m->tokenizer;
}

const struct template *model_get_template(const struct model *m, const char **why)
{
    if (why)
        *why = m->chat_why.rc ? m->chat_why.msg : NULL;
    return m->chat;
}

const char *model_get_template_text(const struct model *m)
{
    return m->chat_text;
}

const struct model_plan *model_get_plan(const struct model *m)
{
    return &m->plan;
}

struct gpu *model_get_gpu(const struct model *m)
{
    return m->g;
}

const char *model_get_path(const struct model *m)
{
    return m->path;
}

uint64_t model_weight(const struct model *m, enum tensor_role role, uint32_t block)
{
    return m->where[(size_t)(role_is_block(role) ? block : 0) * ROLES + (size_t)role];
}
