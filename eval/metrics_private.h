/* What the files metrics*.c share; nobody else includes this. */
#ifndef LETHE_EVAL_METRICS_PRIVATE_H
#define LETHE_EVAL_METRICS_PRIVATE_H

#include "eval/bootstrap.h"
#include "eval/metrics.h"
#include "probes/index.h"

/* Counts of one tag; texts: bases and tuned in micro-nats. */
struct tag_tally {
    int64_t items, bytes, base, tuned, forgot, learned;
};

/* Everything that is added up over the items of a suite, or of the members of a group. */
struct tally {
    bool accuracy, has_zero;
    int64_t *d, *w; /* [clusters], numbered by first appearance, on and on over members */
    size_t clusters, cap;
    int64_t items, weight; /* weight: items, or bytes */
    int64_t words;
    int64_t base, tuned; /* rights, or micro-nats of -ll */
    int64_t forgot, learned;
    double chance_sum, guess_sum; /* of |gold| / choices and of 1 / (choices - 1), in item order */
    int64_t zero_d;
    uint64_t flips;
    double ll_max;
    struct text_index tags;
    struct tag_tally *tag; /* [tags.n] */
    size_t tag_cap;
};
void tally_release(struct tally *t);
/* Adds a complete suite. */
MUST_USE int tally_add(struct tally *t, const struct eval_suite *suite, bool with_tags, struct status *st);
double tally_value(const struct tally *t, int64_t sum); /* share of items, or bits per byte */
double tally_drop(const struct tally *t, int64_t d);
double tally_chance(const struct tally *t);

/* One suite or group on its way to its entry. */
struct claim_entry {
    const char *id;
    enum eval_use use;
    const struct eval_suite *suite; /* NULL: a group */
    const struct eval_limit *limit;
    bool complete;
    int64_t present; /* rows on all sides, where it is not complete */
    struct tally tally;
    struct bootstrap bootstrap;
    uint64_t held_adjusted, broken_adjusted;
};

/* The entry as it stands in metrics.json. */
MUST_USE int entry_write(const struct claim_entry *entry, const struct eval_input *in, struct json **out,
                         struct json *unchecked, struct status *st);
MUST_USE int ledger_write(const struct eval_input *in, struct json **out, struct status *st);
MUST_USE int train_write(const struct eval_input *in, struct json **out, struct status *st);

#endif
