/* Reports: pages over the members of an archive; they hold no number of their own
 * (docs/formats/report.md). */
#ifndef LETHE_REPORTS_REPORT_H
#define LETHE_REPORTS_REPORT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define REPORT_GENERATOR "lethe-report/1"

struct report; /* the members that reports are made of, parsed */

/* From an archive, or from a run folder whose metrics and verdict are computed now. Nothing is verified. */
MUST_USE int report_open_archive(const char *path, struct report **out, struct status *st);
void report_close(struct report *r); /* NULL is fine */

/* The page. texts: with texts of open lines, signers and approvals (never packed). */
MUST_USE int report_html(const struct report *r, bool texts, struct str *out, struct status *st);
MUST_USE int report_md(const struct report *r, struct str *out, struct status *st);
struct report_terminal {
    bool colour;                /* escape sequences */
    bool quiet;                 /* the outcome line only */
    bool texts;                 /* worst forgotten items in words, where open */
    size_t worst;               /* how many of them; 0: three */
    const char *archive, *html; /* paths to name at the end, or NULL */
};
MUST_USE int report_terminal(const struct report *r, const struct report_terminal *o, struct str *out,
                             struct status *st);
/* {"metrics":…,"verdict":…} as they are. */
MUST_USE int report_json(const struct report *r, struct str *out, struct status *st);
const char *report_outcome(const struct report *r); /* "PASS" … */
int report_exit(const struct report *r);            /* 0, 3 or 5 */

#endif
