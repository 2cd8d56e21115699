/* lethe show: an archive for people, or one of its members as it is. */
#include "cli/cli.h"

#include "base/file.h"
#include "reports/container.h"
#include "reports/report.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage USAGE = {
    .forms = "lethe show A.lethe [MEMBER] [--html OUT] [--worst N] [--gate]",
    .does = "Without MEMBER prints the table of suites, what was lost and the outcome; --html writes the "
            "page with the\n"
            "texts of open lines. With MEMBER writes that member to standard output, unchanged. Nothing is "
            "verified.",
    .example = "lethe show run.lethe run/events.jsonl",
};

static bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static int report_show(const char *archive, const char *html, const struct common *c, uint32_t worst,
                       bool gate, struct status *st)
{
    int rc = 0;
    struct report *report = NULL;
    struct str out = { 0 }, page = { 0 };
    TRY(report_open_archive(archive, &report, st));
    if (html) {
        TRY(report_html(report, true, &page, st));
        TRY(file_write(html, str_text(&page), page.size, 0644, st));
    }
    struct report_terminal options = {
        .colour = colour_wanted(),
        .quiet = c->quiet,
        .texts = true,
        .worst = worst,
        .archive = archive,
        .html = html,
    };
    if (c->json)
        TRY(report_json(report, &out, st));
    else
        TRY(report_terminal(report, &options, &out, st));
    TRY(cli_print(&out, st));
    rc = gate ? report_exit(report) : 0;
out:
    report_close(report);
    str_release(&out);
    str_release(&page);
    return rc;
}

int cmd_show(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    const char *html = NULL;
    uint32_t worst = 10;
    bool gate = false;
    struct opt_list words = { 0 };
    struct str member = { 0 };
    const struct opt table[] = {
        { "html", OPT_TEXT, &html, "OUT", "write the report as a page with the texts of open lines" },
        { "worst", OPT_COUNT, &worst, "N", "how many lost items to print in words (10)" },
        { "gate", OPT_FLAG, &gate, NULL, "exit code as the verdict says: 0, 3 or 5" },
        { "json", OPT_FLAG, &common.json, NULL, "metrics and verdict as one JSON document" },
        { "quiet", OPT_FLAG, &common.quiet, NULL, "the outcome line only" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n < 1 || words.n > 2)
        FAIL(st, RC_ARG, "an archive is wanted: lethe show A.lethe [MEMBER]");
    if (words.n == 2 && (html || gate || common.json))
        FAIL(st, RC_ARG, "a member is written as it is; --html, --gate and --json are for the whole archive");
    if (words.n == 1)
        TRY(report_show(words.v[0], html, &common, worst, gate, st));
    else {
        TRY(container_read_member(words.v[0], words.v[1], &member, st));
        TRY(cli_print(&member, st));
    }
out:
    str_release(&member);
    opts_release(table, &words);
    return rc;
}
