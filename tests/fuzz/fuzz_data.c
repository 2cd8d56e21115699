/* Training files: bytes from anywhere, tokenised by the small model's tokenizer. What is taken keeps its
 * promises. */
#include "model/gguf.h"
#include "tests/fixture.h"
#include "train/data.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *tokenizer;
static struct template *chat;

static void text_open(void)
{
    struct gguf file = { 0 };
    struct gguf_text text;
    int rc = gguf_open(FIXTURE_MODEL, &file, NULL);
    assert(rc == 0);
    rc = tokenizer_open(&file, &tokenizer, NULL);
    assert(rc == 0);
    rc = gguf_get_text(&file, "tokenizer.chat_template", &text, NULL);
    assert(rc == 0);
    rc = template_parse(text.s, text.n, &chat, NULL);
    assert(rc == 0);
    gguf_close(&file);
}

static void sequences_check(const struct data *d, uint32_t len_max)
{
    uint64_t supervised = 0;
    for (size_t i = 0; i < d->sequences_n; i++) {
        const struct data_sequence *s = &d->sequences[i];
        uint32_t n = 0;
        assert(s->n >= 2 && s->n <= len_max && s->mask[0] == 0 && s->line < d->lines_n);
        for (uint32_t t = 0; t < s->n; t++) {
            assert(s->ids[t] >= 0 && (size_t)s->ids[t] < tokenizer_size(tokenizer));
            n += s->mask[t];
        }
        assert(n == s->supervised && n > 0);
        supervised += n;
    }
    assert(supervised == d->supervised);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!tokenizer)
        text_open();
    for (int cut = 0; cut < 2; cut++) {
        struct data d = { 0 };
        const struct data_options options = {
            .encoder = { .tokenizer = tokenizer, .chat = chat, .len_max = 24 },
            .on_long = cut ? ON_LONG_CUT : ON_LONG_REFUSE,
            .on_empty = cut ? ON_EMPTY_DROP : ON_EMPTY_REFUSE,
        };
        if (data_parse("fuzz", (const char *)data, size, &options, &d, NULL) == 0)
            sequences_check(&d, 24);
        data_release(&d);
    }
    return 0;
}
