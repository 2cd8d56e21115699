/* Private to reports/: the rows of an archive or run folder, gathered member by member, and the numbers that
 * follow from them. Pack and verify use it alike, so that both get the same bytes from the same rows.
 */
#ifndef LETHE_REPORTS_EVIDENCE_H
#define LETHE_REPORTS_EVIDENCE_H

#include "eval/plan.h"
#include "eval/record.h"
#include "eval/row.h"
#include "eval/verdict.h"
#include "reports/manifest.h"

enum evidence_side { SIDE_BASE, SIDE_TUNED, SIDE_ZERO, SIDES };
const char *evidence_side_name(enum evidence_side side); /* "base", "tuned", "zero" */

struct outputs {
    struct output_row *rows; /* [n] */
    size_t n, cap;
    struct pool pool;
};

/* Rows of one class in the token ledger, counted for one item. */
struct ledger_counts {
    uint64_t forgot, learned, drift;
};

struct suite_rows {
    const char *id;
    bool has[SIDES], has_outputs[SIDES];
    struct item_rows rows[SIDES];
    struct outputs outputs[SIDES]; /* until evidence_drop_outputs */
    struct delta_row *delta;       /* [delta_n] */
    size_t delta_n, delta_cap;
    struct pool delta_pool;
    struct ledger_counts *ledger; /* [items] by i; NULL: no row of the suite in the ledger */
};

struct evidence {
    struct eval_plan plan;
    struct suite_rows *suites; /* [plan.input.n_suites], same order */
    struct supervision_row *supervision;
    size_t supervision_n, supervision_cap;
    bool has_supervision;
    uint64_t supervision_withheld, tokens_withheld;
    struct pool pool;
};

/* plan: the tree of plan.json, which must live longer. foreign: as in eval_plan_read. */
MUST_USE int evidence_open(const struct json *plan, bool foreign, struct evidence *out, struct status *st);
void evidence_close(struct evidence *e);
struct suite_rows *evidence_suite(struct evidence *e, const char *id); /* or NULL */

/* Called for every row of the ledger and of the conflicts, once it was read; may be NULL. */
struct evidence_watch {
    void *self;
    int (*token)(void *self, const struct token_row *row, size_t line, struct status *st);
};
/* Takes in one member below evidence/ or run/supervision.jsonl (others are ignored, probes too). RC_FORMAT
 * with member and line; RC_ARG: a suite that the plan does not have. */
MUST_USE int evidence_add(struct evidence *e, const struct member_name *m, struct bytes data,
                          const struct evidence_watch *watch, struct status *st);
void evidence_drop_outputs(struct suite_rows *s);

/* What verdict and metrics need beyond rows. */
struct evidence_facts {
    const struct json *plan, *config; /* trees of plan.json and run/config.json */
    struct hash plan_hash;
    const char *preregistration;
    const struct json *conditions; /* array, or NULL */
    bool complete;                 /* the last event says so */
    const struct json *archived;   /* metrics.json to take unknown measures from, or NULL */
    const struct json *generation; /* its value for evidence that is not recomputed here, or NULL */
};
struct evidence_numbers {
    struct eval_metrics metrics;
    struct json *verdict;
    enum eval_outcome outcome;
    struct str metrics_text, verdict_text; /* canonical bytes */
};
MUST_USE int evidence_compute(struct evidence *e, const struct evidence_facts *f,
                              struct evidence_numbers *out, struct status *st);
void evidence_numbers_release(struct evidence_numbers *n);
int evidence_exit(enum eval_outcome outcome); /* 0, 3 or 5 */

#endif
