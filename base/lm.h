/* What a scorer can be asked, whoever answers: the Vulkan model, or a table in a test.
 *
 * The scorer tokenises by the rules of docs/formats 1.3, so that eval and probes never see a token. Its
 * answer to an ask depends on that ask alone, never on its neighbours in the call.
 */
#ifndef LETHE_BASE_LM_H
#define LETHE_BASE_LM_H

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lm_ask {
    const char *context; /* UTF-8; may be empty */
    size_t context_size;
    const char *target; /* the continuation with its delimiter, or the whole text when rolling */
    size_t target_size;
    uint32_t item; /* asks of one item share it and stand together: their targets must differ in tokens */
    bool rolling;  /* score `target` in windows after the prefix token; context is empty */
    bool plain;    /* never rendered by a chat template (pair, text) */
};

enum { LM_NONPREFIX = 1, LM_TRUNCATED = 2 };

struct lm_answer {
    double ll;      /* sum of the f32 log-probabilities, nats, in token order */
    uint32_t n_ctx; /* tokens of ctx; 0 when rolling */
    uint32_t n_tok; /* scored tokens */
    uint32_t flags; /* LM_NONPREFIX | LM_TRUNCATED */
    bool greedy;    /* every target is the arg-max at its position, lowest index on ties */
};

struct lm {
    void *self;
    /* [n] asks. RC_FORMAT: an ask that 1.3 refuses (no target token, too long, equal targets); *bad is its
     * index. */
    int (*check)(void *self, const struct lm_ask *asks, size_t n, size_t *bad, struct status *st);
    /* [n] asks to [n] answers. RC_VERIFY never; a score that is not finite is RC_FORMAT and *bad its
     * index. */
    int (*score)(void *self, const struct lm_ask *asks, size_t n, struct lm_answer *out, size_t *bad,
                 struct status *st);
    uint64_t tokens; /* tokens that went through the model since it was opened; the scorer counts */
};

#endif
