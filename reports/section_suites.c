/* Section 2: every suite and group before and after. */
#include "reports/report_private.h"

#include <string.h>

static void put_name(const char *id, const char *title, struct str *out)
{
    str_printf(out, "<tr><th scope=\"row\">%s", id);
    if (title) {
        str_puts(out, "<span class=\"eye\">");
        html_text_cut(out, title, 60);
        str_puts(out, "</span>");
    }
    str_puts(out, "</th>");
}

static void put_row(const struct report *r, const char *list, size_t i, bool share, struct str *out)
{
    html_status(r, out, list, i); /* first: what everybody looks for must not be scrolled to */
    html_m(r, "td", out, "/%s/%zu/use", list, i);
    html_m_rounded(r, share, out, "/%s/%zu/limit", list, i);
    html_m_rounded(r, share, out, "/%s/%zu/base/value", list, i);
    html_m_rounded(r, share, out, "/%s/%zu/tuned/value", list, i);
    html_m_rounded(r, share, out, "/%s/%zu/drop", list, i);
    html_m(r, "td", out, "/%s/%zu/lower", list, i);
    html_m(r, "td", out, "/%s/%zu/upper", list, i);
    html_m(r, "td", out, "/%s/%zu/forgot", list, i);
    html_m(r, "td", out, "/%s/%zu/learned", list, i);
    html_m(r, "td", out, "/%s/%zu/items", list, i);
    html_m(r, "td", out, "/%s/%zu/clusters", list, i);
    str_puts(out, "</tr>\n");
}

static void put_table(const struct report *r, struct str *out)
{
    static const char *const heads[] = { "suite", "status", "use",    "limit",   "base",  "tuned",   "drop",
                                         "lower", "upper",  "forgot", "learned", "items", "clusters" };
    html_table(out, "Suites and groups before and after", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < r->plan.suites_n; i++) {
        const struct plan_suite *s = &r->plan.suites[i];
        put_name(s->id, s->title, out);
        put_row(r, "suites", i, strcmp(s->metric, "bits_per_byte") != 0, out);
    }
    for (size_t i = 0; i < r->plan.groups_n; i++) {
        put_name(r->plan.groups[i].id, NULL, out);
        put_row(r, "groups", i, true, out);
    }
    html_table_end(out);
}

static void put_members(const struct report *r, struct str *out)
{
    for (size_t i = 0; i < r->plan.groups_n; i++) {
        const struct plan_group *g = &r->plan.groups[i];
        str_printf(out, "<p>Group %s pools", g->id);
        for (size_t k = 0; k < g->n; k++)
            str_printf(out, "%s %s", k ? "," : "", g->members[k]);
        str_puts(out, ".</p>\n");
    }
}

static void put_tests(const struct report *r, struct str *out)
{
    static const char *const heads[] = {
        "suite", "held: p", "corrected", "broken: p", "corrected", "McNemar"
    };
    static const char *const lists[] = { "suites", "groups" };
    html_table(out, "Tests of the limits", heads, sizeof heads / sizeof *heads);
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; report_entry(r->metrics, lists[l], i); i++) {
            if (!json_find(report_entry(r->metrics, lists[l], i), "held"))
                continue;
            put_name(report_text(report_entry(r->metrics, lists[l], i), "id"), NULL, out);
            html_m(r, "td", out, "/%s/%zu/held/p", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/held/adjusted_p", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/broken/p", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/broken/adjusted_p", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/mcnemar", lists[l], i);
            str_puts(out, "</tr>\n");
        }
    html_table_end(out);
}

static void put_measures(const struct report *r, struct str *out)
{
    static const char *const heads[] = { "suite", "measure", "value", "lower", "upper", "of" };
    static const char *const lists[] = { "suites", "groups" };
    if (!r->plan.has_measures || r->plan.measures_n == 0)
        return;
    html_table(out, "Further measures", heads, sizeof heads / sizeof *heads);
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; report_entry(r->metrics, lists[l], i); i++) {
            const struct json *e = report_entry(r->metrics, lists[l], i), *list = json_find(e, "measures");
            for (size_t k = 0; list && k < json_size(list); k++) {
                put_name(report_text(e, "id"), NULL, out);
                html_m(r, "td", out, "/%s/%zu/measures/%zu/name", lists[l], i, k);
                html_m(r, "td", out, "/%s/%zu/measures/%zu/value", lists[l], i, k);
                html_m(r, "td", out, "/%s/%zu/measures/%zu/lower", lists[l], i, k);
                html_m(r, "td", out, "/%s/%zu/measures/%zu/upper", lists[l], i, k);
                html_m(r, "td", out, "/%s/%zu/measures/%zu/n", lists[l], i, k);
                str_puts(out, "</tr>\n");
            }
        }
    html_table_end(out);
}

static int put_critical(const struct report *r, struct str *out, struct status *st)
{
    int rc = 0;
    struct changes lost = { 0 };
    for (size_t i = 0; i < r->plan.suites_n; i++) {
        if (r->plan.suites[i].use != USE_critical)
            continue;
        TRY(report_changes(r, i, true, &lost, st));
        str_printf(out, "<p>Critical suite %s: no item of it may be lost. ", r->plan.suites[i].id);
        str_puts(out, lost.n ? "Lost:" : "None was.");
        for (size_t k = 0; k < lost.n; k++) {
            str_puts(out, k ? ", " : " ");
            html_text(out, lost.items[k].base->id);
        }
        str_puts(out, "</p>\n");
        changes_release(&lost);
    }
out:
    changes_release(&lost);
    return rc;
}

int section_suites(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    int rc = 0;
    (void)how;
    str_puts(
        out,
        "<p>Drop is what was lost: base less tuned. A gate holds when its upper bound is shown to lie below "
        "the limit, and is broken when its lower bound lies above; for a task the limit is the gain that was "
        "asked for, with a minus sign.</p>\n");
    chart_intervals(r, true, out);
    chart_intervals(r, false, out);
    put_table(r, out);
    put_members(r, out);
    TRY(put_critical(r, out, st));
    put_tests(r, out);
    put_measures(r, out);
out:
    return rc;
}
