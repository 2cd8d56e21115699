/* Section 5: the training data, and where it contradicts what the base was sure of. */
#include "reports/report_private.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLES_MAX = 20, CONFLICTS_MAX = 100 };

static void put_files(const struct report *r, struct str *out)
{
    static const char *const heads[] = { "file",    "role",   "lines",      "used",
                                         "dropped", "tokens", "supervised", "SHA-256" };
    html_table(out, "Training files", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < r->data.files_n; i++) {
        const struct doc_file *f = &r->data.files[i];
        str_puts(out, "<tr><th scope=\"row\">");
        html_text_cut(out, f->name, 60);
        str_puts(out, "</th><td>");
        html_text_cut(out, f->role, 60);
        str_printf(out, "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>", f->examples, f->used);
        for (size_t k = 0; k < f->dropped_n; k++) {
            str_printf(out, "%s%" PRIu64 " ", k ? ", " : "", f->dropped[k].count);
            html_text_cut(out, f->dropped[k].reason, 60);
        }
        str_printf(out, "%s</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>", f->dropped_n ? "" : "none",
                   f->tokens, f->supervised);
        html_digest(out, &f->sha256);
        str_puts(out, "</td></tr>\n");
    }
    html_table_end(out);
}

static void put_contamination(const struct report *r, struct str *out)
{
    uint64_t hits = 0;
    if (!r->data.has_contamination)
        return;
    for (size_t i = 0; i < r->data.hits_n; i++)
        hits += r->data.hits[i].hits;
    str_puts(out, "<p>Items of the suites that stand in the training data:");
    for (size_t i = 0; i < r->data.hits_n; i++)
        if (r->data.hits[i].hits > 0) {
            str_printf(out, " %" PRIu64 " of ", r->data.hits[i].hits);
            html_text(out, r->data.hits[i].id);
        }
    str_puts(out, hits ? ".</p>\n" : " none.</p>\n");
}

static int conflict_order(const void *a, const void *b)
{
    const struct supervision_row *x = *(const struct supervision_row *const *)a;
    const struct supervision_row *y = *(const struct supervision_row *const *)b;
    if (x->conflicts != y->conflicts)
        return x->conflicts > y->conflicts ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

static int put_examples(const struct report *r, struct str *out, struct status *st)
{
    int rc = 0;
    size_t n = 0;
    const struct supervision_row **rows = mem_calloc(r->evidence.supervision_n, sizeof *rows);
    if (!rows)
        FAIL(st, RC_NOMEM, "no memory for a report");
    for (size_t i = 0; i < r->evidence.supervision_n; i++)
        if (!r->evidence.supervision[i].withheld && r->evidence.supervision[i].conflicts > 0)
            rows[n++] = &r->evidence.supervision[i];
    if (n == 0)
        goto out;
    qsort(rows, n, sizeof *rows, conflict_order);
    str_puts(out, "<p>Examples with most conflicts:");
    for (size_t i = 0; i < n && i < EXAMPLES_MAX; i++) {
        str_puts(out, i ? ", " : " ");
        html_text_cut(out, rows[i]->id, 60);
        str_printf(out, " (%" PRIu64 ")", rows[i]->conflicts);
    }
    str_puts(out, ".</p>\n");
out:
    mem_free(rows);
    return rc;
}

/* A token, with the blanks shown that would not be seen (docs/formats 9). */
static void put_token(const char *text, struct str *out)
{
    struct str shown = { 0 };
    text_show_spaces(text, strlen(text), &shown);
    html_text_cut(out, str_text(&shown), 60);
    out->failed = out->failed || shown.failed;
    str_release(&shown);
}

/* One conflict: what the base was sure of, what the data wanted, and who won. */
static void put_conflict(const struct token_row *t, struct str *out)
{
    str_puts(out, "<tr><th scope=\"row\">");
    html_text_cut(out, t->id, 60);
    str_puts(out, "</th><td>");
    put_token(t->base_top_text, out);
    str_puts(out, "</td><td>");
    put_token(t->target_text, out);
    str_puts(out, "</td><td>");
    put_token(t->tuned_top_text, out);
    str_printf(out, "</td><td>%s</td></tr>\n", t->tuned_top == t->target ? "the data" : "not the data");
}

static int put_conflicts(const struct report *r, struct str *out, struct status *st)
{
    static const char *const heads[] = { "example", "the base said", "the data says", "the tuned model says",
                                         "who won" };
    int rc = 0;
    const struct container_member *m = container_find(r->members, "evidence/conflicts.jsonl");
    struct status broken = { 0 };
    const char *line;
    size_t n, shown = 0;
    if (!m || m->data.size == 0)
        return 0;
    struct lines lines = { .data = str_text(&m->data), .size = m->data.size };
    html_table(out, "Training targets that contradict a confident base", heads, sizeof heads / sizeof *heads);
    while (shown < CONFLICTS_MAX && lines_next(&lines, &line, &n, &broken)) {
        struct pool pool = { 0 };
        struct token_row row = { 0 };
        rc = token_row_parse(line, n, &pool, &row, st);
        if (rc == 0 && !row.withheld) {
            put_conflict(&row, out);
            shown++;
        }
        pool_release(&pool);
        TRY(rc);
    }
    html_table_end(out);
out:
    return rc;
}

int section_training(const struct report *r, const struct section_how *how, struct str *out,
                     struct status *st)
{
    int rc = 0;
    if (r->plan.imported) {
        str_puts(out, "<p>Scores were imported; nothing is known here of any training.</p>\n");
        goto out;
    }
    str_puts(out, "<dl><dt>examples</dt>");
    html_m(r, "dd", out, "/train/examples");
    str_puts(out, "<dt>supervised tokens</dt>");
    html_m(r, "dd", out, "/train/supervised");
    str_puts(out, "<dt>conflicts with a confident base</dt>");
    html_m(r, "dd", out, "/train/conflicts");
    str_puts(out, "</dl>\n");
    put_files(r, out);
    put_contamination(r, out);
    TRY(put_examples(r, out, st));
    if (how->texts)
        TRY(put_conflicts(r, out, st));
out:
    return rc;
}
