/* JSON trees over cJSON, read strictly (docs/formats 0.4) and written canonically (0.2).
 *
 * json_parse refuses: invalid UTF-8, a byte-order mark, \u0000 and lone surrogates, repeated keys, bytes
 * after the value, NaN and infinities, numbers that overflow a double, and what is over a limit below.
 */
#ifndef LETHE_BASE_JSON_H
#define LETHE_BASE_JSON_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 32, JSON_NUMBER_MAX = 32, JSON_KEYS_MAX = 4096, JSON_ELEMENTS_MAX = 1 << 20 };
#define JSON_DOCUMENT_BYTES_MAX ((size_t)64 << 20)
#define JSON_LINE_BYTES_MAX     ((size_t)4 << 20)
#define JSON_INT_MAX            INT64_C(9007199254740991)

struct json; /* one value with what is in it */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

MUST_USE int json_parse(const char *data, size_t size, struct json **out, struct status *st);
/* The same with another limit for JSON_KEYS_MAX: a vocabulary is an object. */
MUST_USE int json_parse_wide(const char *data, size_t size, size_t keys_max, struct json **out,
                             struct status *st);
/* json_parse, and the bytes must be what json_write_canonical gives for the tree (0.2: no null, no
 * fraction). */
MUST_USE int json_parse_canonical(const char *data, size_t size, struct json **out, struct status *st);
void json_free(struct json *j); /* a root only; NULL is fine */

/* ---- reading: what is lent lives as long as the root ---- */
enum json_type json_type(const struct json *j);
const struct json *json_find(const struct json *object, const char *key); /* NULL: not there, not an object */
size_t json_size(const struct json *j);                                   /* members or elements */
const struct json *json_first(const struct json *j);                      /* NULL when empty */
const struct json *json_next(const struct json *j);
const char *json_key(const struct json *member); /* of a member of an object */
const char *json_text(const struct json *j);     /* of a string, else NULL; has no zero byte inside */
bool json_is_int(const struct json *j);          /* a number without fraction, |n| <= JSON_INT_MAX */
int64_t json_int(const struct json *j);          /* asserts json_is_int */
double json_double(const struct json *j);        /* asserts JSON_NUMBER */
bool json_bool(const struct json *j);            /* asserts JSON_BOOL */
bool json_is_off(const struct json *j);          /* null, false, or a list or object without members */
bool json_equal(const struct json *a, const struct json *b); /* same canonical bytes */

/* Members by type. Missing or of another type: RC_FORMAT "key 'K' ...". */
MUST_USE int json_get_text(const struct json *object, const char *key, const char **out, struct status *st);
MUST_USE int json_get_int(const struct json *object, const char *key, int64_t min, int64_t max, int64_t *out,
                          struct status *st);
MUST_USE int json_get(const struct json *object, const char *key, enum json_type type,
                      const struct json **out, struct status *st);
/* A decimal string of 0.2 ("-0.02"), read by strtod. `text` (may be NULL) gets the string itself. */
MUST_USE int json_get_decimal(const struct json *object, const char *key, const char **text, double *out,
                              struct status *st);
bool json_is_decimal(const char *text);
/* RC_FORMAT naming the first key of `object` that is not in the NULL-ended list. */
MUST_USE int json_only(const struct json *object, const char *const *keys, struct status *st);

/* ---- building: a container owns what is put into it. NULL from a maker means no memory, and putting NULL
 *      gives NULL again, so a whole tree can be built and checked once with json_check. ---- */
struct json *json_object(void);
struct json *json_array(void);
struct json *json_of_text(const char *text);
struct json *json_of_textn(const char *bytes, size_t n);
struct json *json_of_int(int64_t n);
struct json *json_of_bool(bool b);
struct json *json_copy(const struct json *j);
/* These take `value`; on failure they free it and mark `container` as failed. A key replaces nothing: it must
 * be new. */
void json_put(struct json *object, const char *key, struct json *value);
void json_put_text(struct json *object, const char *key, const char *text);
void json_put_int(struct json *object, const char *key, int64_t n);
void json_put_bool(struct json *object, const char *key, bool b);
void json_put_dec6(struct json *object, const char *key, double x); /* as a string */
void json_put_hex(struct json *object, const char *key, const uint8_t *bytes, size_t n);
void json_push(struct json *array, struct json *value);
/* RC_NOMEM when any making or putting below this root failed. */
MUST_USE int json_check(const struct json *root, struct status *st);

/* RFC 8785 as restricted by 0.2: keys sorted by byte, no white space. RC_FORMAT: null, a fraction, an integer
 * over JSON_INT_MAX, a key that is not ASCII. */
MUST_USE int json_write_canonical(const struct json *j, struct str *out, struct status *st);

const char *json_library_version(void); /* of cJSON, as it runs */

#endif
