/* Kinds of probes: how an item is read, what the model is asked about it, and when it counts as right
 * (docs/formats/probes.md). One file a kind, one line each in kinds.def. */
#ifndef LETHE_PROBES_KIND_H
#define LETHE_PROBES_KIND_H

#include "base/json.h"
#include "base/lm.h"
#include "base/status.h"
#include "base/str.h"
#include "probes/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROBE_CHOICES_MAX = 64, PROBE_ID_BYTES_MAX = 200 };

enum probe_kind {
#define KIND(x) PROBE_##x,
#include "probes/kinds.def"
#undef KIND
    PROBE_KINDS
};

enum probe_metric {
    METRIC_acc,
    METRIC_acc_norm,
    METRIC_acc_bytes,
    METRIC_acc_mutual_info,
    METRIC_bits_per_byte
};

enum probe_normalise { NORMALISE_text, NORMALISE_none };

/* One item. Texts are UTF-8 without zero bytes and belong to the set (or the pool) that the item is of. */
struct probe_item {
    const char *id;
    const char
        *cluster; /* in a set: the cluster that counts, the id where every item is its own. From an item
                          * alone: the key `cluster`, or NULL */
    const char **tags;
    size_t n_tags;
    const char *context; /* choice, cloze, exact: else NULL */
    const char **parts;  /* choices; good and bad; accepted answers; the one text */
    size_t n_parts;      /* 1 to PROBE_CHOICES_MAX */
    uint32_t *gold;      /* choice, pair: indices into parts, all different */
    size_t n_gold;
    const char *canonical; /* the item's object, canonical: what rows of evidence/probes hold */
    size_t line;           /* in its file, from 1; 0 when it came from elsewhere */
};

/* What a row holds that right and wrong are derived from; what a kind does not have is NULL. */
struct probe_numbers {
    size_t n; /* choices or answers */
    const uint32_t *gold;
    size_t n_gold;
    const double *ll, *ll_uncond;  /* [n] nats */
    const uint64_t *chars, *bytes; /* [n] */
    const bool *greedy;            /* [n] */
};

/* 1 right, 0 wrong, -1 not a metric of these numbers. */
struct probe_right {
    int acc, acc_norm, acc_bytes, acc_mutual_info;
};

struct probe_asking {
    const char *delimiter; /* of the suite */
    bool rendered;         /* the model's chat template is used: the delimiter is then empty */
    bool unconditional;    /* acc_mutual_info: every continuation once more, with empty context */
};

/* Asks under construction. Targets that are made here live in `texts`, which the asks point into. */
struct probe_asks {
    struct lm_ask *asks;
    size_t n, cap;
    struct pool texts;
};
void probe_asks_clear(struct probe_asks *a); /* keeps the array */
void probe_asks_release(struct probe_asks *a);

struct probe_kind_ops {
    const char *name;
    enum probe_metric metrics[4]; /* allowed, the default first */
    size_t n_metrics;
    bool accuracy;           /* right or wrong, one row each; false: bits per byte */
    const char *const *keys; /* item keys besides id, cluster, tags, meta; NULL-ended */
    /* Reads the kind's keys. RC_FORMAT: "gold is 4, but there are 4 choices (0 to 3)". */
    int (*parse)(const struct json *object, struct pool *pool, struct probe_item *item, struct status *st);
    /* Appends the asks of one item, all with `number` (unconditional ones with number + 1). NULL: not scored
     * with a model by this version. */
    int (*asks)(const struct probe_item *item, const struct probe_asking *how, uint32_t number,
                struct probe_asks *out, struct status *st);
    /* Right or wrong from numbers; NULL for kinds that are judged by an output or not at all. */
    void (*judge)(const struct probe_numbers *numbers, struct probe_right *out);
};

const struct probe_kind_ops *probe_kind_ops(enum probe_kind kind);
const char *probe_kind_name(enum probe_kind kind);
bool probe_kind_find(const char *name, enum probe_kind *out);
bool probe_kind_has_metric(enum probe_kind kind, enum probe_metric metric);
const char *probe_metric_name(enum probe_metric metric);
bool probe_metric_find(const char *name, enum probe_metric *out);

/* Appends the asks of an item. RC_UNSUPPORTED: "scoring of kind 'exact' with a model comes later". */
MUST_USE int probe_item_asks(enum probe_kind kind, const struct probe_item *item,
                             const struct probe_asking *how, uint32_t number, struct probe_asks *out,
                             struct status *st);

/* `exact`: the output equals one of the item's answers, both normalised. Unicode decides here, so whoever
 * checks foreign rows compares Unicode versions first. */
MUST_USE int probe_output_judge(const struct probe_item *item, const char *output, size_t n,
                                enum probe_normalise normalise, bool *right, struct status *st);

/* One item's object as rows of evidence/probes hold it. Everything in *item lives in `pool`. */
MUST_USE int probe_item_parse(const struct json *object, enum probe_kind kind, struct pool *pool,
                              struct probe_item *item, struct status *st);

/* 1 to 200 bytes without control characters; lowercase form of suites and groups. */
bool probe_item_id_valid(const char *id);
enum { PROBE_SUITE_ID_MAX = 40 };
bool probe_suite_id_valid(const char *id);

#endif
