/* The other records of evidence/ and run/: outputs, deltas, token ledger, supervision
 * (docs/formats/probes.md). Each is one line, written with keys in a fixed order and read with keys in
 * any. */
#ifndef LETHE_EVAL_RECORD_H
#define LETHE_EVAL_RECORD_H

#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "probes/kind.h"
#include "probes/pool.h"
#include "probes/set.h" /* withheld_parse, withheld_write */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* evidence/outputs/<suite>.<side>.jsonl, kind `exact`. */
struct output_row {
    bool withheld;
    struct hash leaf; /* of a withheld line */
    uint64_t i;
    const char *id;
    const char *text; /* before normalisation */
    char salt[33];
};
MUST_USE int output_row_write(const struct output_row *row, struct str *out, struct status *st);
MUST_USE int output_row_parse(const char *line, size_t n, struct pool *pool, struct output_row *out,
                              struct status *st);

/* evidence/items/<suite>.delta.jsonl: teacher-forced comparison over the positions of an item. */
struct delta_row {
    bool withheld;
    struct hash leaf;
    uint64_t i;
    const char *id;
    uint64_t positions, same_top, forgot, learned, drift;
    double dlogp; /* nats, sum over positions of tuned - base */
    double kl[2]; /* nats, sums of lower and upper bounds */
    char salt[33];
};
MUST_USE int delta_row_write(const struct delta_row *row, struct str *out, struct status *st);
MUST_USE int delta_row_parse(const char *line, size_t n, struct pool *pool, struct delta_row *out,
                             struct status *st);

enum token_class { TOKEN_same, TOKEN_forgot, TOKEN_learned, TOKEN_drift, TOKEN_conflict };

/* evidence/tokens.jsonl and evidence/conflicts.jsonl: one position. */
struct token_row {
    bool withheld;
    struct hash leaf;
    const char *suite; /* "train" in conflicts.jsonl */
    uint64_t i;
    const char *id, *part;
    uint64_t pos;
    int32_t target, base_top, tuned_top;
    const char *target_text, *base_top_text, *tuned_top_text;
    float base_top_logp, tuned_top_logp, base_logp, tuned_logp; /* nats */
    float kl[2];
    enum token_class token_class;
    char salt[33];
};
MUST_USE int token_row_write(const struct token_row *row, struct str *out, struct status *st);
MUST_USE int token_row_parse(const char *line, size_t n, struct pool *pool, struct token_row *out,
                             struct status *st);
/* Class of a position by its ids alone: forgot, learned, drift where the two tops differ, else same. */
enum token_class token_class_of(int32_t target, int32_t base_top, int32_t tuned_top);
/* RC_VERIFY: ids that do not give the class of the row (conflict: base_top is the target, or its
 * log-probability is below conflict_logp_min). */
MUST_USE int token_row_check(const struct token_row *row, double conflict_logp_min, struct status *st);

/* run/supervision.jsonl: one training line. */
struct supervision_row {
    bool withheld;
    struct hash leaf;
    uint64_t i;
    const char *id;
    uint64_t tokens, supervised, first, conflicts; /* first: index of the first supervised token, 0 if none */
    char salt[33];
};
MUST_USE int supervision_row_write(const struct supervision_row *row, struct str *out, struct status *st);
MUST_USE int supervision_row_parse(const char *line, size_t n, struct pool *pool, struct supervision_row *out,
                                   struct status *st);

#endif
