/* The scorer of base/lm.h over a model on a device.
 *
 * Asks become tokens by model/encode.h. What the sequences of one item have in common at their start goes
 * through the model once; items share batches up to a budget of rows. An answer depends on its ask alone,
 * in every bit.
 */
#ifndef LETHE_MODEL_LM_H
#define LETHE_MODEL_LM_H

#include "base/event.h"
#include "base/lm.h"
#include "model/lora.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

struct lm_options {
    uint32_t max_len;        /* tokens of an input; 0: 1024, or the model's context where that is less */
    bool template;           /* scoring.template = "model" */
    uint32_t rows;           /* budget of a batch; 0: 480 */
    bool no_prefix;          /* for tests: every sequence stands whole in the batch */
    struct event_sink *sink; /* progress in items while scoring; may be NULL */
    const char *what;        /* how progress calls it; NULL: "score" */
};
#define LM_MAX_LEN_DEFAULT 1024

/* Bytes on the device beside the weights. */
uint64_t model_lm_plan(const struct model_hyper *h, const struct lm_options *options, uint32_t rank);
/* The model and the adapter (NULL: the base) must outlive the scorer, and *out must stay where it is: its
 * `tokens` are counted. RC_UNSUPPORTED: neither BOS nor EOS, or
 * `template` and the model has none that can be read. RC_NOMEM. */
MUST_USE int model_lm(struct model *m, const struct lora *adapter, const struct lm_options *options,
                      struct lm *out, struct status *st);
void model_lm_close(struct lm *lm);
/* Changed between scoring calls: what progress says. */
void model_lm_progress(struct lm *lm, struct event_sink *sink, const char *what);
/* The max_len that runs. */
uint32_t model_lm_max_len(const struct lm *lm);

/* Bytes without a token in all asks that were checked: they are left out, as the reference does. */
uint64_t model_lm_dropped(const struct lm *lm);

#endif
