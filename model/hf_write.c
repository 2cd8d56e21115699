#include "model/hf_write.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"
#include "model/hf_own.h"
#include "model/tokenizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int document_save(const char *folder, const char *name, const struct str *text, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    TRY(str_check(text, st));
    TRY(path_join(folder, name, &path, st));
    TRY(file_write(path.data, text->data, text->size, 0644, st));
out:
    str_release(&path);
    return rc;
}

/* ---- config.json ---- */

/* The shortest decimal that reads back as the same f32, with a point. */
static void real_put(struct str *s, float x)
{
    char text[40];
    int digits = 1;
    if (x == floorf(x) && fabsf(x) < 1e9f) {
        str_printf(s, "%.1f", (double)x);
        return;
    }
    do
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
    while ((float)strtod(text, NULL) != x && ++digits <= 9);
    str_puts(s, text);
}

/* Ids under a key of the two configurations: none, one, or a list. */
static int ends_put(const struct gguf *g, struct str *out, struct status *st)
{
    static const char *const PLACES[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                          "tokenizer.ggml.eom_token_id" };
    int rc = 0;
    uint32_t bos = UINT32_MAX, ids[3];
    size_t n = 0;
    TRY(gguf_opt_u32(g, "tokenizer.ggml.bos_token_id", &bos, st));
    for (size_t i = 0; i < 3; i++) {
        uint32_t id = UINT32_MAX;
        TRY(gguf_opt_u32(g, PLACES[i], &id, st));
        if (id != UINT32_MAX && !(n && ids[0] == id) && !(n > 1 && ids[1] == id))
            ids[n++] = id;
    }
    if (bos == UINT32_MAX)
        str_puts(out, "  \"bos_token_id\": null,\n");
    else
        str_printf(out, "  \"bos_token_id\": %" PRIu32 ",\n", bos);
    str_puts(out, "  \"eos_token_id\": ");
    if (n > 1)
        str_puts(out, "[");
    for (size_t i = 0; i < n; i++)
        str_printf(out, "%s%" PRIu32, i ? ", " : "", ids[i]);
    str_puts(out, n == 0 ? "null" : n > 1 ? "]" : "");
out:
    return rc;
}

int hf_config_save(const struct gguf *g, const struct model_hyper *h, bool half, const char *folder,
                   struct status *st)
{
    int rc = 0;
    struct str s = { 0 }, generation = { 0 };
    str_puts(&s, "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"attention_bias\": false,\n"
                 "  \"attention_dropout\": 0.0,\n");
    TRY(ends_put(g, &s, st));
    str_printf(&s, ",\n  \"head_dim\": %" PRIu32 ",\n  \"hidden_act\": \"silu\"", h->head_size);
    str_printf(&s, ",\n  \"hidden_size\": %" PRIu32 ",\n  \"initializer_range\": 0.02", h->width);
    str_printf(&s, ",\n  \"intermediate_size\": %" PRIu32, h->mlp);
    str_printf(&s, ",\n  \"max_position_embeddings\": %" PRIu32 ",\n  \"mlp_bias\": false", h->context);
    str_printf(&s, ",\n  \"model_type\": \"llama\",\n  \"num_attention_heads\": %" PRIu32, h->heads);
    str_printf(&s, ",\n  \"num_hidden_layers\": %" PRIu32, h->blocks);
    str_printf(&s, ",\n  \"num_key_value_heads\": %" PRIu32 ",\n  \"rms_norm_eps\": ", h->kv_heads);
    real_put(&s, h->norm_eps);
    str_puts(&s, ",\n  \"rope_scaling\": null,\n  \"rope_theta\": ");
    real_put(&s, h->rope_base);
    str_printf(&s, ",\n  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"%s\"",
               h->tied_head ? "true" : "false", half ? "float16" : "float32");
    str_printf(&s, ",\n  \"use_cache\": true,\n  \"vocab_size\": %" PRIu32 "\n}\n", h->vocab);
    TRY(document_save(folder, HF_CONFIG, &s, st));
    str_puts(&generation, "{\n");
    TRY(ends_put(g, &generation, st));
    str_puts(&generation, "\n}\n");
    TRY(document_save(folder, HF_GENERATION, &generation, st));
out:
    str_release(&s);
    str_release(&generation);
    return rc;
}

/* ---- the tokenizer ---- */

enum { TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };

struct words {
    struct gguf_text *tokens, *merges;
    int32_t *types;
    size_t n, merges_n, types_n;
    struct gguf_text pre;
    uint32_t bos, eos;
    bool adds_bos;
};

static void words_release(struct words *w)
{
    mem_free(w->tokens);
    mem_free(w->merges);
    mem_free(w->types);
}

static int text_compare(const void *a, const void *b)
{
    const struct gguf_text *x = a, *y = b;
    const int order = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* JSON has one value under a key, and text that is UTF-8 without zero bytes. */
static int words_check(const struct words *w, struct status *st)
{
    int rc = 0;
    struct gguf_text *sorted = mem_calloc(w->n, sizeof *sorted);
    if (!sorted)
        FAIL(st, RC_NOMEM, "no memory for %zu tokens", w->n);
    if (w->n)
        memcpy(sorted, w->tokens, w->n * sizeof *sorted);
    for (size_t i = 0; i < w->n; i++)
        if (!utf8_valid(w->tokens[i].s, w->tokens[i].n) || memchr(w->tokens[i].s, 0, w->tokens[i].n))
            FAIL(st, RC_UNSUPPORTED, "token %zu is no text that tokenizer.json can hold", i);
    if (w->n)
        qsort(sorted, w->n, sizeof *sorted, text_compare);
    for (size_t i = 1; i < w->n; i++)
        if (text_compare(&sorted[i - 1], &sorted[i]) == 0)
            FAIL(st, RC_UNSUPPORTED, "two tokens are '%.*s': tokenizer.json can hold one",
                 (int)(sorted[i].n < 60 ? sorted[i].n : 60), sorted[i].s);
out:
    mem_free(sorted);
    return rc;
}

static int words_read(const struct gguf *g, struct words *w, struct status *st)
{
    int rc = 0;
    w->bos = w->eos = UINT32_MAX;
    TRY(gguf_get_texts(g, "tokenizer.ggml.tokens", &w->tokens, &w->n, st));
    TRY(gguf_get_ints(g, "tokenizer.ggml.token_type", &w->types, &w->types_n, st));
    TRY(gguf_get_texts(g, "tokenizer.ggml.merges", &w->merges, &w->merges_n, st));
    TRY(gguf_get_text(g, "tokenizer.ggml.pre", &w->pre, st));
    TRY(gguf_opt_u32(g, "tokenizer.ggml.bos_token_id", &w->bos, st));
    TRY(gguf_opt_u32(g, "tokenizer.ggml.eos_token_id", &w->eos, st));
    TRY(gguf_opt_bool(g, "tokenizer.ggml.add_bos_token", &w->adds_bos, st));
    if (w->types_n != w->n || (w->bos != UINT32_MAX && w->bos >= w->n) ||
        (w->eos != UINT32_MAX && w->eos >= w->n) || (w->adds_bos && w->bos == UINT32_MAX))
        FAIL(st, RC_FORMAT, "the metadata of the tokenizer do not agree");
    TRY(words_check(w, st));
out:
    return rc;
}

static void text_put(struct str *s, struct gguf_text t)
{
    str_json_string(s, t.s, t.n);
}

/* Tokens that only fill the vocabulary are made again by whoever reads. */
static bool is_filler(const struct words *w, size_t i)
{
    char text[32];
    snprintf(text, sizeof text, "[PAD%zu]", i);
    return w->types[i] == TYPE_UNUSED && gguf_text_is(w->tokens[i], text);
}

static void added_put(const struct words *w, struct str *s)
{
    bool any = false;
    str_puts(s, "\"added_tokens\":[");
    for (size_t i = 0; i < w->n; i++) {
        if (w->types[i] != TYPE_CONTROL && w->types[i] != TYPE_USER)
            continue;
        str_printf(s, "%s\n{\"id\":%zu,\"content\":", any ? "," : "", i);
        text_put(s, w->tokens[i]);
        str_printf(s,
                   ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false"
                   ",\"special\":%s}",
                   w->types[i] == TYPE_CONTROL ? "true" : "false");
        any = true;
    }
    str_puts(s, "],\n");
}

static void model_put(const struct words *w, struct str *s)
{
    bool any = false;
    str_puts(s, "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null"
                ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false"
                ",\"byte_fallback\":false,\"ignore_merges\":false,\n\"vocab\":{");
    for (size_t i = 0; i < w->n; i++) {
        if (is_filler(w, i))
            continue;
        str_puts(s, any ? ",\n" : "\n");
        text_put(s, w->tokens[i]);
        str_printf(s, ":%zu", i);
        any = true;
    }
    str_puts(s, "},\n\"merges\":[");
    for (size_t i = 0; i < w->merges_n; i++) {
        str_puts(s, i ? ",\n" : "\n");
        text_put(s, w->merges[i]);
    }
    str_puts(s, "]}");
}

static void post_put(const struct words *w, struct str *s)
{
    str_puts(s, "\"post_processor\":");
    if (!w->adds_bos) {
        str_puts(s, "null,\n");
        return;
    }
    const char *const single = ",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}";
    str_puts(s, "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":");
    text_put(s, w->tokens[w->bos]);
    str_printf(s, "%s],\"pair\":[{\"SpecialToken\":{\"id\":", single);
    text_put(s, w->tokens[w->bos]);
    str_printf(s, "%s,{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{", single);
    text_put(s, w->tokens[w->bos]);
    str_puts(s, ":{\"id\":");
    text_put(s, w->tokens[w->bos]);
    str_printf(s, ",\"ids\":[%" PRIu32 "],\"tokens\":[", w->bos);
    text_put(s, w->tokens[w->bos]);
    str_puts(s, "]}}},\n");
}

static int tokenizer_put(const struct words *w, struct str *s, struct status *st)
{
    char pre[64];
    snprintf(pre, sizeof pre, "%.*s", (int)(w->pre.n < sizeof pre ? w->pre.n : 0), w->pre.s);
    const char *form = hf_pretokenizer_json(pre);
    if (!form)
        return status_fail(st, RC_UNSUPPORTED, "pre-tokenizer '%s' has no form in tokenizer.json", pre);
    str_puts(s, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n");
    added_put(w, s);
    str_printf(s, "\"normalizer\":null,\n\"pre_tokenizer\":%s,\n", form);
    post_put(w, s);
    str_puts(s, "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true"
                ",\"use_regex\":true},\n");
    model_put(w, s);
    str_puts(s, "}\n");
    return str_check(s, st);
}

static int config_put(const struct gguf *g, const struct words *w, struct str *s, struct status *st)
{
    int rc = 0;
    struct gguf_text chat;
    str_printf(s, "{\n  \"add_bos_token\": %s,\n", w->adds_bos ? "true" : "false");
    if (w->bos != UINT32_MAX) {
        str_puts(s, "  \"bos_token\": ");
        text_put(s, w->tokens[w->bos]);
        str_puts(s, ",\n");
    }
    if (gguf_find(g, "tokenizer.chat_template")) {
        TRY(gguf_get_text(g, "tokenizer.chat_template", &chat, st));
        if (!utf8_valid(chat.s, chat.n) || memchr(chat.s, 0, chat.n))
            FAIL(st, RC_UNSUPPORTED, "the chat template is no text that " HF_TOKENIZER_CONFIG " can hold");
        str_puts(s, "  \"chat_template\": ");
        text_put(s, chat);
        str_puts(s, ",\n");
    }
    str_puts(s, "  \"clean_up_tokenization_spaces\": false,\n");
    if (w->eos != UINT32_MAX) {
        str_puts(s, "  \"eos_token\": ");
        text_put(s, w->tokens[w->eos]);
        str_puts(s, ",\n");
    }
    str_puts(s, "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n");
out:
    return rc;
}

int hf_tokenizer_save(const struct gguf *g, const char *folder, struct status *st)
{
    int rc = 0;
    struct words w = { 0 };
    struct str tokenizer = { 0 }, config = { 0 };
    TRY(words_read(g, &w, st));
    TRY(tokenizer_put(&w, &tokenizer, st));
    TRY(config_put(g, &w, &config, st));
    TRY(document_save(folder, HF_TOKENIZER, &tokenizer, st));
    TRY(document_save(folder, HF_TOKENIZER_CONFIG, &config, st));
out:
    words_release(&w);
    str_release(&tokenizer);
    str_release(&config);
    return rc;
}

int hf_files_copy(const char *from, const char *folder, struct status *st)
{
    static const char *const NAMES[] = { HF_TOKENIZER,       HF_TOKENIZER_CONFIG, HF_TEMPLATE,
                                         "vocab.json",       "merges.txt",        "special_tokens_map.json",
                                         "added_tokens.json" };
    int rc = 0;
    struct str path = { 0 }, text = { 0 };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        TRY(path_join(from, NAMES[i], &path, st));
        if (!path_exists(path.data))
            continue;
        TRY(file_read(path.data, JSON_DOCUMENT_BYTES_MAX, &text, st));
        TRY(document_save(folder, NAMES[i], &text, st));
    }
out:
    str_release(&path);
    str_release(&text);
    return rc;
}
