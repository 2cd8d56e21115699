/* Interval charts: for each suite or group the bounds of its drop as a bar, the drop as a dot, the limit as
 * a line. */
#include "reports/report_private.h"

#include <stdlib.h>
#include <string.h>

enum { CHART_ROWS_MAX = 96, ROW_HEIGHT = 26, LEFT = 190, WIDTH = 470, TOP = 14 };

struct chart {
    double low, high;
};

static bool entry_value(const struct json *e, const char *key, double *out)
{
    const char *text = report_text(e, key);
    if (text)
        *out = strtod(text, NULL);
    return text != NULL;
}

static bool entry_is_share(const struct json *e)
{
    const char *metric = report_text(e, "metric");
    return !metric || strcmp(metric, "bits_per_byte") != 0; /* groups have no metric: they are shares */
}

static void range_take(struct chart *c, double x)
{
    c->low = x < c->low ? x : c->low;
    c->high = x > c->high ? x : c->high;
}

static double place(const struct chart *c, double x)
{
    double width = c->high - c->low;
    return LEFT + (width > 0 ? (x - c->low) / width : 0) * WIDTH;
}

static size_t range_find(const struct report *r, bool share, struct chart *c)
{
    static const char *const lists[] = { "suites", "groups" }, *const keys[] = { "lower", "upper", "limit" };
    size_t rows = 0;
    for (size_t l = 0; l < 2; l++) {
        const struct json *list = json_find(r->metrics, lists[l]);
        for (const struct json *e = list ? json_first(list) : NULL; e; e = json_next(e)) {
            double x;
            if (entry_is_share(e) != share || !entry_value(e, "drop", &x))
                continue;
            rows++;
            for (size_t k = 0; k < 3; k++)
                if (entry_value(e, keys[k], &x))
                    range_take(c, x);
        }
    }
    return rows;
}

static void put_row(const struct chart *c, const struct json *e, size_t row, struct str *out)
{
    double drop = 0, lower = 0, upper = 0, limit = 0;
    int y = TOP + (int)row * ROW_HEIGHT + ROW_HEIGHT / 2;
    (void)entry_value(e, "drop", &drop);
    (void)entry_value(e, "lower", &lower);
    (void)entry_value(e, "upper", &upper);
    str_printf(out, "<text class=\"g-text\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", LEFT - 12,
               y + 4, report_text(e, "id"));
    str_printf(out, "<line class=\"g-bound\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", place(c, lower),
               place(c, upper), y, y);
    str_printf(out, "<circle class=\"g-dot\" cx=\"%.1f\" cy=\"%d\" r=\"5\"/>", place(c, drop), y);
    if (entry_value(e, "limit", &limit))
        str_printf(out, "<line class=\"g-limit\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
                   place(c, limit), place(c, limit), y - 11, y + 11);
}

void chart_intervals(const struct report *r, bool share, struct str *out)
{
    static const char *const lists[] = { "suites", "groups" };
    struct chart c = { 0, 0 };
    size_t rows = range_find(r, share, &c), row = 0;
    if (rows == 0)
        return;
    size_t shown = rows > CHART_ROWS_MAX ? CHART_ROWS_MAX : rows;
    int bottom = TOP + (int)shown * ROW_HEIGHT;
    str_printf(
        out,
        "<svg role=\"img\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"><title>Drop with its bounds, "
        "%s</title>"
        "<desc>One row a suite or group: the bar reaches from the lower to the upper bound, the dot is the "
        "drop, "
        "the dashed line the limit. Right of zero is a loss. The numbers are in the table below.</desc>",
        LEFT + WIDTH + 40, bottom + 30, LEFT + WIDTH + 40, bottom + 30,
        share ? "as a share of items" : "in bits per byte");
    str_printf(out, "<line class=\"g-zero\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", place(&c, 0),
               place(&c, 0), TOP, bottom);
    str_printf(
        out,
        "<text class=\"g-soft\" aria-hidden=\"true\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">0</text>",
        place(&c, 0), bottom + 18);
    for (size_t l = 0; l < 2; l++) {
        const struct json *list = json_find(r->metrics, lists[l]);
        for (const struct json *e = list ? json_first(list) : NULL; e && row < shown; e = json_next(e))
            if (entry_is_share(e) == share && report_text(e, "drop"))
                put_row(&c, e, row++, out);
    }
    str_puts(out, "</svg>\n");
    if (rows > shown)
        str_puts(out, "<p class=\"note\">The chart shows the first rows; the table has all.</p>\n");
}
