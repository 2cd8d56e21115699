/* Private to reports/: members of JSON objects read by the types that documents use. Messages begin with
 * "key". */
#ifndef LETHE_REPORTS_FIELDS_H
#define LETHE_REPORTS_FIELDS_H

#include "base/hash.h"
#include "base/json.h"

/* Missing: *out is NULL. */
MUST_USE int field_text_maybe(const struct json *o, const char *key, const char **out, struct status *st);
MUST_USE int field_hash(const struct json *o, const char *key, struct hash *out, struct status *st);
MUST_USE int field_u64(const struct json *o, const char *key, uint64_t *out, struct status *st);
/* One of the words of a NULL-ended list. */
MUST_USE int field_word(const struct json *o, const char *key, const char *const *words, const char **out,
                        struct status *st);
/* {"sha256": hex} and nothing else, under `key`; missing: *has is false. */
MUST_USE int field_digest(const struct json *o, const char *key, bool *has, struct hash *out,
                          struct status *st);
MUST_USE int field_array(const struct json *o, const char *key, size_t max, const struct json **out,
                         size_t *n, struct status *st);
/* The version key of a document: 1. RC_UNSUPPORTED: above it. */
MUST_USE int field_version(const struct json *o, const char *key, struct status *st);
/* RC_FORMAT: not an object, or with a key that is not in the NULL-ended list. */
MUST_USE int field_only(const struct json *o, const char *const *keys, struct status *st);
/* Canonical text of a value, for messages and comparisons. */
MUST_USE int field_canonical(const struct json *j, struct str *out, struct status *st);

struct json *field_of_hash(const struct hash *h); /* as a string */
void field_put_hash(struct json *o, const char *key, const struct hash *h);

#endif
