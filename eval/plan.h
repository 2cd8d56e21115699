/* What evaluation needs of a plan (docs/formats 4): suites, groups, statistics, limits. Strings are lent by
 * the tree. */
#ifndef LETHE_EVAL_PLAN_H
#define LETHE_EVAL_PLAN_H

#include "base/json.h"
#include "eval/metrics.h"

struct eval_plan {
    struct eval_input input; /* suites without rows: the caller hangs them in */
    bool strict, imported;
    bool has_zero; /* the plan has the key `zero` */
    uint64_t zero_flips_max;
    double zero_ll_max;
    double ledger_tau, ledger_conflict_logp_min; /* 0 when imported */
    uint64_t ledger_rows_max;
};

/* Reads and checks: ids, uses with their limits, members, alpha and replicates, measures. RC_FORMAT, RC_ARG
 * or RC_LIMIT with the key; with `foreign`, measures of unknown names pass (a verifier takes them over). */
MUST_USE int eval_plan_read(const struct json *plan, bool foreign, struct eval_plan *out, struct status *st);
void eval_plan_release(struct eval_plan *plan);
/* NULL: no such suite. */
struct eval_suite *eval_plan_suite(struct eval_plan *plan, const char *id);
/* Suites and groups with use gate or task. */
size_t eval_plan_claims(const struct eval_plan *plan);

#endif
