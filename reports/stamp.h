/* Time stamps by RFC 3161: what an authority saw, and when (docs/formats/archive.md, time stamps).
 *
 * Times are microseconds since 1970-01-01T00:00:00Z, so that they compare with the times of events.
 */
#ifndef LETHE_REPORTS_STAMP_H
#define LETHE_REPORTS_STAMP_H

#include "base/file.h"
#include "reports/keys.h"

enum { STAMP_BYTES_MAX = 1 << 20 };

struct stamp {
    int64_t time_us;       /* genTime */
    int64_t accuracy_us;   /* 0 when the stamp states none */
    struct time_text text; /* genTime, cut to milliseconds */
};

struct stamp_roots; /* certificates of authorities */
MUST_USE int stamp_roots_load(const char *path, struct stamp_roots **out, struct status *st);
MUST_USE int stamp_roots_parse(struct bytes pem, struct stamp_roots **out, struct status *st);
void stamp_roots_free(struct stamp_roots *r); /* NULL is fine */

/* What a reply claims, unchecked but for its form. RC_FORMAT: no TimeStampResp that was granted. */
MUST_USE int stamp_parse(struct bytes reply, struct stamp *out, struct status *st);
/* Signature, chain to a root (judged at genTime, so that a stamp outlives its certificate), key usage
 * timeStamping, SHA-256 imprint of `data`. RC_VERIFY: false. */
MUST_USE int stamp_verify(struct bytes reply, struct bytes data, const struct stamp_roots *roots,
                          struct stamp *out, struct status *st);

/* Time of an event or plan, "2026-11-24T12:10:00.000Z" or without the fraction. RC_FORMAT: is none. */
MUST_USE int stamp_time_read(const char *text, int64_t *us, struct status *st);
/* Whether the stamp was certainly made no later than `us`: genTime + accuracy <= us. */
bool stamp_is_before(const struct stamp *s, int64_t us);

#endif
