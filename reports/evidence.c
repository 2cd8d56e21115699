#include "reports/evidence.h"

#include "base/alloc.h"
#include "base/file.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

static const char *const side_names[] = { "base", "tuned", "zero" };

const char *evidence_side_name(enum evidence_side side)
{
    return side_names[side];
}

int evidence_open(const struct json *plan, bool foreign, struct evidence *out, struct status *st)
{
    int rc = 0;
    struct evidence e = { 0 };
    TRY(eval_plan_read(plan, foreign, &e.plan, st));
    e.suites = mem_calloc(e.plan.input.n_suites, sizeof *e.suites);
    if (!e.suites)
        FAIL(st, RC_NOMEM, "no memory for evidence");
    for (size_t i = 0; i < e.plan.input.n_suites; i++)
        e.suites[i].id = e.plan.input.suites[i].id;
    *out = e;
    e = (struct evidence){ 0 };
out:
    evidence_close(&e);
    return rc;
}

static void outputs_release(struct outputs *o)
{
    mem_free(o->rows);
    pool_release(&o->pool);
    *o = (struct outputs){ 0 };
}

void evidence_drop_outputs(struct suite_rows *s)
{
    for (int side = 0; side < SIDES; side++)
        outputs_release(&s->outputs[side]);
}

void evidence_close(struct evidence *e)
{
    for (size_t i = 0; e->suites && i < e->plan.input.n_suites; i++) {
        struct suite_rows *s = &e->suites[i];
        for (int side = 0; side < SIDES; side++)
            item_rows_release(&s->rows[side]);
        evidence_drop_outputs(s);
        mem_free(s->delta);
        mem_free(s->ledger);
        pool_release(&s->delta_pool);
    }
    mem_free(e->suites);
    mem_free(e->supervision);
    pool_release(&e->pool);
    eval_plan_release(&e->plan);
    *e = (struct evidence){ 0 };
}

struct suite_rows *evidence_suite(struct evidence *e, const char *id)
{
    for (size_t i = 0; i < e->plan.input.n_suites; i++)
        if (strcmp(e->suites[i].id, id) == 0)
            return &e->suites[i];
    return NULL;
}

/* ---- members ---- */

/* One line of a member that is being read. */
struct taking {
    struct evidence *e;
    struct suite_rows *suite;
    enum evidence_side side;
    const struct evidence_watch *watch;
    size_t line; /* from 1 */
};

static int take_item(struct taking *t, const char *line, size_t n, struct status *st)
{
    return item_rows_add(&t->suite->rows[t->side], line, n, st);
}

static int take_output(struct taking *t, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct outputs *o = &t->suite->outputs[t->side];
    struct output_row row = { 0 };
    TRY(output_row_parse(line, n, &o->pool, &row, st));
    if (row.withheld)
        row.i = t->line - 1;
    else if (row.i != t->line - 1)
        FAIL(st, RC_FORMAT, "i is %" PRIu64 ", wanted %zu", row.i, t->line - 1);
    else
        row.leaf = merkle_leaf(line, n); /* what the item's row names as `out` */
    TRY(mem_grow(&o->rows, o->n, &o->cap, sizeof *o->rows, st));
    o->rows[o->n++] = row;
out:
    return rc;
}

static int take_delta(struct taking *t, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct suite_rows *s = t->suite;
    struct delta_row row = { 0 };
    TRY(delta_row_parse(line, n, &s->delta_pool, &row, st));
    if (row.withheld)
        FAIL(st, RC_UNSUPPORTED, "suite '%s': rows are withheld, so its numbers cannot be computed", s->id);
    if (s->delta_n > 0 && row.i <= s->delta[s->delta_n - 1].i)
        FAIL(st, RC_FORMAT, "i is %" PRIu64 " after %" PRIu64, row.i, s->delta[s->delta_n - 1].i);
    TRY(mem_grow(&s->delta, s->delta_n, &s->delta_cap, sizeof *s->delta, st));
    s->delta[s->delta_n++] = row;
out:
    return rc;
}

static int take_supervision(struct taking *t, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct evidence *e = t->e;
    struct supervision_row row = { 0 };
    TRY(supervision_row_parse(line, n, &e->pool, &row, st));
    e->supervision_withheld += row.withheld;
    if (!row.withheld && row.i != t->line - 1)
        FAIL(st, RC_FORMAT, "i is %" PRIu64 ", wanted %zu", row.i, t->line - 1);
    TRY(mem_grow(&e->supervision, e->supervision_n, &e->supervision_cap, sizeof *e->supervision, st));
    e->supervision[e->supervision_n++] = row;
out:
    return rc;
}

/* Counts a ledger row for its item, to be held against the item's delta row. */
static int ledger_count(struct evidence *e, const struct token_row *row, struct status *st)
{
    struct suite_rows *s = evidence_suite(e, row->suite);
    const struct eval_suite *planned = s ? &e->plan.input.suites[s - e->suites] : NULL;
    if (!s || row->i >= planned->items)
        return status_fail(st, RC_FORMAT, "no item %" PRIu64 " of suite '%.40s'", row->i, row->suite);
    if (!s->ledger)
        s->ledger = mem_calloc(planned->items, sizeof *s->ledger);
    if (!s->ledger)
        return status_fail(st, RC_NOMEM, "no memory for evidence");
    struct ledger_counts *c = &s->ledger[row->i];
    c->forgot += row->token_class == TOKEN_forgot;
    c->learned += row->token_class == TOKEN_learned;
    c->drift += row->token_class == TOKEN_drift;
    return 0;
}

static int take_token(struct taking *t, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct evidence *e = t->e;
    struct pool pool = { 0 };
    struct token_row row = { 0 };
    TRY(token_row_parse(line, n, &pool, &row, st));
    e->plan.input.token_rows++;
    e->tokens_withheld += row.withheld;
    if (row.withheld)
        goto out;
    if (row.token_class == TOKEN_conflict)
        FAIL(st, RC_FORMAT, "class 'conflict' outside of conflicts.jsonl");
    TRY(ledger_count(e, &row, st));
    if (t->watch)
        TRY(t->watch->token(t->watch->self, &row, t->line, st));
out:
    pool_release(&pool);
    return rc;
}

static int take_conflict(struct taking *t, const char *line, size_t n, struct status *st)
{
    int rc = 0;
    struct pool pool = { 0 };
    struct token_row row = { 0 };
    TRY(token_row_parse(line, n, &pool, &row, st));
    t->e->plan.input.conflict_rows++;
    if (row.withheld)
        goto out;
    if (row.token_class != TOKEN_conflict || strcmp(row.suite, "train") != 0)
        FAIL(st, RC_FORMAT, "suite '%.40s', wanted class 'conflict' of 'train'", row.suite);
    if (t->watch)
        TRY(t->watch->token(t->watch->self, &row, t->line, st));
out:
    pool_release(&pool);
    return rc;
}

static int take_lines(struct taking *t, struct bytes data,
                      int (*take)(struct taking *, const char *, size_t, struct status *), struct status *st)
{
    int rc = 0;
    struct status broken = { 0 };
    struct lines lines = { .data = data.data, .size = data.size };
    const char *line;
    size_t n;
    while (lines_next(&lines, &line, &n, &broken)) {
        t->line = lines.number;
        if ((rc = take(t, line, n, st)) != 0) {
            status_prefix(st, "line %zu", lines.number);
            goto out;
        }
    }
    if (broken.rc != 0)
        FAIL(st, broken.rc, "%s", broken.msg);
out:
    return rc;
}

static int take_member(struct taking *t, const struct member_name *m, struct bytes data, struct status *st)
{
    switch (m->member) {
    case MEMBER_SUPERVISION:
        t->e->has_supervision = true;
        return take_lines(t, data, take_supervision, st);
    case MEMBER_TOKENS:
        return take_lines(t, data, take_token, st);
    case MEMBER_CONFLICTS:
        return take_lines(t, data, take_conflict, st);
    case MEMBER_ITEMS_BASE:
    case MEMBER_ITEMS_TUNED:
    case MEMBER_ITEMS_ZERO:
        t->side = (enum evidence_side)(m->member - MEMBER_ITEMS_BASE);
        t->suite->has[t->side] = true;
        return take_lines(t, data, take_item, st);
    case MEMBER_OUTPUTS_BASE:
    case MEMBER_OUTPUTS_TUNED:
    case MEMBER_OUTPUTS_ZERO:
        t->side = (enum evidence_side)(m->member - MEMBER_OUTPUTS_BASE);
        t->suite->has_outputs[t->side] = true;
        return take_lines(t, data, take_output, st);
    case MEMBER_ITEMS_DELTA:
        return take_lines(t, data, take_delta, st);
    default:
        return 0;
    }
}

_Static_assert(MEMBER_ITEMS_ZERO - MEMBER_ITEMS_BASE == SIDE_ZERO,
               "members.def lists sides as they are here");
_Static_assert(MEMBER_OUTPUTS_ZERO - MEMBER_OUTPUTS_BASE == SIDE_ZERO,
               "members.def lists sides as they are here");

int evidence_add(struct evidence *e, const struct member_name *m, struct bytes data,
                 const struct evidence_watch *watch, struct status *st)
{
    int rc = 0;
    struct taking t = { .e = e, .watch = watch };
    struct str name = { 0 };
    if (strstr(member_rule(m->member)->pattern, "<suite>")) {
        t.suite = evidence_suite(e, m->suite);
        if (!t.suite)
            FAIL(st, RC_ARG, "no suite '%s' in the plan", m->suite);
    }
    rc = take_member(&t, m, data, st);
out:
    if (rc != 0) {
        member_write_name(m->member, m->suite[0] ? m->suite : NULL, &name);
        status_prefix(st, "%s", str_text(&name));
        str_release(&name);
    }
    return rc;
}

/* ---- numbers ---- */

static void input_fill(struct evidence *e, const struct evidence_facts *f)
{
    struct eval_input *in = &e->plan.input;
    for (size_t i = 0; i < in->n_suites; i++) {
        const struct suite_rows *s = &e->suites[i];
        in->suites[i].base = &s->rows[SIDE_BASE];
        in->suites[i].tuned = &s->rows[SIDE_TUNED];
        in->suites[i].zero = s->has[SIDE_ZERO] ? &s->rows[SIDE_ZERO] : NULL;
        in->suites[i].delta = s->delta_n ? s->delta : NULL;
        in->suites[i].n_delta = s->delta_n;
    }
    in->supervision = e->has_supervision ? e->supervision : NULL;
    in->n_supervision = e->supervision_n;
    in->archived = f->archived;
    in->generation = f->generation;
}

int evidence_compute(struct evidence *e, const struct evidence_facts *f, struct evidence_numbers *out,
                     struct status *st)
{
    int rc = 0;
    struct evidence_numbers n = { 0 };
    struct json *deviations = NULL;
    if (e->supervision_withheld > 0)
        FAIL(st, RC_UNSUPPORTED,
             "run/supervision.jsonl: %" PRIu64 " lines are withheld, so its sums are unknown",
             e->supervision_withheld);
    /* an empty array still says that something was trained here */
    if (e->has_supervision && !e->supervision)
        TRY(mem_grow(&e->supervision, 0, &e->supervision_cap, sizeof *e->supervision, st));
    input_fill(e, f);
    TRY(metrics_compute(&e->plan.input, &n.metrics, st));
    TRY(field_canonical(n.metrics.tree, &n.metrics_text, st));
    TRY(deviations_compute(f->plan, f->config, &deviations, st));
    struct verdict_input in = {
        .plan = &e->plan,
        .metrics = &n.metrics,
        .plan_hash = f->plan_hash,
        .metrics_hash = sha256_of(n.metrics_text.data, n.metrics_text.size),
        .deviations = deviations,
        .conditions = f->conditions,
        .preregistration = f->preregistration,
        .complete = f->complete,
    };
    TRY(verdict_compute(&in, &n.verdict, &n.outcome, st));
    TRY(field_canonical(n.verdict, &n.verdict_text, st));
    *out = n;
    n = (struct evidence_numbers){ 0 };
out:
    json_free(deviations);
    evidence_numbers_release(&n);
    return rc;
}

void evidence_numbers_release(struct evidence_numbers *n)
{
    eval_metrics_release(&n->metrics);
    json_free(n->verdict);
    str_release(&n->metrics_text);
    str_release(&n->verdict_text);
    *n = (struct evidence_numbers){ 0 };
}

int evidence_exit(enum eval_outcome outcome)
{
    return outcome == OUTCOME_PASS ? 0 : outcome == OUTCOME_FAIL ? 3 : 5;
}
