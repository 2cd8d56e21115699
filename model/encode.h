/* Questions and training lines as tokens (docs/formats 1.3 and 2). Everything that the model sees was made
 * here, so that training and scoring cut a text at the same places. */
#ifndef LETHE_MODEL_ENCODE_H
#define LETHE_MODEL_ENCODE_H

#include "base/json.h"
#include "base/lm.h"
#include "model/template.h"
#include "model/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct encoder {
    const struct tokenizer *tokenizer;
    const struct template *chat; /* renders what is not `plain`; NULL: asks are never rendered, and training
                                  * lines with messages are refused */
    bool render_asks;            /* scoring.template = "model" */
    uint32_t len_max;            /* tokens of an input */
};

/* RC_UNSUPPORTED: the model has neither BOS nor EOS. */
MUST_USE int encoder_check(const struct encoder *e, struct status *st);

/* ---- asks ---- */

/* The input is ids[0 … n-1), the targets are ids[1 … n); the last `scored` targets are scored. */
struct window {
    size_t first; /* in encoded.ids */
    uint32_t n;   /* >= 2 */
    uint32_t scored;
};
struct encoded {
    int32_t *ids; /* windows one behind the other */
    size_t ids_n;
    struct window *windows; /* one, or several when rolling */
    size_t n;
    uint32_t n_ctx;   /* tokens of ctx before cutting; 0 when rolling */
    uint32_t n_tok;   /* scored in all windows */
    uint32_t flags;   /* LM_NONPREFIX | LM_TRUNCATED */
    uint64_t dropped; /* bytes of context and target without a token */
};
/* RC_FORMAT: no target token, or more of them than len_max. */
MUST_USE int encode_ask(const struct encoder *e, const struct lm_ask *ask, struct encoded *out,
                        struct status *st);
void encoded_release(struct encoded *x);

/* ---- training lines ---- */

enum line_form { LINE_PROMPT, LINE_MESSAGES, LINE_TEXT };
enum on_long { ON_LONG_REFUSE, ON_LONG_CUT };

/* One sequence: ids[0 … n); mask[i] is 1 where token i is a target. mask[0] is 0. n <= len_max. */
struct sequence {
    size_t first; /* in encoded_line.ids and .mask */
    uint32_t n;
    uint32_t supervised;
};
struct encoded_line {
    int32_t *ids;
    uint8_t *mask;
    size_t ids_n;
    struct sequence *sequences; /* one; several when a text was split, which repeat one token as context */
    size_t n;
    uint32_t tokens;     /* of all sequences */
    uint32_t supervised; /* may be 0: the caller refuses or drops the line */
    uint32_t at;    /* index of the first supervised token, `first` of run/supervision.jsonl; 0 when none */
    uint32_t flags; /* LM_NONPREFIX; LM_TRUNCATED when something was cut */
    uint64_t dropped;
};
/* Form of a line by its keys. RC_FORMAT: none of the three. */
MUST_USE int line_form_of(const struct json *line, enum line_form *out, struct status *st);
/* RC_FORMAT: another form, unknown keys, roles out of turn; RC_LIMIT: longer than len_max, and what may be
 * cut does not help; RC_UNSUPPORTED: no template, or one that is not prefix-stable. */
MUST_USE int encode_line(const struct encoder *e, const struct json *line, enum line_form form,
                         enum on_long on_long, struct encoded_line *out, struct status *st);
void encoded_line_release(struct encoded_line *x);

#endif
