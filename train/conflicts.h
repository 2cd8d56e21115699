/* Training targets that contradict what the base is sure of (docs/formats 3.4, methods 6.4).
 *
 * conflicts_find is one pass of the base over the training data, before training. conflicts_finish takes the
 * tuned columns afterwards, on the examples that have conflicts; both full distributions come to the host
 * there.
 */
#ifndef LETHE_TRAIN_CONFLICTS_H
#define LETHE_TRAIN_CONFLICTS_H

#include "base/event.h"
#include "model/graph.h"
#include "train/data.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct conflict {
    uint32_t line; /* index in data.lines: `i` of the record */
    enum line_form form;
    uint32_t turn; /* messages: index of the assistant turn in the line, for part `turn:K` */
    uint32_t pos;  /* in the scored part, from 0 */
    int32_t target, base_top, tuned_top;
    float base_top_logp, base_logp;
    float tuned_top_logp, tuned_logp; /* valid after conflicts_finish */
    float kl;                         /* KL(base || tuned), nats */
    /* private: where it is */
    uint32_t sequence, at;
};

struct conflicts {
    struct conflict *rows; /* in order of line, then of place */
    size_t n, cap;
    uint32_t *of_line; /* [data.lines_n] how many each has */
    size_t lines_n;
    double base_loss; /* mean nats of a supervised token under the base */
};

struct conflicts_options {
    double logp_min; /* -0.7: the base gives its choice a half or more */
    uint32_t rows;   /* budget of a batch; 0: 480 */
    struct event_sink *sink;
    const volatile sig_atomic_t *stop; /* nonzero: RC_INTERRUPTED; may be NULL */
};
MUST_USE int conflicts_find(struct model *m, const struct data *d, const struct conflicts_options *options,
                            struct conflicts *out, struct status *st);
/* The tuned model: `tuned`, or NULL: `base` with the adapter (NULL: the base once more). */
struct conflicts_models {
    struct model *base, *tuned;
    const struct lora *adapter;
};
MUST_USE int conflicts_finish(const struct conflicts_models *models, const struct data *d,
                              const struct conflicts_options *options, struct conflicts *c,
                              struct status *st);
void conflicts_release(struct conflicts *c);
/* Name of the part: "completion", "text", "turn:K". */
void conflict_part(const struct conflict *c, char out[16]);

#endif
