/* A run folder becomes an archive, and what may be added to an archive or taken out of it later. Every
 * function writes a whole new file at `out_path`, or none; it may be the path that was read.
 */
#ifndef LETHE_REPORTS_PACK_H
#define LETHE_REPORTS_PACK_H

#include "base/hash.h"
#include "reports/keys.h"
#include "reports/statement.h"

#include <stddef.h>

struct pack_options {
    const char *const *conditions; /* [conditions_n] free text of the signer */
    size_t conditions_n;
    const struct key_secret *const *keys; /* [keys_n] may be none: the envelope then has no signature */
    size_t keys_n;
    bool independent; /* assurance */
};
struct pack_result {
    char outcome[16]; /* "PASS" "FAIL" "INCONCLUSIVE" "INVALID" */
    bool imported;
    int exit; /* 0, 3 or 5 */
    struct hash manifest, statement;
};
/* Computes metrics.json, verdict.json, the reports, manifest and statement; closed privacy withholds. One run
 * folder gives one tar stream but for signatures that are random (P-256). o NULL: no keys. */
MUST_USE int pack_run(const char *run, const char *out_path, const struct pack_options *o,
                      struct pack_result *result, struct status *st);
/* Computes and writes metrics.json, verdict.json and the report texts only, into strings. Any may be NULL. */
struct pack_texts {
    struct str metrics, verdict, html, md, terminal;
};
MUST_USE int pack_compute(const char *run, const struct pack_options *o, struct pack_texts *out,
                          struct pack_result *result, struct status *st);
void pack_texts_release(struct pack_texts *t);

/* One more signature over the statement. RC_ARG: that key has signed already. */
MUST_USE int pack_sign(const char *archive, const char *out_path, const struct key_secret *key,
                       struct status *st);
/* a->statement is filled in here. RC_ARG: that key has approved already. */
MUST_USE int pack_approve(const char *archive, const char *out_path, const struct key_secret *key,
                          const struct approval *a, struct status *st);

/* Lines first … last of a T member, from 0. */
struct pack_range {
    const char *member;
    uint64_t first, last;
};
/* Withholds lines, and with them those that hold the same text (docs/formats/archive.md, withheld lines). */
MUST_USE int pack_withhold(const char *archive, const char *out_path, const struct pack_range *ranges,
                           size_t n, struct status *st);

/* plan.dsse.json for canonical plan bytes. */
MUST_USE int pack_plan_sign(struct bytes plan, const struct key_secret *key, struct str *out,
                            struct status *st);

#endif
