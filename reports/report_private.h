/* Private to reports/: what pages are made of, and how values get onto them.
 *
 * Numbers of metrics.json and verdict.json are shown by pointer, never computed again; html_m and html_v
 * print them as the verifier expects (docs/formats/report.md, data-m).
 */
#ifndef LETHE_REPORTS_REPORT_PRIVATE_H
#define LETHE_REPORTS_REPORT_PRIVATE_H

#include "reports/container.h"
#include "reports/documents.h"
#include "reports/evidence.h"
#include "reports/report.h"

struct report {
    struct container owned;          /* of an archive; else empty */
    const struct container *members; /* lent, or &owned */
    struct plan plan;
    struct hash plan_hash, verdict_hash, metrics_hash, manifest_hash;
    bool has_manifest;
    struct json *metrics, *verdict;
    struct doc_config config;
    struct doc_environment environment;
    struct doc_data data;
    struct doc_models models;
    struct doc_events events;
    struct evidence evidence; /* items, delta, supervision */
};
/* members: at least what the packed report is made of; must live longer. */
MUST_USE int report_of_members(const struct container *members, struct report **out, struct status *st);

/* ---- values ---- */
const struct json *report_at(const struct json *root, const char *pointer); /* NULL: nothing there */
const struct json *report_entry(const struct json *root, const char *list, size_t i);
/* Text of a string or integer member; NULL: not there. `inner` (may be NULL): a member of the member. */
const char *report_text(const struct json *o, const char *key);
/* Share as points of 100 with a sign, bits per byte with three digits: for eyes, beside the exact value. */
void report_rounded(const char *decimal, bool share, struct str *out);

/* ---- lost and learned items ---- */
struct change {
    size_t suite; /* index */
    uint64_t i;
    const struct item_row *base, *tuned;
    double margin; /* nats by which the tuned model prefers what is wrong; larger is worse */
};
struct changes {
    struct change *items; /* [n] worst first */
    size_t n, cap;
};
/* Right before and wrong after (lost), or the other way round. suite: index, or SIZE_MAX for all. */
MUST_USE int report_changes(const struct report *r, size_t suite, bool lost, struct changes *out,
                            struct status *st);
void changes_release(struct changes *c);

/* Texts of one item for people, where its line is open. */
struct item_texts {
    struct pool pool;
    bool open;
    const char *question;       /* context, or "" */
    const char *right;          /* a right answer */
    const char *before, *after; /* what base and tuned chose or wrote; NULL: not known */
};
MUST_USE int report_item_texts(const struct report *r, const struct change *c, struct item_texts *out,
                               struct status *st);

/* ---- HTML ---- */
void html_text(struct str *out, const char *text); /* from outside, in <bdi> */
void html_text_cut(struct str *out, const char *text, size_t limit);
/* <tag class="n" data-m="POINTER">VALUE</tag>; nothing there: <tag>–</tag>. */
void html_m(const struct report *r, const char *tag, struct str *out, const char *fmt, ...) PRINTF_LIKE(4);
void html_v(const struct report *r, const char *tag, struct str *out, const char *fmt, ...) PRINTF_LIKE(4);
/* The value, and beside it a rounded one for eyes only. */
void html_m_rounded(const struct report *r, bool share, struct str *out, const char *fmt, ...) PRINTF_LIKE(4);
void html_digest(struct str *out, const struct hash *h);
/* <div class="scroll" …><table><caption>…; html_table_end closes it. */
void html_table(struct str *out, const char *caption, const char *const *heads, size_t n);
void html_table_end(struct str *out);
void html_status(const struct report *r, struct str *out, const char *list, size_t i); /* a cell */

/* ---- sections: sections.def ---- */
struct section_how {
    bool texts;
};
#define SECTION(id, title)                                                                                   \
    int section_##id(const struct report *r, const struct section_how *how, struct str *out,                 \
                     struct status *st);
#include "reports/sections.def"
#undef SECTION
/* Interval charts of section 2. */
void chart_intervals(const struct report *r, bool share, struct str *out);
extern const char report_style[];

#endif
