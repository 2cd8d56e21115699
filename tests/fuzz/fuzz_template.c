/* Chat templates: bytes from anywhere. What parses renders two talks to the same bytes twice, or says why
 * not. */
#include "model/template.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const struct template *t, size_t turns, bool generation_prompt)
{
    static const struct chat_message MESSAGES[] = { { "system", "Be brief." },
                                                    { "user", " Hello,\n{{ 1 }} " },
                                                    { "assistant", "" } };
    const struct template_ask ask = { MESSAGES, turns, generation_prompt, "<|a|>", NULL };
    struct str first = { 0 }, second = { 0 };
    str_puts(&first, "kept");
    struct status st = { 0 };
    int rc = template_render(t, &ask, &first, &st);
    assert(rc == st.rc && (rc == 0 || first.size == 4));
    assert(memcmp(first.data, "kept", 4) == 0);
    if (rc == 0) {
        rc = template_render(t, &ask, &second, NULL);
        assert(rc == 0 && second.size == first.size - 4);
        assert(second.size == 0 || memcmp(second.data, first.data + 4, second.size) == 0);
    }
    str_release(&first);
    str_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *t = NULL;
    if (template_parse((const char *)data, size, &t, NULL) == 0) {
        render(t, 3, false);
        render(t, 1, true);
        render(t, 0, true);
    }
    template_free(t);
    return 0;
}
