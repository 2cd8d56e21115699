#include "model/model.h"

#include "base/alloc.h"
#include "gpu/op.h"
#include "model/source.h"
#include "model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct model {
    struct gpu *g;
    char *path;
    struct model_hyper hyper;
    struct model_plan plan;
    struct tokenizer *tokenizer;
    struct template *chat;
    char *chat_text;
    struct status chat_why;
    struct weights weights;
};

static int plan_get(const struct model_hyper *h, const struct source *file, bool f32, struct model_plan *out,
                    struct status *st)
{
    int rc = 0;
    struct model_plan plan = { .parameters = hyper_parameters(h) };
    if (h->head_size > 256 || h->head_size % 2 != 0)
        FAIL(st, RC_UNSUPPORTED, "heads of %" PRIu32 ", even and up to 256 are served", h->head_size);
    TRY(weights_plan(h, file, f32, &plan, st));
    *out = plan;
out:
    return rc;
}

int model_plan(const char *path, struct model_plan *out, struct status *st)
{
    int rc = 0;
    struct source file = { 0 };
    struct model_hyper hyper;
    bool named = true;
    TRY(source_open(path, &file, st));
    named = false;
    TRY(hyper_parse(&file.gguf, &hyper, st));
    TRY(plan_get(&hyper, &file, false, out, st));
out:
    if (rc != 0 && !named)
        status_prefix(st, "%s", path);
    source_close(&file);
    return rc;
}

/* ---- weights ---- */

static int memory_check(const struct model *m, const struct model_options *o, bool turned, struct status *st)
{
    int rc = 0;
    const struct gpu_info *info = gpu_get_info(m->g);
    const uint64_t free = gpu_bytes_free(m->g);
    const uint64_t needed = m->plan.weight_bytes + (turned ? m->plan.turned_bytes : 0) + o->room_bytes;
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

static int parts_open(struct model *m, const struct source *file, const struct model_options *options,
                      struct status *st)
{
    int rc = 0;
    const struct model_options none = { 0 }, *o = options ? options : &none;
    const struct weights_options how = {
        .turned = o->train && op_choose(m->g, OP_matmul, PASS_bwd0) == VARIANT_uniform,
        .f32 = o->f32,
        .sink = o->sink,
    };
    TRY(hyper_parse(&file->gguf, &m->hyper, st));
    TRY(plan_get(&m->hyper, file, o->f32, &m->plan, st));
    TRY(text_open(m, &file->gguf, st));
    TRY(memory_check(m, o, how.turned, st));
    TRY(weights_open(m->g, &m->hyper, file, &how, &m->weights, st));
out:
    return rc;
}

int model_open(const char *path, struct gpu *g, const struct model_options *options, struct model **out,
               struct status *st)
{
    int rc = 0;
    const size_t path_bytes = strlen(path) + 1;
    struct source file = { 0 };
    bool named = true;
    struct model *m = mem_calloc(1, sizeof *m);
    if (!m)
        FAIL(st, RC_NOMEM, "no memory for a model");
    m->g = g;
    m->path = mem_calloc(path_bytes, 1);
    if (!m->path)
        FAIL(st, RC_NOMEM, "no memory for a model");
    memcpy(m->path, path, path_bytes);
    TRY(source_open(path, &file, st));
    named = false;
    TRY(parts_open(m, &file, options, st));
    *out = m;
    m = NULL;
out:
    if (rc != 0 && !named)
        status_prefix(st, "%s", path);
    source_close(&file);
    model_close(m);
    return rc;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    weights_close(&m->weights);
    tokenizer_close(m->tokenizer);
    template_free(m->chat);
    mem_free(m->chat_text);
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

const struct model_weight *model_weight(const struct model *m, enum tensor_role role, uint32_t block)
{
    return &m->weights.places[(size_t)(role_is_block(role) ? block : 0) * ROLES + (size_t)role];
}

uint32_t model_turned_piece(const struct model *m, enum tensor_role role)
{
    return weights_piece(&m->hyper, role);
}

int model_values_read(const struct model *m, enum tensor_role role, uint32_t block, float *out,
                      struct status *st)
{
    return weights_read(m->g, &m->hyper, role, model_weight(m, role, block), out, st);
}

int model_values_write(struct model *m, enum tensor_role role, uint32_t block, const float *values,
                       struct status *st)
{
    return weights_write(m->g, &m->hyper, role, model_weight(m, role, block), values, st);
}
