#include "eval/verdict.h"

#include <string.h>

static const char *const outcome_names[] = {
    [OUTCOME_PASS] = "PASS",
    [OUTCOME_FAIL] = "FAIL",
    [OUTCOME_INCONCLUSIVE] = "INCONCLUSIVE",
    [OUTCOME_INVALID] = "INVALID",
};

const char *eval_outcome_name(enum eval_outcome outcome)
{
    return outcome_names[outcome];
}

bool eval_outcome_find(const char *name, enum eval_outcome *out)
{
    for (size_t k = 0; k < sizeof(outcome_names) / sizeof(outcome_names[0]); k++)
        if (strcmp(outcome_names[k], name) == 0) {
            *out = (enum eval_outcome)k;
            return true;
        }
    return false;
}

static bool deviates(const struct verdict_input *in)
{
    if (in->plan->strict && json_size(in->deviations) > 0)
        return true;
    for (const struct json *j = json_first(in->deviations); j; j = json_next(j)) {
        const char *path = json_text(json_find(j, "path"));
        if (path && (strcmp(path, "/base") == 0 || strncmp(path, "/base/", 6) == 0))
            return true;
    }
    return false;
}

static bool any_status(const struct eval_metrics *m, enum eval_status status)
{
    for (size_t k = 0; k < m->n_suites; k++)
        if (m->suites[k].status == status)
            return true;
    for (size_t k = 0; k < m->n_groups; k++)
        if (m->groups[k].status == status)
            return true;
    return false;
}

static bool trained_on_nothing(const struct eval_input *in)
{
    uint64_t supervised = 0;
    for (size_t k = 0; k < in->n_supervision; k++)
        supervised += in->supervision[k].supervised;
    return in->supervision && supervised == 0;
}

static bool lacks_zero(const struct eval_plan *plan)
{
    for (size_t k = 0; k < plan->input.n_suites; k++)
        if (!plan->input.suites[k].zero)
            return !plan->imported;
    return false;
}

/* Base against base may differ by what the plan allows, suite by suite. */
static bool zero_differs(const struct verdict_input *in)
{
    for (size_t k = 0; k < in->metrics->n_suites; k++) {
        const struct eval_result *r = &in->metrics->suites[k];
        if (r->has_zero && (r->flips > in->plan->zero_flips_max || r->ll_max > in->plan->zero_ll_max))
            return true;
    }
    return false;
}

/* In byte order of their names. */
static struct json *reasons_of(const struct verdict_input *in)
{
    struct json *reasons = json_array();
    if (deviates(in))
        json_push(reasons, json_of_text("deviation"));
    if (!in->complete || any_status(in->metrics, STATUS_INCOMPLETE))
        json_push(reasons, json_of_text("incomplete"));
    if (trained_on_nothing(&in->plan->input))
        json_push(reasons, json_of_text("no-supervised-token"));
    if (lacks_zero(in->plan))
        json_push(reasons, json_of_text("no-zero-point"));
    if (zero_differs(in))
        json_push(reasons, json_of_text("zero-point"));
    return reasons;
}

static enum eval_outcome outcome_of(const struct eval_metrics *m)
{
    if (any_status(m, STATUS_BROKEN))
        return OUTCOME_FAIL;
    for (size_t k = 0; k < m->n_suites; k++)
        if (m->suites[k].status != STATUS_HELD && m->suites[k].status != STATUS_REPORTED)
            return OUTCOME_INCONCLUSIVE;
    for (size_t k = 0; k < m->n_groups; k++)
        if (m->groups[k].status != STATUS_HELD)
            return OUTCOME_INCONCLUSIVE;
    return OUTCOME_PASS;
}

static struct json *status_entry(const char *id, enum eval_use use, enum eval_status status)
{
    struct json *one = json_object();
    json_put_text(one, "id", id);
    json_put_text(one, "use", eval_use_name(use));
    json_put_text(one, "status", eval_status_name(status));
    return one;
}

static void put_statuses(struct json *verdict, const struct verdict_input *in)
{
    const struct eval_input *plan = &in->plan->input;
    struct json *suites = json_array(), *groups = json_array();
    for (size_t k = 0; k < plan->n_suites; k++)
        json_push(suites,
                  status_entry(plan->suites[k].id, plan->suites[k].use, in->metrics->suites[k].status));
    for (size_t k = 0; k < plan->n_groups; k++)
        json_push(groups,
                  status_entry(plan->groups[k].id, plan->groups[k].use, in->metrics->groups[k].status));
    json_put(verdict, "suites", suites);
    if (plan->has_groups)
        json_put(verdict, "groups", groups);
    else
        json_free(groups);
}

int verdict_compute(const struct verdict_input *in, struct json **out, enum eval_outcome *outcome,
                    struct status *st)
{
    int rc = 0;
    struct json *verdict = json_object(), *reasons = reasons_of(in);
    rc = json_check(reasons, st);
    if (rc != 0) {
        json_free(reasons);
        goto out;
    }
    const enum eval_outcome is = json_size(reasons) ? OUTCOME_INVALID : outcome_of(in->metrics);
    json_put_int(verdict, "lethe_verdict", 1);
    json_put_text(verdict, "plan", hash_hex(&in->plan_hash).s);
    json_put_text(verdict, "metrics", hash_hex(&in->metrics_hash).s);
    json_put_text(verdict, "outcome", eval_outcome_name(is));
    json_put(verdict, "reasons", reasons);
    put_statuses(verdict, in);
    json_put(verdict, "deviations", json_copy(in->deviations));
    json_put(verdict, "conditions", in->conditions ? json_copy(in->conditions) : json_array());
    json_put_text(verdict, "preregistration", in->preregistration);
    if (in->plan->imported)
        json_put_text(verdict, "basis", "imported");
    TRY(json_check(verdict, st));
    *out = verdict;
    *outcome = is;
    verdict = NULL;
out:
    json_free(verdict);
    return rc;
}
