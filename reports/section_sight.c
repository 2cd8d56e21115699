/* Section 7: what these suites could have shown at all. */
#include "reports/report_private.h"

int section_sight(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    static const char *const heads[] = {
        "suite", "status", "flips base to base", "largest difference", "noise", "resolution", "chance", "base"
    };
    static const char *const lists[] = { "suites", "groups" };
    (void)how;
    str_puts(
        out,
        "<p>Resolution is how far the upper bound lies above the measured drop: a loss smaller than that "
        "cannot be told from none. The first three columns are the base scored twice; anything but zero is "
        "noise of scoring. A base near chance has nothing to lose that the suite could see.</p>\n");
    html_table(out, "Zero point, resolution and chance", heads, sizeof heads / sizeof *heads);
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; report_entry(r->metrics, lists[l], i); i++) {
            const char *id = report_text(report_entry(r->metrics, lists[l], i), "id");
            str_printf(out, "<tr><th scope=\"row\">%s</th>", id ? id : "");
            html_status(r, out, lists[l], i);
            html_m(r, "td", out, "/%s/%zu/zero/flips", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/zero/ll_max", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/zero/drop", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/resolution", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/chance", lists[l], i);
            html_m(r, "td", out, "/%s/%zu/base/value", lists[l], i);
            str_puts(out, "</tr>\n");
        }
    html_table_end(out);
    return str_check(out, st);
}
