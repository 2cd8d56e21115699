/* config.json of a Llama model in Hugging Face's form. A key is read, is without effect on what the model
 * computes, or must be off: what is not known is refused by name, and never ignored. */
#include "model/hf_own.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const READ[] = {
    "architectures",     "model_type",        "hidden_size",
    "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "head_dim",          "rms_norm_eps",      "num_key_value_heads",
    "vocab_size",        "hidden_act",        "max_position_embeddings",
    "rope_theta",        "rope_scaling",      "rope_parameters",
    "bos_token_id",      "eos_token_id",      "tie_word_embeddings",
    "attention_dropout", "pretraining_tp",    NULL,
};
/* Where the file came from, how it was initialised, how it is stored and run. */
static const char *const IDLE[] = {
    "_name_or_path",          "transformers_version", "torch_dtype",   "dtype",       "use_cache",
    "initializer_range",      "pad_token_id",         "unk_token_id",  "max_length",  "is_llama_config",
    "transformers.js_config", "unsloth_version",      "unsloth_fixed", "return_dict", NULL,
};

static bool among(const char *const *list, const char *text)
{
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list != NULL;
}

static const struct json *find(const struct json *tree, const char *key)
{
    const struct json *value = json_find(tree, key);
    return value && json_type(value) != JSON_NULL ? value : NULL;
}

static int keys_check(const struct json *tree, struct status *st)
{
    for (const struct json *m = json_first(tree); m; m = json_next(m))
        if (!among(READ, json_key(m)) && !among(IDLE, json_key(m)) && !json_is_off(m))
            return status_fail(st, RC_UNSUPPORTED, "key '%.60s' is set: it is not honoured", json_key(m));
    return 0;
}

static int arch_check(const struct json *tree, struct status *st)
{
    int rc = 0;
    const struct json *names = find(tree, "architectures");
    const char *type = NULL, *name = NULL;
    if (names && json_type(names) == JSON_ARRAY && json_size(names) == 1)
        name = json_text(json_first(names));
    if (names && !name)
        FAIL(st, RC_FORMAT, "key 'architectures': a list of one name is wanted");
    if (name && strcmp(name, "LlamaForCausalLM") != 0)
        FAIL(st, RC_UNSUPPORTED, "architecture '%.60s', this reads LlamaForCausalLM", name);
    TRY(json_get_text(tree, "model_type", &type, st));
    if (strcmp(type, "llama") != 0)
        FAIL(st, RC_UNSUPPORTED, "key 'model_type' is '%.60s', this reads llama", type);
out:
    return rc;
}

static int count_read(const struct json *tree, const char *key, uint32_t max, uint32_t *out,
                      struct status *st)
{
    int64_t n = 0;
    int rc = json_get_int(tree, key, 1, max, &n, st);
    if (!rc)
        *out = (uint32_t)n;
    return rc;
}

static int real_read(const struct json *tree, const char *key, float *out, struct status *st)
{
    const struct json *value = find(tree, key);
    if (!value)
        return 0;
    if (json_type(value) != JSON_NUMBER)
        return status_fail(st, RC_FORMAT, "key '%s': a number is wanted", key);
    *out = (float)json_double(value);
    return 0;
}

static int sizes_read(const struct json *tree, struct model_hyper *h, struct status *st)
{
    int rc = 0;
    TRY(count_read(tree, "num_hidden_layers", HYPER_BLOCKS_MAX, &h->blocks, st));
    TRY(count_read(tree, "hidden_size", HYPER_WIDTH_MAX, &h->width, st));
    TRY(count_read(tree, "intermediate_size", 4 * HYPER_WIDTH_MAX, &h->mlp, st));
    TRY(count_read(tree, "max_position_embeddings", HYPER_CONTEXT_MAX, &h->context, st));
    TRY(count_read(tree, "vocab_size", HYPER_VOCAB_MAX, &h->vocab, st));
    TRY(count_read(tree, "num_attention_heads", 1024, &h->heads, st));
    h->kv_heads = h->heads;
    if (find(tree, "num_key_value_heads"))
        TRY(count_read(tree, "num_key_value_heads", 1024, &h->kv_heads, st));
    if (h->heads % h->kv_heads)
        FAIL(st, RC_FORMAT, "%" PRIu32 " heads do not share %" PRIu32 " key heads evenly", h->heads,
             h->kv_heads);
    if (!find(tree, "head_dim") && h->width % h->heads)
        FAIL(st, RC_FORMAT, "key 'hidden_size' is %" PRIu32 ", which %" PRIu32 " heads do not divide",
             h->width, h->heads);
    h->head_size = h->width / h->heads;
    if (find(tree, "head_dim"))
        TRY(count_read(tree, "head_dim", 1024, &h->head_size, st));
    if (h->head_size == 0 || h->head_size % 2)
        FAIL(st, RC_FORMAT, "heads of size %" PRIu32 ", an even size was wanted", h->head_size);
out:
    return rc;
}

/* rope_scaling (transformers 4) or rope_parameters (5): only what scales nothing. */
static int rope_read(const struct json *tree, const char *key, struct model_hyper *h, struct status *st)
{
    static const char *const KEYS[] = { "type", "rope_type", "rope_theta", "partial_rotary_factor", NULL };
    int rc = 0;
    float part = 1;
    const struct json *rope = find(tree, key);
    if (!rope)
        goto out;
    if (json_type(rope) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "key '%s': an object is wanted", key);
    for (int i = 0; i < 2; i++) {
        const struct json *type = find(rope, KEYS[i]);
        if (type && (!json_text(type) || strcmp(json_text(type), "default") != 0))
            FAIL(st, RC_UNSUPPORTED, "key '%s' has %s '%.40s': only default is honoured", key, KEYS[i],
                 json_text(type) ? json_text(type) : "");
    }
    for (const struct json *m = json_first(rope); m; m = json_next(m))
        if (!among(KEYS, json_key(m)) && !json_is_off(m))
            FAIL(st, RC_UNSUPPORTED, "key '%s' has '%.40s': it is not honoured", key, json_key(m));
    TRY(real_read(rope, "rope_theta", &h->rope_base, st));
    TRY(real_read(rope, "partial_rotary_factor", &part, st));
    if (part != 1.0f)
        FAIL(st, RC_UNSUPPORTED, "key '%s' has partial_rotary_factor %g: only 1 is honoured", key,
             (double)part);
out:
    return rc;
}

static int flags_read(const struct json *tree, struct model_hyper *h, struct status *st)
{
    int rc = 0;
    float dropout = 0;
    const struct json *tied = find(tree, "tie_word_embeddings"), *act = find(tree, "hidden_act");
    if (act && (!json_text(act) || strcmp(json_text(act), "silu") != 0))
        FAIL(st, RC_UNSUPPORTED, "key 'hidden_act' is '%.40s': only silu is honoured",
             json_text(act) ? json_text(act) : "");
    if (tied && json_type(tied) != JSON_BOOL)
        FAIL(st, RC_FORMAT, "key 'tie_word_embeddings': true or false is wanted");
    h->tied_head = tied && json_bool(tied);
    TRY(real_read(tree, "attention_dropout", &dropout, st));
    if (dropout != 0.0f)
        FAIL(st, RC_UNSUPPORTED, "key 'attention_dropout' is %g: only 0 is honoured", (double)dropout);
    h->rope_base = 10000.0f;
    h->norm_eps = 1e-6f;
    TRY(real_read(tree, "rope_theta", &h->rope_base, st));
    TRY(rope_read(tree, "rope_scaling", h, st));
    TRY(rope_read(tree, "rope_parameters", h, st));
    TRY(real_read(tree, "rms_norm_eps", &h->norm_eps, st));
    if (!(h->rope_base > 1.0f) || isinf(h->rope_base))
        FAIL(st, RC_FORMAT, "key 'rope_theta' is %g", (double)h->rope_base);
    if (!(h->norm_eps > 0.0f) || !(h->norm_eps < 1.0f))
        FAIL(st, RC_FORMAT, "key 'rms_norm_eps' is %g", (double)h->norm_eps);
out:
    return rc;
}

/* One id or a list of them, each kept once. */
static int ends_read(const struct json *tree, struct hf_config *out, struct status *st)
{
    int rc = 0;
    const struct json *value = find(tree, "eos_token_id");
    const struct json *one = value && json_type(value) == JSON_ARRAY ? json_first(value) : value;
    for (; one; one = one == value ? NULL : json_next(one)) {
        bool there = false;
        if (json_type(one) != JSON_NUMBER || !json_is_int(one) || json_int(one) < 0)
            FAIL(st, RC_FORMAT, "key 'eos_token_id': an id or a list of ids is wanted");
        for (size_t i = 0; i < out->eos_n; i++)
            there = there || out->eos[i] == json_int(one);
        if (there)
            continue;
        if (out->eos_n == HF_ENDS_MAX)
            FAIL(st, RC_LIMIT, "key 'eos_token_id': over %d ids", HF_ENDS_MAX);
        out->eos[out->eos_n++] = json_int(one);
    }
out:
    return rc;
}

int hf_config_parse(const struct json *config, const struct json *generation, struct hf_config *out,
                    struct status *st)
{
    int rc = 0;
    struct hf_config c = { .bos = -1 };
    struct model_hyper *h = &c.hyper;
    if (json_type(config) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "an object is wanted");
    TRY(arch_check(config, st));
    TRY(keys_check(config, st));
    snprintf(h->arch, sizeof h->arch, "llama");
    h->rope_pairing = ROPE_NEIGHBOURS; /* rows are handed on in the order of a GGUF file */
    h->rope_scaling = ROPE_UNSCALED;
    h->embedding_scale = 1.0f;
    h->activation = ACTIVATION_SILU;
    TRY(sizes_read(config, h, st));
    TRY(flags_read(config, h, st));
    if (find(config, "bos_token_id"))
        TRY(json_get_int(config, "bos_token_id", 0, HYPER_VOCAB_MAX, &c.bos, st));
    TRY(ends_read(config, &c, st));
    if (generation)
        TRY(ends_read(generation, &c, st));
    *out = c;
out:
    return rc;
}
