/* Item rows: what one side (base, tuned, zero) answered to one item, as lines of
 * evidence/items/<suite>.<side>.jsonl (docs/formats/probes.md). Scorer and verifier use the same code. */
#ifndef LETHE_EVAL_ROW_H
#define LETHE_EVAL_ROW_H

#include "base/hash.h"
#include "base/lm.h"
#include "base/status.h"
#include "base/str.h"
#include "probes/kind.h"
#include "probes/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROWS_MAX = 1 << 20 };

enum row_stop { STOP_eos, STOP_string, STOP_length };

/* What a kind does not have is NULL or 0; acc and its kin are -1 where the row has no such key. */
struct item_row {
    bool withheld; /* only `leaf` is known; i is the line's place */
    struct hash leaf;
    uint64_t i;
    const char *id, *cluster;
    enum probe_kind kind;
    const char **tags;
    size_t n_tags;
    uint32_t *gold; /* choice, pair */
    size_t n_gold;
    uint32_t n_ctx; /* tokens; all but text */
    size_t n;       /* choices or answers; 1 for text and exact */
    uint32_t *n_tok;
    uint64_t *chars, *bytes;
    uint64_t words;
    double *ll, *ll_uncond; /* nats */
    bool *greedy;
    enum row_stop stop; /* exact */
    struct hash out;    /* exact: leaf hash of the output's line */
    struct probe_right right;
    unsigned flags; /* LM_NONPREFIX | LM_TRUNCATED */
    char salt[33];  /* "" until it is given */
};

/* Rows of one suite and side, in item order; the pool holds what they point to. Zero-initialise. */
struct item_rows {
    struct item_row *rows;
    size_t n, cap;
    struct pool pool;
};
void item_rows_release(struct item_rows *rows);

/* One line without its LF. The salt must be there. */
MUST_USE int item_row_write(const struct item_row *row, struct str *out, struct status *st);
/* Reads one line strictly: keys in any order, none missing, unknown or twice, types and ranges as the kind
 * says. RC_FORMAT otherwise. {"withheld":"<hash>"} gives a withheld row. */
MUST_USE int item_row_parse(const char *line, size_t n, struct pool *pool, struct item_row *out,
                            struct status *st);
/* Appends a line; i must be above that of the row before it. A withheld row takes the next i. */
MUST_USE int item_rows_add(struct item_rows *rows, const char *line, size_t n, struct status *st);
/* A whole member; messages name `name` and the line. */
MUST_USE int item_rows_parse(const char *data, size_t size, const char *name, struct item_rows *out,
                             struct status *st);

/* Right or wrong as the row's own numbers say. exact: what the row says, since its output decides. */
struct probe_right item_row_judge(const struct item_row *row);
/* RC_VERIFY naming the key whose value the row's numbers do not give. */
MUST_USE int item_row_check(const struct item_row *row, struct status *st);
/* RC_VERIFY: id, gold, chars, bytes, words or tags are not those of the item; or there are fewer or more
 * parts. */
MUST_USE int item_row_check_item(const struct item_row *row, const struct probe_item *item,
                                 struct status *st);
/* RC_VERIFY: two sides differ in number of rows, or a row in what the item alone decides: i, id, kind,
 * cluster, tags, gold, chars, bytes, words. Withheld rows match. */
MUST_USE int item_rows_agree(const struct item_rows *a, const struct item_rows *b, struct status *st);

/* What an item says of its rows whatever the answers are: id, cluster, tags, gold, chars, bytes, words. The
 * arrays of answers are there and zero. */
MUST_USE int item_row_of_item(enum probe_kind kind, const struct probe_item *item, uint64_t i,
                              bool unconditional, struct pool *pool, struct item_row *out, struct status *st);
/* Salts of all rows, for evidence/items/<suite>.<side>.jsonl. */
MUST_USE int item_rows_salt(struct item_rows *rows, const uint8_t key[32], const char *suite,
                            const char *side, struct status *st);
/* All rows as the bytes of a member, LF after each. */
MUST_USE int item_rows_write(const struct item_rows *rows, struct str *out, struct status *st);
/* The same without salts, for rows that go into no archive. */
MUST_USE int item_rows_write_bare(const struct item_rows *rows, struct str *out, struct status *st);

/* Value of a row under a metric: 0 or 1. */
int item_row_value(const struct item_row *row, enum probe_metric metric);

#endif
