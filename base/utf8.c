#include "base/utf8.h"

#include "base/alloc.h"

#include <utf8proc.h>

#include <string.h>

struct range {
    int32_t first, last;
};

static bool in_ranges(int32_t cp, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n && cp >= ranges[i].first; i++)
        if (cp <= ranges[i].last)
            return true;
    return false;
}

/* ---- UTF-8 ---- */

/* Bounds of the second byte are what exclude overlong forms, surrogates and what lies above U+10FFFF, so that
 * an invalid part ends where Unicode's "maximal subpart" does (Unicode 15, 3.9, table 3-7). */
size_t utf8_next(const char *s, size_t n, int32_t *cp)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    size_t size;
    *cp = -1;
    if (lead < 0x80) {
        *cp = lead;
        return 1;
    }
    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    int32_t value = lead & (0x7F >> size);
    for (size_t i = 1; i < size; i++) {
        if (i >= n || p[i] < low || p[i] > high)
            return i;
        value = value << 6 | (p[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *cp = value;
    return size;
}

bool utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
        if (cp < 0)
            return false;
    }
    return true;
}

size_t utf8_points(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
    }
    return count;
}

void utf8_put(struct str *out, int32_t cp)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(cp, bytes);
    str_add(out, bytes, (size_t)n);
}

size_t utf8_repair(const char *s, size_t n, struct str *out)
{
    size_t broken = 0, from = 0;
    for (size_t i = 0; i < n;) {
        int32_t cp;
        size_t size = utf8_next(s + i, n - i, &cp);
        if (cp < 0) {
            str_add(out, s + from, i - from);
            utf8_put(out, 0xFFFD);
            from = i + size;
            broken++;
        }
        i += size;
    }
    str_add(out, s + from, n - from);
    return broken;
}

/* ---- white space and words ---- */

bool utf8_is_space(int32_t cp)
{
    static const struct range spaces[] = {
        { 0x09, 0x0D },     { 0x1C, 0x20 },     { 0x85, 0x85 },     { 0xA0, 0xA0 },     { 0x1680, 0x1680 },
        { 0x2000, 0x200A }, { 0x2028, 0x2029 }, { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 },
    };
    return in_ranges(cp, spaces, sizeof spaces / sizeof *spaces);
}

size_t utf8_trailing_space(const char *s, size_t n)
{
    size_t end = 0; /* behind the last point that is no space */
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
        if (!utf8_is_space(cp))
            end = i;
    }
    return n - end;
}

size_t utf8_words(const char *s, size_t n)
{
    size_t words = 1;
    bool in_space = false;
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
        bool space = utf8_is_space(cp);
        words += space && !in_space;
        in_space = space;
    }
    return words;
}

bool utf8_is_punctuation(int32_t cp)
{
    utf8proc_category_t category = utf8proc_category(cp);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* ---- normal forms ---- */

enum form { FORM_NFKC, FORM_CASEFOLD };

/* One step of utf8_fold over valid UTF-8. NFKC composes; full case folding alone must not decompose, hence no
 * utf8proc_map with UTF8PROC_CASEFOLD and a normal form at once: folding stands between two NFKC. */
static int map_form(const char *s, size_t n, enum form form, struct str *out, struct status *st)
{
    int rc = 0;
    int32_t *points = NULL;
    utf8proc_option_t options = UTF8PROC_CASEFOLD;
    if (form == FORM_NFKC)
        options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)s;
    utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, NULL, 0, options);
    if (count < 0)
        FAIL(st, RC_FORMAT, "text that cannot be normalised: %s", utf8proc_errmsg(count));
    points = mem_calloc((size_t)count + 1, sizeof *points); /* one more for utf8proc's own zero */
    if (!points)
        FAIL(st, RC_NOMEM, "no memory to normalise %zu bytes", n);
    count = utf8proc_decompose(bytes, (utf8proc_ssize_t)n, points, count, options);
    if (count > 0 && form == FORM_NFKC)
        count = utf8proc_normalize_utf32(points, count, options);
    if (count < 0)
        FAIL(st, RC_FORMAT, "text that cannot be normalised: %s", utf8proc_errmsg(count));
    for (utf8proc_ssize_t i = 0; i < count; i++)
        utf8_put(out, points[i]);
    TRY(str_check(out, st));
out:
    mem_free(points);
    return rc;
}

int utf8_fold(const char *s, size_t n, struct str *out, struct status *st)
{
    int rc = 0;
    struct str one = { 0 }, two = { 0 }, three = { 0 };
    if (!utf8_valid(s, n))
        FAIL(st, RC_FORMAT, "text that is not UTF-8");
    TRY(map_form(s, n, FORM_NFKC, &one, st));
    TRY(map_form(str_text(&one), one.size, FORM_CASEFOLD, &two, st));
    TRY(map_form(str_text(&two), two.size, FORM_NFKC, &three, st));
    str_add(out, three.data, three.size);
    TRY(str_check(out, st));
out:
    str_release(&one);
    str_release(&two);
    str_release(&three);
    return rc;
}

static bool is_stripped(char c)
{
    return c != 0 && strchr(" .,;:!?\"'()[]{}*_`", c) != NULL;
}

int utf8_normalise_text(const char *s, size_t n, struct str *out, struct status *st)
{
    int rc = 0;
    struct str folded = { 0 }, spaced = { 0 };
    bool in_space = false;
    TRY(utf8_fold(s, n, &folded, st));
    for (size_t i = 0; i < folded.size;) {
        int32_t cp;
        size_t size = utf8_next(folded.data + i, folded.size - i, &cp);
        bool space = utf8_is_space(cp);
        if (!space)
            str_add(&spaced, folded.data + i, size);
        else if (!in_space)
            str_putc(&spaced, ' ');
        in_space = space;
        i += size;
    }
    TRY(str_check(&spaced, st));
    const char *from = str_text(&spaced), *to = from + spaced.size;
    while (from < to && is_stripped(*from))
        from++;
    while (from < to && is_stripped(to[-1]))
        to--;
    str_add(out, from, (size_t)(to - from));
    TRY(str_check(out, st));
out:
    str_release(&folded);
    str_release(&spaced);
    return rc;
}

const char *utf8_unicode_version(void)
{
    return utf8proc_unicode_version();
}

int utf8_width(const char *s, size_t n)
{
    int width = 0;
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
        width += cp < 0 ? 1 : utf8proc_charwidth(cp);
    }
    return width;
}

/* ---- text from outside (docs/formats 9.1) ---- */

enum target { TO_TERMINAL, TO_MARKDOWN, TO_HTML, TO_ATTRIBUTE };

/* Shown by number: C1, bidi, invisible, private use, unassigned (surrogates never come here). */
static bool is_shown_by_number(int32_t cp)
{
    static const struct range hidden[] = {
        { 0x80, 0x9F },     { 0xAD, 0xAD },     { 0x34F, 0x34F },   { 0x61C, 0x61C },   { 0x115F, 0x1160 },
        { 0x180E, 0x180E }, { 0x200B, 0x200F }, { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0x3164, 0x3164 },
        { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE01EF },
    };
    if (cp < 0x80)
        return false;
    utf8proc_category_t category = utf8proc_category(cp);
    return category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CN ||
           in_ranges(cp, hidden, sizeof hidden / sizeof *hidden);
}

static void put_marked(struct str *out, enum target target, const char *text)
{
    if (target == TO_HTML)
        str_printf(out, "<span class=\"c\">%s</span>", text);
    else
        str_puts(out, text);
}

/* The five characters of HTML. False: cp is none of them. */
static bool put_entity(struct str *out, int32_t cp)
{
    static const char *const entities[][2] = {
        { "&", "&amp;" }, { "<", "&lt;" }, { ">", "&gt;" }, { "\"", "&quot;" }, { "'", "&#39;" },
    };
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (cp == entities[i][0][0]) {
            str_puts(out, entities[i][1]);
            return true;
        }
    return false;
}

static void put_point(struct str *out, enum target target, bool block, int32_t cp)
{
    struct str text = { 0 };
    if (cp < 0) {
        utf8_put(out, 0xFFFD);
    } else if (block && (cp == '\n' || cp == '\t')) {
        utf8_put(out, cp);
    } else if (target == TO_MARKDOWN && cp == '\n') {
        str_putc(out, ' ');
    } else if (cp < 0x20 || cp == 0x7F) {
        utf8_put(&text, cp == 0x7F ? 0x2421 : 0x2400 + cp);
        put_marked(out, target, str_text(&text));
    } else if (is_shown_by_number(cp)) {
        str_printf(&text, "\u27E8U+%04X\u27E9", (unsigned)cp);
        put_marked(out, target, str_text(&text));
    } else if (target == TO_MARKDOWN && cp == '|') {
        str_puts(out, "\\|");
    } else if (target < TO_HTML || !put_entity(out, cp)) {
        utf8_put(out, cp);
    }
    out->failed |= text.failed;
    str_release(&text);
}

static void escape(const char *s, size_t n, size_t limit, enum target target, bool block, struct str *out)
{
    size_t points = 0;
    for (size_t i = 0; i < n; points++) {
        int32_t cp;
        if (limit > 0 && points == limit) {
            str_printf(out, "\u2026 (+%zu)", utf8_points(s + i, n - i));
            return;
        }
        i += utf8_next(s + i, n - i, &cp);
        put_point(out, target, block, cp);
    }
}

void escape_terminal(const char *s, size_t n, size_t limit, struct str *out)
{
    escape(s, n, limit, TO_TERMINAL, false, out);
}

void escape_terminal_block(const char *s, size_t n, size_t limit, struct str *out)
{
    escape(s, n, limit, TO_TERMINAL, true, out);
}

/* CommonMark 6.1: a fence longer than any run of backticks inside. A reader takes one blank off both ends
 * when both have one and not all is blank, so that text with blanks at both ends, or a backtick at one, gets
 * two more. */
void escape_markdown(const char *s, size_t n, size_t limit, struct str *out)
{
    struct str text = { 0 };
    escape(s, n, limit, TO_MARKDOWN, false, &text);
    const char *t = str_text(&text);
    size_t fence = 1, run = 0;
    bool blank = true;
    for (size_t i = 0; i < text.size; i++) {
        run = t[i] == '`' ? run + 1 : 0;
        fence = run >= fence ? run + 1 : fence;
        blank = blank && t[i] == ' ';
    }
    char first = text.size ? t[0] : 0, last = text.size ? t[text.size - 1] : 0;
    bool pad = first == '`' || last == '`' || (!blank && first == ' ' && last == ' ');
    for (size_t i = 0; i < fence; i++)
        str_putc(out, '`');
    if (pad || text.size == 0) /* an empty code span does not exist */
        str_putc(out, ' ');
    str_add(out, t, text.size);
    if (pad)
        str_putc(out, ' ');
    for (size_t i = 0; i < fence; i++)
        str_putc(out, '`');
    out->failed |= text.failed;
    str_release(&text);
}

static void put_bdi(const char *s, size_t n, size_t limit, bool block, struct str *out)
{
    str_puts(out, "<bdi>");
    escape(s, n, limit, TO_HTML, block, out);
    str_puts(out, "</bdi>");
}

void escape_html(const char *s, size_t n, size_t limit, struct str *out)
{
    put_bdi(s, n, limit, false, out);
}

void escape_html_block(const char *s, size_t n, size_t limit, struct str *out)
{
    put_bdi(s, n, limit, true, out);
}

void escape_html_attribute(const char *s, size_t n, struct str *out)
{
    escape(s, n, 0, TO_ATTRIBUTE, false, out);
}

void text_show_spaces(const char *s, size_t n, struct str *out)
{
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i + 1 == n || s[i - 1] == ' ' || s[i + 1] == ' ';
        if (s[i] == ' ' && edge)
            str_puts(out, "\u2423");
        else
            str_putc(out, s[i]);
    }
}

const char *utf8_library_version(void)
{
    return utf8proc_version();
}
