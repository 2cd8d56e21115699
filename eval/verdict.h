/* verdict.json: from statuses to an outcome (docs/formats 8.5), and deviations from the plan (4). */
#ifndef LETHE_EVAL_VERDICT_H
#define LETHE_EVAL_VERDICT_H

#include "base/hash.h"
#include "base/json.h"
#include "base/status.h"
#include "eval/metrics.h"
#include "eval/plan.h"

#include <stdbool.h>

enum eval_outcome { OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_INCONCLUSIVE, OUTCOME_INVALID };
const char *eval_outcome_name(enum eval_outcome outcome);
bool eval_outcome_find(const char *name, enum eval_outcome *out);

/* Array of {path, planned, ran} by path: what of base, data, method, scoring, template, tokenizer differs
 * between plan.json and run/config.json. Objects are walked key by key, everything else is one value. */
MUST_USE int deviations_compute(const struct json *plan, const struct json *config, struct json **out,
                                struct status *st);

struct verdict_input {
    const struct eval_plan *plan; /* the one whose input the metrics are of */
    const struct eval_metrics *metrics;
    struct hash plan_hash, metrics_hash; /* of the two members */
    const struct json *deviations;       /* of deviations_compute */
    const struct json *conditions;       /* array of strings, or NULL for none */
    const char *preregistration;         /* none, signed, stamped */
    bool complete;                       /* the last event is `end` with outcome complete */
};
MUST_USE int verdict_compute(const struct verdict_input *in, struct json **out, enum eval_outcome *outcome,
                             struct status *st);

#endif
