#include "model/source.h"

#include "base/alloc.h"
#include "base/file.h"
#include "model/hf_own.h"
#include "model/quant.h"
#include "model/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TENSOR_NAME_MAX = ROLE_PATH_MAX + 8 }; /* a path and ".weight" */

/* ---- the documents of a directory ---- */

struct documents {
    struct json *config, *generation, *tokenizer, *tokenizer_config;
    struct str template; /* chat_template.jinja */
    bool has_template;
};

static void documents_free(struct documents *d)
{
    json_free(d->config);
    json_free(d->generation);
    json_free(d->tokenizer);
    json_free(d->tokenizer_config);
    str_release(&d->template);
}

/* A missing file leaves *out as it is, unless it is `wanted`. */
static int document_read(const char *folder, const char *name, size_t bytes_max, bool wanted,
                         struct json **out, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, text = { 0 };
    TRY(path_join(folder, name, &path, st));
    if (!wanted && !path_exists(path.data))
        goto out;
    TRY(file_read(path.data, bytes_max, &text, st));
    rc = json_parse_wide(str_text(&text), text.size, TOKENIZER_TOKENS_MAX, out, st);
    if (!rc && json_type(*out) != JSON_OBJECT)
        rc = status_fail(st, RC_FORMAT, "an object is wanted");
    if (rc)
        status_prefix(st, "%s", path.data);
out:
    str_release(&path);
    str_release(&text);
    return rc;
}

static int documents_read(const char *folder, struct documents *d, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    TRY(document_read(folder, HF_CONFIG, HF_DOCUMENT_BYTES_MAX, true, &d->config, st));
    TRY(document_read(folder, HF_GENERATION, HF_DOCUMENT_BYTES_MAX, false, &d->generation, st));
    TRY(document_read(folder, HF_TOKENIZER, JSON_DOCUMENT_BYTES_MAX, true, &d->tokenizer, st));
    TRY(document_read(folder, HF_TOKENIZER_CONFIG, JSON_DOCUMENT_BYTES_MAX, false, &d->tokenizer_config, st));
    TRY(path_join(folder, HF_TEMPLATE, &path, st));
    d->has_template = path_exists(path.data);
    if (d->has_template)
        TRY(file_read(path.data, HF_DOCUMENT_BYTES_MAX, &d->template, st));
out:
    str_release(&path);
    return rc;
}

static int template_put(const struct documents *d, struct gguf_keys *keys, struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    if (d->has_template)
        text = str_text(&d->template);
    else if (d->tokenizer_config)
        TRY(hf_template_get(d->tokenizer_config, &text, st));
    if (text)
        gguf_put_text(keys, "tokenizer.chat_template", text,
                      d->has_template ? d->template.size : strlen(text));
out:
    return rc;
}

/* Metadata of the directory as the header of a GGUF file without tensors, kept in s->header. */
static int metadata_make(const char *folder, const struct documents *d, const struct hf_config *config,
                         struct source *s, struct status *st)
{
    int rc = 0;
    struct gguf_keys keys = { 0 };
    const char *name = HF_TOKENIZER;
    gguf_put_text(&keys, "general.type", "model", 5);
    hyper_keys(&config->hyper, &keys);
    rc = hf_tokenizer_keys(d->tokenizer, d->tokenizer_config, config, &keys, st);
    if (!rc) {
        name = HF_TOKENIZER_CONFIG;
        rc = template_put(d, &keys, st);
    }
    if (rc) /* a message that names the other file does so itself */
        status_prefix(st, "%s/%s", folder, name);
    TRY(rc);
    TRY(gguf_header_write(&keys, NULL, 0, GGUF_ALIGNMENT, &s->header, st));
    TRY(gguf_parse((const uint8_t *)s->header.data, s->header.size, &s->gguf, st));
out:
    str_release(&keys.bytes);
    return rc;
}

/* ---- its tensors ---- */

static int shard_open(struct source *s, const char *folder, const char *name, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    if (strchr(name, '/') || !*name)
        FAIL(st, RC_FORMAT, "key 'weight_map' names '%.60s', which is no file of the directory", name);
    TRY(path_join(folder, name, &path, st));
    TRY(safetensors_open(path.data, &s->shards[s->shards_n], st));
    s->shards_n++;
out:
    str_release(&path);
    return rc;
}

/* The shards in the order in which the index first names them. */
static int index_open(struct source *s, const char *folder, const struct json *map, struct status *st)
{
    int rc = 0;
    size_t tensors = 0;
    const char **files = mem_calloc(HF_SHARDS_MAX, sizeof *files);
    if (!files)
        FAIL(st, RC_NOMEM, "no memory for %d shards", HF_SHARDS_MAX);
    for (const struct json *m = json_first(map); m; m = json_next(m)) {
        size_t i = 0;
        if (!json_text(m))
            FAIL(st, RC_FORMAT, "key 'weight_map': tensor '%.80s' has no file", json_key(m));
        while (i < s->shards_n && strcmp(files[i], json_text(m)) != 0)
            i++;
        if (i == HF_SHARDS_MAX)
            FAIL(st, RC_LIMIT, "key 'weight_map': over %d files", HF_SHARDS_MAX);
        if (i == s->shards_n) {
            files[i] = json_text(m);
            TRY(shard_open(s, folder, files[i], st));
            tensors += s->shards[i].n;
        }
        if (!safetensors_find(&s->shards[i], json_key(m)))
            FAIL(st, RC_FORMAT, "tensor '%.80s' is not in %.80s", json_key(m), files[i]);
    }
    if (tensors != json_size(map))
        FAIL(st, RC_FORMAT, "the index names %zu tensors, and its files hold %zu", json_size(map), tensors);
out:
    mem_free(files);
    return rc;
}

static int shards_open(struct source *s, const char *folder, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    struct json *index = NULL;
    const struct json *map = NULL;
    s->shards = mem_calloc(HF_SHARDS_MAX, sizeof *s->shards);
    if (!s->shards)
        FAIL(st, RC_NOMEM, "no memory for %d shards", HF_SHARDS_MAX);
    TRY(path_join(folder, HF_WEIGHTS, &path, st));
    if (path_exists(path.data)) {
        TRY(shard_open(s, folder, HF_WEIGHTS, st));
        goto out;
    }
    TRY(path_join(folder, HF_INDEX, &path, st));
    if (!path_exists(path.data))
        FAIL(st, RC_IO, "%s: holds neither " HF_WEIGHTS " nor " HF_INDEX, folder);
    TRY(document_read(folder, HF_INDEX, JSON_DOCUMENT_BYTES_MAX, true, &index, st));
    rc = json_get(index, "weight_map", JSON_OBJECT, &map, st);
    if (!rc)
        rc = index_open(s, folder, map, st);
    if (rc)
        status_prefix(st, "%s", path.data);
out:
    json_free(index);
    str_release(&path);
    return rc;
}

static const struct safetensors_tensor *tensor_find(const struct source *s, const char *name)
{
    const struct safetensors_tensor *t = NULL;
    for (size_t i = 0; i < s->shards_n && !t; i++)
        t = safetensors_find(&s->shards[i], name);
    return t;
}

static void tensor_name(enum tensor_role role, uint32_t block, char out[TENSOR_NAME_MAX])
{
    char path[ROLE_PATH_MAX];
    role_path(role, block, path);
    snprintf(out, TENSOR_NAME_MAX, "%s.weight", path);
}

/* One tensor under its name in a GGUF file, kept in s->names. */
static int tensor_take(struct source *s, const struct model_hyper *h, enum tensor_role role, uint32_t block,
                       struct gguf_tensor *out, struct status *st)
{
    static const uint32_t TYPES[] = {
        [SAFETENSORS_F32] = QUANT_F32, [SAFETENSORS_F16] = QUANT_F16, [SAFETENSORS_BF16] = QUANT_BF16
    };
    char name[TENSOR_NAME_MAX], *ours = s->names + role_index(h, role, block) * ROLE_PATH_MAX;
    tensor_name(role, block, name);
    const struct tensor_shape want = role_shape(h, role);
    const struct safetensors_tensor *t = tensor_find(s, name);
    const uint32_t dims = role_is_norm(role) ? 1 : 2;
    if (!t)
        return status_fail(st, RC_FORMAT, "tensor '%s' is missing", name);
    if (t->type == SAFETENSORS_I32 || t->type == SAFETENSORS_I64)
        return status_fail(st, RC_UNSUPPORTED, "tensor '%s' holds integers, F32, F16 or BF16 was wanted",
                           name);
    if (t->dims != dims || t->shape[dims - 1] != want.columns || (dims == 2 && t->shape[0] != want.rows))
        return status_fail(st, RC_FORMAT,
                           "tensor '%s' has %" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64 "; " HF_CONFIG
                           " wants %" PRIu32 " x %" PRIu32,
                           name, t->dims, t->shape[0], t->shape[1], want.rows, want.columns);
    role_tensor_name(role, block, ours);
    *out = (struct gguf_tensor){ .name = { ours, strlen(ours) },
                                 .type = TYPES[t->type],
                                 .dims = dims,
                                 .shape = { want.columns, dims == 2 ? want.rows : 1, 1, 1 },
                                 .rows = want.rows,
                                 .data = t->data,
                                 .size = (size_t)t->n * quant_find(TYPES[t->type])->bytes };
    return 0;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), tail = strlen(end);
    return n >= tail && strcmp(text + n - tail, end) == 0;
}

/* Every tensor is a part of the decoder, or follows from it: angles, and a second copy of a tied head. */
static int others_check(const struct source *s, const struct model_hyper *h, struct status *st)
{
    for (size_t i = 0; i < s->shards_n; i++)
        for (size_t k = 0; k < s->shards[i].n; k++) {
            const struct safetensors_tensor *t = &s->shards[i].tensors[k];
            char name[TENSOR_NAME_MAX];
            uint32_t block = 0;
            bool known = ends_with(t->name, ".rotary_emb.inv_freq");
            if (sscanf(t->name, "model.layers.%9" SCNu32, &block) == 1 && block >= h->blocks)
                block = 0;
            for (int role = 0; role < ROLES && !known; role++) {
                tensor_name((enum tensor_role)role, block, name);
                known = strcmp(name, t->name) == 0;
            }
            if (!known)
                return status_fail(st, RC_UNSUPPORTED,
                                   "tensor '%.120s' is not honoured: no part of this decoder", t->name);
            if (h->tied_head && strcmp(t->name, "lm_head.weight") == 0) {
                const struct safetensors_tensor *e = tensor_find(s, "model.embed_tokens.weight");
                const size_t size = (size_t)t->n * (t->type == SAFETENSORS_F32 ? 4 : 2);
                if (!e || e->type != t->type || e->n != t->n || memcmp(e->data, t->data, size) != 0)
                    return status_fail(st, RC_UNSUPPORTED,
                                       "tensor 'lm_head.weight' is not the embedding, and key "
                                       "'tie_word_embeddings' says so");
            }
        }
    return 0;
}

static int tensors_make(struct source *s, const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    const size_t n = hyper_tensors(h);
    struct gguf_tensor *tensors = mem_calloc(n, sizeof *tensors);
    s->names = mem_calloc(n, ROLE_PATH_MAX);
    if (!tensors || !s->names)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", n);
    for (int r = 0; r < ROLES; r++) {
        const enum tensor_role role = (enum tensor_role)r;
        if (role == ROLE_HEAD && h->tied_head)
            continue;
        for (uint32_t block = 0; block < (role_is_block(role) ? h->blocks : 1); block++)
            TRY(tensor_take(s, h, role, block, &tensors[role_index(h, role, block)], st));
    }
    TRY(others_check(s, h, st));
    rc = gguf_tensors_set(&s->gguf, tensors, n, st);
    tensors = NULL; /* s->gguf has it, whatever came of it */
out:
    mem_free(tensors);
    return rc;
}

static int folder_open(const char *folder, struct source *s, struct status *st)
{
    int rc = 0;
    struct documents d = { 0 };
    struct hf_config config;
    s->folder = true;
    TRY(documents_read(folder, &d, st));
    rc = hf_config_parse(d.config, d.generation, &config, st);
    if (rc)
        status_prefix(st, "%s/" HF_CONFIG, folder);
    TRY(rc);
    TRY(metadata_make(folder, &d, &config, s, st));
    TRY(shards_open(s, folder, st));
    rc = tensors_make(s, &config.hyper, st);
    if (rc)
        status_prefix(st, "%s", folder);
out:
    documents_free(&d);
    return rc;
}

/* ---- both forms ---- */

int source_open(const char *path, struct source *out, struct status *st)
{
    int rc = 0;
    struct source s = { 0 };
    if (path_is_dir(path))
        TRY(folder_open(path, &s, st));
    else
        TRY(gguf_open(path, &s.gguf, st));
    *out = s;
    s = (struct source){ 0 };
out:
    source_close(&s);
    return rc;
}

void source_close(struct source *s)
{
    gguf_close(&s->gguf);
    for (size_t i = 0; i < s->shards_n; i++)
        safetensors_close(&s->shards[i]);
    mem_free(s->shards);
    str_release(&s->header);
    mem_free(s->names);
    *s = (struct source){ 0 };
}

void source_f32(const struct source *s, const struct model_hyper *h, enum tensor_role role, uint32_t block,
                uint64_t first, uint64_t n, float *out)
{
    const struct gguf_tensor *t = role_tensor(&s->gguf, role, block);
    const struct quant_type *type = quant_find(t->type);
    if (!s->folder || (role != ROLE_Q && role != ROLE_K)) {
        quant_rows(type, t->data, t->shape[0], first, n, out);
        return;
    }
    for (uint64_t r = 0; r < n; r++)
        quant_rows(type, t->data, t->shape[0], role_row_hf(h, role, (uint32_t)(first + r)), 1,
                   out + r * t->shape[0]);
}

void source_halves(const struct source *s, const struct model_hyper *h, enum tensor_role role, uint32_t block,
                   uint64_t first, uint64_t n, uint16_t *out)
{
    const struct gguf_tensor *t = role_tensor(&s->gguf, role, block);
    const size_t row = (size_t)t->shape[0] * sizeof *out;
    for (uint64_t r = 0; r < n; r++) {
        const uint32_t at = (uint32_t)(first + r);
        memcpy((uint8_t *)out + r * row, t->data + row * (s->folder ? role_row_hf(h, role, at) : at), row);
    }
}
