#include "base/str.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for n bytes more and the zero byte behind them. */
static bool str_room(struct str *s, size_t n)
{
    if (s->failed)
        return false;
    if (n >= SIZE_MAX / 2 - s->size) {
        s->failed = true;
        return false;
    }
    size_t need = s->size + n + 1;
    if (need <= s->cap)
        return true;
    size_t cap = s->cap ? s->cap * 2 : 64;
    if (cap < need)
        cap = need;
    char *data = mem_realloc(s->data, cap, 1);
    if (!data) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->cap = cap;
    return true;
}

void str_add(struct str *s, const void *bytes, size_t n)
{
    if (!str_room(s, n))
        return;
    if (n > 0)
        memcpy(s->data + s->size, bytes, n);
    s->size += n;
    s->data[s->size] = 0;
}

void str_puts(struct str *s, const char *text)
{
    str_add(s, text, strlen(text));
}

void str_putc(struct str *s, char c)
{
    str_add(s, &c, 1);
}

void str_printf(struct str *s, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    if (n < 0)
        s->failed = true;
    else if ((size_t)n < sizeof small)
        str_add(s, small, (size_t)n);
    else if (str_room(s, (size_t)n)) {
        vsnprintf(s->data + s->size, (size_t)n + 1, fmt, again);
        s->size += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void str_clear(struct str *s)
{
    s->size = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = 0;
}

void str_release(struct str *s)
{
    mem_free(s->data);
    *s = (struct str){ 0 };
}

const char *str_text(const struct str *s)
{
    return s->data ? s->data : "";
}

int str_check(const struct str *s, struct status *st)
{
    return s->failed ? status_fail(st, RC_NOMEM, "no memory for a text of %zu bytes", s->size) : 0;
}

void str_json_string(struct str *s, const char *bytes, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t from = 0; /* what follows is added in runs: escapes are rare */
    str_putc(s, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        char escape[6] = { '\\', 0, '0', '0', 0, 0 };
        size_t size = 2;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        switch (c) {
        case '"':
        case '\\':
            escape[1] = (char)c;
            break;
        case '\b':
            escape[1] = 'b';
            break;
        case '\t':
            escape[1] = 't';
            break;
        case '\n':
            escape[1] = 'n';
            break;
        case '\f':
            escape[1] = 'f';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        default:
            escape[1] = 'u';
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            size = 6;
        }
        str_add(s, bytes + from, i - from);
        str_add(s, escape, size);
        from = i + 1;
    }
    str_add(s, bytes + from, n - from);
    str_putc(s, '"');
}

/* LC_NUMERIC stays "C", as it is at the start of every program: nothing here calls setlocale for it. */
static void put_double(struct str *s, int digits, double x)
{
    assert(isfinite(x));
    if (x == 0)
        str_putc(s, '0'); /* negative zero too */
    else
        str_printf(s, "%.*g", digits, x);
}

void str_json_f32(struct str *s, float x)
{
    put_double(s, 9, (double)x);
}

void str_json_f64(struct str *s, double x)
{
    put_double(s, 17, x);
}

void str_dec6(struct str *s, double x)
{
    char text[400]; /* 309 digits before the point at most */
    snprintf(text, sizeof text, "%.6f", x);
    str_puts(s, strcmp(text, "-0.000000") == 0 ? "0.000000" : text);
}

void str_hex(struct str *s, const uint8_t *bytes, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    if (n > SIZE_MAX / 4 || !str_room(s, 2 * n)) {
        s->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        s->data[s->size++] = hex[bytes[i] >> 4];
        s->data[s->size++] = hex[bytes[i] & 15];
    }
    s->data[s->size] = 0;
}

void str_base64(struct str *s, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (n > SIZE_MAX / 4 || !str_room(s, (n + 2) / 3 * 4)) {
        s->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t word = (uint32_t)bytes[i] << 16;
        word |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        word |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
        char *to = s->data + s->size;
        to[0] = digits[word >> 18];
        to[1] = digits[word >> 12 & 63];
        to[2] = left > 1 ? digits[word >> 6 & 63] : '=';
        to[3] = left > 2 ? digits[word & 63] : '=';
        s->size += 4;
    }
    s->data[s->size] = 0;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_read(const char *text, size_t n, struct str *out, struct status *st)
{
    int rc = 0;
    struct str bytes = { 0 };
    if (n % 4 != 0)
        FAIL(st, RC_FORMAT, "base64 of %zu characters, not a multiple of 4", n);
    for (size_t i = 0; i < n; i += 4) {
        size_t pad = 0;
        uint32_t word = 0;
        if (i + 4 == n)
            pad = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < 4 - pad ? base64_digit(text[i + k]) : 0;
            if (digit < 0)
                FAIL(st, RC_FORMAT, "base64: character %zu is not of the alphabet", i + k);
            word = word << 6 | (uint32_t)digit;
        }
        if ((pad == 1 && (word & 0xff)) || (pad == 2 && (word & 0xffff)))
            FAIL(st, RC_FORMAT, "base64: loose bits at the end");
        char three[3] = { (char)(word >> 16 & 0xff), (char)(word >> 8 & 0xff), (char)(word & 0xff) };
        str_add(&bytes, three, 3 - pad);
    }
    TRY(str_check(&bytes, st));
    str_add(out, bytes.data, bytes.size);
    TRY(str_check(out, st));
out:
    str_release(&bytes);
    return rc;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_read(const char *text, size_t digits, uint8_t *out, size_t n, struct status *st)
{
    if (n > SIZE_MAX / 2 || digits != 2 * n)
        return status_fail(st, RC_FORMAT, "%zu hex digits, %zu are wanted", digits, 2 * n);
    for (size_t i = 0; i < digits; i++)
        if (hex_digit(text[i]) < 0)
            return status_fail(st, RC_FORMAT, "character %zu is not a lowercase hex digit", i);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return 0;
}
