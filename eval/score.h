/* Scoring: a suite's questions to a model, its answers to rows. */
#ifndef LETHE_EVAL_SCORE_H
#define LETHE_EVAL_SCORE_H

#include "base/event.h"
#include "base/lm.h"
#include "base/status.h"
#include "eval/row.h"
#include "probes/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct score_options {
    const char *side;             /* "base", "tuned" or "zero": for events and salts */
    bool reverse;                 /* items from the last to the first, as the zero pass wants */
    bool rendered;                /* contexts go through the model's chat template */
    size_t chunk;                 /* items a call of the model; 0: 64 */
    const struct item_rows *base; /* zero pass: rows to compare with in its event; else NULL */
    const uint8_t *salt_key;      /* 32 bytes; NULL leaves salts empty */
};

/* Rows of every item, in item order whatever the order of asking. Sends one event `score`, or `zero` where
 * options.base is given. RC_FORMAT: a score that is not finite, naming suite, item and part.
 * RC_UNSUPPORTED: the kind is not scored by this version. */
MUST_USE int score_set(const struct probe_set *set, struct lm *lm, const struct score_options *options,
                       struct event_sink *sink, struct item_rows *out, struct status *st);

/* Everything that makes a suite and a model impossible together (docs/formats/probes.md, tokens), found
 * before anything is planned. RC_FORMAT names suite and item. */
MUST_USE int score_check(const struct probe_set *set, struct lm *lm, bool rendered, struct status *st);

#endif
