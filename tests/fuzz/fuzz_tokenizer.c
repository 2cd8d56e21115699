/* The tokenizer that a file describes, and text through it: the input is a GGUF file, and all of it is also
 * the text. What opens tokenizes every text; ids are in the vocabulary, and bytes come back unless some were
 * dropped. */
#include "base/utf8.h"
#include "model/tokenizer.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096 };

static void text_through(const struct tokenizer *t, const char *s, size_t n)
{
    struct tokens ids = { 0 };
    struct str back = { 0 }, whole = { 0 };
    int rc = tokenizer_raw(t, s, n, &ids, NULL);
    assert(rc == 0);
    for (size_t i = 0; i < ids.n; i++)
        assert(ids.ids[i] >= 0 && (size_t)ids.ids[i] < tokenizer_size(t));
    rc = tokenizer_decode(t, ids.ids, ids.n, false, &back, NULL);
    assert(rc == 0);
    utf8_repair(s, n, &whole);
    assert(back.size + ids.dropped == whole.size);
    if (ids.dropped == 0)
        assert(whole.size == 0 || memcmp(back.data, whole.data, whole.size) == 0);
    tokens_release(&ids);
    str_release(&back);
    str_release(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf g = { 0 };
    struct tokenizer *t = NULL;
    if (gguf_parse(data, size, &g, NULL) == 0 && tokenizer_open(&g, &t, NULL) == 0) {
        text_through(t, (const char *)data, size < TEXT_MAX ? size : TEXT_MAX);
        text_through(t, "", 0);
    }
    tokenizer_close(t);
    gguf_close(&g);
    return 0;
}
