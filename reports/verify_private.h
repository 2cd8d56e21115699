/* Private to reports/verify*.c: one verification under way.
 *
 * Every step returns 0 to go on, whether or not something was false, and nonzero to stop with st set. What
 * is false, unchecked or only worth a note is collected here.
 */
#ifndef LETHE_REPORTS_VERIFY_PRIVATE_H
#define LETHE_REPORTS_VERIFY_PRIVATE_H

#include "reports/container.h"
#include "reports/documents.h"
#include "reports/dsse.h"
#include "reports/evidence.h"
#include "reports/manifest.h"
#include "reports/stamp.h"
#include "reports/statement.h"
#include "reports/trust.h"
#include "reports/verify.h"

enum { VERIFY_FALSE_MAX = 200, VERIFY_APPROVALS_MAX = 16 };

struct text_list {
    char **items; /* [n] */
    size_t n, cap;
};

struct seen_member {
    char *name;
    struct member_name id;
    bool known; /* id counts */
    struct member_digest digest;
};

struct seen_approval {
    struct dsse envelope;
    struct dsse_judged judged;
    struct approval approval;
};

struct verification {
    const char *path;
    const struct verify_options *options;
    struct trust trust;
    bool has_trust;
    struct text_list falses, unchecked, notes;

    size_t members_n, members_cap;
    struct seen_member *members; /* [members_n] in order of name */
    struct container docs;       /* members that are no tree of lines */

    struct manifest manifest;
    struct statement statement;
    struct dsse dsse;
    struct dsse_judged judged[DSSE_SIGNATURES_MAX];
    bool signed_by[TRUST_KEYS_MAX]; /* trust.keys[i] made a good signature */
    struct seen_approval approvals[VERIFY_APPROVALS_MAX];
    size_t approvals_n;

    struct plan plan;
    struct hash plan_hash;
    struct doc_config config;
    struct doc_environment environment;
    struct doc_data data;
    struct doc_models models;
    struct doc_events events;
    struct json *metrics, *verdict; /* as the archive says */
    const char *outcome, *preregistration;
    bool plan_signed;  /* by a trusted author */
    bool plan_stamped; /* a time stamp was checked and is before the run */
    bool has_stamp_check;
    const char *trust_reason; /* why the signers are not the trusted ones; NULL: they are */
    char trust_text[256];

    struct evidence evidence;
    struct evidence_numbers numbers;
    bool has_numbers;
    uint64_t numbers_n;
    bool unicode_differs;
    struct str buffer; /* the member that is being read in the second pass */
};

MUST_USE int text_list_add(struct text_list *l, struct status *st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void text_list_release(struct text_list *l);

MUST_USE int verify_false(struct verification *v, struct status *st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Turns RC_VERIFY of a call with its own status into an entry of `falses`; other failures go on to st. */
MUST_USE int verify_claim(struct verification *v, int rc, const struct status *said, struct status *st);
/* A whole member of v->docs; data NULL: not there. */
struct bytes verify_doc(const struct verification *v, const char *name);
const struct seen_member *verify_member(const struct verification *v, const char *name); /* or NULL */

/* docs/formats/verify.md, by number of the step */
MUST_USE int verify_container(struct verification *v, struct status *st); /* 2 */
MUST_USE int verify_heads(struct verification *v, struct status *st);     /* 3 */
MUST_USE int verify_envelope(struct verification *v, struct status *st);  /* 4 */
MUST_USE int verify_manifest(struct verification *v, struct status *st);  /* 5 and 6 */
MUST_USE int verify_documents(struct verification *v, struct status *st); /* 7 */
MUST_USE int verify_bindings(struct verification *v, struct status *st);  /* 8 */
MUST_USE int verify_evidence(struct verification *v, struct status *st);  /* 7 and 9: rows, second pass */
MUST_USE int verify_numbers(struct verification *v, struct status *st);   /* 10 */
MUST_USE int verify_html(struct verification *v, struct status *st);      /* 11 */
MUST_USE int verify_outside(struct verification *v, struct status *st);   /* 12 */
MUST_USE int verify_trusted(struct verification *v, struct status *st);   /* fills trust_reason */
void verify_print(const struct verification *v, int exit, const struct status *stopped,
                  struct verify_result *out); /* 13 */

/* Whether a signature of an envelope was made by a trusted key of the author's role. */
bool verify_by_author(const struct dsse *e, const struct dsse_judged *judged);

#endif
