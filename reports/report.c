/* What pages are made of: members parsed once, and which items changed sides. */
#include "reports/report_private.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes doc(const struct report *r, const char *name)
{
    const struct container_member *m = container_find(r->members, name);
    return m ? (struct bytes){ str_text(&m->data), m->data.size } : (struct bytes){ 0 };
}

static int documents_open(struct report *r, struct status *st)
{
    int rc = 0;
    const char *name;
    struct bytes b = doc(r, name = "plan.json");
    TRY(plan_parse(b.data ? b.data : "", b.size, &r->plan, st));
    r->plan_hash = sha256_of(b.data, b.size);
    b = doc(r, name = "metrics.json");
    TRY(json_parse_canonical(b.data ? b.data : "", b.size, &r->metrics, st));
    r->metrics_hash = sha256_of(b.data, b.size);
    b = doc(r, name = "verdict.json");
    TRY(json_parse_canonical(b.data ? b.data : "", b.size, &r->verdict, st));
    r->verdict_hash = sha256_of(b.data, b.size);
    if (!json_text(json_find(r->verdict, "outcome")))
        FAIL(st, RC_FORMAT, "no outcome");
    b = doc(r, name = "run/config.json");
    TRY(doc_config_parse(b.data ? b.data : "", b.size, &r->config, st));
    b = doc(r, name = "run/environment.json");
    TRY(doc_environment_parse(b.data ? b.data : "", b.size, &r->environment, st));
    b = doc(r, name = "run/data.json");
    TRY(doc_data_parse(b.data ? b.data : "", b.size, &r->data, st));
    b = doc(r, name = "run/models.json");
    TRY(doc_models_parse(b.data ? b.data : "", b.size, &r->models, st));
    b = doc(r, name = "run/events.jsonl");
    TRY(doc_events_parse(b.data ? b.data : "", b.size, &r->events, st));
    b = doc(r, "manifest.json");
    r->has_manifest = b.data != NULL;
    r->manifest_hash = sha256_of(b.data, b.size);
out:
    if (rc != 0)
        status_prefix(st, "%s", name);
    return rc;
}

static bool wanted_rows(enum member m)
{
    return (m >= MEMBER_ITEMS_BASE && m <= MEMBER_ITEMS_DELTA) || m == MEMBER_SUPERVISION;
}

static int rows_open(struct report *r, struct status *st)
{
    int rc = 0;
    TRY(evidence_open(r->plan.root, true, &r->evidence, st));
    for (size_t i = 0; i < r->members->n; i++) {
        const struct container_member *m = &r->members->members[i];
        struct member_name id;
        if (member_find(m->name, &id) && wanted_rows(id.member))
            TRY(evidence_add(&r->evidence, &id, (struct bytes){ str_text(&m->data), m->data.size }, NULL,
                             st));
    }
out:
    return rc;
}

int report_of_members(const struct container *members, struct report **out, struct status *st)
{
    int rc = 0;
    struct report *r = mem_calloc(1, sizeof *r);
    if (!r)
        FAIL(st, RC_NOMEM, "no memory for a report");
    r->members = members;
    TRY(documents_open(r, st));
    TRY(rows_open(r, st));
    *out = r;
    r = NULL;
out:
    report_close(r);
    return rc;
}

int report_open_archive(const char *path, struct report **out, struct status *st)
{
    int rc = 0;
    struct container c = { 0 };
    struct report *r = NULL;
    const struct container_filter all = { .bytes_max = CONTAINER_EXPANDED_BYTES_MAX };
    TRY(container_load(path, &all, &c, st));
    if ((rc = report_of_members(&c, &r, st)) != 0) {
        status_prefix(st, "%s", path);
        goto out;
    }
    r->owned = c;
    r->members = &r->owned;
    c = (struct container){ 0 };
    *out = r;
out:
    container_release(&c);
    return rc;
}

void report_close(struct report *r)
{
    if (!r)
        return;
    evidence_close(&r->evidence);
    plan_release(&r->plan);
    json_free(r->metrics);
    json_free(r->verdict);
    doc_config_release(&r->config);
    doc_environment_release(&r->environment);
    doc_data_release(&r->data);
    doc_models_release(&r->models);
    doc_events_release(&r->events);
    container_release(&r->owned);
    mem_free(r);
}

const char *report_outcome(const struct report *r)
{
    return json_text(json_find(r->verdict, "outcome"));
}

int report_exit(const struct report *r)
{
    enum eval_outcome outcome;
    return eval_outcome_find(report_outcome(r), &outcome) ? evidence_exit(outcome) : 2;
}

int report_json(const struct report *r, struct str *out, struct status *st)
{
    struct bytes metrics = doc(r, "metrics.json"), verdict = doc(r, "verdict.json");
    str_puts(out, "{\"metrics\":");
    str_add(out, metrics.data, metrics.size);
    str_puts(out, ",\"verdict\":");
    str_add(out, verdict.data, verdict.size);
    str_puts(out, "}\n");
    return str_check(out, st);
}

/* ---- values ---- */

const struct json *report_at(const struct json *root, const char *pointer)
{
    const struct json *at = root;
    while (at && *pointer == '/') {
        char part[64];
        size_t n = strcspn(++pointer, "/");
        if (n >= sizeof part)
            return NULL;
        memcpy(part, pointer, n);
        part[n] = 0;
        pointer += n;
        if (json_type(at) == JSON_OBJECT) {
            at = json_find(at, part);
        } else if (json_type(at) == JSON_ARRAY) {
            size_t i = (size_t)strtoul(part, NULL, 10);
            for (at = json_first(at); at && i > 0; i--)
                at = json_next(at);
        } else {
            at = NULL;
        }
    }
    return at;
}

const struct json *report_entry(const struct json *root, const char *list, size_t i)
{
    const struct json *j = json_find(root, list);
    j = j ? json_first(j) : NULL;
    for (; j && i > 0; i--)
        j = json_next(j);
    return j;
}

const char *report_text(const struct json *o, const char *key)
{
    const struct json *j = o ? json_find(o, key) : NULL;
    return j ? json_text(j) : NULL;
}

void report_rounded(const char *decimal, bool share, struct str *out)
{
    double x = decimal ? strtod(decimal, NULL) : 0;
    char text[32];
    int digits = share ? 1 : 4;
    int n = snprintf(text, sizeof text, "%.*f", digits, share ? 100 * x : x);
    bool zero = strspn(text, "-0.") == (size_t)n;
    str_puts(out, zero && text[0] == '-' ? text + 1 : text);
}

/* ---- changes ---- */

static double best_of(const struct item_row *row, bool right)
{
    double best = -INFINITY;
    for (size_t c = 0; row->ll && c < row->n; c++) {
        bool gold = false;
        for (size_t g = 0; g < row->n_gold; g++)
            gold = gold || row->gold[g] == c;
        if (gold == right && row->ll[c] > best)
            best = row->ll[c];
    }
    return best;
}

static double margin_of(const struct item_row *row)
{
    switch (row->kind) {
    case PROBE_choice:
    case PROBE_pair:
        return best_of(row, false) - best_of(row, true);
    case PROBE_cloze: /* no wrong answer was scored: how unlikely the likeliest right one became */
        return row->ll && row->n ? -best_of(row, false) : 0;
    default:
        return 0;
    }
}

/* Worst first; then by suite and item, so that the order is one. */
static int change_order(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->margin != y->margin)
        return x->margin > y->margin ? -1 : 1;
    if (x->suite != y->suite)
        return x->suite < y->suite ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

static int suite_changes(const struct report *r, size_t suite, bool lost, struct changes *out,
                         struct status *st)
{
    int rc = 0;
    const struct suite_rows *s = &r->evidence.suites[suite];
    const struct item_rows *base = &s->rows[SIDE_BASE], *tuned = &s->rows[SIDE_TUNED];
    const struct eval_suite *planned = &r->evidence.plan.input.suites[suite];
    if (!probe_kind_ops(planned->kind)->accuracy)
        return 0;
    for (size_t a = 0, b = 0; a < base->n; a++) {
        const struct item_row *x = &base->rows[a];
        while (b < tuned->n && tuned->rows[b].i < x->i)
            b++;
        if (b == tuned->n || tuned->rows[b].i != x->i || x->withheld || tuned->rows[b].withheld)
            continue;
        const struct item_row *y = &tuned->rows[b];
        if (x->kind != planned->kind || y->kind != planned->kind)
            continue;
        int before = item_row_value(x, planned->metric), after = item_row_value(y, planned->metric);
        if (before == after || (before == 1) != lost)
            continue;
        TRY(mem_grow(&out->items, out->n, &out->cap, sizeof *out->items, st));
        double margin = margin_of(lost ? y : x);
        out->items[out->n++] = (struct change){ suite, x->i, x, y, isfinite(margin) ? margin : 0 };
    }
out:
    return rc;
}

int report_changes(const struct report *r, size_t suite, bool lost, struct changes *out, struct status *st)
{
    int rc = 0;
    struct changes c = { 0 };
    for (size_t i = 0; i < r->plan.suites_n; i++)
        if (suite == SIZE_MAX || suite == i)
            TRY(suite_changes(r, i, lost, &c, st));
    if (c.n > 0)
        qsort(c.items, c.n, sizeof *c.items, change_order);
    *out = c;
    c = (struct changes){ 0 };
out:
    changes_release(&c);
    return rc;
}

void changes_release(struct changes *c)
{
    mem_free(c->items);
    *c = (struct changes){ 0 };
}

/* ---- texts ---- */

/* Line i of a member, or NULL. */
static const char *line_find(const struct report *r, enum member m, const char *suite, uint64_t i, size_t *n)
{
    struct str name = { 0 };
    struct status broken = { 0 };
    member_write_name(m, suite, &name);
    struct bytes b = doc(r, str_text(&name));
    struct lines lines = { .data = b.data, .size = b.size };
    const char *line = NULL;
    bool found = false;
    for (uint64_t k = 0; !found && b.data && lines_next(&lines, &line, n, &broken); k++)
        found = k == i;
    str_release(&name);
    return found ? line : NULL;
}

static const char *output_find(const struct report *r, const char *suite, enum member m, uint64_t i,
                               struct pool *pool)
{
    size_t n;
    struct output_row row = { 0 };
    const char *line = line_find(r, m, suite, i, &n);
    if (!line || output_row_parse(line, n, pool, &row, NULL) != 0 || row.withheld)
        return NULL;
    return row.text;
}

static const char *choice_of(const struct item_row *row, const struct probe_item *item)
{
    size_t best = 0;
    if (!row->ll || row->n != item->n_parts || row->kind == PROBE_cloze)
        return NULL;
    for (size_t c = 1; c < row->n; c++)
        if (row->ll[c] > row->ll[best])
            best = c;
    return item->parts[best];
}

int report_item_texts(const struct report *r, const struct change *c, struct item_texts *out,
                      struct status *st)
{
    int rc = 0;
    struct item_texts t = { 0 };
    struct probe_line line = { 0 };
    const char *suite = r->plan.suites[c->suite].id;
    size_t n;
    const char *text = line_find(r, MEMBER_PROBES, suite, c->i, &n);
    if (text)
        TRY(probe_line_parse(text, n, r->evidence.plan.input.suites[c->suite].kind, &t.pool, &line, st));
    t.open = text && !line.withheld;
    if (t.open) {
        t.question = line.item.context ? line.item.context : "";
        t.right = line.item.n_gold ? line.item.parts[line.item.gold[0]] : line.item.parts[0];
        t.before = choice_of(c->base, &line.item);
        t.after = choice_of(c->tuned, &line.item);
    }
    if (r->evidence.plan.input.suites[c->suite].kind == PROBE_exact) {
        t.before = output_find(r, suite, MEMBER_OUTPUTS_BASE, c->i, &t.pool);
        t.after = output_find(r, suite, MEMBER_OUTPUTS_TUNED, c->i, &t.pool);
    }
    *out = t;
    t = (struct item_texts){ 0 };
out:
    pool_release(&t.pool);
    return rc;
}
