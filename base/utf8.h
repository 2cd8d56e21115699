/* Text: UTF-8, white space, normal forms, widths. Unicode tables are utf8proc's (15.0.0 with 2.8). */
#ifndef LETHE_BASE_UTF8_H
#define LETHE_BASE_UTF8_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One code point from s[0..n). Returns its length in bytes, 1 to 4, and sets *cp; for an invalid part returns
 * the length of that maximal part (1 to 3) and sets *cp to -1. n > 0. */
size_t utf8_next(const char *s, size_t n, int32_t *cp);
bool utf8_valid(const char *s, size_t n);
size_t utf8_points(const char *s, size_t n); /* code points; an invalid part counts as one */
void utf8_put(struct str *out, int32_t cp);
/* Appends s with every maximal invalid part as U+FFFD. Returns how many there were. */
size_t utf8_repair(const char *s, size_t n, struct str *out);

bool utf8_is_space(int32_t cp); /* Python's str.isspace, docs/formats 1.3 */
/* Bytes of trailing white space of s. */
size_t utf8_trailing_space(const char *s, size_t n);
/* 1 + number of maximal runs of white space (docs/formats 1.4). */
size_t utf8_words(const char *s, size_t n);
bool utf8_is_punctuation(int32_t cp); /* category P */

/* NFKC, full case folding, NFKC. RC_FORMAT: not UTF-8. */
MUST_USE int utf8_fold(const char *s, size_t n, struct str *out, struct status *st);
/* Normalisation `text` of docs/formats 1.4: utf8_fold, runs of white space to one space, ends stripped. */
MUST_USE int utf8_normalise_text(const char *s, size_t n, struct str *out, struct status *st);
const char *utf8_unicode_version(void);
int utf8_width(const char *s, size_t n); /* terminal columns of escaped text */

/* Untrusted text for each target (docs/formats 9.1). limit 0: whole; else cut at that many code points with
 * "… (+N)". In a block LF and TAB stay; elsewhere they are shown (Markdown: LF as a space). */
void escape_terminal(const char *s, size_t n, size_t limit, struct str *out);
void escape_terminal_block(const char *s, size_t n, size_t limit, struct str *out);
void escape_markdown(const char *s, size_t n, size_t limit, struct str *out); /* as a code span */
void escape_html(const char *s, size_t n, size_t limit, struct str *out);     /* inside <bdi> */
void escape_html_block(const char *s, size_t n, size_t limit, struct str *out);
void escape_html_attribute(const char *s, size_t n, struct str *out);
/* Token texts, before one of the above: leading, trailing and double spaces as U+2423. */
void text_show_spaces(const char *s, size_t n, struct str *out);

const char *utf8_library_version(void); /* of utf8proc, as it runs */

#endif
