/* The table for a terminal. Escape sequences come only from here, and colour never says anything alone. */
#include "reports/report_private.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WORST_DEFAULT = 3, TEXT_MAX = 60 };

static void put_outside(struct str *out, const char *text, size_t limit)
{
    escape_terminal(text, strlen(text), limit, out);
}

/* Questions have line ends; in a line of a list they become a mark. */
static void put_line(struct str *out, const char *text, size_t limit)
{
    struct str one = { 0 };
    for (; *text == ' ' || *text == '\n'; text++)
        ;
    for (; *text; text++)
        if (*text == '\n')
            str_puts(&one, " / ");
        else
            str_putc(&one, *text);
    put_outside(out, str_text(&one), limit);
    str_release(&one);
}

static const char *colour_of(const char *word)
{
    if (strcmp(word, "PASS") == 0 || strcmp(word, "HELD") == 0)
        return "\033[32m";
    if (strcmp(word, "FAIL") == 0 || strcmp(word, "BROKEN") == 0 || strcmp(word, "INVALID") == 0)
        return "\033[31m";
    if (strcmp(word, "REPORTED") == 0)
        return "";
    return "\033[33m";
}

static void put_word(const struct report_terminal *o, const char *word, struct str *out)
{
    const char *colour = o->colour ? colour_of(word) : "";
    str_printf(out, "%s%s%s", colour, word, *colour ? "\033[0m" : "");
}

static const char *inner(const struct json *e, const char *key)
{
    const struct json *j = json_find(e, key);
    return j ? report_text(j, "value") : NULL;
}

static void put_number(const char *text, bool share, int width, struct str *out)
{
    struct str number = { 0 };
    if (text)
        report_rounded(text, share, &number);
    str_printf(out, "%*s", width, text ? str_text(&number) : "-");
    str_release(&number);
}

static void put_entry(const struct report *r, const char *list, size_t i, int width,
                      const struct report_terminal *o, struct str *out)
{
    const struct json *e = report_entry(r->metrics, list, i);
    const char *metric = report_text(e, "metric"), *use = report_text(e, "use");
    const char *status = report_text(report_entry(r->verdict, list, i), "status");
    bool share = !metric || strcmp(metric, "bits_per_byte") != 0;
    const struct json *forgot = json_find(e, "forgot"), *learned = json_find(e, "learned");
    str_printf(out, "%-*s  %-8s ", width, report_text(e, "id"), use ? use : "");
    put_number(inner(e, "base"), share, 7, out);
    str_puts(out, share ? " % ->" : "   ->");
    put_number(inner(e, "tuned"), share, 7, out);
    str_puts(out, share ? " %   drop" : "     drop");
    put_number(report_text(e, "drop"), share, 8, out);
    str_puts(out, share ? " points  [" : " bits/B  [");
    put_number(report_text(e, "lower"), share, 7, out);
    str_puts(out, ",");
    put_number(report_text(e, "upper"), share, 7, out);
    str_puts(out, "]  ");
    if (use && strcmp(use, "critical") == 0 && forgot)
        str_printf(out, "lost %-7" PRId64, json_int(forgot));
    else if (report_text(e, "limit")) {
        str_puts(out, "limit");
        put_number(report_text(e, "limit"), share, 7, out);
    } else
        str_printf(out, "%12s", "");
    str_puts(out, "  ");
    put_word(o, status ? status : "-", out);
    if (forgot && learned)
        str_printf(out, "  (forgot %" PRId64 ", learned %" PRId64 ")", json_int(forgot), json_int(learned));
    str_putc(out, '\n');
}

static void put_table(const struct report *r, const struct report_terminal *o, struct str *out)
{
    size_t width = 5;
    for (size_t i = 0; i < r->plan.suites_n; i++)
        width = strlen(r->plan.suites[i].id) > width ? strlen(r->plan.suites[i].id) : width;
    for (size_t i = 0; i < r->plan.groups_n; i++)
        width = strlen(r->plan.groups[i].id) > width ? strlen(r->plan.groups[i].id) : width;
    for (size_t i = 0; report_entry(r->metrics, "suites", i); i++)
        put_entry(r, "suites", i, (int)width, o, out);
    for (size_t i = 0; report_entry(r->metrics, "groups", i); i++)
        put_entry(r, "groups", i, (int)width, o, out);
}

static int put_change(const struct report *r, const struct change *c, bool texts, struct str *out,
                      struct status *st)
{
    int rc = 0;
    struct item_texts t = { 0 };
    str_printf(out, "  %s ", r->plan.suites[c->suite].id);
    put_outside(out, c->base->id, TEXT_MAX);
    if (texts) {
        TRY(report_item_texts(r, c, &t, st));
        if (t.open && *t.question) {
            str_puts(out, ": ");
            put_line(out, t.question, 100);
        }
        str_puts(out, t.open || t.before ? "\n      before: " : "");
        if (t.before)
            put_line(out, t.before, TEXT_MAX);
        else if (t.open)
            put_line(out, t.right, TEXT_MAX);
        if (t.after) {
            str_puts(out, "   after: ");
            put_line(out, t.after, TEXT_MAX);
        }
    }
    str_putc(out, '\n');
out:
    pool_release(&t.pool);
    return rc;
}

static int put_worst(const struct report *r, const struct report_terminal *o, struct str *out,
                     struct status *st)
{
    int rc = 0;
    size_t worst = o->worst ? o->worst : WORST_DEFAULT;
    struct changes lost = { 0 };
    TRY(report_changes(r, SIZE_MAX, true, &lost, st));
    if (lost.n == 0)
        goto out;
    str_printf(out, "\n%s of %zu forgotten items:\n", lost.n > worst ? "the worst" : "all", lost.n);
    for (size_t k = 0; k < lost.n && k < worst; k++)
        TRY(put_change(r, &lost.items[k], o->texts, out, st));
out:
    changes_release(&lost);
    return rc;
}

static void put_outcome(const struct report *r, const struct report_terminal *o, struct str *out)
{
    const struct json *reasons = json_find(r->verdict, "reasons");
    put_word(o, report_outcome(r), out);
    if (r->plan.imported)
        str_puts(out, " on imported scores");
    str_puts(out, ": ");
    put_outside(out, r->plan.title, 200);
    const char *between = " (";
    for (const struct json *j = reasons ? json_first(reasons) : NULL; j; j = json_next(j), between = ", ")
        str_printf(out, "%s%s", between, json_text(j));
    str_puts(out, reasons && json_size(reasons) ? ")\n" : "\n");
}

int report_terminal(const struct report *r, const struct report_terminal *o, struct str *out,
                    struct status *st)
{
    int rc = 0;
    if (!o->quiet) {
        put_table(r, o, out);
        TRY(put_worst(r, o, out, st));
        str_putc(out, '\n');
    }
    put_outcome(r, o, out);
    if (!o->quiet && o->archive) {
        str_puts(out, "archive: ");
        put_outside(out, o->archive, 0);
        str_putc(out, '\n');
    }
    if (!o->quiet && o->html) {
        str_puts(out, "report:  ");
        put_outside(out, o->html, 0);
        str_putc(out, '\n');
    }
    TRY(str_check(out, st));
out:
    return rc;
}
