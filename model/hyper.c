#include "model/hyper.h"

#include "model/gguf_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Names of a role: in the file (after "blk.N." where there is one a block), in Hugging Face's modules. */
static const struct {
    const char *gguf, *parent, *name;
} roles[ROLES] = {
    [ROLE_EMBEDDING] = { "token_embd", "model", "embed_tokens" },
    [ROLE_ATTENTION_NORM] = { "attn_norm", "", "input_layernorm" },
    [ROLE_Q] = { "attn_q", "self_attn.", "q_proj" },
    [ROLE_K] = { "attn_k", "self_attn.", "k_proj" },
    [ROLE_V] = { "attn_v", "self_attn.", "v_proj" },
    [ROLE_O] = { "attn_output", "self_attn.", "o_proj" },
    [ROLE_MLP_NORM] = { "ffn_norm", "", "post_attention_layernorm" },
    [ROLE_GATE] = { "ffn_gate", "mlp.", "gate_proj" },
    [ROLE_UP] = { "ffn_up", "mlp.", "up_proj" },
    [ROLE_DOWN] = { "ffn_down", "mlp.", "down_proj" },
    [ROLE_FINAL_NORM] = { "output_norm", "model", "norm" },
    [ROLE_HEAD] = { "output", "", "lm_head" },
};
enum { ROLES_A_BLOCK = ROLE_DOWN - ROLE_ATTENTION_NORM + 1 };

const char *role_name(enum tensor_role role)
{
    return roles[role].name;
}

bool role_is_block(enum tensor_role role)
{
    return role >= ROLE_ATTENTION_NORM && role <= ROLE_DOWN;
}

bool role_is_norm(enum tensor_role role)
{
    return role == ROLE_ATTENTION_NORM || role == ROLE_MLP_NORM || role == ROLE_FINAL_NORM;
}

bool role_find(const char *name, enum tensor_role *out)
{
    for (int i = 0; i < ROLES; i++)
        if ((ROLE_BITS_LINEAR & ROLE_BIT(i)) && strcmp(roles[i].name, name) == 0) {
            *out = (enum tensor_role)i;
            return true;
        }
    return false;
}

void role_path(enum tensor_role role, uint32_t block, char out[ROLE_PATH_MAX])
{
    if (role_is_block(role))
        snprintf(out, ROLE_PATH_MAX, "model.layers.%" PRIu32 ".%s%s", block, roles[role].parent,
                 roles[role].name);
    else
        snprintf(out, ROLE_PATH_MAX, "%s%s%s", roles[role].parent, roles[role].parent[0] ? "." : "",
                 roles[role].name);
}

struct tensor_shape role_shape(const struct model_hyper *h, enum tensor_role role)
{
    uint32_t queries = h->heads * h->head_size, keys = h->kv_heads * h->head_size;
    switch (role) {
    case ROLE_EMBEDDING:
    case ROLE_HEAD:
        return (struct tensor_shape){ h->vocab, h->width };
    case ROLE_Q:
        return (struct tensor_shape){ queries, h->width };
    case ROLE_K:
    case ROLE_V:
        return (struct tensor_shape){ keys, h->width };
    case ROLE_O:
        return (struct tensor_shape){ h->width, queries };
    case ROLE_GATE:
    case ROLE_UP:
        return (struct tensor_shape){ h->mlp, h->width };
    case ROLE_DOWN:
        return (struct tensor_shape){ h->width, h->mlp };
    default:
        return (struct tensor_shape){ 1, h->width };
    }
}

void role_tensor_name(enum tensor_role role, uint32_t block, char out[ROLE_PATH_MAX])
{
    if (role_is_block(role))
        snprintf(out, ROLE_PATH_MAX, "blk.%" PRIu32 ".%s.weight", block, roles[role].gguf);
    else
        snprintf(out, ROLE_PATH_MAX, "%s.weight", roles[role].gguf);
}

const struct gguf_tensor *role_tensor(const struct gguf *g, enum tensor_role role, uint32_t block)
{
    char name[ROLE_PATH_MAX];
    role_tensor_name(role, block, name);
    return gguf_tensor_find(g, name);
}

uint32_t role_index(const struct model_hyper *h, enum tensor_role role, uint32_t block)
{
    if (role == ROLE_EMBEDDING)
        return 0;
    if (role_is_block(role))
        return 1 + block * ROLES_A_BLOCK + (uint32_t)(role - ROLE_ATTENTION_NORM);
    return 1 + h->blocks * ROLES_A_BLOCK + (role == ROLE_HEAD);
}

void role_at(const struct model_hyper *h, uint32_t index, enum tensor_role *role, uint32_t *block)
{
    const uint32_t behind = 1 + h->blocks * ROLES_A_BLOCK;
    *block = 0;
    if (index == 0) {
        *role = ROLE_EMBEDDING;
    } else if (index < behind) {
        *role = (enum tensor_role)(ROLE_ATTENTION_NORM + (index - 1) % ROLES_A_BLOCK);
        *block = (index - 1) / ROLES_A_BLOCK;
    } else {
        *role = index == behind ? ROLE_FINAL_NORM : ROLE_HEAD;
    }
}

uint32_t hyper_tensors(const struct model_hyper *h)
{
    return 2 + h->blocks * ROLES_A_BLOCK + !h->tied_head;
}

uint64_t hyper_parameters(const struct model_hyper *h)
{
    uint64_t sum = 0;
    for (int role = 0; role < ROLES; role++) {
        struct tensor_shape s = role_shape(h, (enum tensor_role)role);
        uint64_t times = role_is_block((enum tensor_role)role) ? h->blocks : 1;
        if (role != ROLE_HEAD || !h->tied_head)
            sum += (uint64_t)s.rows * s.columns * times;
    }
    return sum;
}

uint32_t role_row_hf(const struct model_hyper *h, enum tensor_role role, uint32_t row)
{
    if (h->rope_pairing != ROPE_NEIGHBOURS || (role != ROLE_Q && role != ROLE_K))
        return row;
    uint32_t in_head = row % h->head_size;
    return row - in_head + in_head / 2 + (in_head % 2) * (h->head_size / 2);
}

void hyper_keys(const struct model_hyper *h, struct gguf_keys *out)
{
    gguf_put_text(out, "general.architecture", h->arch, strlen(h->arch));
    gguf_put_u32(out, "llama.block_count", h->blocks);
    gguf_put_u32(out, "llama.embedding_length", h->width);
    gguf_put_u32(out, "llama.feed_forward_length", h->mlp);
    gguf_put_u32(out, "llama.context_length", h->context);
    gguf_put_u32(out, "llama.attention.head_count", h->heads);
    gguf_put_u32(out, "llama.attention.head_count_kv", h->kv_heads);
    gguf_put_u32(out, "llama.attention.key_length", h->head_size);
    gguf_put_u32(out, "llama.attention.value_length", h->head_size);
    gguf_put_u32(out, "llama.rope.dimension_count", h->head_size);
    gguf_put_f32(out, "llama.rope.freq_base", h->rope_base);
    gguf_put_f32(out, "llama.attention.layer_norm_rms_epsilon", h->norm_eps);
    gguf_put_u32(out, "llama.vocab_size", h->vocab);
}

/* ---- reading ---- */

/* Keys below "llama." that are read here, or that are harmless at the value `must`. */
static const struct {
    const char *key;
    double must; /* NAN: any value, it is read below */
} honoured[] = {
    { "context_length", NAN },
    { "embedding_length", NAN },
    { "block_count", NAN },
    { "feed_forward_length", NAN },
    { "vocab_size", NAN },
    { "attention.head_count", NAN },
    { "attention.head_count_kv", NAN },
    { "attention.layer_norm_rms_epsilon", NAN },
    { "attention.key_length", NAN },
    { "attention.value_length", NAN },
    { "rope.dimension_count", NAN },
    { "rope.freq_base", NAN },
    { "rope.scaling.type", NAN },
    { "rope.scaling.factor", 1 },
    { "rope.scale_linear", 1 },
    { "attention.sliding_window", 0 },
    { "expert_count", 0 },
    { "expert_used_count", 0 },
};

static int check_must(const struct gguf *g, const char *key, double must, struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    uint32_t whole = 0;
    float real = 0;
    int rc;
    if (e->kind == GGUF_F32 || e->kind == GGUF_F64)
        rc = gguf_get_f32(g, key, &real, st);
    else
        rc = gguf_get_u32(g, key, &whole, st);
    if (rc)
        return rc;
    double value = (double)real + (double)whole;
    if (value != must)
        return status_fail(st, RC_UNSUPPORTED, "metadata '%s' is %g: only %g is honoured", key, value, must);
    return 0;
}

/* Every key of the architecture must be one that changes nothing unseen. */
static int check_keys(const struct gguf *g, struct status *st)
{
    static const char prefix[] = "llama.";
    for (size_t i = 0; i < g->entries_n; i++) {
        struct gguf_text key = g->entries[i].key;
        if (key.n < sizeof prefix || memcmp(key.s, prefix, sizeof prefix - 1) != 0)
            continue;
        struct gguf_text rest = { key.s + sizeof prefix - 1, key.n - sizeof prefix + 1 };
        size_t k = 0, n = sizeof honoured / sizeof honoured[0];
        while (k < n && !gguf_text_is(rest, honoured[k].key))
            k++;
        if (k == n)
            return status_fail(st, RC_UNSUPPORTED, "metadata '%.*s' is not honoured",
                               (int)(key.n < 100 ? key.n : 100), key.s);
        if (isnan(honoured[k].must))
            continue;
        char name[80];
        snprintf(name, sizeof name, "%s%s", prefix, honoured[k].key);
        int rc = check_must(g, name, honoured[k].must, st);
        if (rc)
            return rc;
    }
    return 0;
}

static int check_arch(const struct gguf *g, struct model_hyper *h, struct status *st)
{
    int rc = 0;
    struct gguf_text arch = { 0 }, kind = { 0 }, scaling = { 0 };
    TRY(gguf_get_text(g, "general.architecture", &arch, st));
    if (!gguf_text_is(arch, "llama"))
        FAIL(st, RC_UNSUPPORTED, "architecture '%.*s', this reads llama", (int)(arch.n < 60 ? arch.n : 60),
             arch.s);
    snprintf(h->arch, sizeof h->arch, "llama");
    if (gguf_find(g, "general.type")) {
        TRY(gguf_get_text(g, "general.type", &kind, st));
        if (!gguf_text_is(kind, "model"))
            FAIL(st, RC_UNSUPPORTED, "metadata 'general.type' is '%.*s', a model was wanted",
                 (int)(kind.n < 60 ? kind.n : 60), kind.s);
    }
    if (gguf_find(g, "llama.rope.scaling.type")) {
        TRY(gguf_get_text(g, "llama.rope.scaling.type", &scaling, st));
        if (!gguf_text_is(scaling, "none"))
            FAIL(st, RC_UNSUPPORTED, "metadata 'llama.rope.scaling.type' is '%.*s': only none is honoured",
                 (int)(scaling.n < 60 ? scaling.n : 60), scaling.s);
    }
    TRY(check_keys(g, st));
out:
    return rc;
}

static int get_between(const struct gguf *g, const char *key, uint32_t max, uint32_t *out, struct status *st)
{
    int rc = gguf_get_u32(g, key, out, st);
    if (rc)
        return rc;
    if (*out == 0 || *out > max)
        return status_fail(st, *out ? RC_LIMIT : RC_FORMAT,
                           "metadata '%s' is %" PRIu32 ", 1 to %" PRIu32 " are read", key, *out, max);
    return 0;
}

static int read_sizes(const struct gguf *g, struct model_hyper *h, struct status *st)
{
    int rc = 0;
    TRY(get_between(g, "llama.block_count", HYPER_BLOCKS_MAX, &h->blocks, st));
    TRY(get_between(g, "llama.embedding_length", HYPER_WIDTH_MAX, &h->width, st));
    TRY(get_between(g, "llama.feed_forward_length", 4 * HYPER_WIDTH_MAX, &h->mlp, st));
    TRY(get_between(g, "llama.context_length", HYPER_CONTEXT_MAX, &h->context, st));
    TRY(get_between(g, "llama.attention.head_count", 1024, &h->heads, st));
    h->kv_heads = h->heads;
    TRY(gguf_opt_u32(g, "llama.attention.head_count_kv", &h->kv_heads, st));
    if (h->kv_heads == 0 || h->heads % h->kv_heads)
        FAIL(st, RC_FORMAT, "%" PRIu32 " heads do not share %" PRIu32 " key heads evenly", h->heads,
             h->kv_heads);
    h->head_size = h->width / h->heads;
    TRY(gguf_opt_u32(g, "llama.attention.key_length", &h->head_size, st));
    if (h->head_size == 0 || h->head_size % 2 || h->head_size > 1024)
        FAIL(st, RC_FORMAT, "heads of size %" PRIu32 ", an even size up to 1024 was wanted", h->head_size);
    uint32_t values = h->head_size, rope = h->head_size;
    TRY(gguf_opt_u32(g, "llama.attention.value_length", &values, st));
    TRY(gguf_opt_u32(g, "llama.rope.dimension_count", &rope, st));
    if (values != h->head_size || rope != h->head_size)
        FAIL(st, RC_UNSUPPORTED,
             "keys of size %" PRIu32 ", values of %" PRIu32 ", RoPE over %" PRIu32
             ": only equal sizes are honoured",
             h->head_size, values, rope);
out:
    return rc;
}

static int read_flags(const struct gguf *g, struct model_hyper *h, struct status *st)
{
    int rc = 0;
    h->rope_base = 10000.0f;
    h->rope_pairing = ROPE_NEIGHBOURS;
    h->rope_scaling = ROPE_UNSCALED;
    h->embedding_scale = 1.0f;
    h->activation = ACTIVATION_SILU;
    TRY(gguf_opt_f32(g, "llama.rope.freq_base", &h->rope_base, st));
    TRY(gguf_get_f32(g, "llama.attention.layer_norm_rms_epsilon", &h->norm_eps, st));
    if (!(h->rope_base > 1.0f) || isinf(h->rope_base))
        FAIL(st, RC_FORMAT, "metadata 'llama.rope.freq_base' is %g", (double)h->rope_base);
    if (!(h->norm_eps > 0.0f) || !(h->norm_eps < 1.0f))
        FAIL(st, RC_FORMAT, "metadata 'llama.attention.layer_norm_rms_epsilon' is %g", (double)h->norm_eps);
    const struct gguf_tensor *embedding = role_tensor(g, ROLE_EMBEDDING, 0);
    if (!embedding)
        FAIL(st, RC_FORMAT, "tensor 'token_embd.weight' is missing");
    if (embedding->rows > HYPER_VOCAB_MAX)
        FAIL(st, RC_LIMIT, "tensor 'token_embd.weight': %" PRIu64 " tokens, over %d", embedding->rows,
             HYPER_VOCAB_MAX);
    uint32_t vocab = h->vocab = (uint32_t)embedding->rows;
    TRY(gguf_opt_u32(g, "llama.vocab_size", &vocab, st));
    const struct gguf_entry *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    if (vocab != h->vocab || (tokens && tokens->n > h->vocab))
        FAIL(st, RC_FORMAT,
             "the embedding has %" PRIu32 " tokens, the metadata %" PRIu32 ", the tokenizer %" PRIu64,
             h->vocab, vocab, tokens ? tokens->n : 0);
    h->tied_head = role_tensor(g, ROLE_HEAD, 0) == NULL;
out:
    return rc;
}

static int check_tensor(const struct gguf *g, const struct model_hyper *h, enum tensor_role role,
                        uint32_t block, struct status *st)
{
    char name[ROLE_PATH_MAX];
    role_tensor_name(role, block, name);
    struct tensor_shape want = role_shape(h, role);
    const struct gguf_tensor *t = gguf_tensor_find(g, name);
    if (!t)
        return status_fail(st, RC_FORMAT, "tensor '%s' is missing", name);
    if (t->shape[0] != want.columns || t->rows != want.rows || t->dims > 2)
        return status_fail(st, RC_FORMAT,
                           "tensor '%s' is %" PRIu64 " x %" PRIu64 ", the metadata want %" PRIu32
                           " x %" PRIu32,
                           name, t->rows, t->shape[0], want.rows, want.columns);
    return 0;
}

/* Is `t` one of those that check_tensor asks for? */
static bool is_known(const struct model_hyper *h, const struct gguf_tensor *t)
{
    char name[GGUF_NAME_BYTES_MAX + 1], again[ROLE_PATH_MAX];
    uint32_t block = 0;
    memcpy(name, t->name.s, t->name.n);
    name[t->name.n] = 0;
    if (sscanf(name, "blk.%9" SCNu32, &block) == 1 && block >= h->blocks)
        return false;
    for (int role = 0; role < ROLES; role++) {
        role_tensor_name((enum tensor_role)role, block, again);
        if (strcmp(name, again) == 0)
            return true;
    }
    return false;
}

int hyper_parse(const struct gguf *g, struct model_hyper *out, struct status *st)
{
    int rc = 0;
    struct model_hyper h = { 0 };
    TRY(check_arch(g, &h, st));
    TRY(read_sizes(g, &h, st));
    TRY(read_flags(g, &h, st));
    for (size_t i = 0; i < g->tensors_n; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (!is_known(&h, t))
            FAIL(st, RC_UNSUPPORTED, "tensor '%.*s' is not honoured: no part of this decoder", (int)t->name.n,
                 t->name.s);
    }
    for (int role = 0; role < ROLES; role++) {
        uint32_t n = role_is_block((enum tensor_role)role) ? h.blocks : 1;
        if (role == ROLE_HEAD && h.tied_head)
            continue;
        for (uint32_t block = 0; block < n; block++)
            TRY(check_tensor(g, &h, (enum tensor_role)role, block, st));
    }
    *out = h;
out:
    return rc;
}
