/* The Markdown report, for pull requests. Text from outside is always a code span. */
#include "reports/report_private.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { ROWS_MAX_MD = 50, WORST_MAX = 10, MD_BYTES_MAX = 60000 };

static void put_outside(struct str *out, const char *text, size_t limit)
{
    escape_markdown(text, strlen(text), limit, out);
}

static const char *or_dash(const char *text)
{
    return text ? text : "–";
}

static void put_row(const struct report *r, const char *list, size_t i, struct str *out)
{
    const struct json *e = report_entry(r->metrics, list, i), *base = json_find(e, "base"),
                      *tuned = json_find(e, "tuned");
    const struct json *items = json_find(e, "items");
    str_printf(out, "| %s | %s | ", or_dash(report_text(e, "id")), or_dash(report_text(e, "use")));
    if (items && json_is_int(items))
        str_printf(out, "%" PRId64, json_int(items));
    str_printf(
        out, " | %s | %s | %s | %s | %s | %s | %s |\n", or_dash(base ? report_text(base, "value") : NULL),
        or_dash(tuned ? report_text(tuned, "value") : NULL), or_dash(report_text(e, "drop")),
        or_dash(report_text(e, "lower")), or_dash(report_text(e, "upper")), or_dash(report_text(e, "limit")),
        or_dash(report_text(report_entry(r->verdict, list, i), "status")));
}

/* Gates, tasks and critical suites before what is only reported; groups among the former. */
static void put_table(const struct report *r, struct str *out)
{
    static const char *const lists[] = { "suites", "groups" };
    size_t rows = 0, all = r->plan.suites_n + r->plan.groups_n;
    str_puts(out, "| suite | use | items | base | tuned | drop | lower | upper | limit | status |\n"
                  "|---|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for (int reported = 0; reported < 2; reported++)
        for (size_t l = 0; l < 2; l++)
            for (size_t i = 0; report_entry(r->metrics, lists[l], i) && rows < ROWS_MAX_MD; i++) {
                const char *use = report_text(report_entry(r->metrics, lists[l], i), "use");
                if ((use && strcmp(use, "report") == 0) != reported)
                    continue;
                put_row(r, lists[l], i, out);
                rows++;
            }
    if (all > rows)
        str_printf(out, "\n%zu more in the archive.\n", all - rows);
}

static int put_worst(const struct report *r, struct str *out, struct status *st)
{
    int rc = 0;
    struct changes lost = { 0 };
    TRY(report_changes(r, SIZE_MAX, true, &lost, st));
    if (lost.n == 0)
        goto out;
    str_puts(out, "\n<details><summary>Worst losses by id</summary>\n\n");
    for (size_t k = 0; k < lost.n && k < WORST_MAX; k++) {
        str_printf(out, "- %s ", r->plan.suites[lost.items[k].suite].id);
        put_outside(out, lost.items[k].base->id, 60);
        str_putc(out, '\n');
    }
    if (lost.n > WORST_MAX)
        str_printf(out, "- and %zu more\n", lost.n - WORST_MAX);
    str_puts(out, "\n</details>\n");
out:
    changes_release(&lost);
    return rc;
}

int report_md(const struct report *r, struct str *out, struct status *st)
{
    int rc = 0;
    const struct json *reasons = json_find(r->verdict, "reasons");
    struct str page = { 0 };
    str_printf(&page, "<!-- " REPORT_GENERATOR " verdict:%s -->\n**%s** %s", hash_hex(&r->verdict_hash).s,
               report_outcome(r), r->plan.imported ? "on imported scores " : "");
    put_outside(&page, r->plan.title, 200);
    str_puts(&page, "\n\n");
    for (const struct json *j = reasons ? json_first(reasons) : NULL; j; j = json_next(j))
        str_printf(&page, "- because: %s\n", json_text(j));
    if (reasons && json_size(reasons) > 0)
        str_putc(&page, '\n');
    put_table(r, &page);
    TRY(put_worst(r, &page, st));
    str_printf(&page, "\nbase `%s`\ntuned `%s`\nplan `%s` (%s)\n\n", hash_hex(&r->models.base.sha256).s,
               hash_hex(&r->models.tuned.sha256).s, hash_hex(&r->plan_hash).s,
               or_dash(report_text(r->verdict, "preregistration")));
    str_puts(&page, "Check it: `lethe-verify ARCHIVE.lethe --trust trust.json`\n");
    TRY(str_check(&page, st));
    if (page.size > MD_BYTES_MAX)
        FAIL(st, RC_LIMIT, "the Markdown report is over %d bytes", MD_BYTES_MAX);
    str_add(out, page.data, page.size);
    TRY(str_check(out, st));
out:
    str_release(&page);
    return rc;
}
