/* A growing run of bytes, always with a zero byte behind the last.
 *
 * Appending cannot be asked for its result at every call: a failed append marks the string, further ones do
 * nothing, and str_check at the end says RC_NOMEM. Zero-initialise, then use; release when done.
 */
#ifndef LETHE_BASE_STR_H
#define LETHE_BASE_STR_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *data; /* NULL while nothing was ever appended */
    size_t size, cap;
    bool failed;
};

void str_add(struct str *s, const void *bytes, size_t n);
void str_puts(struct str *s, const char *text);
void str_putc(struct str *s, char c);
void str_printf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2);
void str_clear(struct str *s); /* keeps the memory */
void str_release(struct str *s);
const char *str_text(const struct str *s); /* never NULL */
MUST_USE int str_check(const struct str *s, struct status *st);

/* JSON text as docs/formats 0.2 and 0.3 fix it: the bytes are valid UTF-8 (checked by whoever read them). */
void str_json_string(struct str *s, const char *bytes, size_t n); /* with quotes; escapes only what must be */
void str_json_f32(struct str *s, float x);                        /* %.9g, C locale, -0 as 0; x is finite */
void str_json_f64(struct str *s, double x);                       /* %.17g, likewise */
void str_dec6(struct str *s, double x);                           /* %.6f, "0.000000" for -0 */
void str_hex(struct str *s, const uint8_t *bytes, size_t n);      /* lowercase */
void str_base64(struct str *s, const uint8_t *bytes, size_t n);   /* RFC 4648, padded */

/* Reads padded base64; text that does not encode back to itself is RC_FORMAT. */
MUST_USE int base64_read(const char *text, size_t n, struct str *out, struct status *st);
/* Reads exactly `n` bytes from 2n lowercase hex digits. */
MUST_USE int hex_read(const char *text, size_t digits, uint8_t *out, size_t n, struct status *st);

#endif
