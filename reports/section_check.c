/* Section 10: how a stranger checks this, and what that does not show. */
#include "reports/report_private.h"

#include "base/file.h"

#include <inttypes.h>

static void put_withheld(const struct report *r, struct str *out)
{
    for (size_t i = 0; i < r->members->n; i++) {
        const struct container_member *m = &r->members->members[i];
        struct member_name id;
        struct member_digest d;
        if (!member_find(m->name, &id) || !member_rule(id.member)->tree ||
            member_digest((struct bytes){ str_text(&m->data), m->data.size }, true, &d, NULL) != 0 ||
            d.withheld == 0)
            continue;
        str_printf(out, "<li>%s: %" PRIu64 " of %" PRIu64 " lines withheld</li>", m->name, d.withheld,
                   d.leaves);
    }
}

int section_check(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    str_puts(
        out,
        "<pre><code>lethe-verify ARCHIVE.lethe --trust trust.json\n"
        "lethe-verify ARCHIVE.lethe --trust trust.json --model base=BASE --model tuned=TUNED --probes "
        "SUITES\n"
        "lethe-verify ARCHIVE.lethe --trust trust.json --report</code></pre>\n"
        "<p>The verifier needs no GPU, no network and none of the models. It checks every digest and "
        "signature, holds each row against its item and its own numbers, and recomputes every number of this "
        "page, the statuses and the outcome.</p>\n"
        "<h3>What that does not show</h3><ul>"
        "<li>that the scores came from these weights: only scoring again with them shows that;</li>"
        "<li>that the suites measure what matters to you;</li>"
        "<li>when anything happened, unless a time stamp was checked.</li></ul>\n");
    if (how->texts) {
        str_puts(out, "<h3>This archive</h3><dl><dt>plan</dt><dd>");
        html_digest(out, &r->plan_hash);
        str_puts(out, "</dd><dt>metrics</dt><dd>");
        html_digest(out, &r->metrics_hash);
        str_puts(out, "</dd><dt>verdict</dt><dd>");
        html_digest(out, &r->verdict_hash);
        str_puts(out, "</dd></dl><ul>");
        put_withheld(r, out);
        str_puts(out, "</ul>\n");
    }
    return str_check(out, st);
}
