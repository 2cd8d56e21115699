/* Section 11: which part of the archive supports evidence for which clause. Data with a date, because law
 * moves. */
#include "reports/report_private.h"

static const char as_of[] = "August 2026";

static const struct {
    const char *clause, *asks, *where, *section;
} clauses[] = {
    { "EU AI Act, Art. 9(8)", "testing against metrics and thresholds defined beforehand",
      "plan with its signature and time stamp, first event, deviations", "plan" },
    { "EU AI Act, Art. 11 and Annex IV 2(a)", "the pre-trained model that was used, and how it was modified",
      "digests of the models, method, configuration", "compared" },
    { "EU AI Act, Annex IV 2(c) and 2(d)", "compute and data that were used",
      "environment, events, data files with counts", "training" },
    { "EU AI Act, Annex IV 2(g)", "test logs and reports, dated and signed",
      "evidence, metrics, signatures, approvals", "check" },
    { "EU AI Act, Annex IV 3 and 4", "capabilities, limits, and why these metrics fit",
      "values by suite and tag, resolution, chance, statuses", "sight" },
    { "EU AI Act, Art. 12", "records of events", "events of development and testing; use is not recorded",
      "course" },
    { "EU AI Act, Art. 13(3)(b)(ii) and 15(3)", "declared levels of accuracy",
      "values before and after with bounds", "suites" },
    { "FDA PCCP, modification protocol", "acceptance criteria defined beforehand, traceability",
      "suites with margin or gain, and their statuses", "suites" },
    { "FDA PCCP, impact assessment", "benefits and risks of each change", "verdict, lost and learned items",
      "lost" },
    { "US 21 CFR 11.50", "name, time and meaning of a signature", "approvals and planned approvers",
      "verdict" },
    { "SR 26-2, OCC 2026-13, FIL-15-2026", "effective challenge and outcomes analysis",
      "a validator's signature after recomputing", "check" },
    { "NIST AI RMF, MEASURE 2.1, 2.3, 2.5", "documented test sets, shown performance, limits of validity",
      "suites, metrics, resolution", "sight" },
};

int section_regulation(const struct report *r, const struct section_how *how, struct str *out,
                       struct status *st)
{
    static const char *const heads[] = { "clause", "asks for", "this archive supports evidence for it with",
                                         "section" };
    (void)r;
    (void)how;
    html_table(out, "Clauses that this archive supports evidence for", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
        str_printf(out,
                   "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td><a href=\"#%s\">see "
                   "there</a></td></tr>\n",
                   clauses[i].clause, clauses[i].asks, clauses[i].where, clauses[i].section);
    html_table_end(out);
    str_printf(
        out,
        "<p class=\"note\">State of the law as of %s. Whether a duty is met is for a person to judge; human "
        "oversight, bias beyond these suites, security and logs of use are not covered.</p>\n",
        as_of);
    return str_check(out, st);
}
