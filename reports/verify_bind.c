/* Documents, and what they say of each other. */
#include "reports/verify_private.h"

#include "base/utf8.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

/* ---- step 7: documents ---- */

static int metrics_read(struct verification *v, struct status *st)
{
    int rc = 0;
    struct bytes b = verify_doc(v, "metrics.json");
    TRY(json_parse_canonical(b.data, b.size, &v->metrics, st));
    TRY(field_version(v->metrics, "lethe_metrics", st));
out:
    if (rc != 0)
        status_prefix(st, "metrics.json");
    return rc;
}

static int verdict_read(struct verification *v, struct status *st)
{
    static const char *const keys[] = { "lethe_verdict",   "plan",       "metrics",
                                        "outcome",         "reasons",    "suites",
                                        "groups",          "deviations", "conditions",
                                        "preregistration", "basis",      NULL };
    static const char *const outcomes[] = { "PASS", "FAIL", "INCONCLUSIVE", "INVALID", NULL };
    static const char *const registrations[] = { "none", "signed", "stamped", NULL };
    int rc = 0;
    const struct json *list;
    struct bytes b = verify_doc(v, "verdict.json");
    TRY(json_parse_canonical(b.data, b.size, &v->verdict, st));
    TRY(field_only(v->verdict, keys, st));
    TRY(field_version(v->verdict, "lethe_verdict", st));
    TRY(field_word(v->verdict, "outcome", outcomes, &v->outcome, st));
    TRY(field_word(v->verdict, "preregistration", registrations, &v->preregistration, st));
    TRY(json_get(v->verdict, "deviations", JSON_ARRAY, &list, st));
    TRY(json_get(v->verdict, "conditions", JSON_ARRAY, &list, st));
    for (const struct json *c = json_first(list); c; c = json_next(c))
        if (!json_text(c))
            FAIL(st, RC_FORMAT, "key 'conditions': an element is no string");
out:
    if (rc != 0)
        status_prefix(st, "verdict.json");
    return rc;
}

/* A parser that can find something false: that is recorded, and the document is missing afterwards. */
#define PARSE(v, name, call, st)                                                                             \
    do {                                                                                                     \
        struct bytes b = verify_doc(v, name);                                                                \
        struct status said = { 0 };                                                                          \
        int parsed = call;                                                                                   \
        status_prefix(&said, "%s", name);                                                                    \
        TRY(verify_claim(v, parsed, &said, st));                                                             \
    } while (0)

static bool suite_needs(const struct verification *v, const struct plan_suite *s, enum member_need need)
{
    return need == NEED_SUITE || (need == NEED_MEASURED && !v->plan.imported) ||
           (need == NEED_EXACT && strcmp(s->kind, "exact") == 0);
}

/* Members that the plan asks for, and none of a suite that it does not have. */
static int members_check(const struct verification *v, struct status *st)
{
    int rc = 0;
    struct str name = { 0 };
    for (size_t i = 0; i < v->plan.suites_n; i++)
        for (enum member m = 0; m < MEMBER_COUNT; m++) {
            if (!suite_needs(v, &v->plan.suites[i], member_rule(m)->need))
                continue;
            if (m == MEMBER_OUTPUTS_ZERO && v->plan.imported)
                continue;
            str_clear(&name);
            member_write_name(m, v->plan.suites[i].id, &name);
            if (!verify_member(v, str_text(&name)))
                FAIL(st, RC_FORMAT, "%s is missing", str_text(&name));
        }
    if (plan_trains(&v->plan) != (verify_member(v, "run/supervision.jsonl") != NULL))
        FAIL(st, RC_FORMAT, "run/supervision.jsonl is %s",
             plan_trains(&v->plan) ? "missing" : "there, and nothing was trained here");
    for (size_t i = 0; i < v->members_n; i++) {
        const struct seen_member *m = &v->members[i];
        if (m->id.suite[0] && m->id.member != MEMBER_APPROVAL && !plan_find_suite(&v->plan, m->id.suite))
            FAIL(st, RC_FORMAT, "%s: no such suite in the plan", m->name);
    }
out:
    str_release(&name);
    return rc;
}

int verify_documents(struct verification *v, struct status *st)
{
    int rc = 0;
    PARSE(v, "plan.json", plan_parse(b.data, b.size, &v->plan, &said), st);
    v->plan_hash = verify_member(v, "plan.json")->digest.sha256;
    PARSE(v, "run/config.json", doc_config_parse(b.data, b.size, &v->config, &said), st);
    PARSE(v, "run/environment.json", doc_environment_parse(b.data, b.size, &v->environment, &said), st);
    PARSE(v, "run/data.json", doc_data_parse(b.data, b.size, &v->data, &said), st);
    PARSE(v, "run/models.json", doc_models_parse(b.data, b.size, &v->models, &said), st);
    PARSE(v, "run/events.jsonl", doc_events_parse(b.data, b.size, &v->events, &said), st);
    TRY(metrics_read(v, st));
    TRY(verdict_read(v, st));
    TRY(members_check(v, st));
    v->unicode_differs = strcmp(v->environment.unicode, utf8_unicode_version()) != 0;
out:
    return rc;
}

/* ---- step 8 ---- */

static int same_hash(struct verification *v, const char *what, const struct hash *there,
                     const struct hash *wanted, struct status *st)
{
    if (hash_equal(there, wanted))
        return 0;
    return verify_false(v, st, "%s: %.16s…, wanted %.16s…", what, hash_hex(there).s, hash_hex(wanted).s);
}

static int text_hash(struct verification *v, const char *what, const struct json *o, const char *key,
                     const struct hash *wanted, struct status *st)
{
    struct status said = { 0 };
    struct hash h;
    int rc = field_hash(o, key, &h, &said);
    if (rc != 0)
        return status_fail(st, rc, "%s: %s", what, said.msg);
    return same_hash(v, what, &h, wanted, st);
}

static int digests_bind(struct verification *v, struct status *st)
{
    int rc = 0;
    const struct statement *s = &v->statement;
    const struct hash metrics = verify_member(v, "metrics.json")->digest.sha256;
    const struct hash verdict = verify_member(v, "verdict.json")->digest.sha256;
    TRY(same_hash(v, "statement.json: plan", &s->plan, &v->plan_hash, st));
    TRY(same_hash(v, "run/config.json: plan", &v->config.plan, &v->plan_hash, st));
    TRY(text_hash(v, "verdict.json: plan", v->verdict, "plan", &v->plan_hash, st));
    if (v->events.n > 0)
        TRY(text_hash(v, "run/events.jsonl: plan of the first event", v->events.events[0].root, "plan",
                      &v->plan_hash, st));
    TRY(same_hash(v, "statement.json: metrics", &s->metrics, &metrics, st));
    TRY(text_hash(v, "verdict.json: metrics", v->verdict, "metrics", &metrics, st));
    TRY(same_hash(v, "statement.json: verdict", &s->verdict, &verdict, st));
    if (strcmp(s->outcome, v->outcome) != 0)
        TRY(verify_false(v, st, "statement.json: outcome %s, verdict.json says %s", s->outcome, v->outcome));
    const char *previous = v->plan.previous ? v->plan.previous : "", *said = s->previous ? s->previous : "";
    if (strcmp(previous, said) != 0)
        TRY(verify_false(v, st, "statement.json: previous is not the plan's"));
out:
    return rc;
}

static int models_bind(struct verification *v, struct status *st)
{
    int rc = 0;
    const struct statement *s = &v->statement;
    struct hash base;
    if (!v->models.root)
        goto out; /* found false already */
    TRY(same_hash(v, "run/models.json: base", &v->models.base.sha256, &s->base, st));
    TRY(same_hash(v, "run/models.json: tuned", &v->models.tuned.sha256, &s->tuned, st));
    TRY(field_hash(v->config.base, "sha256", &base, st));
    TRY(same_hash(v, "run/config.json: base", &base, &s->base, st));
    if (strcmp(v->models.tuned.form, s->tuned_form) != 0)
        TRY(verify_false(v, st, "statement.json: the tuned model is a %s, run/models.json says %s",
                         s->tuned_form, v->models.tuned.form));
    if (v->models.tuned.kind && strcmp(v->models.tuned.kind, s->tuned_kind) != 0)
        TRY(verify_false(v, st, "statement.json: the tuned model is '%s', run/models.json says '%s'",
                         s->tuned_kind, v->models.tuned.kind));
    const char *basis = json_text(json_find(v->verdict, "basis"));
    bool said[] = { basis && strcmp(basis, "imported") == 0, s->imported,
                    strcmp(v->models.base.form, "samples") == 0,
                    strcmp(v->models.tuned.form, "samples") == 0 };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (said[i] != v->plan.imported) {
            TRY(verify_false(v, st,
                             "plan, verdict, subjects and models disagree whether scores were imported"));
            break;
        }
out:
    return rc;
}

static int events_bind(struct verification *v, struct status *st)
{
    int rc = 0;
    const struct doc_events *e = &v->events;
    if (e->n == 0)
        goto out; /* found false already */
    if (strcmp(e->events[0].t, v->statement.started) != 0 ||
        strcmp(e->events[e->n - 1].t, v->statement.finished) != 0)
        TRY(verify_false(
            v, st, "statement.json: started and finished are not the times of the first and last event"));
out:
    return rc;
}

static int suites_bind(struct verification *v, struct status *st)
{
    int rc = 0;
    struct str name = { 0 };
    for (size_t i = 0; i < v->plan.suites_n; i++) {
        const struct plan_suite *s = &v->plan.suites[i];
        str_clear(&name);
        member_write_name(MEMBER_PROBES, s->id, &name);
        const struct seen_member *m = verify_member(v, str_text(&name));
        if (m->digest.leaves != s->items)
            TRY(verify_false(v, st, "%s: %" PRIu64 " items, the plan says %" PRIu64, m->name,
                             m->digest.leaves, s->items));
        else
            TRY(same_hash(v, m->name, &m->digest.root, &s->root, st));
    }
out:
    str_release(&name);
    return rc;
}

/* The plan's own envelope, judged as the archive's, and what of it the verdict claims. */
static int plan_bind(struct verification *v, struct status *st)
{
    int rc = 0;
    struct dsse e = { 0 };
    struct dsse_judged judged[DSSE_SIGNATURES_MAX];
    struct bytes plan = verify_doc(v, "plan.json"), file = verify_doc(v, "plan.dsse.json");
    const char *holds = "none";
    if (file.data) {
        TRY(dsse_parse(file, DSSE_TYPE_PLAN, &e, st));
        if (e.payload.size != plan.size || memcmp(str_text(&e.payload), plan.data, plan.size) != 0)
            TRY(verify_false(v, st, "plan.dsse.json: the payload is not plan.json"));
        TRY(dsse_judge(&e, v->has_trust ? &v->trust : NULL, judged, st));
        for (size_t i = 0; i < e.n; i++)
            if (judged[i].state == DSSE_FALSE)
                TRY(verify_false(v, st, "plan.dsse.json: the signature under keyid %.16s is false",
                                 e.signatures[i].keyid));
            else if (judged[i].state == DSSE_UNKNOWN)
                TRY(text_list_add(&v->notes, st, "plan.dsse.json: signature under keyid %.16s not checked",
                                  e.signatures[i].keyid));
        v->plan_signed = verify_by_author(&e, judged);
        if (e.n > 0)
            holds = verify_member(v, "plan.tsr") ? "stamped" : "signed";
    }
    if (strcmp(holds, v->preregistration) != 0)
        TRY(verify_false(v, st, "verdict.json: preregistration '%s', the archive holds '%s'",
                         v->preregistration, holds));
out:
    if (rc != 0)
        status_prefix(st, "plan.dsse.json");
    dsse_release(&e);
    return rc;
}

int verify_bindings(struct verification *v, struct status *st)
{
    int rc = 0;
    TRY(digests_bind(v, st));
    TRY(models_bind(v, st));
    TRY(events_bind(v, st));
    TRY(suites_bind(v, st));
    TRY(plan_bind(v, st));
out:
    return rc;
}
