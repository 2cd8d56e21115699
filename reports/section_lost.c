/* Section 3: the items that changed sides, by id, and in words where the page may hold words. */
#include "reports/report_private.h"

#include <string.h>

enum { IDS_MAX = 400, TEXTS_MAX = 40 };

static void put_ids(const struct changes *c, const char *label, const char *suite, struct str *out)
{
    if (c->n == 0)
        return;
    str_printf(out, "<details%s><summary>%s in %s</summary><ul class=\"ids\">", c->n <= 40 ? " open" : "",
               label, suite);
    for (size_t k = 0; k < c->n && k < IDS_MAX; k++) {
        const struct item_row *row = c->items[k].base;
        str_puts(out, "<li>");
        html_text_cut(out, row->id, 60);
        for (size_t t = 0; t < row->n_tags; t++) {
            str_puts(out, t ? ", " : " <span class=\"note\">");
            html_text_cut(out, row->tags[t], 60);
        }
        str_puts(out, row->n_tags ? "</span></li>" : "</li>");
    }
    str_puts(out, "</ul>");
    if (c->n > IDS_MAX)
        str_puts(out, "<p class=\"note\">The list goes on in the evidence.</p>");
    str_puts(out, "</details>\n");
}

static void put_tags(const struct report *r, size_t suite, struct str *out)
{
    static const char *const heads[] = { "tag", "items", "base", "tuned", "forgot", "learned" };
    const struct json *tags = json_find(report_entry(r->metrics, "suites", suite), "tags");
    if (!tags || json_size(tags) == 0)
        return;
    html_table(out, "By tag", heads, sizeof heads / sizeof *heads);
    size_t k = 0;
    for (const struct json *t = json_first(tags); t; t = json_next(t), k++) {
        str_puts(out, "<tr><th scope=\"row\">");
        html_text_cut(out, report_text(t, "tag") ? report_text(t, "tag") : "", 60);
        str_puts(out, "</th>");
        for (size_t h = 1; h < sizeof heads / sizeof *heads; h++)
            html_m(r, "td", out, "/suites/%zu/tags/%zu/%s", suite, k, heads[h]);
        str_puts(out, "</tr>\n");
    }
    html_table_end(out);
}

static void put_cell(const char *text, struct str *out)
{
    str_puts(out, "<td>");
    if (text)
        html_text(out, text);
    else
        str_puts(out, "&ndash;");
    str_puts(out, "</td>");
}

static int put_texts(const struct report *r, struct str *out, struct status *st)
{
    static const char *const heads[] = { "item", "question", "right", "before", "after" };
    int rc = 0;
    struct changes lost = { 0 };
    TRY(report_changes(r, SIZE_MAX, true, &lost, st));
    if (lost.n == 0)
        goto out;
    html_table(out, "Lost items in words, worst first", heads, sizeof heads / sizeof *heads);
    for (size_t k = 0; k < lost.n && k < TEXTS_MAX; k++) {
        struct item_texts t;
        TRY(report_item_texts(r, &lost.items[k], &t, st));
        str_puts(out, "<tr><th scope=\"row\">");
        html_text_cut(out, lost.items[k].base->id, 60);
        str_puts(out, "</th>");
        put_cell(t.open ? t.question : NULL, out);
        put_cell(t.right, out);
        put_cell(t.before, out);
        put_cell(t.after, out);
        str_puts(out, "</tr>\n");
        pool_release(&t.pool);
    }
    html_table_end(out);
out:
    changes_release(&lost);
    return rc;
}

int section_lost(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    int rc = 0;
    struct changes lost = { 0 }, learned = { 0 };
    size_t all = 0;
    if (how->texts)
        TRY(put_texts(r, out, st));
    for (size_t i = 0; i < r->plan.suites_n; i++) {
        TRY(report_changes(r, i, true, &lost, st));
        TRY(report_changes(r, i, false, &learned, st));
        all += lost.n + learned.n;
        if (lost.n + learned.n > 0)
            str_printf(out, "<h3>%s</h3>\n", r->plan.suites[i].id);
        put_ids(&lost, "Right before, wrong after", r->plan.suites[i].id, out);
        put_ids(&learned, "Wrong before, right after", r->plan.suites[i].id, out);
        if (lost.n + learned.n > 0)
            put_tags(r, i, out);
        changes_release(&lost);
        changes_release(&learned);
    }
    if (all == 0)
        str_puts(out, "<p>No item changed sides.</p>\n");
out:
    changes_release(&lost);
    changes_release(&learned);
    return rc;
}
