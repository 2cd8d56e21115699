/* A scanner that builds nothing. cJSON takes what it likes of numbers, white space and encodings, so that
 * nothing reaches it that this has not seen. */
#include "base/json_scan.h"

#include "base/json.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const unsigned char *data;
    size_t size, at, keys_max;
    struct status *st;
};

static int scan_value(struct scan *s, int depth);

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* 0 past the end: no rule below accepts a zero byte. */
static unsigned char peek(const struct scan *s)
{
    return s->at < s->size ? s->data[s->at] : 0;
}

static int wanted(struct scan *s, const char *what)
{
    if (s->at >= s->size)
        return status_fail(s->st, RC_FORMAT, "byte %zu: the text ends, %s is wanted", s->at, what);
    return status_fail(s->st, RC_FORMAT, "byte %zu: 0x%02x, %s is wanted", s->at, s->data[s->at], what);
}

static void skip_space(struct scan *s)
{
    for (unsigned char c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
        s->at++;
}

static int scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->size - s->at < n || memcmp(s->data + s->at, word, n) != 0)
        return wanted(s, "a value");
    s->at += n;
    return 0;
}

static size_t skip_digits(struct scan *s)
{
    size_t from = s->at;
    while (is_digit(peek(s)))
        s->at++;
    return s->at - from;
}

static int scan_number(struct scan *s)
{
    size_t from = s->at;
    bool exponent = false;
    if (peek(s) == '-')
        s->at++;
    if (peek(s) == '0')
        s->at++;
    else if (skip_digits(s) == 0)
        return wanted(s, "a digit");
    if (peek(s) == '.') {
        s->at++;
        if (skip_digits(s) == 0)
            return wanted(s, "a digit");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        exponent = true;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (skip_digits(s) == 0)
            return wanted(s, "a digit");
    }
    size_t n = s->at - from;
    if (n > JSON_NUMBER_MAX)
        return status_fail(s->st, RC_LIMIT, "byte %zu: a number of %zu characters, over %d", from, n,
                           JSON_NUMBER_MAX);
    if (exponent) { /* without one, 32 characters overflow nothing */
        char text[JSON_NUMBER_MAX + 1];
        memcpy(text, s->data + from, n);
        text[n] = 0;
        if (!isfinite(strtod(text, NULL)))
            return status_fail(s->st, RC_FORMAT, "byte %zu: the number overflows", from);
    }
    return 0;
}

static int read_hex4(struct scan *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = peek(s);
        uint32_t digit;
        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)((c | 32) - 'a' + 10);
        else
            return wanted(s, "a hex digit");
        *out = *out << 4 | digit;
        s->at++;
    }
    return 0;
}

/* What follows a backslash. */
static int scan_escape(struct scan *s)
{
    size_t from = s->at - 1;
    unsigned char c = peek(s);
    if (c == 0 || !strchr("\"\\/bfnrtu", c))
        return wanted(s, "an escape");
    s->at++;
    if (c != 'u')
        return 0;
    uint32_t high, low;
    int rc = read_hex4(s, &high);
    if (rc)
        return rc;
    if (high == 0)
        return status_fail(s->st, RC_FORMAT, "byte %zu: \\u0000", from);
    if (high < 0xD800 || high > 0xDFFF)
        return 0;
    if (high > 0xDBFF || s->size - s->at < 2 || memcmp(s->data + s->at, "\\u", 2) != 0)
        return status_fail(s->st, RC_FORMAT, "byte %zu: half of a surrogate pair", from);
    s->at += 2;
    rc = read_hex4(s, &low);
    if (rc)
        return rc;
    if (low < 0xDC00 || low > 0xDFFF)
        return status_fail(s->st, RC_FORMAT, "byte %zu: half of a surrogate pair", from);
    return 0;
}

static int scan_string(struct scan *s)
{
    s->at++; /* the quote */
    for (;;) {
        unsigned char c = peek(s);
        if (c == '"') {
            s->at++;
            return 0;
        }
        if (c < 0x20) /* so is the end */
            return wanted(s, "a character of a string");
        if (c == '\\') {
            s->at++;
            int rc = scan_escape(s);
            if (rc)
                return rc;
        } else if (c < 0x80) {
            s->at++;
        } else {
            int32_t cp;
            size_t n = utf8_next((const char *)s->data + s->at, s->size - s->at, &cp);
            if (cp < 0)
                return status_fail(s->st, RC_FORMAT, "byte %zu: not UTF-8", s->at);
            s->at += n;
        }
    }
}

static int scan_members(struct scan *s, int depth)
{
    size_t from = s->at++, n = 0;
    skip_space(s);
    if (peek(s) == '}') {
        s->at++;
        return 0;
    }
    for (;;) {
        if (++n > s->keys_max)
            return status_fail(s->st, RC_LIMIT, "byte %zu: over %zu keys in an object", from, s->keys_max);
        if (peek(s) != '"')
            return wanted(s, "a key");
        int rc = scan_string(s);
        if (rc)
            return rc;
        skip_space(s);
        if (peek(s) != ':')
            return wanted(s, "':'");
        s->at++;
        skip_space(s);
        rc = scan_value(s, depth);
        if (rc)
            return rc;
        skip_space(s);
        if (peek(s) == '}') {
            s->at++;
            return 0;
        }
        if (peek(s) != ',')
            return wanted(s, "',' or '}'");
        s->at++;
        skip_space(s);
    }
}

static int scan_elements(struct scan *s, int depth)
{
    size_t from = s->at++, n = 0;
    skip_space(s);
    if (peek(s) == ']') {
        s->at++;
        return 0;
    }
    for (;;) {
        if (++n > JSON_ELEMENTS_MAX)
            return status_fail(s->st, RC_LIMIT, "byte %zu: over %d elements in an array", from,
                               JSON_ELEMENTS_MAX);
        int rc = scan_value(s, depth);
        if (rc)
            return rc;
        skip_space(s);
        if (peek(s) == ']') {
            s->at++;
            return 0;
        }
        if (peek(s) != ',')
            return wanted(s, "',' or ']'");
        s->at++;
        skip_space(s);
    }
}

/* depth: containers around this value. */
static int scan_value(struct scan *s, int depth)
{
    unsigned char c = peek(s);
    if ((c == '{' || c == '[') && depth >= JSON_DEPTH_MAX)
        return status_fail(s->st, RC_LIMIT, "byte %zu: nested deeper than %d", s->at, JSON_DEPTH_MAX);
    switch (c) {
    case '{':
        return scan_members(s, depth + 1);
    case '[':
        return scan_elements(s, depth + 1);
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return c == '-' || is_digit(c) ? scan_number(s) : wanted(s, "a value");
    }
}

int json_scan(const char *data, size_t size, size_t keys_max, struct status *st)
{
    struct scan s = { .data = (const unsigned char *)data, .size = size, .keys_max = keys_max, .st = st };
    if (size > JSON_DOCUMENT_BYTES_MAX)
        return status_fail(st, RC_LIMIT, "JSON of %zu bytes, over %zu", size, JSON_DOCUMENT_BYTES_MAX);
    skip_space(&s);
    int rc = scan_value(&s, 0);
    if (rc)
        return rc;
    skip_space(&s);
    if (s.at < size)
        return status_fail(st, RC_FORMAT, "byte %zu: bytes after the value", s.at);
    return 0;
}
