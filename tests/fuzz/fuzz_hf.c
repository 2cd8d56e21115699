/* The documents of a Hugging Face directory under "config", "generation", "tokenizer" and "settings". What
 * is read becomes metadata that parse as a GGUF file's do and say the same flags; a tokenizer that opens cuts
 * every text. */
#include "base/json.h"
#include "model/hf_own.h"
#include "model/tokenizer.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096, VOCAB_MAX = 1 << 14 };

static void text_through(const struct gguf *g, const char *s, size_t n)
{
    struct tokenizer *t = NULL;
    struct tokens ids = { 0 };
    struct str back = { 0 };
    if (tokenizer_open(g, &t, NULL) == 0) {
        int rc = tokenizer_raw(t, s, n, &ids, NULL);
        assert(rc == 0);
        rc = tokenizer_decode(t, ids.ids, ids.n, false, &back, NULL);
        assert(rc == 0 && back.size + ids.dropped == n);
    }
    tokens_release(&ids);
    str_release(&back);
    tokenizer_close(t);
}

/* The metadata as source.c makes them; the text is UTF-8, since JSON is. */
static void metadata_read(const struct hf_config *config, struct gguf_keys *keys, const char *s, size_t n)
{
    struct str header = { 0 };
    struct gguf g = { 0 };
    uint32_t width = 0, vocab = 0;
    hyper_keys(&config->hyper, keys);
    int rc = gguf_header_write(keys, NULL, 0, GGUF_ALIGNMENT, &header, NULL);
    assert(rc == 0);
    rc = gguf_parse((const uint8_t *)header.data, header.size, &g, NULL);
    if (rc == 0) {
        rc = gguf_get_u32(&g, "llama.embedding_length", &width, NULL);
        assert(rc == 0 && width == config->hyper.width);
        rc = gguf_get_u32(&g, "llama.vocab_size", &vocab, NULL);
        assert(rc == 0 && vocab == config->hyper.vocab);
        text_through(&g, s, n < TEXT_MAX ? n : TEXT_MAX);
    }
    gguf_close(&g);
    str_release(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *root = NULL;
    struct hf_config config;
    struct gguf_keys keys = { 0 };
    const char *chat = NULL;
    if (json_parse_wide((const char *)data, size, TOKENIZER_TOKENS_MAX, &root, NULL) != 0)
        return 0;
    const struct json *settings = json_find(root, "settings"), *tokenizer = json_find(root, "tokenizer");
    const struct json *first = json_find(root, "config");
    if (first && hf_config_parse(first, json_find(root, "generation"), &config, NULL) == 0 && tokenizer &&
        config.hyper.vocab <= VOCAB_MAX && hf_tokenizer_keys(tokenizer, settings, &config, &keys, NULL) == 0)
        metadata_read(&config, &keys, (const char *)data, size);
    if (settings && hf_template_get(settings, &chat, NULL) == 0 && chat)
        assert(strlen(chat) < size);
    json_free(root);
    str_release(&keys.bytes);
    return 0;
}
