/* tokenizer.json of a byte-level BPE, as the metadata of a GGUF file. What the merges alone do not do is
 * refused by name: normalizers, other models, prefixes, dropout, tokens that take white space with them. */
#include "base/alloc.h"
#include "base/utf8.h"
#include "model/hf_own.h"
#include "model/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The numbers are those of a GGUF file. */
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5 };

struct vocab {
    const char **texts; /* [n], lent from the trees; NULL: no token */
    int32_t *types;     /* [n] */
    bool *late;         /* [n] added tokens that are cut out of what the others leave (normalized) */
    size_t n;           /* the model's */
};

static const struct json *find(const struct json *tree, const char *key)
{
    const struct json *value = tree ? json_find(tree, key) : NULL;
    return value && json_type(value) != JSON_NULL ? value : NULL;
}

static bool is_type(const struct json *j, const char *type)
{
    const struct json *is = j ? json_find(j, "type") : NULL;
    return is && json_text(is) && strcmp(json_text(is), type) == 0;
}

static const char *type_of(const struct json *j)
{
    const struct json *is = json_find(j, "type");
    return is && json_text(is) ? json_text(is) : "of no type";
}

/* ---- the vocabulary ---- */

static int token_put(struct vocab *v, const char *text, const struct json *id, int32_t type,
                     struct status *st)
{
    if (!id || json_type(id) != JSON_NUMBER || !json_is_int(id) || json_int(id) < 0)
        return status_fail(st, RC_FORMAT, "token '%.60s' has no id", text);
    const int64_t at = json_int(id);
    if (at >= (int64_t)v->n)
        return status_fail(st, RC_FORMAT, "token '%.60s' has the id %" PRId64 ", the model has %zu tokens",
                           text, at, v->n);
    if (v->texts[at] && strcmp(v->texts[at], text) != 0)
        return status_fail(st, RC_FORMAT, "tokens '%.60s' and '%.60s' have the id %" PRId64, v->texts[at],
                           text, at);
    v->texts[at] = text;
    v->types[at] = type;
    return 0;
}

/* A token that is cut out of the text, and takes nothing beside it. */
static int added_put(struct vocab *v, const struct json *token, struct status *st)
{
    static const char *const OFF[] = { "single_word", "lstrip", "rstrip" };
    int rc = 0;
    const char *text = NULL;
    const struct json *special = find(token, "special"), *late = find(token, "normalized");
    TRY(json_get_text(token, "content", &text, st));
    for (size_t i = 0; i < sizeof OFF / sizeof *OFF; i++)
        if (find(token, OFF[i]) && !json_is_off(find(token, OFF[i])))
            FAIL(st, RC_UNSUPPORTED, "added token '%.60s' has %s: it is not honoured", text, OFF[i]);
    TRY(token_put(v, text, find(token, "id"), special && !json_is_off(special) ? TYPE_CONTROL : TYPE_USER,
                  st));
    v->late[json_int(find(token, "id"))] = late && !json_is_off(late);
out:
    return rc;
}

static int vocab_fill(struct vocab *v, const struct json *root, const struct json *model, struct status *st)
{
    int rc = 0;
    const struct json *vocab = NULL, *added = find(root, "added_tokens");
    TRY(json_get(model, "vocab", JSON_OBJECT, &vocab, st));
    for (const struct json *m = json_first(vocab); m; m = json_next(m))
        TRY(token_put(v, json_key(m), m, TYPE_NORMAL, st));
    if (added && json_type(added) != JSON_ARRAY)
        FAIL(st, RC_FORMAT, "key 'added_tokens': a list is wanted");
    for (const struct json *m = added ? json_first(added) : NULL; m; m = json_next(m))
        TRY(added_put(v, m, st));
out:
    return rc;
}

/* Does `late` hold `early`, or does the end of the one begin the other? */
static bool meets(const char *late, const char *early)
{
    const size_t n = strlen(early);
    for (const char *s = late; *s; s++) {
        const size_t left = strlen(s);
        if (strncmp(s, early, left < n ? left : n) == 0)
            return true;
    }
    return false;
}

/* Here all added tokens are cut out at once, the leftmost first. The library cuts twice, which is the same
 * unless a token of the second kind can stand across one of the first. */
static int late_check(const struct vocab *v, struct status *st)
{
    for (size_t i = 0; i < v->n; i++)
        for (size_t k = 0; v->late[i] && k < v->n; k++)
            if ((v->types[k] == TYPE_CONTROL || v->types[k] == TYPE_USER) && !v->late[k] && *v->texts[k] &&
                meets(v->texts[i], v->texts[k]))
                return status_fail(
                    st, RC_UNSUPPORTED,
                    "added token '%.60s' is normalized and can stand across '%.60s': it is not "
                    "honoured",
                    v->texts[i], v->texts[k]);
    return 0;
}

static int64_t id_of(const struct vocab *v, const char *text)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->texts[i] && strcmp(v->texts[i], text) == 0)
            return (int64_t)i;
    return -1;
}

/* A token that tokenizer_config.json names, as a text or an object: it is special from then on. *id keeps its
 * value where none is named. */
static int named_token(struct vocab *v, const struct json *token, const char *key, int64_t *id,
                       struct status *st)
{
    if (!token)
        return 0;
    const struct json *content = json_type(token) == JSON_OBJECT ? find(token, "content") : token;
    const char *text = content ? json_text(content) : NULL;
    if (!text)
        return status_fail(st, RC_FORMAT, HF_TOKENIZER_CONFIG ": key '%s': the text of a token is wanted",
                           key);
    const int64_t at = id_of(v, text);
    if (at < 0)
        return status_fail(st, RC_UNSUPPORTED,
                           HF_TOKENIZER_CONFIG ": key '%s' names '%.60s', which is no token", key, text);
    v->types[at] = TYPE_CONTROL;
    *id = at;
    return 0;
}

static int named_list(struct vocab *v, const struct json *config, const char *key, struct status *st)
{
    int64_t unused = -1;
    const struct json *list = find(config, key);
    if (list && json_type(list) != JSON_ARRAY && json_type(list) != JSON_OBJECT)
        return status_fail(st, RC_FORMAT, HF_TOKENIZER_CONFIG ": key '%s': a list is wanted", key);
    for (const struct json *m = list ? json_first(list) : NULL; m; m = json_next(m)) {
        int rc = named_token(v, m, key, &unused, st);
        if (rc)
            return rc;
    }
    return 0;
}

/* added_tokens_decoder says again what added_tokens says: another token there would be one more. */
static int decoder_check(const struct vocab *v, const struct json *config, struct status *st)
{
    const struct json *list = find(config, "added_tokens_decoder");
    for (const struct json *m = list ? json_first(list) : NULL; m; m = json_next(m)) {
        char id[24];
        const struct json *content = find(m, "content");
        const int64_t at = content && json_text(content) ? id_of(v, json_text(content)) : -1;
        snprintf(id, sizeof id, "%" PRId64, at);
        if (!json_key(m) || at < 0 || strcmp(id, json_key(m)) != 0 || v->types[at] == TYPE_NORMAL)
            return status_fail(st, RC_UNSUPPORTED,
                               HF_TOKENIZER_CONFIG
                               ": added_tokens_decoder has '%.60s', which is no added token "
                               "of " HF_TOKENIZER,
                               json_key(m) ? json_key(m) : "");
    }
    return 0;
}

static int vocab_open(struct vocab *v, const struct json *root, const struct json *model, size_t n,
                      struct status *st)
{
    v->n = n;
    v->texts = mem_calloc(n, sizeof *v->texts);
    v->types = mem_calloc(n, sizeof *v->types);
    v->late = mem_calloc(n, sizeof *v->late);
    if (!v->texts || !v->types || !v->late)
        return status_fail(st, RC_NOMEM, "no memory for %zu tokens", n);
    for (size_t i = 0; i < n; i++)
        v->types[i] = TYPE_UNUSED;
    return vocab_fill(v, root, model, st);
}

/* ---- what must be as it is ---- */

/* A byte without a token becomes `unk_token`. */
static bool all_bytes(const struct vocab *v)
{
    bool there[256] = { false };
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        int32_t cp = -1;
        const char *text = v->types[i] == TYPE_NORMAL ? v->texts[i] : "";
        const size_t size = strlen(text);
        const int byte = size > 0 && utf8_next(text, size, &cp) == size ? tokenizer_byte(cp) : -1;
        if (byte >= 0 && !there[byte]) {
            there[byte] = true;
            n++;
        }
    }
    return n == 256;
}

static int model_check(const struct json *root, const struct json *model, const struct vocab *v,
                       struct status *st)
{
    static const char *const TEXTS[] = { "continuing_subword_prefix", "end_of_word_suffix" };
    static const char *const FLAGS[] = { "byte_fallback", "ignore_merges" };
    int rc = 0;
    const struct json *dropout = find(model, "dropout"), *unknown = find(model, "unk_token");
    const struct json *normalizer = find(root, "normalizer"), *decoder = find(root, "decoder");
    if (normalizer)
        FAIL(st, RC_UNSUPPORTED, "normalizer '%.40s' is not honoured", type_of(normalizer));
    if (decoder && !is_type(decoder, "ByteLevel"))
        FAIL(st, RC_UNSUPPORTED, "decoder '%.40s' is not honoured, ByteLevel is", type_of(decoder));
    for (size_t i = 0; i < 2; i++) {
        const struct json *text = find(model, TEXTS[i]), *flag = find(model, FLAGS[i]);
        if (text && (!json_text(text) || *json_text(text)))
            FAIL(st, RC_UNSUPPORTED, "the model's '%s' is set: it is not honoured", TEXTS[i]);
        if (flag && !json_is_off(flag))
            FAIL(st, RC_UNSUPPORTED, "the model's '%s' is set: it is not honoured", FLAGS[i]);
    }
    if (dropout && (json_type(dropout) != JSON_NUMBER || json_double(dropout) != 0))
        FAIL(st, RC_UNSUPPORTED, "the model's 'dropout' is set: it is not honoured");
    if (unknown && json_text(unknown) && *json_text(unknown) && !all_bytes(v))
        FAIL(st, RC_UNSUPPORTED,
             "the model's 'unk_token' is '%.40s' and bytes lack a token: it is not honoured",
             json_text(unknown));
out:
    return rc;
}

/* Whether a BOS is put in front: `single` of a template, a special token before the text. One behind it is an
 * EOS, which scoring and training set themselves. */
static int template_read(const struct json *post, const struct vocab *v, int64_t *bos, struct status *st)
{
    int rc = 0;
    const struct json *single = NULL;
    bool text = false, first = true;
    TRY(json_get(post, "single", JSON_ARRAY, &single, st));
    for (const struct json *m = json_first(single); m; m = json_next(m), first = false) {
        const struct json *special = find(m, "SpecialToken");
        const char *id = NULL;
        if (find(m, "Sequence") && !text) {
            text = true;
            continue;
        }
        if (!special || (!text && !first))
            FAIL(st, RC_UNSUPPORTED, "post_processor's template is not 'BOS, text': it is not honoured");
        TRY(json_get_text(special, "id", &id, st));
        if (id_of(v, id) < 0)
            FAIL(st, RC_FORMAT, "post_processor names '%.60s', which is no token", id);
        if (!text)
            *bos = id_of(v, id);
    }
    if (!text)
        FAIL(st, RC_FORMAT, "post_processor's template has no text");
out:
    return rc;
}

static int post_read(const struct json *post, const struct vocab *v, int64_t *bos, struct status *st)
{
    int rc = 0;
    const struct json *list = NULL;
    if (!post || is_type(post, "ByteLevel"))
        return 0;
    if (is_type(post, "TemplateProcessing"))
        return template_read(post, v, bos, st);
    if (!is_type(post, "Sequence"))
        FAIL(st, RC_UNSUPPORTED, "post_processor '%.40s' is not honoured", type_of(post));
    TRY(json_get(post, "processors", JSON_ARRAY, &list, st));
    for (const struct json *m = json_first(list); m; m = json_next(m)) {
        if (is_type(m, "Sequence"))
            FAIL(st, RC_UNSUPPORTED, "post_processor: a sequence in a sequence is not honoured");
        TRY(post_read(m, v, bos, st));
    }
out:
    return rc;
}

/* ---- as metadata ---- */

struct ends {
    int64_t bos, eos, added; /* added: what stands in front of a text; -1: none */
};

static int ends_read(struct vocab *v, const struct json *root, const struct json *config,
                     const struct hf_config *model, struct ends *out, struct status *st)
{
    int rc = 0;
    int64_t unused = -1;
    struct ends e = { .bos = model->bos, .eos = model->eos_n ? model->eos[0] : -1, .added = -1 };
    const struct json *adds = find(config, "add_bos_token"), *prefix = find(config, "add_prefix_space");
    TRY(named_token(v, find(config, "bos_token"), "bos_token", &e.bos, st));
    TRY(named_token(v, find(config, "eos_token"), "eos_token", &e.eos, st));
    TRY(named_token(v, find(config, "unk_token"), "unk_token", &unused, st));
    TRY(named_token(v, find(config, "pad_token"), "pad_token", &unused, st));
    TRY(named_list(v, config, "additional_special_tokens", st));
    TRY(named_list(v, config, "extra_special_tokens", st));
    TRY(decoder_check(v, config, st));
    TRY(post_read(find(root, "post_processor"), v, &e.added, st));
    if (prefix && !json_is_off(prefix))
        FAIL(st, RC_UNSUPPORTED, HF_TOKENIZER_CONFIG ": key 'add_prefix_space' is set: it is not honoured");
    if (adds && !json_is_off(adds) && e.added < 0)
        FAIL(st, RC_UNSUPPORTED,
             HF_TOKENIZER_CONFIG ": key 'add_bos_token' is set, and the post_processor adds none");
    if (e.added >= 0 && e.bos >= 0 && e.added != e.bos)
        FAIL(st, RC_UNSUPPORTED, "post_processor puts token %" PRId64 " first, and the BOS is %" PRId64,
             e.added, e.bos);
    e.bos = e.added >= 0 ? e.added : e.bos;
    if (e.bos >= (int64_t)v->n || e.eos >= (int64_t)v->n)
        FAIL(st, RC_FORMAT, "the BOS or EOS id is outside the vocabulary of %zu tokens", v->n);
    *out = e;
out:
    return rc;
}

static int merge_put(struct gguf_keys *out, const struct json *m, size_t rank, struct status *st)
{
    int rc = 0;
    struct str both = { 0 };
    const struct json *left = json_type(m) == JSON_ARRAY ? json_first(m) : NULL;
    const struct json *right = left ? json_next(left) : NULL;
    if (json_text(m)) {
        gguf_put_item(out, json_text(m), strlen(json_text(m)));
        goto out;
    }
    if (!right || json_next(right) || !json_text(left) || !json_text(right) || strchr(json_text(left), ' ') ||
        strchr(json_text(right), ' '))
        FAIL(st, RC_FORMAT, "merge %zu is neither 'left right' nor a list of these two", rank);
    str_printf(&both, "%s %s", json_text(left), json_text(right));
    TRY(str_check(&both, st));
    gguf_put_item(out, both.data, both.size);
out:
    str_release(&both);
    return rc;
}

static int merges_put(struct gguf_keys *out, const struct json *model, struct status *st)
{
    int rc = 0;
    size_t rank = 0;
    const struct json *merges = NULL;
    TRY(json_get(model, "merges", JSON_ARRAY, &merges, st));
    gguf_put_texts(out, "tokenizer.ggml.merges", json_size(merges));
    for (const struct json *m = json_first(merges); m; m = json_next(m))
        TRY(merge_put(out, m, rank++, st));
out:
    return rc;
}

static void tokens_put(struct gguf_keys *out, const struct vocab *v)
{
    gguf_put_texts(out, "tokenizer.ggml.tokens", v->n);
    for (size_t i = 0; i < v->n; i++) {
        char unused[32];
        snprintf(unused, sizeof unused, "[PAD%zu]", i);
        const char *text = v->texts[i] ? v->texts[i] : unused;
        gguf_put_item(out, text, strlen(text));
    }
    gguf_put_i32s(out, "tokenizer.ggml.token_type", v->types, v->n);
}

/* Other ids that end a generation go where GGUF has a place for them. */
static void ends_put(struct gguf_keys *out, const struct ends *e, const struct hf_config *model)
{
    static const char *const PLACES[] = { "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    size_t n = 0;
    if (e->bos >= 0)
        gguf_put_u32(out, "tokenizer.ggml.bos_token_id", (uint32_t)e->bos);
    if (e->eos >= 0)
        gguf_put_u32(out, "tokenizer.ggml.eos_token_id", (uint32_t)e->eos);
    for (size_t i = 0; i < model->eos_n && n < 2; i++)
        if (model->eos[i] != e->eos && model->eos[i] < model->hyper.vocab)
            gguf_put_u32(out, PLACES[n++], (uint32_t)model->eos[i]);
    gguf_put_bool(out, "tokenizer.ggml.add_bos_token", e->added >= 0);
}

int hf_tokenizer_keys(const struct json *tokenizer, const struct json *config, const struct hf_config *model,
                      struct gguf_keys *out, struct status *st)
{
    int rc = 0;
    const struct json *bpe = NULL, *type = NULL;
    const char *pre = NULL;
    struct vocab v = { 0 };
    struct ends ends = { 0 };
    TRY(json_get(tokenizer, "model", JSON_OBJECT, &bpe, st));
    type = find(bpe, "type");
    if (type && !is_type(bpe, "BPE"))
        FAIL(st, RC_UNSUPPORTED, "tokenizer model '%.40s': this reads BPE", type_of(bpe));
    TRY(hf_pretokenizer(json_find(tokenizer, "pre_tokenizer"), &pre, st));
    TRY(vocab_open(&v, tokenizer, bpe, model->hyper.vocab, st));
    TRY(ends_read(&v, tokenizer, config, model, &ends, st));
    TRY(model_check(tokenizer, bpe, &v, st));
    TRY(late_check(&v, st));
    gguf_put_text(out, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_text(out, "tokenizer.ggml.pre", pre, strlen(pre));
    tokens_put(out, &v);
    TRY(merges_put(out, bpe, st));
    ends_put(out, &ends, model);
    TRY(str_check(&out->bytes, st));
out:
    mem_free(v.texts);
    mem_free(v.types);
    mem_free(v.late);
    return rc;
}

int hf_template_get(const struct json *config, const char **s, struct status *st)
{
    int rc = 0;
    const struct json *chat = find(config, "chat_template");
    *s = NULL;
    if (!chat)
        goto out;
    *s = json_text(chat);
    if (*s)
        goto out;
    if (json_type(chat) != JSON_ARRAY)
        FAIL(st, RC_FORMAT, "key 'chat_template': a text or a list of named ones is wanted");
    for (const struct json *m = json_first(chat); m; m = json_next(m)) {
        const char *name = NULL, *text = NULL;
        TRY(json_get_text(m, "name", &name, st));
        TRY(json_get_text(m, "template", &text, st));
        if (strcmp(name, "default") == 0)
            *s = text;
    }
out:
    return rc;
}
