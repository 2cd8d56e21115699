/* From an audit file and what was found out about its inputs to canonical plan.json. */
#include "reports/plan.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/fields.h"

#include <stdlib.h>
#include <string.h>

static struct json *texts_of(const char *const *texts, size_t n)
{
    struct json *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_push(list, json_of_text(texts[i]));
    return list;
}

static int text_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_limit(struct json *o, enum eval_use use, const char *limit)
{
    json_put_text(o, "use", eval_use_name(use));
    if (limit)
        json_put_text(o, use == USE_gate ? "margin" : "gain", limit);
}

/* What the audit file says of a suite must fit what the file says of itself. */
static int suite_agrees(const struct plan_suite *s, const struct probe_set *set, struct status *st)
{
    int rc = 0;
    enum probe_metric metric = set->metric;
    if (s->id && strcmp(s->id, set->id) != 0)
        FAIL(st, RC_ARG, "id '%s', the suite says '%s'", s->id, set->id);
    if (s->kind && strcmp(s->kind, probe_kind_name(set->kind)) != 0)
        FAIL(st, RC_ARG, "kind '%s', the suite says '%s'", s->kind, probe_kind_name(set->kind));
    if (s->metric)
        (void)probe_metric_find(s->metric, &metric); /* known: audit_file_parse looked */
    if (!probe_kind_has_metric(set->kind, metric))
        FAIL(st, RC_ARG, "metric '%s': kind '%s' has none", s->metric, probe_kind_name(set->kind));
    if (metric != set->metric && metric == METRIC_acc_mutual_info)
        FAIL(st, RC_ARG, "metric 'acc_mutual_info' must stand in the suite itself, it is asked differently");
    if (s->use == USE_critical && !probe_kind_ops(set->kind)->accuracy)
        FAIL(st, RC_ARG, "kind '%s' has no right or wrong, so it cannot be critical",
             probe_kind_name(set->kind));
out:
    return rc;
}

static int suite_build(const struct plan_suite *s, const struct probe_set *set, const uint8_t *salt_key,
                       struct json *list, struct status *st)
{
    int rc = 0;
    struct hash root;
    struct json *o = NULL;
    TRY(suite_agrees(s, set, st));
    TRY(probe_set_root(set, salt_key, &root, st));
    o = json_object();
    json_put_text(o, "id", set->id);
    json_put_text(o, "version", s->version ? s->version : set->version);
    json_put_text(o, "title", s->title ? s->title : set->title);
    json_put_text(o, "licence", s->licence ? s->licence : set->licence);
    json_put_text(o, "source", s->source ? s->source : set->source);
    json_put_text(o, "kind", probe_kind_name(set->kind));
    json_put_text(o, "role", s->role ? s->role : set->role);
    json_put_text(o, "metric", s->metric ? s->metric : probe_metric_name(set->metric));
    field_put_hash(o, "sha256", &set->sha256);
    field_put_hash(o, "root", &root);
    json_put_int(o, "size", (int64_t)set->size);
    json_put_int(o, "items", (int64_t)set->n);
    json_put_int(o, "clusters", (int64_t)set->clusters);
    put_limit(o, s->use, s->limit);
    json_push(list, o);
out:
    if (rc != 0)
        status_prefix(st, "%s", s->path);
    return rc;
}

struct suite_place {
    const char *id;
    size_t at;
};

static int place_order(const void *a, const void *b)
{
    return strcmp(((const struct suite_place *)a)->id, ((const struct suite_place *)b)->id);
}

static int suites_build(const struct plan *a, const struct plan_facts *f, struct json *root,
                        struct status *st)
{
    int rc = 0;
    struct json *list = json_array();
    struct suite_place *order = mem_calloc(a->suites_n, sizeof *order);
    if (!order)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (size_t i = 0; i < a->suites_n; i++)
        order[i] = (struct suite_place){ f->sets[i]->id, i };
    qsort(order, a->suites_n, sizeof *order, place_order);
    for (size_t i = 0; i < a->suites_n; i++) {
        size_t at = order[i].at;
        if (i > 0 && strcmp(order[i].id, order[i - 1].id) == 0)
            FAIL(st, RC_ARG, "%s and %s: both are the suite '%s'", a->suites[order[i - 1].at].path,
                 a->suites[at].path, order[i].id);
        TRY(suite_build(&a->suites[at], f->sets[at], f->salt_key, list, st));
    }
    json_put(root, "suites", list);
    list = NULL;
out:
    json_free(list);
    mem_free(order);
    return rc;
}

static int group_order(const void *a, const void *b)
{
    return strcmp((*(const struct plan_group *const *)a)->id, (*(const struct plan_group *const *)b)->id);
}

static int groups_build(const struct plan *a, struct json *root, struct status *st)
{
    int rc = 0;
    const struct plan_group **order = NULL;
    const char **members = NULL;
    struct json *list = NULL;
    if (!a->has_groups)
        goto out;
    list = json_array();
    order = mem_calloc(a->groups_n, sizeof *order);
    members = mem_calloc(PLAN_SUITES_MAX, sizeof *members);
    if (!order || !members)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (size_t i = 0; i < a->groups_n; i++)
        order[i] = &a->groups[i];
    qsort(order, a->groups_n, sizeof *order, group_order);
    for (size_t i = 0; i < a->groups_n; i++) {
        const struct plan_group *g = order[i];
        struct json *o = json_object();
        memcpy(members, g->members, g->n * sizeof *members);
        qsort(members, g->n, sizeof *members, text_order);
        json_put_text(o, "id", g->id);
        json_put(o, "members", texts_of(members, g->n));
        put_limit(o, g->use, g->limit);
        json_push(list, o);
    }
    json_put(root, "groups", list);
    list = NULL;
out:
    json_free(list);
    mem_free(members);
    mem_free(order);
    return rc;
}

static void data_build(const struct plan *a, const struct plan_facts *f, struct json *root)
{
    struct json *list = json_array();
    for (size_t i = 0; i < a->data_n; i++) {
        const struct plan_data *d = &a->data[i];
        struct json *o = json_object();
        json_put_text(o, "name", d->name ? d->name : path_name(d->path));
        json_put_text(o, "role", d->role);
        json_put_text(o, "form", f->data[i].form);
        field_put_hash(o, "sha256", &f->data[i].sha256);
        json_put_int(o, "size", (int64_t)f->data[i].size);
        json_push(list, o);
    }
    json_put(root, "data", list);
}

static void put_digest(struct json *root, const char *key, const struct hash *h)
{
    struct json *o = json_object();
    field_put_hash(o, "sha256", h);
    json_put(root, key, o);
}

static void models_build(const struct plan *a, const struct plan_facts *f, struct json *root)
{
    struct json *o = json_object();
    const char *name = a->base.name ? a->base.name : f->base_name ? f->base_name : path_name(a->base.path);
    json_put_text(o, "name", name);
    json_put_text(o, "form", f->base_directory ? "directory" : "file");
    field_put_hash(o, "sha256", &f->base);
    json_put(root, "base", o);
    put_digest(root, "tokenizer", &f->tokenizer);
    if (f->template_text)
        put_digest(root, "template", f->template_text);
    if (f->method) {
        json_put(root, "method", json_copy(f->method));
    } else {
        o = json_object();
        json_put_text(o, "name", "given");
        json_put_int(o, "seed", 0);
        json_put(root, "method", o);
    }
    o = json_object();
    json_put_int(o, "max_len", a->scoring.max_len ? a->scoring.max_len : f->max_len);
    json_put_text(o, "prefix", a->scoring.prefix ? a->scoring.prefix : f->prefix);
    json_put_text(o, "template", a->scoring.template_model ? "model" : "none");
    json_put_text(o, "dtype", a->scoring.dtype);
    json_put(root, "scoring", o);
}

static int numbers_build(const struct plan *a, struct json *root, struct status *st)
{
    int rc = 0;
    uint32_t replicates = (uint32_t)a->statistics.replicates;
    if (a->statistics.replicates > EVAL_REPLICATES_MAX)
        FAIL(st, RC_LIMIT, "/statistics/replicates: over %d", EVAL_REPLICATES_MAX);
    if (replicates == 0)
        TRY(eval_replicates(a->statistics.alpha, plan_claims(a), &replicates, st));
    struct json *o = json_object();
    json_put_text(o, "alpha", a->statistics.alpha);
    json_put_text(o, "correction", a->statistics.holm ? "holm" : "none");
    json_put_int(o, "replicates", replicates);
    json_put_int(o, "seed", (int64_t)a->statistics.seed);
    json_put_int(o, "min_clusters", (int64_t)a->statistics.min_clusters);
    json_put(root, "statistics", o);
    o = json_object();
    json_put_int(o, "flips_max", (int64_t)a->zero.flips_max);
    json_put_text(o, "ll_max", a->zero.ll_max);
    json_put(root, "zero", o);
    o = json_object();
    json_put_text(o, "tau", a->ledger.tau);
    json_put_text(o, "conflict_logp_min", a->ledger.conflict_logp_min);
    json_put_int(o, "rows_max", (int64_t)a->ledger.rows_max);
    json_put(root, "ledger", o);
out:
    return rc;
}

static void people_build(const struct plan *a, const struct plan_facts *f, struct json *root)
{
    json_put_int(root, "lethe_plan", 1);
    json_put_text(root, "title", a->title);
    json_put_text(root, "purpose", a->purpose);
    json_put(root, "author", json_copy(json_find(a->root, "author")));
    if (json_find(a->root, "approvers"))
        json_put(root, "approvers", json_copy(json_find(a->root, "approvers")));
    json_put_text(root, "created", f->created);
    if (a->contamination_report)
        json_put_text(root, "contamination", "report");
    if (a->closed)
        json_put_text(root, "privacy", "closed");
    json_put_bool(root, "strict", a->strict);
    if (a->previous)
        json_put_text(root, "previous", a->previous);
}

static int measures_build(const struct plan *a, struct json *root, struct status *st)
{
    int rc = 0;
    const char **sorted = NULL;
    if (!a->has_measures)
        goto out;
    sorted = mem_calloc(a->measures_n, sizeof *sorted);
    if (!sorted)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    memcpy(sorted, a->measures, a->measures_n * sizeof *sorted);
    qsort(sorted, a->measures_n, sizeof *sorted, text_order);
    json_put(root, "measures", texts_of(sorted, a->measures_n));
out:
    mem_free(sorted);
    return rc;
}

int plan_build(const struct plan *audit, const struct plan_facts *facts, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object();
    struct str text = { 0 };
    struct plan check = { 0 };
    people_build(audit, facts, root);
    models_build(audit, facts, root);
    data_build(audit, facts, root);
    TRY(suites_build(audit, facts, root, st));
    TRY(groups_build(audit, root, st));
    TRY(measures_build(audit, root, st));
    TRY(numbers_build(audit, root, st));
    TRY(json_check(root, st));
    TRY(field_canonical(root, &text, st));
    TRY(plan_parse(text.data, text.size, &check, st));
    str_add(out, text.data, text.size);
    TRY(str_check(out, st));
out:
    plan_release(&check);
    str_release(&text);
    json_free(root);
    return rc;
}

int plan_probe_lines(const struct probe_set *set, const uint8_t salt_key[32], struct str *out,
                     struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < set->n; i++) {
        TRY(probe_line_write(set, i, salt_key, out, st));
        str_putc(out, '\n');
    }
    TRY(str_check(out, st));
out:
    return rc;
}
