/* Reading plan.json and audit files: one shape, walked by one set of functions. What an audit file lacks is
 * what the machine that plans can know: digests, sizes, counts, roots.
 */
#include "reports/plan.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"
#include "reports/fields.h"
#include "reports/plan_private.h"
#include "reports/trust.h"

#include <inttypes.h>
#include <string.h>

static const char *const data_roles[] = { "train", "dev", "replay", "kl", "reference", "prompts", NULL };
static const char *const data_forms[] = { "prompt", "messages", "text", NULL };
static const char *const suite_roles[] = { "task",  "retention", "ood",    "grammar",
                                           "facts", "critical",  "custom", NULL };

static int base_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const planned[] = { "name", "form", "sha256", NULL };
    static const char *const written[] = { "name", "path", NULL };
    static const char *const forms[] = { "file", "directory", NULL };
    static const char *const samples[] = { "samples", NULL };
    int rc = 0;
    const struct json *o;
    TRY(json_get(root, "base", JSON_OBJECT, &o, st));
    TRY(json_only(o, audit ? written : planned, st));
    if (audit) {
        TRY(field_text_maybe(o, "name", &p->base.name, st));
        TRY(json_get_text(o, "path", &p->base.path, st));
    } else {
        TRY(json_get_text(o, "name", &p->base.name, st));
        TRY(field_word(o, "form", p->imported ? samples : forms, &p->base.form, st));
        TRY(field_hash(o, "sha256", &p->base.sha256, st));
    }
out:
    if (rc != 0)
        status_prefix(st, "/base");
    return rc;
}

static int tuned_read(const struct json *root, struct plan *p, struct status *st)
{
    static const char *const keys[] = { "name", "path", NULL };
    int rc = 0;
    const struct json *o;
    if (!json_find(root, "tuned"))
        return 0;
    TRY(json_get(root, "tuned", JSON_OBJECT, &o, st));
    TRY(json_only(o, keys, st));
    TRY(field_text_maybe(o, "name", &p->tuned.name, st));
    TRY(json_get_text(o, "path", &p->tuned.path, st));
out:
    if (rc != 0)
        status_prefix(st, "/tuned");
    return rc;
}

static int author_read(const struct json *root, struct plan *p, struct status *st)
{
    static const char *const keys[] = { "name", "organisation", "contact", NULL };
    int rc = 0;
    const struct json *o;
    TRY(json_get(root, "author", JSON_OBJECT, &o, st));
    TRY(json_only(o, keys, st));
    TRY(json_get_text(o, "name", &p->author_name, st));
    TRY(field_text_maybe(o, "organisation", &p->author_organisation, st));
    TRY(field_text_maybe(o, "contact", &p->author_contact, st));
out:
    if (rc != 0)
        status_prefix(st, "/author");
    return rc;
}

static int approvers_read(const struct json *root, struct plan *p, struct status *st)
{
    static const char *const keys[] = { "role", "keyid", NULL };
    static const char *const roles[] = { "author", "validator", NULL };
    int rc = 0;
    size_t i = 0, n = 0;
    const struct json *list;
    if (!json_find(root, "approvers"))
        return 0;
    TRY(field_array(root, "approvers", TRUST_KEYS_MAX, &list, &n, st));
    p->approvers = mem_calloc(n, sizeof *p->approvers);
    if (!p->approvers)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (const struct json *o = json_first(list); o; o = json_next(o), i++) {
        struct plan_approver *a = &p->approvers[i];
        TRY(field_only(o, keys, st));
        TRY(field_word(o, "role", roles, &a->role, st));
        TRY(field_hash(o, "keyid", &a->id, st));
        TRY(json_get_text(o, "keyid", &a->keyid, st));
        for (size_t k = 0; k < i; k++)
            if (hash_equal(&p->approvers[k].id, &a->id))
                FAIL(st, RC_FORMAT, "the key of approver %zu again", k);
    }
    p->approvers_n = n;
out:
    if (rc != 0)
        status_prefix(st, "/approvers/%zu", i);
    return rc;
}

static int data_one(const struct json *o, struct plan_data *d, bool audit, struct status *st)
{
    static const char *const planned[] = { "name", "role", "form", "sha256", "size", NULL };
    static const char *const written[] = { "name", "role", "form", "path", NULL };
    int rc = 0;
    TRY(field_only(o, audit ? written : planned, st));
    TRY(field_word(o, "role", data_roles, &d->role, st));
    if (audit) {
        TRY(json_get_text(o, "path", &d->path, st));
        TRY(field_text_maybe(o, "name", &d->name, st));
        if (json_find(o, "form"))
            TRY(field_word(o, "form", data_forms, &d->form, st));
    } else {
        TRY(json_get_text(o, "name", &d->name, st));
        TRY(field_word(o, "form", data_forms, &d->form, st));
        TRY(field_hash(o, "sha256", &d->sha256, st));
        TRY(field_u64(o, "size", &d->size, st));
    }
out:
    return rc;
}

static int data_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    size_t i = 0, n = 0;
    const struct json *list;
    TRY(field_array(root, "data", PLAN_DATA_MAX, &list, &n, st));
    p->data = mem_calloc(n, sizeof *p->data);
    if (!p->data)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (const struct json *o = json_first(list); o; o = json_next(o), i++)
        TRY(data_one(o, &p->data[i], audit, st));
    p->data_n = n;
out:
    if (rc != 0)
        status_prefix(st, "/data/%zu", i);
    return rc;
}

int plan_read_use(const struct json *o, enum eval_use *use, const char **limit, double *value,
                  struct status *st)
{
    int rc = 0;
    const char *text, *key;
    TRY(json_get_text(o, "use", &text, st));
    if (!eval_use_find(text, use))
        FAIL(st, RC_FORMAT, "key 'use': '%.40s' is none of gate, task, report, critical", text);
    key = *use == USE_gate ? "margin" : *use == USE_task ? "gain" : NULL;
    if (json_find(o, "margin") && *use != USE_gate)
        FAIL(st, RC_FORMAT, "key 'margin' with use '%s': only a gate has one", text);
    if (json_find(o, "gain") && *use != USE_task)
        FAIL(st, RC_FORMAT, "key 'gain' with use '%s': only a task has one", text);
    if (key) {
        TRY(json_get_decimal(o, key, limit, value, st));
        if (**limit == '-')
            FAIL(st, RC_FORMAT, "key '%s': %s is below 0", key, *limit);
    }
out:
    return rc;
}

/* Words of a suite that a plan must give and an audit file may. */
static int suite_words(const struct json *o, struct plan_suite *s, bool audit, struct status *st)
{
    int rc = 0;
    enum probe_kind kind;
    enum probe_metric metric;
    const struct {
        const char *key, **to;
    } texts[] = { { "id", &s->id },           { "version", &s->version }, { "title", &s->title },
                  { "licence", &s->licence }, { "source", &s->source },   { "kind", &s->kind },
                  { "metric", &s->metric } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (audit)
            TRY(field_text_maybe(o, texts[i].key, texts[i].to, st));
        else
            TRY(json_get_text(o, texts[i].key, texts[i].to, st));
    if (!audit || json_find(o, "role"))
        TRY(field_word(o, "role", suite_roles, &s->role, st));
    if (s->id && !probe_suite_id_valid(s->id))
        FAIL(st, RC_FORMAT, "key 'id': '%.60s' is not 1 to 40 of a-z 0-9 _ -", s->id);
    if (s->kind && !probe_kind_find(s->kind, &kind))
        FAIL(st, RC_FORMAT, "key 'kind': '%.40s' is no kind of probe", s->kind);
    if (s->metric && !probe_metric_find(s->metric, &metric))
        FAIL(st, RC_FORMAT, "key 'metric': '%.40s' is no metric", s->metric);
    if (s->kind && s->metric && !probe_kind_has_metric(kind, metric))
        FAIL(st, RC_FORMAT, "key 'metric': kind '%s' has no '%s'", s->kind, s->metric);
    if (s->use == USE_critical && s->kind && !probe_kind_ops(kind)->accuracy)
        FAIL(st, RC_FORMAT, "key 'use': kind '%s' has no right or wrong, so it cannot be critical", s->kind);
out:
    return rc;
}

static int suite_read(const struct json *o, struct plan_suite *s, bool audit, struct status *st)
{
    static const char *const planned[] = { "id",     "version", "title",    "licence", "source", "sha256",
                                           "size",   "items",   "clusters", "root",    "kind",   "role",
                                           "metric", "use",     "margin",   "gain",    NULL };
    static const char *const written[] = { "id",     "version", "title",  "licence", "source", "kind", "role",
                                           "metric", "use",     "margin", "gain",    "path",   NULL };
    int rc = 0;
    TRY(field_only(o, audit ? written : planned, st));
    TRY(plan_read_use(o, &s->use, &s->limit, &s->limit_value, st));
    TRY(suite_words(o, s, audit, st));
    if (audit) {
        TRY(json_get_text(o, "path", &s->path, st));
    } else {
        TRY(field_hash(o, "sha256", &s->sha256, st));
        TRY(field_hash(o, "root", &s->root, st));
        TRY(field_u64(o, "size", &s->size, st));
        TRY(field_u64(o, "items", &s->items, st));
        TRY(field_u64(o, "clusters", &s->clusters, st));
        if (s->items == 0 || s->clusters == 0 || s->clusters > s->items || s->items > PROBE_ITEMS_MAX)
            FAIL(st, RC_FORMAT, "%" PRIu64 " items in %" PRIu64 " clusters", s->items, s->clusters);
    }
out:
    return rc;
}

static int suites_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    size_t i = 0, n = 0;
    const struct json *list;
    TRY(field_array(root, "suites", PLAN_SUITES_MAX, &list, &n, st));
    p->suites = mem_calloc(n, sizeof *p->suites);
    if (!p->suites)
        FAIL(st, RC_NOMEM, "no memory for a plan");
    for (const struct json *o = json_first(list); o; o = json_next(o), i++) {
        TRY(suite_read(o, &p->suites[i], audit, st));
        if (!audit && i > 0 && strcmp(p->suites[i - 1].id, p->suites[i].id) >= 0)
            FAIL(st, RC_FORMAT, "suite '%s' after '%s': wanted in order of id, each once", p->suites[i].id,
                 p->suites[i - 1].id);
    }
    p->suites_n = n;
out:
    if (rc != 0)
        status_prefix(st, "/suites/%zu", i);
    return rc;
}

/* A tuned model that was made elsewhere needs no recipe; everything else says its seed. */
static int method_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    int rc = 0;
    const char *name;
    int64_t seed;
    struct str text = { 0 };
    if (audit && !json_find(root, "method") && p->tuned.path)
        return 0;
    TRY(json_get(root, "method", JSON_OBJECT, &p->method, st));
    TRY(json_get_text(p->method, "name", &name, st));
    if (!(audit && strcmp(name, "given") == 0))
        TRY(json_get_int(p->method, "seed", 0, JSON_INT_MAX, &seed, st));
    TRY(field_canonical(p->method, &text, st)); /* refuses fractions and null */
out:
    if (rc != 0)
        status_prefix(st, "/method");
    str_release(&text);
    return rc;
}

/* Everything that measured scores need and imported ones must not have. */
static int measured_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const absent[] = { "tokenizer", "data",     "method",        "scoring",
                                          "ledger",    "template", "contamination", NULL };
    int rc = 0;
    if (p->imported) {
        for (size_t i = 0; absent[i]; i++)
            if (json_find(root, absent[i]))
                FAIL(st, RC_FORMAT, "key '%s': a plan for imported scores has none", absent[i]);
        goto out;
    }
    if (audit) {
        TRY(tuned_read(root, p, st));
    } else {
        TRY(field_digest(root, "tokenizer", &p->has_tokenizer, &p->tokenizer, st));
        if (!p->has_tokenizer)
            FAIL(st, RC_FORMAT, "key 'tokenizer' is missing");
        TRY(field_digest(root, "template", &p->has_template, &p->template_text, st));
    }
    TRY(method_read(root, p, audit, st));
    if (!(audit && p->tuned.path && !json_find(root, "data")))
        TRY(data_read(root, p, audit, st));
out:
    return rc;
}

static int words_read(const struct json *root, struct plan *p, bool audit, struct status *st)
{
    static const char *const report[] = { "report", NULL };
    static const char *const privacy[] = { "open", "closed", NULL };
    int rc = 0;
    const char *word;
    const struct json *strict;
    struct hash previous;
    TRY(json_get_text(root, "title", &p->title, st));
    TRY(json_get_text(root, "purpose", &p->purpose, st));
    if (!audit) {
        TRY(json_get_text(root, "created", &p->created, st));
        if (!time_is_valid(p->created) || strlen(p->created) != strlen("2026-11-24T12:10:00Z"))
            FAIL(st, RC_FORMAT, "key 'created': '%.40s' is no time in whole seconds of UTC", p->created);
    }
    if (json_find(root, "contamination")) {
        TRY(field_word(root, "contamination", report, &word, st));
        p->contamination_report = true;
    }
    if (json_find(root, "privacy")) {
        TRY(field_word(root, "privacy", privacy, &word, st));
        p->closed = strcmp(word, "closed") == 0;
    }
    p->strict = true;
    if (!audit || json_find(root, "strict")) {
        TRY(json_get(root, "strict", JSON_BOOL, &strict, st));
        p->strict = json_bool(strict);
    }
    if (json_find(root, "previous")) {
        TRY(field_hash(root, "previous", &previous, st));
        TRY(json_get_text(root, "previous", &p->previous, st));
    }
out:
    return rc;
}

static int plan_fill(struct plan *p, bool audit, struct status *st)
{
    static const char *const planned[] = {
        "lethe_plan", "mode",     "title",  "purpose",       "author",  "approvers", "created",  "base",
        "tokenizer",  "template", "data",   "method",        "scoring", "suites",    "groups",   "measures",
        "statistics", "zero",     "ledger", "contamination", "privacy", "strict",    "previous", NULL
    };
    static const char *const written[] = {
        "lethe_audit", "title",  "purpose",       "author",  "approvers", "base",     "tuned",
        "data",        "method", "scoring",       "suites",  "groups",    "measures", "statistics",
        "zero",        "ledger", "contamination", "privacy", "strict",    "previous", NULL
    };
    static const char *const modes[] = { "imported", NULL };
    int rc = 0;
    const char *mode;
    TRY(field_only(p->root, audit ? written : planned, st));
    TRY(field_version(p->root, audit ? "lethe_audit" : "lethe_plan", st));
    if (json_find(p->root, "mode")) {
        TRY(field_word(p->root, "mode", modes, &mode, st));
        p->imported = true;
    }
    TRY(words_read(p->root, p, audit, st));
    TRY(author_read(p->root, p, st));
    TRY(approvers_read(p->root, p, st));
    TRY(base_read(p->root, p, audit, st));
    TRY(measured_read(p->root, p, audit, st));
    TRY(suites_read(p->root, p, audit, st));
    TRY(plan_read_numbers(p->root, p, audit, st));
    TRY(plan_read_groups(p->root, p, audit, st));
    TRY(plan_read_measures(p->root, p, audit, st));
    TRY(plan_check(p, audit, st));
out:
    return rc;
}

int plan_parse(const char *data, size_t size, struct plan *out, struct status *st)
{
    int rc = 0;
    struct plan p = { 0 };
    TRY(json_parse_canonical(data, size, &p.root, st));
    TRY(plan_fill(&p, false, st));
    *out = p;
    p = (struct plan){ 0 };
out:
    plan_release(&p);
    return rc;
}

int audit_file_parse(const char *data, size_t size, struct plan *out, struct status *st)
{
    int rc = 0;
    struct plan p = { 0 };
    TRY(json_parse(data, size, &p.root, st));
    TRY(plan_fill(&p, true, st));
    *out = p;
    p = (struct plan){ 0 };
out:
    plan_release(&p);
    return rc;
}

void plan_release(struct plan *p)
{
    for (size_t i = 0; i < p->groups_n; i++) {
        mem_free(p->groups[i].members);
        mem_free(p->groups[i].member_suites);
    }
    mem_free(p->groups);
    mem_free(p->suites);
    mem_free(p->data);
    mem_free(p->measures);
    mem_free(p->approvers);
    json_free(p->root);
    *p = (struct plan){ 0 };
}

const struct plan_suite *plan_find_suite(const struct plan *p, const char *id)
{
    for (size_t i = 0; i < p->suites_n; i++)
        if (p->suites[i].id && strcmp(p->suites[i].id, id) == 0)
            return &p->suites[i];
    return NULL;
}

bool plan_trains(const struct plan *p)
{
    return p->method && strcmp(json_text(json_find(p->method, "name")), "given") != 0;
}

size_t plan_claims(const struct plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->suites_n; i++)
        n += p->suites[i].use == USE_gate || p->suites[i].use == USE_task;
    return n + p->groups_n;
}
