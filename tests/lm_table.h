/* A model that is a table: listed answers, and for the rest made-up ones that depend on the ask alone. */
#ifndef LETHE_TESTS_LM_TABLE_H
#define LETHE_TESTS_LM_TABLE_H

#include "base/lm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lm_table_answer {
    const char *context, *target; /* as asked: the target with its delimiter. NULL context: any */
    double ll;
    bool greedy;
};

struct lm_table {
    const struct lm_table_answer *answers; /* [n] the first that fits counts */
    size_t n;
    uint64_t seed; /* another number: another model; about one made-up answer in eight differs from seed 0 */
    size_t target_max; /* bytes; longer targets are refused by check. 0: no limit */
    size_t calls;      /* of score */
    struct lm lm;
};

/* Fills t->lm, which points to t; needs no close. A made-up ll is a multiple of 2^-10 between -16 and 0, so
 * that sums of them are exact. n_ctx is 1 + bytes / 4 of the context, n_tok the same of the target. */
struct lm *lm_table_open(struct lm_table *t);

#endif
