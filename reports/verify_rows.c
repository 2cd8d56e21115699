/* The second pass: evidence member by member, each row against its own numbers, its item, its output and
 * the rows of the other sides (docs/formats/verify.md, step 9). Members come in order of their names, so a
 * suite's rows and outputs are there before its probes, and all rows before the ledger.
 */
#include "reports/verify_private.h"

#include "base/file.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- rows by themselves ---- */

static const struct item_row *row_find(const struct item_rows *rows, uint64_t i)
{
    size_t low = 0, high = rows->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->rows[middle].i == i)
            return &rows->rows[middle];
        if (rows->rows[middle].i < i)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int side_check(struct verification *v, size_t suite, enum evidence_side side, struct status *st)
{
    int rc = 0;
    const struct eval_suite *planned = &v->evidence.plan.input.suites[suite];
    const struct item_rows *rows = &v->evidence.suites[suite].rows[side];
    for (size_t k = 0; k < rows->n; k++) {
        const struct item_row *row = &rows->rows[k];
        struct status said = { 0 };
        if (row->withheld)
            continue;
        int bad = row->kind != planned->kind
                      ? status_fail(&said, RC_VERIFY, "kind '%s', the plan says '%s'",
                                    probe_kind_name(row->kind), probe_kind_name(planned->kind))
                      : item_row_check(row, &said);
        if (bad == 0)
            continue;
        status_prefix(&said, "suite '%s', %s, item '%s'", planned->id, evidence_side_name(side), row->id);
        TRY(verify_claim(v, bad, &said, st));
    }
out:
    return rc;
}

static bool same_tags(const struct item_row *a, const struct item_row *b)
{
    if (a->n_tags != b->n_tags)
        return false;
    for (size_t i = 0; i < a->n_tags; i++)
        if (strcmp(a->tags[i], b->tags[i]) != 0)
            return false;
    return true;
}

/* A run that was stopped has fewer rows on one side, so rows are joined by i. */
static int sides_check(struct verification *v, const struct suite_rows *s, enum evidence_side side,
                       struct status *st)
{
    int rc = 0;
    const struct item_rows *base = &s->rows[SIDE_BASE], *other = &s->rows[side];
    for (size_t k = 0; k < other->n; k++) {
        const struct item_row *b = &other->rows[k], *a = row_find(base, b->i);
        if (!a || a->withheld || b->withheld)
            continue;
        if (strcmp(a->id, b->id) != 0 || strcmp(a->cluster, b->cluster) != 0 || a->kind != b->kind ||
            !same_tags(a, b))
            TRY(verify_false(v, st, "suite '%s', item %" PRIu64 ": base and %s differ in id, cluster or tags",
                             s->id, b->i, evidence_side_name(side)));
    }
out:
    return rc;
}

/* ---- rows against items and outputs ---- */

/* The normalisation of an `exact` suite is not in an archive: its rows must all follow one of the two. */
struct exact_tally {
    uint64_t off[2]; /* rows that disagree, by enum probe_normalise */
    uint64_t unchecked;
    char first[160];
};

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

static bool needs_tables(const struct probe_item *item, const char *output)
{
    bool ascii = is_ascii(output);
    for (size_t i = 0; i < item->n_parts; i++)
        ascii = ascii && is_ascii(item->parts[i]);
    return !ascii;
}

static int exact_check(struct verification *v, const struct item_row *row, const struct probe_item *item,
                       const struct output_row *output, struct exact_tally *tally, struct status *st)
{
    int rc = 0;
    if (v->plan.imported || output->withheld)
        goto out;
    if (v->unicode_differs && needs_tables(item, output->text)) {
        tally->unchecked++;
        goto out;
    }
    for (int how = NORMALISE_text; how <= NORMALISE_none; how++) {
        bool right = false;
        TRY(probe_output_judge(item, output->text, strlen(output->text), (enum probe_normalise)how, &right,
                               st));
        if (row->right.acc == (int)right)
            continue;
        if (tally->off[how]++ == 0 && how == NORMALISE_text)
            snprintf(tally->first, sizeof tally->first, "item '%.60s': acc is %d, the output gives %d",
                     row->id, row->right.acc, right);
    }
out:
    return rc;
}

static int output_check(struct verification *v, const struct suite_rows *s, enum evidence_side side,
                        const struct item_row *row, struct status *st)
{
    const struct outputs *o = &s->outputs[side];
    const struct output_row *out = row->i < o->n ? &o->rows[row->i] : NULL;
    if (!out || !hash_equal(&out->leaf, &row->out) || (!out->withheld && strcmp(out->id, row->id) != 0))
        return verify_false(v, st, "suite '%s', %s, item '%s': `out` is not its line in evidence/outputs",
                            s->id, evidence_side_name(side), row->id);
    return 0;
}

struct probing {
    struct verification *v;
    struct suite_rows *suite;
    enum probe_kind kind;
    struct exact_tally tally;
};

static int probe_side(struct probing *p, enum evidence_side side, const struct probe_line *line, uint64_t i,
                      struct status *st)
{
    int rc = 0;
    struct verification *v = p->v;
    struct status said = { 0 };
    const struct item_row *row = row_find(&p->suite->rows[side], i);
    const struct outputs *o = &p->suite->outputs[side];
    if (!row || row->withheld)
        goto out;
    if (p->kind == PROBE_exact && p->suite->has_outputs[side])
        TRY(output_check(v, p->suite, side, row, st));
    if (line->withheld)
        goto out;
    int bad = item_row_check_item(row, &line->item, &said);
    status_prefix(&said, "suite '%s', %s", p->suite->id, evidence_side_name(side));
    TRY(verify_claim(v, bad, &said, st));
    if (p->kind == PROBE_exact && i < o->n)
        TRY(exact_check(v, row, &line->item, &o->rows[i], &p->tally, st));
out:
    return rc;
}

static int probe_take(struct probing *p, const char *text, size_t n, uint64_t i, struct status *st)
{
    int rc = 0;
    struct pool pool = { 0 };
    struct probe_line line = { 0 };
    TRY(probe_line_parse(text, n, p->kind, &pool, &line, st));
    if (!line.withheld && line.i != i)
        FAIL(st, RC_FORMAT, "i is %" PRIu64 ", wanted %" PRIu64, line.i, i);
    for (int side = 0; side < SIDES; side++)
        TRY(probe_side(p, (enum evidence_side)side, &line, i, st));
out:
    pool_release(&pool);
    return rc;
}

static int exact_say(struct probing *p, struct status *st)
{
    int rc = 0;
    const struct exact_tally *t = &p->tally;
    if (t->off[NORMALISE_text] > 0 && t->off[NORMALISE_none] > 0)
        TRY(verify_false(p->v, st, "suite '%s', %s", p->suite->id, t->first));
    if (t->unchecked > 0)
        TRY(text_list_add(&p->v->unchecked, st,
                          "suite '%s': %" PRIu64
                          " rows with text beyond ASCII, judged under Unicode %s (here %s)",
                          p->suite->id, t->unchecked, p->v->environment.unicode, utf8_unicode_version()));
out:
    return rc;
}

static int probes_check(struct verification *v, const char *suite, struct bytes data, struct status *st)
{
    int rc = 0;
    struct status broken = { 0 };
    struct lines lines = { .data = data.data, .size = data.size };
    struct probing p = { .v = v, .suite = evidence_suite(&v->evidence, suite) };
    const char *line;
    size_t n;
    p.kind = v->evidence.plan.input.suites[p.suite - v->evidence.suites].kind;
    while (lines_next(&lines, &line, &n, &broken))
        if ((rc = probe_take(&p, line, n, lines.number - 1, st)) != 0) {
            status_prefix(st, "evidence/probes/%s.jsonl: line %zu", suite, lines.number);
            goto out;
        }
    if (broken.rc != 0)
        FAIL(st, broken.rc, "evidence/probes/%s.jsonl: %s", suite, broken.msg);
    TRY(exact_say(&p, st));
out:
    evidence_drop_outputs(p.suite);
    return rc;
}

/* ---- the ledger ---- */

static int token_watch(void *self, const struct token_row *row, size_t line, struct status *st)
{
    struct verification *v = self;
    struct status said = { 0 };
    int bad = token_row_check(row, v->plan.ledger.conflict_logp_min_value, &said);
    if (bad == 0 && row->token_class == TOKEN_drift && row->base_top == row->tuned_top &&
        !((double)row->base_top_logp - (double)row->tuned_top_logp > v->plan.ledger.tau_value))
        bad = status_fail(&said, RC_VERIFY, "suite '%s', item '%s': drift, and the loss is within tau",
                          row->suite, row->id);
    const struct suite_rows *s = evidence_suite(&v->evidence, row->suite);
    const struct item_row *item = s ? row_find(&s->rows[SIDE_BASE], row->i) : NULL;
    if (bad == 0 && item && !item->withheld && strcmp(item->id, row->id) != 0)
        bad = status_fail(&said, RC_VERIFY, "suite '%s': item %" PRIu64 " is '%s', the row says '%s'",
                          row->suite, row->i, item->id, row->id);
    status_prefix(&said, "line %zu", line);
    return verify_claim(v, bad, &said, st);
}

static int delta_check(struct verification *v, const struct suite_rows *s, bool count, struct status *st)
{
    int rc = 0;
    static const struct ledger_counts none = { 0 };
    const uint64_t items = v->evidence.plan.input.suites[s - v->evidence.suites].items;
    for (size_t k = 0; k < s->delta_n; k++) {
        const struct delta_row *d = &s->delta[k];
        const struct item_row *row = row_find(&s->rows[SIDE_BASE], d->i);
        if (d->i >= items || (row && !row->withheld && strcmp(row->id, d->id) != 0))
            TRY(verify_false(v, st, "suite '%s', delta: item %" PRIu64 " is not '%s'", s->id, d->i, d->id));
        if (d->same_top > d->positions || d->forgot + d->learned + d->drift > d->positions)
            TRY(verify_false(v, st, "suite '%s', delta, item '%s': more positions counted than there are",
                             s->id, d->id));
        const struct ledger_counts *c = s->ledger && d->i < items ? &s->ledger[d->i] : &none;
        if (count && (c->forgot != d->forgot || c->learned != d->learned || c->drift != d->drift))
            TRY(verify_false(v, st, "suite '%s', item '%s': the ledger has other counts than delta", s->id,
                             d->id));
    }
    if (count && s->ledger && s->delta_n == 0)
        TRY(verify_false(v, st, "suite '%s': rows in the ledger, and no delta", s->id));
out:
    return rc;
}

/* Rows cut off by the cap, or withheld, leave nothing to count against. */
static bool ledger_whole(const struct evidence *e)
{
    uint64_t counted = 0;
    for (size_t i = 0; i < e->plan.input.n_suites; i++)
        for (size_t k = 0; k < e->suites[i].delta_n; k++) {
            const struct delta_row *d = &e->suites[i].delta[k];
            counted += d->forgot + d->learned + d->drift;
        }
    return e->tokens_withheld == 0 && counted <= e->plan.input.token_rows;
}

/* ---- sums of supervision ---- */

static int supervision_check(struct verification *v, struct status *st)
{
    uint64_t rows = 0, files = 0;
    const struct evidence *e = &v->evidence;
    if (!e->has_supervision || e->supervision_withheld > 0)
        return 0;
    for (size_t i = 0; i < e->supervision_n; i++)
        rows += e->supervision[i].supervised;
    for (size_t i = 0; i < v->data.files_n; i++)
        if (strcmp(v->data.files[i].role, "train") == 0)
            files += v->data.files[i].supervised;
    if (rows == files)
        return 0;
    return verify_false(v, st,
                        "run/supervision.jsonl: %" PRIu64 " supervised tokens, run/data.json says %" PRIu64,
                        rows, files);
}

/* ---- the pass ---- */

struct second_pass {
    struct verification *v;
    struct member_name id;
    bool wanted;
};

static int pass_begin(void *self, const char *name, uint64_t size, struct status *st)
{
    struct second_pass *p = self;
    (void)size;
    (void)st;
    p->wanted = member_find(name, &p->id) && member_rule(p->id.member)->tree;
    str_clear(&p->v->buffer);
    return 0;
}

static int pass_chunk(void *self, const void *data, size_t n, struct status *st)
{
    struct second_pass *p = self;
    if (!p->wanted)
        return 0;
    str_add(&p->v->buffer, data, n);
    return str_check(&p->v->buffer, st);
}

static int pass_end(void *self, struct status *st)
{
    struct second_pass *p = self;
    struct verification *v = p->v;
    const struct evidence_watch watch = { v, token_watch };
    struct bytes data = { str_text(&v->buffer), v->buffer.size };
    if (!p->wanted)
        return 0;
    switch (p->id.member) {
    case MEMBER_PROBES:
        return probes_check(v, p->id.suite, data, st);
    case MEMBER_INFLUENCE:
    case MEMBER_GENERATION_BASE:
    case MEMBER_GENERATION_TUNED:
        return text_list_add(&v->unchecked, st, "%s: not recomputed by this version",
                             member_rule(p->id.member)->pattern);
    default:
        return evidence_add(&v->evidence, &p->id, data, &watch, st);
    }
}

int verify_evidence(struct verification *v, struct status *st)
{
    int rc = 0;
    struct second_pass p = { .v = v };
    const struct container_sink sink = { &p, pass_begin, pass_chunk, pass_end };
    TRY(evidence_open(v->plan.root, true, &v->evidence, st));
    TRY(container_walk(v->path, &sink, st));
    bool whole = ledger_whole(&v->evidence);
    for (size_t i = 0; i < v->plan.suites_n; i++) {
        for (int side = 0; side < SIDES; side++) {
            TRY(side_check(v, i, (enum evidence_side)side, st));
            TRY(sides_check(v, &v->evidence.suites[i], (enum evidence_side)side, st));
        }
        TRY(delta_check(v, &v->evidence.suites[i], whole, st));
    }
    TRY(supervision_check(v, st));
out:
    return rc;
}
