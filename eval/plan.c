#include "eval/plan.h"

#include "base/alloc.h"
#include "eval/measure.h"
#include "probes/set.h"

#include <inttypes.h>
#include <string.h>

void eval_plan_release(struct eval_plan *plan)
{
    struct eval_input *in = &plan->input;
    for (size_t k = 0; in->groups && k < in->n_groups; k++)
        mem_free(in->groups[k].members);
    mem_free(in->suites);
    mem_free(in->groups);
    mem_free(in->measures);
    *plan = (struct eval_plan){ 0 };
}

struct eval_suite *eval_plan_suite(struct eval_plan *plan, const char *id)
{
    for (size_t k = 0; k < plan->input.n_suites; k++)
        if (strcmp(plan->input.suites[k].id, id) == 0)
            return &plan->input.suites[k];
    return NULL;
}

size_t eval_plan_claims(const struct eval_plan *plan)
{
    size_t n = plan->input.n_groups; /* a group is a gate or a task */
    for (size_t k = 0; k < plan->input.n_suites; k++)
        n += plan->input.suites[k].use == USE_gate || plan->input.suites[k].use == USE_task;
    return n;
}

/* margin for a gate, gain for a task, neither for the others. */
static int read_limit(const struct json *entry, enum eval_use use, struct eval_limit *out, struct status *st)
{
    int rc = 0;
    double value = 0;
    const char *text = NULL;
    const char *key = use == USE_gate ? "margin" : "gain", *other = use == USE_gate ? "gain" : "margin";
    const bool has = use == USE_gate || use == USE_task;
    if (json_find(entry, other) || (!has && json_find(entry, key)))
        FAIL(st, RC_FORMAT, "use '%s' with '%s'", eval_use_name(use), json_find(entry, other) ? other : key);
    if (!has)
        goto out;
    TRY(json_get_decimal(entry, key, &text, &value, st));
    if (value < 0)
        FAIL(st, RC_ARG, "%s is %s, wanted 0 or more", key, text);
    *out = eval_limit_of(use, text);
out:
    return rc;
}

static int read_name(const struct json *entry, const char *before, const char **id, enum eval_use *use,
                     struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(entry, "id", id, st));
    if (!probe_suite_id_valid(*id))
        FAIL(st, RC_FORMAT, "id '%.60s' is not 1 to 40 of a-z 0-9 _ -, the first a letter or digit", *id);
    if (before && strcmp(before, *id) >= 0)
        FAIL(st, RC_FORMAT, "'%s' after '%s': ids are sorted, each once", *id, before);
    TRY(json_get_text(entry, "use", &text, st));
    if (!eval_use_find(text, use))
        FAIL(st, RC_FORMAT, "'%s': use is '%.40s', wanted gate, task, critical or report", *id, text);
out:
    return rc;
}

static int read_suite(const struct json *entry, const char *before, struct eval_suite *out, struct status *st)
{
    static const char *const keys[] = { "id",   "version",  "title", "licence", "source", "sha256",
                                        "size", "items",    "root",  "kind",    "role",   "metric",
                                        "use",  "clusters", "gain",  "margin",  NULL };
    int rc = 0;
    int64_t items = 0;
    const char *text = NULL;
    struct eval_suite suite = { 0 };
    TRY(read_name(entry, before, &suite.id, &suite.use, st));
    TRY(json_only(entry, keys, st));
    TRY(json_get_text(entry, "kind", &text, st));
    if (!probe_kind_find(text, &suite.kind))
        FAIL(st, RC_FORMAT, "kind is '%.40s'", text);
    TRY(json_get_text(entry, "metric", &text, st));
    if (!probe_metric_find(text, &suite.metric) || !probe_kind_has_metric(suite.kind, suite.metric))
        FAIL(st, RC_FORMAT, "metric '%.40s' is none of kind '%s'", text, probe_kind_name(suite.kind));
    TRY(read_limit(entry, suite.use, &suite.limit, st));
    if (suite.use == USE_critical && suite.metric == METRIC_bits_per_byte)
        FAIL(st, RC_ARG, "a text suite has no items that could be lost, so it cannot be critical");
    TRY(json_get_int(entry, "items", 1, PROBE_ITEMS_MAX, &items, st));
    suite.items = (uint64_t)items;
    *out = suite;
out:
    if (rc != 0 && suite.id)
        status_prefix(st, "suite '%.60s'", suite.id);
    return rc;
}

static int read_suites(const struct json *plan, struct eval_plan *out, struct status *st)
{
    int rc = 0;
    const struct json *list = NULL;
    struct eval_input *in = &out->input;
    TRY(json_get(plan, "suites", JSON_ARRAY, &list, st));
    if (json_size(list) > EVAL_SUITES_MAX)
        FAIL(st, RC_LIMIT, "%zu suites, over %d", json_size(list), EVAL_SUITES_MAX);
    in->suites = mem_calloc(json_size(list), sizeof(*in->suites));
    if (!in->suites)
        FAIL(st, RC_NOMEM, "no memory for the suites");
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *before = in->n_suites ? in->suites[in->n_suites - 1].id : NULL;
        TRY(read_suite(j, before, &in->suites[in->n_suites], st));
        in->n_suites++;
    }
out:
    return rc;
}

static int add_member(struct eval_plan *plan, struct eval_group *group, const struct json *j,
                      struct status *st)
{
    const char *id = json_text(j);
    const struct eval_suite *suite = id ? eval_plan_suite(plan, id) : NULL;
    if (!suite)
        return status_fail(st, RC_ARG, "member '%.60s' is not a suite of the plan", id ? id : "?");
    if (suite->metric == METRIC_bits_per_byte)
        return status_fail(st, RC_ARG, "member '%s' has no right or wrong to pool", id);
    size_t at = (size_t)(suite - plan->input.suites);
    if (group->n_members && group->members[group->n_members - 1] >= at)
        return status_fail(st, RC_FORMAT, "member '%s': members are sorted, each once", id);
    group->members[group->n_members++] = at;
    return 0;
}

static int read_group(struct eval_plan *plan, const struct json *entry, const char *before,
                      struct eval_group *group, struct status *st)
{
    static const char *const keys[] = { "id", "members", "use", "margin", "gain", NULL };
    int rc = 0;
    const struct json *members = NULL;
    TRY(read_name(entry, before, &group->id, &group->use, st));
    TRY(json_only(entry, keys, st));
    if (eval_plan_suite(plan, group->id))
        FAIL(st, RC_FORMAT, "a suite has this id");
    if (group->use != USE_gate && group->use != USE_task)
        FAIL(st, RC_FORMAT, "use is '%s', wanted gate or task", eval_use_name(group->use));
    TRY(read_limit(entry, group->use, &group->limit, st));
    TRY(json_get(entry, "members", JSON_ARRAY, &members, st));
    if (json_size(members) < 2 || json_size(members) > plan->input.n_suites)
        FAIL(st, RC_FORMAT, "%zu members, wanted 2 or more suites", json_size(members));
    group->members = mem_calloc(json_size(members), sizeof(*group->members));
    if (!group->members)
        FAIL(st, RC_NOMEM, "no memory for the group");
    for (const struct json *j = json_first(members); j; j = json_next(j))
        TRY(add_member(plan, group, j, st));
out:
    if (rc != 0 && group->id)
        status_prefix(st, "group '%.60s'", group->id);
    return rc;
}

static int read_groups(const struct json *plan, struct eval_plan *out, struct status *st)
{
    int rc = 0;
    const struct json *list = NULL;
    struct eval_input *in = &out->input;
    in->has_groups = json_find(plan, "groups") != NULL;
    if (!in->has_groups)
        goto out;
    TRY(json_get(plan, "groups", JSON_ARRAY, &list, st));
    if (json_size(list) > EVAL_GROUPS_MAX)
        FAIL(st, RC_LIMIT, "%zu groups, over %d", json_size(list), EVAL_GROUPS_MAX);
    in->groups = mem_calloc(json_size(list), sizeof(*in->groups));
    if (!in->groups)
        FAIL(st, RC_NOMEM, "no memory for the groups");
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *before = in->n_groups ? in->groups[in->n_groups - 1].id : NULL;
        in->n_groups++; /* counted first: a group that fails half-way is released with the others */
        TRY(read_group(out, j, before, &in->groups[in->n_groups - 1], st));
    }
out:
    return rc;
}

static int read_measures(const struct json *plan, bool foreign, struct eval_input *in, struct status *st)
{
    int rc = 0;
    const struct json *list = NULL;
    in->has_measures = json_find(plan, "measures") != NULL;
    if (!in->has_measures)
        goto out;
    TRY(json_get(plan, "measures", JSON_ARRAY, &list, st));
    if (json_size(list) > EVAL_MEASURES_MAX)
        FAIL(st, RC_LIMIT, "%zu measures, over %d", json_size(list), EVAL_MEASURES_MAX);
    in->measures = mem_calloc(json_size(list), sizeof(*in->measures));
    if (!in->measures)
        FAIL(st, RC_NOMEM, "no memory for the measures");
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *name = json_text(j);
        if (!name)
            FAIL(st, RC_FORMAT, "measures holds something that is not a string");
        if (in->n_measures && strcmp(in->measures[in->n_measures - 1], name) >= 0)
            FAIL(st, RC_FORMAT, "measure '%.60s': measures are sorted, each once", name);
        if (!foreign && !measure_find(name))
            FAIL(st, RC_ARG, "no measure is called '%.60s'", name);
        in->measures[in->n_measures++] = name;
    }
out:
    return rc;
}

static int read_statistics(const struct json *plan, struct eval_plan *out, struct status *st)
{
    static const char *const keys[] = { "alpha", "correction", "replicates", "seed", "min_clusters", NULL };
    int rc = 0;
    double alpha = 0;
    int64_t replicates = 0, seed = 0, least = 0;
    uint64_t count = 0;
    const struct json *j = NULL;
    const char *correction = NULL;
    struct eval_statistics *s = &out->input.statistics;
    TRY(json_get(plan, "statistics", JSON_OBJECT, &j, st));
    TRY(json_only(j, keys, st));
    TRY(json_get_decimal(j, "alpha", &s->alpha_text, &alpha, st));
    TRY(json_get_text(j, "correction", &correction, st));
    if (strcmp(correction, "holm") != 0 && strcmp(correction, "none") != 0)
        FAIL(st, RC_FORMAT, "correction is '%.40s', wanted holm or none", correction);
    s->correction = strcmp(correction, "holm") == 0 ? CORRECTION_holm : CORRECTION_none;
    TRY(json_get_int(j, "replicates", 1, EVAL_REPLICATES_MAX, &replicates, st));
    TRY(json_get_int(j, "seed", 0, JSON_INT_MAX, &seed, st));
    TRY(json_get_int(j, "min_clusters", 0, JSON_INT_MAX, &least, st));
    s->replicates = (uint32_t)replicates;
    s->seed = (uint64_t)seed;
    s->min_clusters = (uint64_t)least;
    TRY(eval_alpha_count(s->alpha_text, s->replicates, eval_plan_claims(out), &count, st));
out:
    if (rc != 0)
        status_prefix(st, "statistics");
    return rc;
}

static int read_zero(const struct json *plan, struct eval_plan *out, struct status *st)
{
    static const char *const keys[] = { "flips_max", "ll_max", NULL };
    int rc = 0;
    int64_t flips = 0;
    const struct json *j = NULL;
    out->has_zero = json_find(plan, "zero") != NULL;
    if (!out->has_zero && out->imported)
        goto out;
    TRY(json_get(plan, "zero", JSON_OBJECT, &j, st));
    TRY(json_only(j, keys, st));
    TRY(json_get_int(j, "flips_max", 0, JSON_INT_MAX, &flips, st));
    TRY(json_get_decimal(j, "ll_max", NULL, &out->zero_ll_max, st));
    out->zero_flips_max = (uint64_t)flips;
out:
    return rc;
}

static int read_ledger(const struct json *plan, struct eval_plan *out, struct status *st)
{
    static const char *const keys[] = { "tau", "conflict_logp_min", "rows_max", NULL };
    int rc = 0;
    int64_t rows = 0;
    const struct json *j = NULL;
    if (out->imported)
        goto out;
    TRY(json_get(plan, "ledger", JSON_OBJECT, &j, st));
    TRY(json_only(j, keys, st));
    TRY(json_get_decimal(j, "tau", NULL, &out->ledger_tau, st));
    TRY(json_get_decimal(j, "conflict_logp_min", NULL, &out->ledger_conflict_logp_min, st));
    TRY(json_get_int(j, "rows_max", 0, JSON_INT_MAX, &rows, st));
    out->ledger_rows_max = (uint64_t)rows;
out:
    return rc;
}

static int read_mode(const struct json *plan, struct eval_plan *out, struct status *st)
{
    int rc = 0;
    const char *mode = NULL;
    const struct json *strict = NULL;
    if (json_find(plan, "mode")) {
        TRY(json_get_text(plan, "mode", &mode, st));
        if (strcmp(mode, "imported") != 0)
            FAIL(st, RC_FORMAT, "mode is '%.40s', wanted imported or no such key", mode);
        out->imported = true;
    }
    TRY(json_get(plan, "strict", JSON_BOOL, &strict, st));
    out->strict = json_bool(strict);
out:
    return rc;
}

static bool decides_something(const struct eval_plan *plan)
{
    for (size_t k = 0; k < plan->input.n_suites; k++)
        if (plan->input.suites[k].use != USE_report)
            return true;
    return plan->input.n_groups > 0;
}

int eval_plan_read(const struct json *plan, bool foreign, struct eval_plan *out, struct status *st)
{
    int rc = 0;
    struct eval_plan new = { 0 };
    TRY(read_mode(plan, &new, st));
    TRY(read_suites(plan, &new, st));
    TRY(read_groups(plan, &new, st));
    TRY(read_measures(plan, foreign, &new.input, st));
    TRY(read_statistics(plan, &new, st));
    TRY(read_zero(plan, &new, st));
    TRY(read_ledger(plan, &new, st));
    if (!decides_something(&new))
        FAIL(st, RC_ARG, "no gate, no task, no critical suite and no group: nothing would be decided");
    *out = new;
    new = (struct eval_plan){ 0 };
out:
    eval_plan_release(&new);
    if (rc != 0)
        status_prefix(st, "plan");
    return rc;
}
