/* DSSE envelopes: a payload with up to 16 signatures over its pre-authentication encoding
 * (docs/formats/archive.md, signatures). Envelopes are canonical documents.
 */
#ifndef LETHE_REPORTS_DSSE_H
#define LETHE_REPORTS_DSSE_H

#include "reports/keys.h"
#include "reports/trust.h"

enum { DSSE_SIGNATURES_MAX = 16 };
#define DSSE_TYPE_STATEMENT "application/vnd.in-toto+json"
#define DSSE_TYPE_PLAN      "application/vnd.lethe.plan+json"
#define DSSE_TYPE_APPROVAL  "application/vnd.lethe.approval+json"

struct dsse_signature {
    char *keyid; /* as it stands there: a hint */
    struct str sig;
};

struct dsse {
    char *type;
    struct str payload; /* decoded */
    size_t n;
    struct dsse_signature signatures[DSSE_SIGNATURES_MAX]; /* in order of signing */
};

/* "DSSEv1 len type len body", appended. */
MUST_USE int dsse_pae(const char *type, struct bytes body, struct str *out, struct status *st);

/* An envelope without a signature. */
MUST_USE int dsse_init(const char *type, struct bytes payload, struct dsse *out, struct status *st);
void dsse_release(struct dsse *e);
/* Appends a signature. RC_ARG: that key has signed already. RC_LIMIT: 16 are there. */
MUST_USE int dsse_sign(struct dsse *e, const struct key_secret *k, struct status *st);
MUST_USE int dsse_write(const struct dsse *e, struct str *out, struct status *st);
/* type NULL: any; else another payloadType is RC_FORMAT. */
MUST_USE int dsse_parse(struct bytes file, const char *type, struct dsse *out, struct status *st);

/* What a signature is worth to a verifier who trusts these keys. */
enum dsse_state {
    DSSE_GOOD,    /* a trusted key verifies it and the keyid is that key's */
    DSSE_UNKNOWN, /* no trusted key verifies it and the keyid is none of theirs */
    DSSE_FALSE,   /* the keyid names a trusted key that does not verify it, or another trusted key does */
};
struct dsse_judged {
    enum dsse_state state;
    const struct trust_key *key; /* of GOOD the signer; of FALSE the key concerned; else NULL */
};
/* out [e->n]. Nonzero: could not be checked. t NULL: trusts nobody. */
MUST_USE int dsse_judge(const struct dsse *e, const struct trust *t, struct dsse_judged *out,
                        struct status *st);

#endif
