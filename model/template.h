/* Chat templates: the part of Jinja that the supported families use, rendered as transformers renders it
 * (trim_blocks and lstrip_blocks on). Read:
 *   {{ }}  {% if elif else endif, for X in messages, endfor %}  {# #}  and their white-space control
 *   strings, integers, true false; + of texts; == != and or not, is defined; x[i] x['k'] x.k; | trim
 *   messages, its role and content, loop.first, loop.last, loop.index0, add_generation_prompt, bos_token,
 *   eos_token Anything else is refused by its name and line. */
#ifndef LETHE_MODEL_TEMPLATE_H
#define LETHE_MODEL_TEMPLATE_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TEMPLATE_BYTES_MAX = 1 << 20,
    TEMPLATE_NODES_MAX = 1 << 16,
    TEMPLATE_DEPTH_MAX = 64,
    TEMPLATE_OUT_MAX = 1 << 26
};

struct template;

struct chat_message {
    const char *role, *content; /* UTF-8, zero-ended */
};

struct template_ask {
    const struct chat_message *messages; /* [n] */
    size_t n;
    bool generation_prompt;
    const char *bos, *eos; /* texts of the tokens; NULL: undefined */
};

/* Copies the text. RC_FORMAT: not a template; RC_UNSUPPORTED: a construct that is not in the list above. */
MUST_USE int template_parse(const char *s, size_t n, struct template **out, struct status *st);
void template_free(struct template *t);
/* Appends to *out; on failure it is as before. RC_FORMAT: the template raised an exception, or a value has no
 * such operation. */
MUST_USE int template_render(const struct template *t, const struct template_ask *ask, struct str *out,
                             struct status *st);

#endif
