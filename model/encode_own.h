/* Private to model/: the cut between what stands before and what is scored or trained. */
#ifndef LETHE_MODEL_ENCODE_OWN_H
#define LETHE_MODEL_ENCODE_OWN_H

#include "model/encode.h"

/* Context and continuation as two runs of tokens in one list, with the boundary where the whole text has it:
 * ctx is what the context alone gives, the rest is what the whole gives behind as many tokens, which may be
 * none. */
struct halves {
    struct tokens ids;
    size_t ctx;
    uint32_t flags;
};
MUST_USE int halves_encode(const struct encoder *e, const char *context, size_t context_n, const char *rest,
                           size_t rest_n, struct halves *out, struct status *st);

#endif
