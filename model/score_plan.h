/* Batches for scoring: sequences of an item placed in rows, what they have in common once.
 *
 * Pure: no device. A pick is one scored position; two sequences that score the same token at a shared row
 * share it. */
#ifndef LETHE_MODEL_SCORE_PLAN_H
#define LETHE_MODEL_SCORE_PLAN_H

#include "model/graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The input is ids[0 … n-1), the targets ids[1 … n); the last `scored` targets are scored. */
struct score_sequence {
    const int32_t *ids;
    uint32_t n, scored;
    size_t owner; /* whom the scores belong to */
};

/* Scores of one sequence: picks[first … first + n), in token order. */
struct score_entry {
    size_t owner, first;
    uint32_t n;
};

struct score_batch {
    uint32_t rows_max, picks_max;
    uint32_t rows, picks;
    int32_t *ids;             /* [rows_max] */
    uint32_t *positions;      /* [rows_max] */
    struct graph_span *spans; /* [rows_max] */
    uint32_t *pick_rows;      /* [picks_max] */
    int32_t *targets;         /* [picks_max] */
    struct score_entry *entries;
    size_t entries_n, entries_cap;
    uint32_t *order; /* picks of the entries, one entry behind the other */
    size_t order_n, order_cap;
};

MUST_USE int score_batch_init(struct score_batch *b, uint32_t rows_max, uint32_t picks_max,
                              struct status *st);
void score_batch_release(struct score_batch *b);
void score_batch_clear(struct score_batch *b);

/* Tokens that the inputs of all sequences begin with. */
uint32_t score_common(const struct score_sequence *s, size_t n);
/* Places the sequences with their common start once (share), or each whole. *placed is false, and nothing has
 * changed, when they do not fit. */
MUST_USE int score_batch_place(struct score_batch *b, const struct score_sequence *s, size_t n, bool share,
                               bool *placed, struct status *st);

#endif
