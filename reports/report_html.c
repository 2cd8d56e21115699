/* The page: one file without script or request, whose style is named by its hash. */
#include "reports/report_private.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The verifier reads data-m and data-v by their names alone, so text from outside may not spell them. */
static void disarm(const struct str *text, struct str *out)
{
    for (size_t i = 0; i < text->size; i++) {
        bool name = i + 6 <= text->size && strncasecmp(text->data + i, "data-", 5) == 0 &&
                    strchr("mMvV", text->data[i + 5]);
        if (name) {
            str_add(out, text->data + i, 4);
            str_puts(out, "&#45;");
            i += 4;
        } else {
            str_putc(out, text->data[i]);
        }
    }
}

void html_text_cut(struct str *out, const char *text, size_t limit)
{
    struct str escaped = { 0 };
    escape_html(text, strlen(text), limit, &escaped);
    if (escaped.failed)
        out->failed = true;
    disarm(&escaped, out);
    str_release(&escaped);
}

void html_text(struct str *out, const char *text)
{
    html_text_cut(out, text, 200);
}

static const char *value_of(const struct json *root, const char *pointer, char room[32])
{
    const struct json *j = report_at(root, pointer);
    if (j && json_text(j))
        return json_text(j);
    if (!j || !json_is_int(j))
        return NULL;
    snprintf(room, 32, "%" PRId64, json_int(j));
    return room;
}

static void put_value(const struct json *root, const char *attribute, const char *tag, const char *pointer,
                      struct str *out)
{
    char room[32];
    const char *value = value_of(root, pointer, room);
    if (!value) {
        str_printf(out, "<%s class=\"n\">&ndash;</%s>", tag, tag);
        return;
    }
    str_printf(out, "<%s class=\"n\" %s=\"%s\">", tag, attribute, pointer);
    escape_html_attribute(value, strlen(value), out);
    str_printf(out, "</%s>", tag);
}

void html_m(const struct report *r, const char *tag, struct str *out, const char *fmt, ...)
{
    char pointer[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(pointer, sizeof pointer, fmt, args);
    va_end(args);
    put_value(r->metrics, "data-m", tag, pointer, out);
}

void html_v(const struct report *r, const char *tag, struct str *out, const char *fmt, ...)
{
    char pointer[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(pointer, sizeof pointer, fmt, args);
    va_end(args);
    put_value(r->verdict, "data-v", tag, pointer, out);
}

void html_m_rounded(const struct report *r, bool share, struct str *out, const char *fmt, ...)
{
    char pointer[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(pointer, sizeof pointer, fmt, args);
    va_end(args);
    const struct json *j = report_at(r->metrics, pointer);
    str_puts(out, "<td>");
    put_value(r->metrics, "data-m", "span", pointer, out);
    if (j && json_text(j)) {
        str_puts(out, "<span class=\"eye\" aria-hidden=\"true\">");
        report_rounded(json_text(j), share, out);
        /* a share is a percentage, a difference or a limit of shares is in points */
        size_t n = strlen(pointer);
        bool level = n > 6 && strcmp(pointer + n - 6, "/value") == 0;
        str_puts(out, !share ? "</span>" : level ? " %</span>" : " points</span>");
    }
    str_puts(out, "</td>");
}

void html_digest(struct str *out, const struct hash *h)
{
    str_printf(out, "<code class=\"digest\">%s</code>", hash_hex(h).s);
}

void html_table(struct str *out, const char *caption, const char *const *heads, size_t n)
{
    str_printf(
        out,
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s\"><table><caption>%s</caption>"
        "<thead><tr>",
        caption, caption);
    for (size_t i = 0; i < n; i++)
        str_printf(out, "<th scope=\"col\">%s</th>", heads[i]);
    str_puts(out, "</tr></thead><tbody>\n");
}

void html_table_end(struct str *out)
{
    str_puts(out, "</tbody></table></div>\n");
}

/* Word and shape, so that nothing depends on colour. */
void html_status(const struct report *r, struct str *out, const char *list, size_t i)
{
    static const char *const shapes[][2] = {
        { "HELD", "&#10003;" },     { "BROKEN", "&#10007;" }, { "OPEN", "?" },
        { "SMALL", "?" },           { "FLOOR", "?" },         { "BLIND", "?" },
        { "REPORTED", "&middot;" }, { "INCOMPLETE", "!" }
    };
    const char *word = report_text(report_entry(r->verdict, list, i), "status");
    const char *shape = "";
    for (size_t k = 0; word && k < sizeof shapes / sizeof *shapes; k++)
        if (strcmp(shapes[k][0], word) == 0)
            shape = shapes[k][1];
    str_printf(out, "<td class=\"status s-%s\"><span aria-hidden=\"true\">%s </span>", word ? word : "none",
               shape);
    html_v(r, "strong", out, "/%s/%zu/status", list, i);
    str_puts(out, "</td>");
}

/* ---- the page ---- */

static const struct {
    const char *id, *title;
    int (*write)(const struct report *r, const struct section_how *how, struct str *out, struct status *st);
} sections[] = {
#define SECTION(id, title) { #id, title, section_##id },
#include "reports/sections.def"
#undef SECTION
};

static void put_head(const struct report *r, struct str *out)
{
    struct hash style = sha256_of(report_style, strlen(report_style));
    str_puts(
        out,
        "<!doctype html>\n<html lang=\"en\" data-generator=\"" REPORT_GENERATOR "\"><head>"
        "<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'sha256-");
    str_base64(out, style.b, sizeof style.b);
    str_puts(out, "'; base-uri 'none'; form-action 'none'\">"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    struct str title = { 0 };
    escape_html_attribute(r->plan.title, strlen(r->plan.title), &title);
    disarm(&title, out);
    str_release(&title);
    str_printf(out, ": %s%s</title><style>%s</style></head>\n", report_outcome(r),
               r->plan.imported ? " on imported scores" : "", report_style);
}

int report_html(const struct report *r, bool texts, struct str *out, struct status *st)
{
    int rc = 0;
    const struct section_how how = { .texts = texts };
    put_head(r, out);
    str_puts(out, "<body><a class=\"skip\" href=\"#verdict\">Skip to the verdict</a>\n<header>"
                  "<p class=\"kind\">lethe forgetting audit</p><h1>");
    html_text(out, r->plan.title);
    str_puts(out, "</h1></header>\n<nav aria-label=\"Sections\"><ol>");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        str_printf(out, "<li><a href=\"#%s\">%s</a></li>", sections[i].id, sections[i].title);
    str_puts(out, "</ol></nav>\n<main>\n");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        str_printf(out, "<section id=\"%s\" aria-labelledby=\"h-%s\"><h2 id=\"h-%s\">%s</h2>\n",
                   sections[i].id, sections[i].id, sections[i].id, sections[i].title);
        TRY(sections[i].write(r, &how, out, st));
        str_puts(out, "</section>\n");
    }
    str_puts(out, "</main>\n<footer><p>page made from ");
    if (texts && r->has_manifest) {
        str_puts(out, "manifest ");
        html_digest(out, &r->manifest_hash);
    } else {
        str_puts(out, "verdict ");
        html_digest(out, &r->verdict_hash);
    }
    str_puts(out, "</p></footer></body></html>\n");
    TRY(str_check(out, st));
out:
    return rc;
}
