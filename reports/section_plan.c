/* Section 9: the plan as it was signed. */
#include "reports/report_private.h"

#include "reports/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A value of the recipe: text as it is, everything else as its canonical JSON. */
static int put_value(const struct json *j, struct str *out, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    if (json_text(j))
        str_puts(&text, json_text(j));
    else
        TRY(field_canonical(j, &text, st));
    html_text(out, str_text(&text));
out:
    str_release(&text);
    return rc;
}

static bool deviates(const struct report *r, const char *key)
{
    char path[128];
    const struct json *list = json_find(r->verdict, "deviations");
    snprintf(path, sizeof path, "/method/%s", key);
    for (const struct json *d = list ? json_first(list) : NULL; d; d = json_next(d)) {
        const char *at = report_text(d, "path");
        if (at && strncmp(at, path, strlen(path)) == 0 && (at[strlen(path)] == 0 || at[strlen(path)] == '/'))
            return true;
    }
    return false;
}

static int put_method(const struct report *r, struct str *out, struct status *st)
{
    int rc = 0;
    if (!r->plan.method)
        goto out;
    str_puts(out, "<h3>Method</h3><dl>");
    for (const struct json *m = json_first(r->plan.method); m; m = json_next(m)) {
        str_puts(out, "<dt>");
        html_text(out, json_key(m));
        str_puts(out, "</dt><dd>");
        TRY(put_value(m, out, st));
        if (deviates(r, json_key(m)))
            str_puts(out, " <strong>(ran otherwise, see Verdict)</strong>");
        str_puts(out, "</dd>");
    }
    str_puts(out, "</dl>\n");
out:
    return rc;
}

int section_plan(const struct report *r, const struct section_how *how, struct str *out, struct status *st)
{
    int rc = 0;
    const struct plan *p = &r->plan;
    (void)how;
    str_puts(out, "<dl><dt>author</dt><dd>");
    html_text(out, p->author_name);
    if (p->author_organisation) {
        str_puts(out, ", ");
        html_text(out, p->author_organisation);
    }
    str_printf(out, "</dd><dt>created</dt><dd>%s</dd><dt>digest</dt><dd>", p->created);
    html_digest(out, &r->plan_hash);
    str_printf(out,
               "</dd><dt>statistics</dt><dd>alpha %s, correction %s, %" PRIu64 " replicates, seed %" PRIu64
               ", at least %" PRIu64 " clusters</dd>",
               p->statistics.alpha, p->statistics.holm ? "Holm" : "none", p->statistics.replicates,
               p->statistics.seed, p->statistics.min_clusters);
    if (p->has_zero)
        str_printf(out, "<dt>zero point</dt><dd>at most %" PRIu64 " flips and %s nats</dd>",
                   p->zero.flips_max, p->zero.ll_max);
    if (p->has_scoring)
        str_printf(out, "<dt>scoring</dt><dd>up to %u tokens, prefix %s, template %s, %s</dd>",
                   p->scoring.max_len, p->scoring.prefix, p->scoring.template_model ? "of the model" : "none",
                   p->scoring.dtype);
    str_printf(out, "<dt>deviations</dt><dd>%s</dd><dt>privacy</dt><dd>%s</dd>",
               p->strict ? "any makes the audit INVALID" : "are listed", p->closed ? "closed" : "open");
    if (p->previous)
        str_printf(out, "<dt>follows</dt><dd><code class=\"digest\">%s</code></dd>", p->previous);
    str_puts(out, "</dl>\n");
    TRY(put_method(r, out, st));
out:
    return rc;
}
