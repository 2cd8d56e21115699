/* Section 4: what changed position by position, where both models were compared over the same tokens. */
#include "reports/report_private.h"

int section_tokens(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    static const char *const heads[] = { "suite", "positions",   "same top", "forgot", "learned",
                                         "drift", "mean change", "KL from",  "KL to" };
    (void)how;
    const struct json *ledger = json_find(r->metrics, "ledger");
    const struct json *suites = ledger ? json_find(ledger, "suites") : NULL;
    if (!suites || json_size(suites) == 0) {
        str_puts(out, "<p>No comparison by token was made in this run.</p>\n");
        return str_check(out, st);
    }
    html_table(out, "Positions compared, log-probabilities in nats", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < json_size(suites); i++) {
        str_puts(out, "<tr><th scope=\"row\">");
        html_m(r, "span", out, "/ledger/suites/%zu/id", i);
        str_puts(out, "</th>");
        html_m(r, "td", out, "/ledger/suites/%zu/positions", i);
        html_m(r, "td", out, "/ledger/suites/%zu/same_top", i);
        html_m(r, "td", out, "/ledger/suites/%zu/forgot", i);
        html_m(r, "td", out, "/ledger/suites/%zu/learned", i);
        html_m(r, "td", out, "/ledger/suites/%zu/drift", i);
        html_m(r, "td", out, "/ledger/suites/%zu/dlogp_mean", i);
        html_m(r, "td", out, "/ledger/suites/%zu/kl_mean/0", i);
        html_m(r, "td", out, "/ledger/suites/%zu/kl_mean/1", i);
        str_puts(out, "</tr>\n");
    }
    html_table_end(out);
    str_puts(out, "<p>Rows in the ledger: ");
    html_m(r, "span", out, "/ledger/rows");
    str_puts(out, ".</p>\n");
    return str_check(out, st);
}
