/* The numbers of a plan, its groups and measures, and the rules that tie keys together. */
#include "reports/plan_private.h"

#include "base/alloc.h"
#include "eval/measure.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

/* Keys of `name` that an audit file may leave out: without the object every one has its default. */
static int section_find(const struct json *root, const char *name, bool maybe, const char *const *keys,
                        const struct json **out, struct status *st)
{
    int rc = 0;
    *out = NULL;
    if (maybe && !json_find(root, name))
        return 0;
    TRY(json_get(root, name, JSON_OBJECT, out, st));
    TRY(json_only(*out, keys, st));
out:
    return rc;
}

static int decimal_or(const struct json *o, const char *key, bool audit, const char *otherwise,
                      const char **text, double *value, struct status *st)
{
    if (audit && !json_find(o, key)) {
        *text = otherwise;
        *value = eval_limit_of(USE_gate, otherwise).value;
        return 0;
    }
    return json_get_decimal(o, key, text, value, st);
}

static int count_or(const struct json *o, const char *key, bool audit, uint64_t otherwise, uint64_t *out,
                    struct status *st)
{
    if (audit && !json_find(o, key)) {
        *out = otherwise;
        return 0;
    }
    return field_u64(o, key, out, st);
}

static int scoring_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const keys[] = { "max_len", "prefix", "template", "dtype", NULL };
    static const char *const prefixes[] = { "bos", "eos", NULL };
    static const char *const templates[] = { "none", "model", NULL };
    static const char *const dtypes[] = { "f32", "f16", "bf16", NULL };
    int rc = 0;
    const struct json *o;
    const char *word = "none";
    uint64_t max_len = 0;
    if (p->imported)
        return 0;
    TRY(section_find(root, "scoring", audit, keys, &o, st));
    p->has_scoring = true;
    TRY(count_or(o, "max_len", audit, 0, &max_len, st));
    if (max_len > INT32_MAX || (max_len < 2 && !(audit && !json_find(o, "max_len"))))
        FAIL(st, RC_FORMAT, "key 'max_len': %" PRIu64 " tokens", max_len);
    p->scoring.max_len = (uint32_t)max_len;
    if (!audit || json_find(o, "prefix"))
        TRY(field_word(o, "prefix", prefixes, &p->scoring.prefix, st));
    if (!audit || json_find(o, "template"))
        TRY(field_word(o, "template", templates, &word, st));
    p->scoring.template_model = strcmp(word, "model") == 0;
    p->scoring.dtype = "f32";
    if (!audit || json_find(o, "dtype"))
        TRY(field_word(o, "dtype", dtypes, &p->scoring.dtype, st));
out:
    if (rc != 0)
        status_prefix(st, "/scoring");
    return rc;
}

static int statistics_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const keys[] = { "alpha", "correction", "replicates", "seed", "min_clusters", NULL };
    static const char *const corrections[] = { "holm", "none", NULL };
    int rc = 0;
    const struct json *o;
    const char *word = "holm";
    TRY(section_find(root, "statistics", false, keys, &o, st));
    TRY(decimal_or(o, "alpha", audit, "0.05", &p->statistics.alpha, &p->statistics.alpha_value, st));
    if (!audit || json_find(o, "correction"))
        TRY(field_word(o, "correction", corrections, &word, st));
    p->statistics.holm = strcmp(word, "holm") == 0;
    TRY(count_or(o, "replicates", audit, 0, &p->statistics.replicates, st));
    TRY(field_u64(o, "seed", &p->statistics.seed, st));
    TRY(count_or(o, "min_clusters", audit, 20, &p->statistics.min_clusters, st));
    if (!(p->statistics.alpha_value > 0 && p->statistics.alpha_value < 0.5))
        FAIL(st, RC_FORMAT, "key 'alpha': %s is not between 0 and 0.5", p->statistics.alpha);
out:
    if (rc != 0)
        status_prefix(st, "/statistics");
    return rc;
}

static int zero_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const keys[] = { "flips_max", "ll_max", NULL };
    int rc = 0;
    const struct json *o;
    TRY(section_find(root, "zero", audit || p->imported, keys, &o, st));
    p->has_zero = o || audit;
    if (!p->has_zero)
        return 0;
    TRY(count_or(o, "flips_max", audit, 0, &p->zero.flips_max, st));
    TRY(decimal_or(o, "ll_max", audit, "0", &p->zero.ll_max, &p->zero.ll_max_value, st));
    if (*p->zero.ll_max == '-')
        FAIL(st, RC_FORMAT, "key 'll_max': %s is below 0", p->zero.ll_max);
out:
    if (rc != 0)
        status_prefix(st, "/zero");
    return rc;
}

static int ledger_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const keys[] = { "tau", "conflict_logp_min", "rows_max", NULL };
    int rc = 0;
    const struct json *o;
    if (p->imported)
        return 0;
    TRY(section_find(root, "ledger", audit, keys, &o, st));
    p->has_ledger = true;
    TRY(decimal_or(o, "tau", audit, "0.5", &p->ledger.tau, &p->ledger.tau_value, st));
    TRY(decimal_or(o, "conflict_logp_min", audit, "-0.7", &p->ledger.conflict_logp_min,
                   &p->ledger.conflict_logp_min_value, st));
    TRY(count_or(o, "rows_max", audit, 100000, &p->ledger.rows_max, st));
out:
    if (rc != 0)
        status_prefix(st, "/ledger");
    return rc;
}

int plan_read_numbers(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    TRY(scoring_read(root, p, audit, st));
    TRY(statistics_read(root, p, audit, st));
    TRY(zero_read(root, p, audit, st));
    TRY(ledger_read(root, p, audit, st));
out:
    return rc;
}

static int member_find_suite(const struct plan *p, const char *id, size_t *at, struct status *st)
{
    const struct plan_suite *s = plan_find_suite(p, id);
    enum probe_kind kind;
    if (!s)
        return status_fail(st, RC_FORMAT, "key 'members': no suite '%.60s'", id);
    if (probe_kind_find(s->kind, &kind) && !probe_kind_ops(kind)->accuracy)
        return status_fail(st, RC_FORMAT, "key 'members': suite '%s' has no right or wrong", id);
    *at = (size_t)(s - p->suites);
    return 0;
}

static int group_read(const struct json *o, struct plan *p, struct plan_group *g, bool audit,
                      struct status *st)
{
    static const char *const keys[] = { "id", "members", "use", "margin", "gain", NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    const struct json *list;
    TRY(field_only(o, keys, st));
    TRY(json_get_text(o, "id", &g->id, st));
    if (!probe_suite_id_valid(g->id))
        FAIL(st, RC_FORMAT, "key 'id': '%.60s' is not 1 to 40 of a-z 0-9 _ -", g->id);
    TRY(plan_read_use(o, &g->use, &g->limit, &g->limit_value, st));
    if (g->use != USE_gate && g->use != USE_task)
        FAIL(st, RC_FORMAT, "key 'use': a group is a gate or a task");
    TRY(field_array(o, "members", PLAN_SUITES_MAX, &list, &n, st));
    if (n < 2)
        FAIL(st, RC_FORMAT, "key 'members': %zu suites, a group has 2 or more", n);
    g->members = mem_calloc(n, sizeof *g->members);
    g->member_suites = mem_calloc(n, sizeof *g->member_suites);
    if (!g->members || !g->member_suites)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (const struct json *m = json_first(list); m; m = json_next(m), i++) {
        g->members[i] = json_text(m);
        if (!g->members[i])
            FAIL(st, RC_FORMAT, "key 'members': element %zu is no string", i);
        for (size_t k = 0; k < i; k++)
            if (strcmp(g->members[k], g->members[i]) == 0)
                FAIL(st, RC_FORMAT, "key 'members': '%s' stands there twice", g->members[i]);
        if (!audit && i > 0 && strcmp(g->members[i - 1], g->members[i]) > 0)
            FAIL(st, RC_FORMAT, "key 'members': '%s' after '%s'", g->members[i], g->members[i - 1]);
        if (!audit)
            TRY(member_find_suite(p, g->members[i], &g->member_suites[i], st));
    }
    g->n = n;
    if (plan_find_suite(p, g->id))
        FAIL(st, RC_FORMAT, "key 'id': '%s' is a suite's id too", g->id);
out:
    return rc;
}

int plan_read_groups(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    size_t i = 0, n = 0;
    const struct json *list;
    if (!json_find(root, "groups"))
        return 0;
    TRY(field_array(root, "groups", PLAN_GROUPS_MAX, &list, &n, st));
    p->has_groups = true;
    p->groups = mem_calloc(n, sizeof *p->groups);
    if (!p->groups)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    p->groups_n = n; /* from here plan_release frees their members */
    for (const struct json *o = json_first(list); o; o = json_next(o), i++) {
        TRY(group_read(o, p, &p->groups[i], audit, st));
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->groups[k].id, p->groups[i].id) == 0)
                FAIL(st, RC_FORMAT, "key 'id': '%s' is group %zu already", p->groups[i].id, k);
        if (!audit && i > 0 && strcmp(p->groups[i - 1].id, p->groups[i].id) > 0)
            FAIL(st, RC_FORMAT, "group '%s' after '%s': wanted in order of id", p->groups[i].id,
                 p->groups[i - 1].id);
    }
out:
    if (rc != 0)
        status_prefix(st, "/groups/%zu", i);
    return rc;
}

int plan_read_measures(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    size_t i = 0, n = 0;
    const struct json *list;
    if (!json_find(root, "measures"))
        return 0;
    TRY(field_array(root, "measures", PLAN_MEASURES_MAX, &list, &n, st));
    p->has_measures = true;
    p->measures = mem_calloc(n, sizeof *p->measures);
    if (!p->measures)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (const struct json *m = json_first(list); m; m = json_next(m), i++) {
        p->measures[i] = json_text(m);
        if (!p->measures[i])
            FAIL(st, RC_FORMAT, "not a string");
        if (audit && !measure_find(p->measures[i]))
            FAIL(st, RC_FORMAT, "no measure '%.60s'", p->measures[i]);
        if (!audit && i > 0 && strcmp(p->measures[i - 1], p->measures[i]) >= 0)
            FAIL(st, RC_FORMAT, "'%s' after '%s': wanted sorted, each once", p->measures[i],
                 p->measures[i - 1]);
    }
    p->measures_n = n;
out:
    if (rc != 0)
        status_prefix(st, "/measures/%zu", i);
    return rc;
}

int plan_check(const struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    uint64_t count;
    size_t critical = 0, claims = plan_claims(p);
    for (size_t i = 0; i < p->suites_n; i++)
        critical += p->suites[i].use == USE_critical;
    if (claims + critical == 0)
        FAIL(st, RC_FORMAT, "/suites: no gate, task, critical suite or group, so nothing is decided");
    if (p->statistics.replicates != 0 || !audit) {
        if (eval_alpha_count(p->statistics.alpha, p->statistics.replicates, claims, &count, st) != 0) {
            status_prefix(st, "/statistics");
            rc = RC_FORMAT;
            goto out;
        }
    }
    if (p->imported)
        goto out;
    bool trains = plan_trains(p);
    if (!trains && p->data_n == 0 && p->contamination_report)
        FAIL(st, RC_FORMAT, "/contamination: there is no training data to search");
    if (audit && trains && p->tuned.path)
        FAIL(st, RC_FORMAT, "/tuned: a model that was tuned elsewhere, and a method to tune with");
    if (audit && !trains && !p->tuned.path)
        FAIL(st, RC_FORMAT, "/tuned: missing, and the method does not tune");
    bool train = false;
    for (size_t i = 0; i < p->data_n; i++)
        train = train || strcmp(p->data[i].role, "train") == 0;
    if (trains && !train)
        FAIL(st, RC_FORMAT, "/data: no file of role 'train'");
    if (p->scoring.template_model && !audit && !p->has_template)
        FAIL(st, RC_FORMAT, "/scoring/template: 'model', and no template digest is given");
out:
    return rc;
}
