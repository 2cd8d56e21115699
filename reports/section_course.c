/* Section 6: loss and retention against steps, from the events. */
#include "reports/report_private.h"

#include <inttypes.h>
#include <string.h>

enum { POINTS_MAX = 380, WIDTH = 640, HEIGHT = 200, MARGIN = 30 };

static bool number(const struct json *o, const char *key, double *out)
{
    const struct json *j = json_find(o, key);
    if (!j || json_type(j) != JSON_NUMBER)
        return false;
    *out = json_double(j);
    return true;
}

struct course {
    size_t n;
    double loss_low, loss_high, first, last, loss_first, loss_last;
};

static struct course course_of(const struct doc_events *e)
{
    struct course c = { 0 };
    for (size_t i = 0; i < e->n; i++) {
        double step, loss;
        if (strcmp(e->events[i].name, "step") != 0 || !number(e->events[i].root, "step", &step) ||
            !number(e->events[i].root, "loss", &loss))
            continue;
        if (c.n == 0)
            c = (struct course){ 0, loss, loss, step, step, loss, loss };
        c.loss_low = loss < c.loss_low ? loss : c.loss_low;
        c.loss_high = loss > c.loss_high ? loss : c.loss_high;
        c.loss_last = loss;
        c.last = step;
        c.n++;
    }
    return c;
}

static void put_chart(const struct doc_events *e, const struct course *c, struct str *out)
{
    double steps = c->last > c->first ? c->last - c->first : 1;
    double range = c->loss_high > c->loss_low ? c->loss_high - c->loss_low : 1;
    size_t every = c->n / POINTS_MAX + 1, k = 0;
    str_printf(
        out,
        "<svg role=\"img\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\"><title>Loss against steps</title>"
        "<desc>The line is the loss of the training steps, from the first on the left to the last on the "
        "right; "
        "higher is more. The numbers are in the table below.</desc>",
        WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN);
    str_printf(out,
               "<line class=\"g-axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/><polyline class=\"g-line\" "
               "points=\"",
               MARGIN, MARGIN + WIDTH, MARGIN + HEIGHT, MARGIN + HEIGHT);
    for (size_t i = 0; i < e->n; i++) {
        double step, loss;
        if (strcmp(e->events[i].name, "step") != 0 || !number(e->events[i].root, "step", &step) ||
            !number(e->events[i].root, "loss", &loss) || k++ % every != 0)
            continue;
        str_printf(out, "%.1f,%.1f ", MARGIN + (step - c->first) / steps * WIDTH,
                   MARGIN + (c->loss_high - loss) / range * HEIGHT);
    }
    str_puts(out, "\"/></svg>\n");
}

static void put_numbers(const struct course *c, struct str *out)
{
    static const char *const heads[] = { "steps", "first loss", "last loss", "lowest", "highest" };
    html_table(out, "Loss of training", heads, sizeof heads / sizeof *heads);
    str_printf(out, "<tr><td>%zu</td><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>%.4f</td></tr>\n", c->n,
               c->loss_first, c->loss_last, c->loss_low, c->loss_high);
    html_table_end(out);
}

static void put_monitor(const struct doc_events *e, struct str *out)
{
    static const char *const heads[] = { "step", "suite", "value", "drop" };
    bool open = false;
    for (size_t i = 0; i < e->n; i++) {
        double step, value, drop;
        const struct json *o = e->events[i].root;
        if (strcmp(e->events[i].name, "monitor") != 0 || !number(o, "step", &step) ||
            !number(o, "value", &value) || !number(o, "drop", &drop))
            continue;
        if (!open)
            html_table(out, "Monitor", heads, sizeof heads / sizeof *heads);
        open = true;
        str_printf(out, "<tr><td>%.0f</td><td>", step);
        html_text(out, report_text(o, "suite") ? report_text(o, "suite") : "");
        str_printf(out, "</td><td>%.4f</td><td>%.4f</td></tr>\n", value, drop);
    }
    if (open)
        html_table_end(out);
}

static void put_warnings(const struct doc_events *e, struct str *out)
{
    bool open = false;
    for (size_t i = 0; i < e->n; i++) {
        if (strcmp(e->events[i].name, "warning") != 0)
            continue;
        str_puts(out, open ? "<li>" : "<h3>Warnings</h3><ul><li>");
        open = true;
        html_text(out, report_text(e->events[i].root, "text"));
        str_puts(out, "</li>");
    }
    if (open)
        str_puts(out, "</ul>\n");
}

int section_course(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    struct course c = course_of(&r->events);
    (void)how;
    if (c.n == 0) {
        str_puts(out, "<p>Nothing was trained in this run.</p>\n");
    } else {
        put_chart(&r->events, &c, out);
        put_numbers(&c, out);
    }
    put_monitor(&r->events, out);
    put_warnings(&r->events, out);
    return str_check(out, st);
}
