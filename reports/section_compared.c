/* Section 8: digests of everything that took part, and the machine. */
#include "reports/report_private.h"

#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

static void put_pair(const char *label, const char *text, struct str *out)
{
    str_printf(out, "<dt>%s</dt><dd>", label);
    html_text(out, text);
    str_puts(out, "</dd>");
}

static void put_digest(const char *label, const char *name, const struct hash *h, struct str *out)
{
    str_printf(out, "<dt>%s</dt><dd>", label);
    if (name) {
        html_text(out, name);
        str_putc(out, ' ');
    }
    html_digest(out, h);
    str_puts(out, "</dd>");
}

static void put_device(const char *label, const struct doc_device *d, struct str *out)
{
    if (!d->name)
        return;
    str_printf(out, "<dt>%s</dt><dd>", label);
    html_text(out, d->name);
    str_puts(out, ", driver ");
    html_text(out, d->driver);
    str_putc(out, ' ');
    html_text(out, d->driver_version);
    str_puts(out, ", Vulkan ");
    html_text(out, d->vulkan);
    str_puts(out, "</dd>");
}

static void put_shaders(const struct doc_environment *e, struct str *out)
{
    if (e->shaders_n == 0)
        return;
    str_puts(out, "<details><summary>Shaders that ran</summary><dl>");
    for (size_t i = 0; i < e->shaders_n; i++) {
        str_puts(out, "<dt>");
        html_text(out, e->shaders[i].name);
        str_puts(out, "</dt><dd>");
        html_digest(out, &e->shaders[i].sha256);
        str_puts(out, "</dd>");
    }
    str_puts(out, "</dl></details>\n");
}

static void put_suites(const struct report *r, struct str *out)
{
    static const char *const heads[] = { "suite", "version", "licence", "source", "SHA-256" };
    html_table(out, "Suites", heads, sizeof heads / sizeof *heads);
    for (size_t i = 0; i < r->plan.suites_n; i++) {
        const struct plan_suite *s = &r->plan.suites[i];
        str_printf(out, "<tr><th scope=\"row\">%s</th><td>", s->id);
        html_text_cut(out, s->version, 60);
        str_puts(out, "</td><td>");
        html_text_cut(out, s->licence, 60);
        str_puts(out, "</td><td>");
        html_text_cut(out, s->source, 60);
        str_puts(out, "</td><td>");
        html_digest(out, &s->sha256);
        str_puts(out, "</td></tr>\n");
    }
    html_table_end(out);
}

int section_compared(const struct report *r, const struct section_how *how, struct str *out,
                     struct status *st)
{
    const struct doc_environment *e = &r->environment;
    (void)how;
    str_puts(out, "<dl>");
    put_digest("base", r->models.base.name, &r->models.base.sha256, out);
    put_digest("tuned", r->models.tuned.name, &r->models.tuned.sha256, out);
    if (r->models.tuned.kind)
        put_pair("the tuned model is", r->models.tuned.kind, out);
    if (r->plan.has_tokenizer)
        put_digest("tokenizer", NULL, &r->plan.tokenizer, out);
    if (r->plan.has_template)
        put_digest("chat template", NULL, &r->plan.template_text, out);
    put_pair("tool", e->tool.name, out);
    put_pair("version", e->tool.version, out);
    put_pair("commit", e->tool.commit, out);
    put_digest("program", NULL, &e->tool.binary, out);
    put_pair("compiler", e->tool.compiler, out);
    put_device("device", &e->device, out);
    put_device("device of training", &e->train_device, out);
    put_pair("processor", e->host.cpu, out);
    str_printf(out, "<dt>memory</dt><dd>%.1f GiB, %" PRIu64 " cores</dd>",
               (double)e->host.ram_bytes / (1024.0 * 1024 * 1024), e->host.cores);
    if (r->events.n > 0) {
        put_pair("started", r->events.events[0].t, out);
        put_pair("finished", r->events.events[r->events.n - 1].t, out);
    }
    put_pair("Unicode", e->unicode, out);
    if (e->has_energy) {
        str_printf(out, "<dt>energy</dt><dd>%" PRIu64 " J, from ", e->energy_joules);
        html_text(out, e->energy_source);
        str_puts(out, "</dd>");
    }
    str_puts(out, "</dl>\n");
    put_suites(r, out);
    put_shaders(e, out);
    return str_check(out, st);
}
