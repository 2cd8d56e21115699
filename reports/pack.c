/* From a run folder to an archive: members are gathered in memory, numbers and reports computed from them,
 * and what was written is verified once before it gets its name.
 */
#include "reports/pack.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/documents.h"
#include "reports/dsse.h"
#include "reports/evidence.h"
#include "reports/lines.h"
#include "reports/report_private.h"
#include "reports/run.h"
#include "reports/verify.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct packing {
    const char *run;
    const struct pack_options *options;
    struct container members;
    struct plan plan;
    struct hash plan_hash;
    struct doc_config config;
    struct doc_environment environment;
    struct doc_models models;
    struct doc_events events;
    const char *preregistration;
    struct evidence evidence;
    struct evidence_numbers numbers;
};

static void packing_release(struct packing *p)
{
    container_release(&p->members);
    evidence_numbers_release(&p->numbers);
    evidence_close(&p->evidence);
    plan_release(&p->plan);
    doc_config_release(&p->config);
    doc_environment_release(&p->environment);
    doc_models_release(&p->models);
    doc_events_release(&p->events);
}

/* ---- what the run folder holds ---- */

enum absent { ABSENT_ERROR, ABSENT_EMPTY, ABSENT_SKIP };

static int member_read(struct packing *p, const char *name, enum absent absent, struct status *st)
{
    int rc = 0;
    struct str data = { 0 };
    if (!run_has(p->run, name)) {
        if (absent == ABSENT_SKIP)
            goto out;
        if (absent == ABSENT_ERROR)
            FAIL(st, RC_IO, "%s: no %s in this run folder", p->run, name);
    } else {
        TRY(run_read(p->run, name, &data, st));
    }
    TRY(members_add(&p->members, name, &data, st));
out:
    str_release(&data);
    return rc;
}

static struct bytes doc(const struct packing *p, const char *name)
{
    const struct container_member *m = members_find((struct container *)&p->members, name);
    return m ? (struct bytes){ str_text(&m->data), m->data.size } : (struct bytes){ 0 };
}

static int documents_read(struct packing *p, struct status *st)
{
    static const char *const always[] = { "plan.json",     "run/config.json", "run/environment.json",
                                          "run/data.json", "run/models.json", "run/events.jsonl" };
    int rc = 0;
    const char *name = NULL;
    struct bytes b;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        TRY(member_read(p, always[i], ABSENT_ERROR, st));
    TRY(member_read(p, "plan.dsse.json", ABSENT_SKIP, st));
    TRY(member_read(p, "plan.tsr", ABSENT_SKIP, st));
    b = doc(p, name = "plan.json");
    TRY(plan_parse(b.data, b.size, &p->plan, st));
    p->plan_hash = sha256_of(b.data, b.size);
    b = doc(p, name = "run/config.json");
    TRY(doc_config_parse(b.data, b.size, &p->config, st));
    b = doc(p, name = "run/environment.json");
    TRY(doc_environment_parse(b.data, b.size, &p->environment, st));
    b = doc(p, name = "run/models.json");
    TRY(doc_models_parse(b.data, b.size, &p->models, st));
    b = doc(p, name = "run/events.jsonl");
    TRY(doc_events_parse(b.data, b.size, &p->events, st));
    name = NULL;
    p->preregistration = !doc(p, "plan.dsse.json").data ? "none"
                         : doc(p, "plan.tsr").data      ? "stamped"
                                                        : "signed";
out:
    if (rc != 0 && name)
        status_prefix(st, "%s: %s", p->run, name);
    return rc == RC_VERIFY ? RC_FORMAT : rc; /* a run folder is no claim that could be false */
}

static int suite_read(struct packing *p, const struct plan_suite *s, struct status *st)
{
    int rc = 0;
    struct str name = { 0 };
    for (enum member m = 0; m < MEMBER_COUNT; m++) {
        const struct member_rule *rule = member_rule(m);
        bool exact = strcmp(s->kind, "exact") == 0;
        enum absent absent = rule->need == NEED_MEASURED && p->plan.imported ? ABSENT_SKIP : ABSENT_EMPTY;
        if (m == MEMBER_ITEMS_DELTA)
            absent = ABSENT_SKIP;
        else if (m == MEMBER_PROBES)
            absent = ABSENT_ERROR;
        else if (m == MEMBER_OUTPUTS_ZERO && p->plan.imported)
            absent = ABSENT_SKIP;
        if (!strstr(rule->pattern, "<suite>") || (rule->need == NEED_EXACT && !exact))
            continue;
        str_clear(&name);
        member_write_name(m, s->id, &name);
        TRY(str_check(&name, st));
        TRY(member_read(p, str_text(&name), absent, st));
    }
out:
    str_release(&name);
    return rc;
}

static int rows_read(struct packing *p, struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < p->plan.suites_n; i++)
        TRY(suite_read(p, &p->plan.suites[i], st));
    TRY(member_read(p, "evidence/tokens.jsonl", ABSENT_EMPTY, st));
    TRY(member_read(p, "evidence/conflicts.jsonl", ABSENT_EMPTY, st));
    if (plan_trains(&p->plan))
        TRY(member_read(p, "run/supervision.jsonl", ABSENT_ERROR, st));
    TRY(evidence_open(p->plan.root, false, &p->evidence, st));
    for (size_t i = 0; i < p->members.n; i++) {
        const struct container_member *m = &p->members.members[i];
        struct member_name id;
        if (member_find(m->name, &id) && member_rule(id.member)->tree)
            TRY(evidence_add(&p->evidence, &id, (struct bytes){ str_text(&m->data), m->data.size }, NULL,
                             st));
    }
out:
    return rc;
}

/* ---- what is computed ---- */

static int numbers_make(struct packing *p, struct status *st)
{
    int rc = 0;
    struct str copy = { 0 };
    struct json *conditions = json_array();
    const char *outcome = json_text(json_find(p->events.events[p->events.n - 1].root, "outcome"));
    for (size_t i = 0; p->options && i < p->options->conditions_n; i++)
        json_push(conditions, json_of_text(p->options->conditions[i]));
    TRY(json_check(conditions, st));
    const struct evidence_facts facts = {
        .plan = p->plan.root,
        .config = p->config.root,
        .plan_hash = p->plan_hash,
        .preregistration = p->preregistration,
        .conditions = conditions,
        .complete = strcmp(outcome, "complete") == 0,
    };
    TRY(evidence_compute(&p->evidence, &facts, &p->numbers, st));
    str_add(&copy, p->numbers.metrics_text.data, p->numbers.metrics_text.size);
    TRY(str_check(&copy, st));
    TRY(members_add(&p->members, "metrics.json", &copy, st));
    str_add(&copy, p->numbers.verdict_text.data, p->numbers.verdict_text.size);
    TRY(str_check(&copy, st));
    TRY(members_add(&p->members, "verdict.json", &copy, st));
    members_sort(&p->members);
out:
    str_release(&copy);
    json_free(conditions);
    return rc == RC_VERIFY ? RC_FORMAT : rc;
}

static int reports_make(struct packing *p, struct status *st)
{
    int rc = 0;
    struct report *report = NULL;
    struct str html = { 0 }, md = { 0 };
    TRY(report_of_members(&p->members, &report, st));
    TRY(report_html(report, false, &html, st));
    TRY(report_md(report, &md, st));
    TRY(members_add(&p->members, "report/report.html", &html, st));
    TRY(members_add(&p->members, "report/report.md", &md, st));
    members_sort(&p->members);
out:
    report_close(report);
    str_release(&html);
    str_release(&md);
    return rc;
}

static int manifest_make(struct packing *p, struct hash *digest, struct status *st)
{
    int rc = 0;
    struct manifest manifest = { 0 };
    struct str text = { 0 };
    for (size_t i = 0; i < p->members.n; i++) {
        const struct container_member *m = &p->members.members[i];
        struct member_name id;
        struct member_digest d;
        if (!member_find(m->name, &id))
            FAIL(st, RC_ARG, "'%s' is no member of an archive", m->name);
        TRY(member_digest((struct bytes){ str_text(&m->data), m->data.size }, member_rule(id.member)->tree,
                          &d, st));
        TRY(manifest_add(&manifest, m->name, &d, st));
    }
    TRY(manifest_write(&manifest, &text, st));
    TRY(str_check(&text, st));
    *digest = sha256_of(text.data, text.size);
    TRY(members_add(&p->members, "manifest.json", &text, st));
out:
    manifest_release(&manifest);
    str_release(&text);
    return rc;
}

static void statement_fill(const struct packing *p, struct statement *s)
{
    s->imported = p->plan.imported;
    s->base = p->models.base.sha256;
    s->tuned = p->models.tuned.sha256;
    s->assurance = p->options && p->options->independent ? "independent" : "self-attested";
    s->started = p->events.events[0].t;
    s->finished = p->events.events[p->events.n - 1].t;
    s->plan = p->plan_hash;
    s->metrics = sha256_of(p->numbers.metrics_text.data, p->numbers.metrics_text.size);
    s->verdict = sha256_of(p->numbers.verdict_text.data, p->numbers.verdict_text.size);
    s->outcome = eval_outcome_name(p->numbers.outcome);
    s->tool_name = p->environment.tool.name;
    s->tool_version = p->environment.tool.version;
    s->tool_commit = p->environment.tool.commit;
    s->tuned_form = p->models.tuned.form;
    s->tuned_kind = p->models.tuned.kind ? p->models.tuned.kind : "unknown";
    s->previous = p->plan.previous;
}

static int statement_make(struct packing *p, struct pack_result *result, struct status *st)
{
    int rc = 0;
    struct statement s = { 0 };
    struct dsse envelope = { 0 };
    struct str text = { 0 }, dsse = { 0 };
    TRY(manifest_make(p, &s.manifest, st));
    statement_fill(p, &s);
    TRY(statement_write(&s, &text, st));
    TRY(dsse_init(DSSE_TYPE_STATEMENT, (struct bytes){ text.data, text.size }, &envelope, st));
    for (size_t i = 0; p->options && i < p->options->keys_n; i++)
        TRY(dsse_sign(&envelope, p->options->keys[i], st));
    TRY(dsse_write(&envelope, &dsse, st));
    result->manifest = s.manifest;
    result->statement = sha256_of(text.data, text.size);
    TRY(members_add(&p->members, "statement.json", &text, st));
    TRY(members_add(&p->members, "dsse.json", &dsse, st));
    members_sort(&p->members);
out:
    dsse_release(&envelope);
    str_release(&text);
    str_release(&dsse);
    return rc;
}

/* Closed privacy: the texts of items, outputs, tokens and training data do not leave the run folder. */
static int close_lines(struct packing *p, struct status *st)
{
    int rc = 0;
    struct line_marks marks = { 0 };
    for (size_t i = 0; p->plan.closed && i < p->members.n; i++) {
        struct member_name id;
        if (!member_find(p->members.members[i].name, &id) || id.member < MEMBER_PROBES ||
            !member_rule(id.member)->tree ||
            (id.member >= MEMBER_ITEMS_BASE && id.member <= MEMBER_ITEMS_DELTA))
            continue;
        TRY(line_marks_open(&p->members.members[i], &marks, st));
        for (size_t k = 0; k < marks.n; k++)
            marks.gone[k] = true;
        TRY(line_marks_apply(&marks, st));
        line_marks_close(&marks);
    }
out:
    line_marks_close(&marks);
    return rc;
}

/* What anybody would find wrong with the archive is found here first. */
static int self_check(const char *path, struct status *st)
{
    int rc = 0;
    struct verify_result r;
    verify_archive(path, NULL, &r);
    if (r.exit == 1 || r.exit == 2)
        rc = status_fail(st, RC_FORMAT, "the run does not fit together: %.*s", (int)(r.last.size - 1),
                         str_text(&r.last));
    verify_result_release(&r);
    return rc;
}

static int archive_write(struct packing *p, const char *out_path, struct status *st)
{
    int rc = 0;
    struct str draft = { 0 };
    str_printf(&draft, "%s.draft", out_path);
    TRY(str_check(&draft, st));
    TRY(members_write(&p->members, draft.data, st));
    TRY(self_check(draft.data, st));
    if (rename(draft.data, out_path) != 0)
        FAIL(st, RC_IO, "%s: cannot be written", out_path);
out:
    if (rc != 0 && draft.data)
        unlink(draft.data);
    str_release(&draft);
    return rc;
}

static int compute(struct packing *p, struct pack_result *result, struct status *st)
{
    int rc = 0;
    TRY(documents_read(p, st));
    TRY(rows_read(p, st));
    TRY(numbers_make(p, st));
    TRY(reports_make(p, st));
    snprintf(result->outcome, sizeof result->outcome, "%s", eval_outcome_name(p->numbers.outcome));
    result->imported = p->plan.imported;
    result->exit = evidence_exit(p->numbers.outcome);
out:
    return rc;
}

int pack_run(const char *run, const char *out_path, const struct pack_options *o, struct pack_result *result,
             struct status *st)
{
    int rc = 0;
    struct packing p = { .run = run, .options = o };
    struct pack_result r = { 0 };
    TRY(compute(&p, &r, st));
    TRY(statement_make(&p, &r, st));
    TRY(close_lines(&p, st));
    TRY(archive_write(&p, out_path, st));
    if (result)
        *result = r;
out:
    packing_release(&p);
    return rc;
}

static void text_take(struct packing *p, const char *name, struct str *out)
{
    struct bytes b = doc(p, name);
    str_add(out, b.data, b.size);
}

int pack_compute(const char *run, const struct pack_options *o, struct pack_texts *out,
                 struct pack_result *result, struct status *st)
{
    int rc = 0;
    struct packing p = { .run = run, .options = o };
    struct pack_result r = { 0 };
    struct pack_texts t = { 0 };
    struct report *report = NULL;
    const struct report_terminal how = { .texts = true, .worst = 10 };
    TRY(compute(&p, &r, st));
    text_take(&p, "metrics.json", &t.metrics);
    text_take(&p, "verdict.json", &t.verdict);
    text_take(&p, "report/report.html", &t.html);
    text_take(&p, "report/report.md", &t.md);
    TRY(report_of_members(&p.members, &report, st));
    TRY(report_terminal(report, &how, &t.terminal, st));
    if (out) {
        *out = t;
        t = (struct pack_texts){ 0 };
    }
    if (result)
        *result = r;
out:
    report_close(report);
    pack_texts_release(&t);
    packing_release(&p);
    return rc;
}

void pack_texts_release(struct pack_texts *t)
{
    str_release(&t->metrics);
    str_release(&t->verdict);
    str_release(&t->html);
    str_release(&t->md);
    str_release(&t->terminal);
}
