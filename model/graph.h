/* The decoder, forward and backward, over a flat batch of rows.
 *
 * A row is one token of one sequence. Sequences lie one behind the other without padding; a span says
 * which rows a row attends, so that a common prefix stands in the batch once. The bits of a row's result
 * depend on the tokens it attends, the weights and the kernels alone, never on where it lies or on what
 * lies beside it.
 *
 * Memory is taken at graph_open for the largest batch and reused: no later call takes any.
 */
#ifndef LETHE_MODEL_GRAPH_H
#define LETHE_MODEL_GRAPH_H

#include "gpu/device.h"
#include "model/full.h"
#include "model/lora.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GRAPH_CHUNK = 2048 }; /* columns of the head at a time; a constant, since sums depend on it */

struct graph;

struct graph_options {
    uint32_t rows_max;      /* tokens in a batch */
    uint32_t picks_max;     /* scored positions in a batch; 0: rows_max */
    uint32_t positions_max; /* longest sequence; 0: rows_max */
    uint32_t rank_max;      /* of adapters; 0: none will be used */
    bool train;             /* keep what the backward pass needs */
    bool full;              /* and what gradients of weights need */
    uint32_t frozen;        /* with `train`: of so many of the lowest blocks nothing is kept */
    /* With `train`: of so many of the lowest blocks above those only the input is kept, and the backward pass
     * computes the rest again, to the same bits. At most all but one: the top one's rows serve the others
     * too. */
    uint32_t again;
    bool compare; /* room for graph_compare */
};
/* Bytes on the device: the fewer, the more blocks are computed again. 0: no memory to count them. */
uint64_t graph_plan(const struct model_hyper *h, const struct graph_options *options);
/* RC_NOMEM: they do not fit, found before anything is allocated. */
MUST_USE int graph_open(struct model *m, const struct graph_options *options, struct graph **out,
                        struct status *st);
void graph_close(struct graph *g);

/* Rows that a row attends: prefix_first … + prefix_len - 1, then self_first … itself. `end`: one past the
 * last row of its sequence; a batch for training has no prefix. */
struct graph_span {
    uint32_t prefix_first, prefix_len, self_first, end;
};
_Static_assert(sizeof(struct graph_span) == 16, "shaders/attention.comp reads four words");

struct graph_batch {
    uint32_t rows;
    const int32_t *ids;             /* [rows] */
    const uint32_t *positions;      /* [rows] from 0 in the sequence */
    const struct graph_span *spans; /* [rows] */
    uint32_t picks;
    const uint32_t *pick_rows; /* [picks]; all different for graph_backward */
    const int32_t *targets;    /* [picks] the token that should follow */
    const struct lora *lora;   /* NULL: the base alone, without any of the adapter's arithmetic */
    const struct full *full; /* instead of an adapter: for graph_backward; the forward pass is the model's */
    /* Dropout of the adapter's inputs, for training; p 0: none. */
    double dropout;
    uint64_t seed;
    uint32_t step;
    uint32_t first_token; /* of row 0, counted over the whole step */
};

struct graph_pick {
    float logp; /* of the target, nats */
    float top_logp;
    float entropy; /* nats */
    int32_t top;   /* arg-max, the lowest id on ties */
};

/* [picks] results. RC_LIMIT: over the sizes of graph_open. Values that are not finite are given as they
 * are. */
MUST_USE int graph_forward(struct graph *g, const struct graph_batch *batch, struct graph_pick *out,
                           struct status *st);
/* Logits of picks first … first + n - 1 of the last forward: [n][vocab]. After graph_compare on one graph
 * picks of the base stand before those of the tuned model. */
MUST_USE int graph_logits(struct graph *g, uint32_t first, uint32_t n, float *out, struct status *st);

/* After graph_forward of the same batch on a graph with `train`: adds to `gradient`, a buffer in the
 * layout of batch->lora, the gradient of the sum over picks of weights[pick] * -logp. With batch->full it is
 * NULL, and the gradients are those of `full`. */
MUST_USE int graph_backward(struct graph *g, const struct graph_batch *batch, const float *weights,
                            const struct gpu_buffer *gradient, struct status *st);

/* ---- two models on one batch ---- */

/* One graph twice, where the models differ by adapters alone: blocks below both adapters run once, and each
 * chunk of the head serves both. Or two graphs on one device, for two models with one vocabulary. */
struct graph_sides {
    struct graph *base, *tuned;                /* base: opened with `compare` */
    const struct lora *base_lora, *tuned_lora; /* NULL: none. The batch's own is not looked at */
};

struct graph_pair {
    struct graph_pick base, tuned; /* in every bit as graph_forward has them */
    float kl, kl_back; /* KL(base || tuned) and KL(tuned || base), nats; exactly 0 for equal logits */
};

/* [picks] results. RC_ARG: sides that cannot be compared; else as graph_forward. */
MUST_USE int graph_compare(const struct graph_sides *sides, const struct graph_batch *batch,
                           struct graph_pair *out, struct status *st);

uint64_t graph_tokens(const struct graph *g); /* rows that went through forward since graph_open */

#endif
