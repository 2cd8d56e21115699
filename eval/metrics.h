/* metrics.json: every number of an audit, from rows (docs/formats 8.1 to 8.4). Pure: the scorer's program
 * and the verifier's get the same bytes from the same rows. */
#ifndef LETHE_EVAL_METRICS_H
#define LETHE_EVAL_METRICS_H

#include "base/json.h"
#include "base/status.h"
#include "eval/record.h"
#include "eval/row.h"
#include "probes/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVAL_SUITES_MAX = 256, EVAL_GROUPS_MAX = 64, EVAL_MEASURES_MAX = 64, EVAL_REPLICATES_MAX = 1000000 };

enum eval_use { USE_report, USE_gate, USE_task, USE_critical };
enum eval_correction { CORRECTION_holm, CORRECTION_none };
enum eval_status {
    STATUS_REPORTED,
    STATUS_INCOMPLETE,
    STATUS_BLIND,
    STATUS_BROKEN,
    STATUS_HELD,
    STATUS_SMALL,
    STATUS_FLOOR,
    STATUS_OPEN
};
const char *eval_use_name(enum eval_use use);
bool eval_use_find(const char *name, enum eval_use *out);
const char *eval_status_name(enum eval_status status);

/* L of a gate is its margin, of a task minus its gain; decimal texts as in the plan. */
struct eval_limit {
    bool has;
    const char *text; /* margin or gain as the plan writes it */
    double value;     /* L */
};
struct eval_limit eval_limit_of(enum eval_use use, const char *decimal);

struct eval_suite {
    const char *id;
    enum probe_kind kind;
    enum probe_metric metric;
    enum eval_use use;
    struct eval_limit limit;
    uint64_t items;                              /* planned */
    const struct item_rows *base, *tuned, *zero; /* zero: NULL when there was no zero pass */
    const struct delta_row *delta;               /* [n_delta], NULL when there was no comparison */
    size_t n_delta;
};

struct eval_group {
    const char *id;
    enum eval_use use; /* gate or task */
    struct eval_limit limit;
    size_t *members; /* indices into suites, in member order */
    size_t n_members;
};

struct eval_statistics {
    const char *alpha_text;
    enum eval_correction correction;
    uint32_t replicates;
    uint64_t seed;
    uint64_t min_clusters;
};
/* alpha * (replicates + 1), an integer. RC_ARG: it is none, alpha is outside (0, 0.5), or it is below
 * 10 * gates_and_tasks. */
MUST_USE int eval_alpha_count(const char *alpha_text, uint64_t replicates, size_t gates_and_tasks,
                              uint64_t *out, struct status *st);
/* The smallest number of replicates from 9,999 on that eval_alpha_count accepts. */
MUST_USE int eval_replicates(const char *alpha_text, size_t gates_and_tasks, uint32_t *out,
                             struct status *st);

struct eval_input {
    struct eval_suite *suites; /* [n_suites] sorted by id */
    size_t n_suites;
    struct eval_group *groups; /* [n_groups] sorted by id */
    size_t n_groups;
    bool has_groups; /* the plan has the key */
    const char **measures;
    size_t n_measures;
    bool has_measures;
    struct eval_statistics statistics;
    uint64_t token_rows;                       /* lines of evidence/tokens.jsonl, withheld ones too */
    uint64_t conflict_rows;                    /* lines of evidence/conflicts.jsonl */
    const struct supervision_row *supervision; /* [n_supervision]; NULL: nothing was trained here */
    size_t n_supervision;
    const struct json
        *archived; /* metrics.json of an archive: measures that are unknown here are taken over from
                                  * it; NULL: none are */
    const struct json *generation; /* the finished value of that key, or NULL */
};

/* What the verdict needs of a suite or group. */
struct eval_result {
    enum eval_status status;
    bool has_zero;
    uint64_t flips;
    double ll_max;
    uint64_t forgot, learned;
};

struct eval_metrics {
    struct json *tree; /* metrics.json */
    struct eval_result *suites, *groups;
    size_t n_suites, n_groups;
    struct json *unchecked; /* array of sentences: measures that were taken over */
};

/* RC_UNSUPPORTED: withheld rows, naming the suite. RC_VERIFY: sides do not agree. RC_LIMIT: sums over 2^53, a
 * log-likelihood over a million nats, a perplexity over e^709. */
MUST_USE int metrics_compute(const struct eval_input *in, struct eval_metrics *out, struct status *st);
void eval_metrics_release(struct eval_metrics *m);

/* Base against zero: items that differ in any right-or-wrong or output, and the largest difference in ll. */
void rows_compare(const struct item_rows *base, const struct item_rows *zero, uint64_t *flips,
                  double *ll_max);

#endif
