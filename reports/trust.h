/* Whom the verifier believes: a trust file, or a few public keys given by hand. Nothing of it ever comes out
 * of an archive (docs/formats/archive.md, trust).
 */
#ifndef LETHE_REPORTS_TRUST_H
#define LETHE_REPORTS_TRUST_H

#include "reports/keys.h"

enum { TRUST_KEYS_MAX = 256 };
#define TRUST_BYTES_MAX ((size_t)1 << 20)

enum trust_role { TRUST_NO_ROLE, TRUST_AUTHOR, TRUST_VALIDATOR };
const char *trust_role_name(enum trust_role role);            /* "none", "author", "validator" */
bool trust_role_find(const char *text, enum trust_role *out); /* "author" or "validator" */
enum trust_plan { TRUST_PLAN_ANY, TRUST_PLAN_SIGNED, TRUST_PLAN_STAMPED };
const char *trust_plan_name(enum trust_plan plan);

struct trust_key {
    char *name;
    struct key_public *key;
    struct hash id;
    enum trust_role role; /* by the `require` entry that lists it */
};

struct trust_require {
    enum trust_role role;
    size_t n, *keys; /* [n] indices into trust.keys */
    size_t threshold;
};

struct trust {
    size_t n;
    struct trust_key *keys; /* [n] */
    size_t require_n;
    struct trust_require *require; /* [require_n] */
    enum trust_plan plan;
};

/* RC_FORMAT also for: one public key under two names, a name twice, a name in both roles, a name that `keys`
 * lacks, a threshold of 0 or over its list, no `require` entry. */
MUST_USE int trust_parse(struct bytes file, struct trust *out, struct status *st);
MUST_USE int trust_load(const char *path, struct trust *out, struct status *st);
/* What --key means: one author entry over these public key files, threshold 1, any plan. A key is named by
 * its file. n >= 1. */
MUST_USE int trust_of_keys(const char *const *paths, size_t n, struct trust *out, struct status *st);
void trust_release(struct trust *t);

/* NULL: not among them. */
const struct trust_key *trust_find(const struct trust *t, const struct hash *id);
const struct trust_key *trust_find_text(const struct trust *t, const char *id_hex);

/* Whether every `require` entry is met. signed_by [t->n]: key i made a good signature. RC_VERIFY names the
 * first entry that is not ("author: 0 of 1 signatures"). */
MUST_USE int trust_check(const struct trust *t, const bool *signed_by, struct status *st);

#endif
