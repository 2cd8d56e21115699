/* Section 1: the outcome in a sentence, and everything that qualifies it. */
#include "reports/report_private.h"

#include "reports/dsse.h"
#include "reports/statement.h"

#include <string.h>

static const char *sentence_of(const char *outcome)
{
    static const struct {
        const char *outcome, *sentence;
    } table[] = {
        { "PASS", "Every limit that was set for this audit was shown to hold." },
        { "FAIL", "At least one limit was broken: more was lost, or less was won, than was agreed." },
        { "INCONCLUSIVE",
          "No limit was shown to be broken, and not all were shown to hold: the suites cannot tell." },
        { "INVALID", "The run did not follow its plan, so its numbers decide nothing." },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].outcome, outcome) == 0)
            return table[i].sentence;
    return "";
}

static const char *registration_of(const struct report *r)
{
    const char *word = report_text(r->verdict, "preregistration");
    if (word && strcmp(word, "stamped") == 0)
        return "The plan was signed and carries a time stamp; checked against an authority it proves that "
               "the plan is "
               "older than the run.";
    if (word && strcmp(word, "signed") == 0)
        return r->plan.imported || plan_trains(&r->plan)
                   ? "The plan was signed. A signature says who, not when: there is no time stamp."
                   : "The plan was signed before scoring, not before training. There is no time stamp.";
    return "The plan is not signed: nothing shows that the limits were set before the results were known.";
}

static void put_reasons(const struct report *r, struct str *out)
{
    const struct json *reasons = json_find(r->verdict, "reasons");
    if (!reasons || json_size(reasons) == 0)
        return;
    str_puts(out, "<h3>Reasons</h3><ul>");
    for (size_t i = 0; i < json_size(reasons); i++) {
        str_puts(out, "<li>");
        html_v(r, "span", out, "/reasons/%zu", i);
        str_puts(out, "</li>");
    }
    str_puts(out, "</ul>\n");
}

static void put_deviations(const struct report *r, struct str *out)
{
    static const char *const heads[] = { "where", "planned", "ran" };
    const struct json *list = json_find(r->verdict, "deviations");
    if (!list || json_size(list) == 0) {
        str_puts(out, "<p>The run did not deviate from the plan.</p>\n");
        return;
    }
    html_table(out, "Deviations from the plan", heads, 3);
    for (const struct json *d = json_first(list); d; d = json_next(d)) {
        static const char *const keys[] = { "path", "planned", "ran" };
        str_puts(out, "<tr>");
        for (size_t k = 0; k < 3; k++) {
            const char *text = report_text(d, keys[k]);
            str_puts(out, k ? "<td>" : "<th scope=\"row\">");
            html_text(out, text ? text : "");
            str_puts(out, k ? "</td>" : "</th>");
        }
        str_puts(out, "</tr>\n");
    }
    html_table_end(out);
}

static void put_conditions(const struct report *r, struct str *out)
{
    const struct json *list = json_find(r->verdict, "conditions");
    if (!list || json_size(list) == 0)
        return;
    str_puts(out, "<h3>Conditions of the signer</h3><ul>");
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        str_puts(out, "<li>");
        html_text_cut(out, json_text(c) ? json_text(c) : "", 0);
        str_puts(out, "</li>");
    }
    str_puts(out, "</ul>\n");
}

static void put_approvers(const struct report *r, struct str *out)
{
    if (r->plan.approvers_n == 0)
        return;
    str_puts(out, "<h3>Planned approvers</h3><ul>");
    for (size_t i = 0; i < r->plan.approvers_n; i++) {
        str_printf(out, "<li>%s, key ", r->plan.approvers[i].role);
        html_digest(out, &r->plan.approvers[i].id);
        str_puts(out, "</li>");
    }
    str_puts(out, "</ul>\n");
}

static void put_approval(const struct container_member *m, struct str *out)
{
    struct dsse e = { 0 };
    struct approval a = { 0 };
    if (dsse_parse((struct bytes){ str_text(&m->data), m->data.size }, DSSE_TYPE_APPROVAL, &e, NULL) == 0 &&
        approval_parse(str_text(&e.payload), e.payload.size, &a, NULL) == 0) {
        str_puts(out, "<li>approved by ");
        html_text(out, a.name);
        str_printf(out, " (%s) at %s: ", a.role, a.time);
        html_text_cut(out, a.meaning, 0);
        str_puts(out, "</li>");
    }
    approval_release(&a);
    dsse_release(&e);
}

/* What envelopes claim; whether it holds only the verifier says. */
static void put_signers(const struct report *r, struct str *out)
{
    struct dsse e = { 0 };
    const struct container_member *m = container_find(r->members, "dsse.json");
    if (!m ||
        dsse_parse((struct bytes){ str_text(&m->data), m->data.size }, DSSE_TYPE_STATEMENT, &e, NULL) != 0)
        return;
    str_puts(out, "<h3>Signatures, as claimed</h3><ul>");
    for (size_t i = 0; i < e.n; i++) {
        str_puts(out, "<li>signed under key <code class=\"digest\">");
        html_text(out, e.signatures[i].keyid);
        str_puts(out, "</code></li>");
    }
    if (e.n == 0)
        str_puts(out, "<li>nobody has signed</li>");
    for (size_t i = 0; i < r->members->n; i++)
        if (strncmp(r->members->members[i].name, "approvals/", 10) == 0)
            put_approval(&r->members->members[i], out);
    str_puts(out,
             "</ul><p class=\"note\">This page checks no signature; <code>lethe-verify</code> does.</p>\n");
    dsse_release(&e);
}

int section_verdict(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    str_printf(out, "<div class=\"verdict v-%s\"><p>", report_outcome(r));
    html_v(r, "strong", out, "/outcome");
    if (r->plan.imported)
        str_puts(out, "<span>on imported scores: they were made elsewhere and only compared here. </span>");
    str_printf(out, "%s</p></div>\n<p>", sentence_of(report_outcome(r)));
    html_text_cut(out, r->plan.purpose, 0);
    str_puts(out, "</p>\n");
    put_reasons(r, out);
    str_puts(out, "<p>Preregistration: ");
    html_v(r, "strong", out, "/preregistration");
    str_printf(out, ". %s</p>\n", registration_of(r));
    put_deviations(r, out);
    put_conditions(r, out);
    put_approvers(r, out);
    if (how->texts)
        put_signers(r, out);
    return str_check(out, st);
}
