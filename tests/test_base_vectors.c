/* base: the vectors of the formats that test_base.c leaves out, limits on both sides, every allocation
 * failed in turn. tier: quick */
#include "base/alloc.h"
#include "base/event.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Compares and releases. */
static void ck_text(struct str *s, const char *want)
{
    ck_assert_int_eq(str_check(s, NULL), 0);
    ck_assert_str_eq(str_text(s), want);
    str_release(s);
}

/* ---- numbers ---- */

START_TEST(floats_read_back_equal)
{
    static const uint64_t F64[] = { 0x3fb999999999999a, 0xc0934a0000000000, 0x01a56e1fc2f8f359, 1,
                                    0x7fefffffffffffff };
    static const char *const TEXTS[] = { "0.10000000000000001", "-1234.5", "1e-300",
                                         "4.9406564584124654e-324", "1.7976931348623157e+308" };
    for (size_t i = 0; i < COUNT(F64); i++) {
        double x;
        memcpy(&x, &F64[i], sizeof x);
        struct str s = { 0 };
        str_json_f64(&s, x);
        ck_text(&s, TEXTS[i]);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        struct rng_block b = rng_at(1, RNG_NOISE, i, 0, 0);
        float x, back;
        memcpy(&x, &b.w[0], sizeof x);
        if (!isfinite(x))
            continue;
        struct str s = { 0 };
        str_json_f32(&s, x);
        back = (float)strtod(str_text(&s), NULL);
        ck_assert_msg(back == x, "%s", str_text(&s));
        str_release(&s);
    }
    struct str s = { 0 };
    str_json_f64(&s, -0.0);
    ck_text(&s, "0");
}
END_TEST

START_TEST(six_decimals)
{
    static const struct {
        double x;
        const char *text;
    } ROWS[] = { { 0.041666666666666664, "0.041667" },
                 { -1e-9, "0.000000" },
                 { 5e-7, "0.000000" },
                 { 1.5e-06, "0.000002" },
                 { 12345.6789, "12345.678900" },
                 { -0.0416666, "-0.041667" } };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct str s = { 0 };
        str_dec6(&s, ROWS[i].x);
        ck_text(&s, ROWS[i].text);
    }
    struct str s = { 0 };
    str_dec6(&s, 1e308);
    ck_assert_uint_eq(s.size, 309 + 7);
    str_release(&s);
}
END_TEST

/* ---- random numbers ---- */

START_TEST(bootstrap_draws)
{
    static const struct {
        uint64_t seed;
        const char *suite;
        uint32_t clusters, replicate, first[12];
    } ROWS[] = {
        { 20261124, "capitals", 26, 0, { 20, 11, 11, 10, 10, 5, 15, 10, 11, 4, 20, 9 } },
        { 20261124, "capitals", 26, 1, { 12, 20, 22, 25, 7, 25, 1, 25, 17, 19, 18, 24 } },
        { 20261124, "capitals", 26, 9998, { 10, 14, 18, 8, 12, 9, 4, 3, 1, 4, 3, 2 } },
        { 9007199254740991,
          "a",
          1000003,
          7,
          { 530893, 896767, 502236, 387494, 829862, 681618, 532094, 790590, 609654, 760584, 175291,
            947468 } },
    };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct hash h = sha256_of(ROWS[i].suite, strlen(ROWS[i].suite));
        uint32_t tag =
            (uint32_t)h.b[0] | (uint32_t)h.b[1] << 8 | (uint32_t)h.b[2] << 16 | (uint32_t)h.b[3] << 24;
        for (uint32_t j = 0; j < 12; j++) {
            struct rng_block b = rng_at(ROWS[i].seed, RNG_BOOTSTRAP, j >> 1, ROWS[i].replicate, tag);
            uint64_t u = (uint64_t)b.w[(j & 1) * 2 + 1] << 32 | b.w[(j & 1) * 2];
            ck_assert_uint_eq(rng_below(u, ROWS[i].clusters), ROWS[i].first[j]);
        }
    }
}
END_TEST

START_TEST(blocks_and_uniforms)
{
    static const uint32_t ONES[] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
                          OUT[] = { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd };
    struct rng_block b = philox(ONES, UINT64_MAX);
    ck_assert_mem_eq(b.w, OUT, sizeof OUT);
    static const float FIRST[2][6] = {
        { 0.461315095f, 0.986040652f, 0.110461295f, 0.885690629f, 0.61717993f, 0.854368508f },
        { 0.764630973f, 0.759142339f, 0.130131543f, 0.623244703f, 0.973923028f, 0.382438838f },
    };
    for (uint32_t tensor = 0; tensor < 2; tensor++)
        for (uint32_t e = 0; e < 6; e++) {
            b = rng_at(7, RNG_INIT, e >> 2, tensor, 0);
            ck_assert_float_eq(rng_uniform(b.w[e & 3]), FIRST[tensor][e]);
        }
    ck_assert(rng_uniform(0) > 0 && rng_uniform(UINT32_MAX) < 1);
    uint32_t one = 9;
    rng_order(3, 0, 0, 1, &one);
    ck_assert_uint_eq(one, 0);
    rng_order(3, 0, 0, 0, &one);
    ck_assert_uint_eq(one, 0);
}
END_TEST

/* ---- text ---- */

START_TEST(normal_forms)
{
    static const char *const PAIRS[][2] = {
        { " Cardiology.", "cardiology" },
        { "Stra\u00dfe\u00a0 12!", "strasse 12" },
        { "\uff21\uff22\uff23", "abc" },
        { "-5", "-5" },
        { "50%", "50%" },
        { "\"The  Answer\"\t", "the answer" },
        { "x\u200by", "x\u200by" },
        { "\u212bngstr\u00f6m", "\u00e5ngstr\u00f6m" },
        { "\u0345\u03b1", "\u03b9\u03b1" },
        { "\u01c5\u01f0", "d\u017e\u01f0" },
        { "\u1100\u1161\u11a8", "\uac01" },
        { "\ua7cb", "\ua7cb" },
        { "", "" },
    };
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        struct str s = { 0 };
        ck_assert_int_eq(utf8_normalise_text(PAIRS[i][0], strlen(PAIRS[i][0]), &s, NULL), 0);
        ck_text(&s, PAIRS[i][1]);
    }
    struct str s = { 0 };
    ck_assert_int_eq(utf8_fold("\xff", 1, &s, NULL), RC_FORMAT);
    ck_assert_int_eq(utf8_fold("A  \uff22.", 7, &s, NULL), 0);
    ck_text(&s, "a  b.");
    ck_assert(utf8_is_punctuation('-') && utf8_is_punctuation(0x2019) && utf8_is_punctuation('_'));
    ck_assert(!utf8_is_punctuation('$') && !utf8_is_punctuation('a') && !utf8_is_punctuation(' '));
}
END_TEST

START_TEST(trailing_space)
{
    static const struct {
        const char *text;
        size_t bytes;
    } ROWS[] = { { "Answer:", 0 }, { "Answer: ", 1 }, { "A\u00a0\n ", 4 }, { "A\u200b", 0 }, { "   ", 3 },
                 { "", 0 },        { "a b", 0 },      { "\x1f", 1 },       { "a \xff", 0 } };
    for (size_t i = 0; i < COUNT(ROWS); i++)
        ck_assert_uint_eq(utf8_trailing_space(ROWS[i].text, strlen(ROWS[i].text)), ROWS[i].bytes);
    ck_assert_uint_eq(utf8_words("", 0), 1);
    ck_assert_uint_eq(utf8_words(" a ", 3), 3);
    ck_assert_int_eq(utf8_width("a\u4e16e\u0301", 7), 4);
}
END_TEST

START_TEST(invalid_parts)
{
    static const struct {
        const char *bytes;
        size_t first, parts; /* length of the first part, how many there are */
    } ROWS[] = { { "\x80", 1, 1 },         { "\xc0\xaf", 1, 2 },         { "\xc1\xbf", 1, 2 },
                 { "\xe0\x9f\xbf", 1, 3 }, { "\xed\xa0\x80", 1, 3 },     { "\xf0\x8f\xbf\xbf", 1, 4 },
                 { "\xe2\x82", 2, 1 },     { "\xf0\x9f\x98", 3, 1 },     { "\xf4\x90\x80\x80", 1, 4 },
                 { "\xf5\x80", 1, 2 },     { "\xf0\x9f\xe2\x82", 2, 2 }, { "\xff", 1, 1 } };
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct str s = { 0 };
        int32_t cp;
        size_t n = strlen(ROWS[i].bytes);
        ck_assert_uint_eq(utf8_next(ROWS[i].bytes, n, &cp), ROWS[i].first);
        ck_assert_int_eq(cp, -1);
        ck_assert_uint_eq(utf8_repair(ROWS[i].bytes, n, &s), ROWS[i].parts);
        ck_assert_uint_eq(s.size, 3 * ROWS[i].parts);
        ck_assert(!utf8_valid(ROWS[i].bytes, n));
        str_release(&s);
    }
    for (int32_t cp = 0; cp <= 0x10FFFF; cp++) {
        struct str s = { 0 };
        int32_t back;
        if (cp >= 0xD800 && cp <= 0xDFFF)
            continue;
        utf8_put(&s, cp);
        bool same = utf8_next(s.data, s.size, &back) == s.size && back == cp;
        str_release(&s);
        if (!same)
            ck_abort_msg("U+%04X does not come back", (unsigned)cp);
    }
}
END_TEST

START_TEST(escapes)
{
    static const char *const HIDDEN[] = { "\xc2\x85",   "\xc2\xad",   "\u200b", "\u200d", "\u2028",
                                          "\u2066",     "\ufe0f",     "\ufeff", "\ue000", "\u0378",
                                          "\U000E0041", "\U0010FFFD", "\u115f", "\u3164", "\ufffe" };
    static const char *const NUMBERS[] = { "0085", "00AD", "200B",  "200D",   "2028", "2066", "FE0F", "FEFF",
                                           "E000", "0378", "E0041", "10FFFD", "115F", "3164", "FFFE" };
    for (size_t i = 0; i < COUNT(HIDDEN); i++) {
        struct str s = { 0 };
        char want[80];
        escape_terminal(HIDDEN[i], strlen(HIDDEN[i]), 0, &s);
        snprintf(want, sizeof want, "\u27e8U+%s\u27e9", NUMBERS[i]);
        ck_text(&s, want);
        escape_html(HIDDEN[i], strlen(HIDDEN[i]), 0, &s);
        snprintf(want, sizeof want, "<bdi><span class=\"c\">\u27e8U+%s\u27e9</span></bdi>", NUMBERS[i]);
        ck_text(&s, want);
    }
    struct str s = { 0 };
    escape_terminal("\u00e9\u05d0\u4e16\U0001F600", 11, 0, &s); /* letters of every script stay */
    ck_text(&s, "\u00e9\u05d0\u4e16\U0001F600");
    escape_terminal_block("a\n\tb\r", 5, 0, &s);
    ck_text(&s, "a\n\tb\u240d");
    escape_html_block("a\n<", 3, 0, &s);
    ck_text(&s, "<bdi>a\n&lt;</bdi>");
    escape_html("abc", 3, 2, &s);
    ck_text(&s, "<bdi>ab\u2026 (+1)</bdi>");
    escape_terminal("abc", 3, 3, &s);
    ck_text(&s, "abc");
    static const char *const SPANS[][2] = {
        { "", "` `" },         { " ", "` `" },       { " a ", "`  a  `" },
        { "`", "`` ` ``" },    { "a`", "`` a` ``" }, { " a", "` a`" },
        { "@x\ny", "`@x y`" }, { "\t", "`\u2409`" }, { "\\|", "`\\\\|`" }
    };
    for (size_t i = 0; i < COUNT(SPANS); i++) {
        escape_markdown(SPANS[i][0], strlen(SPANS[i][0]), 0, &s);
        ck_text(&s, SPANS[i][1]);
    }
    text_show_spaces(" a b  c ", 8, &s);
    ck_text(&s, "\u2423a b\u2423\u2423c\u2423");
}
END_TEST

/* ---- hashes ---- */

START_TEST(digests_in_parts)
{
    struct sha256 *s = NULL;
    ck_assert_int_eq(sha256_open(&s, NULL), 0);
    sha256_add(s, "a", 1);
    sha256_add(s, "", 0);
    sha256_add(s, "bc", 2);
    struct hash h = sha256_end(s), read;
    ck_assert_str_eq(hash_hex(&h).s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(hash_read(hash_hex(&h).s, &read, NULL), 0);
    ck_assert(hash_equal(&h, &read));
    ck_assert_int_eq(hash_read("BA78", &read, NULL), RC_FORMAT);
    ck_assert_int_eq(
        hash_read("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", &read, NULL),
        RC_FORMAT);
    h = hmac_sha256((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28); /* RFC 4231, case 2 */
    ck_assert_str_eq(hash_hex(&h).s, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
END_TEST

START_TEST(paths_in_trees_of_every_size)
{
    struct hash leaves[33], path[64];
    for (size_t n = 1; n <= 33; n++) {
        struct merkle m = { .count = 0 };
        for (size_t i = 0; i < n; i++) {
            leaves[i] = merkle_leaf(&i, sizeof i);
            merkle_add(&m, &leaves[i]);
        }
        struct hash root = merkle_root(&m);
        for (size_t i = 0; i < n; i++) {
            size_t k = merkle_path(leaves, n, i, path);
            ck_assert(merkle_check(&leaves[i], i, n, path, k, &root));
            ck_assert(!merkle_check(&leaves[i], i + 1, n, path, k, &root));
            ck_assert(!merkle_check(&leaves[i], i, 2 * n, path, k, &root));
            path[k] = root;
            ck_assert(!merkle_check(&leaves[i], i, n, path, k + 1, &root));
        }
    }
}
END_TEST

/* ---- JSON ---- */

static int parse_rc(const struct str *s)
{
    struct json *j = NULL;
    ck_assert_int_eq(str_check(s, NULL), 0);
    int rc = json_parse(str_text(s), s->size, &j, NULL);
    ck_assert(rc == 0 || !j);
    json_free(j);
    return rc;
}

static void repeat(struct str *s, const char *text, size_t n)
{
    while (n-- > 0)
        str_puts(s, text);
}

START_TEST(limits_on_both_sides)
{
    struct str s = { 0 };
    for (size_t over = 0; over <= 1; over++) {
        int want = over ? RC_LIMIT : 0;
        str_clear(&s);
        repeat(&s, "[", JSON_DEPTH_MAX + over);
        repeat(&s, "]", JSON_DEPTH_MAX + over);
        ck_assert_int_eq(parse_rc(&s), want);
        str_clear(&s);
        repeat(&s, "1", JSON_NUMBER_MAX + over);
        ck_assert_int_eq(parse_rc(&s), want);
        str_clear(&s);
        str_puts(&s, "{\"x\":0");
        for (size_t i = 1; i < JSON_KEYS_MAX + over; i++)
            str_printf(&s, ",\"%zu\":1", i);
        str_puts(&s, "}");
        ck_assert_int_eq(parse_rc(&s), want);
        str_clear(&s);
        str_puts(&s, "[0");
        repeat(&s, ",0", JSON_ELEMENTS_MAX - 1 + over);
        str_puts(&s, "]");
        ck_assert_int_eq(parse_rc(&s), want);
    }
    str_clear(&s);
    str_puts(&s, "{\"100\":0"); /* sorted, not compared pair by pair */
    for (size_t i = 0; i < 300; i++)
        str_printf(&s, ",\"%zu\":1", i);
    str_puts(&s, "}");
    ck_assert_int_eq(parse_rc(&s), RC_FORMAT);
    str_clear(&s);
    str_puts(&s, "{\"a\":1,\"\\u0061\":2}"); /* two spellings of one key */
    ck_assert_int_eq(parse_rc(&s), RC_FORMAT);
    str_release(&s);
}
END_TEST

static const char DOCUMENT[] =
    "{\"name\":\"x\",\"n\":42,\"lr\":\"-0.02\",\"on\":true,\"list\":[1,\"two\"],\"no\":null}";

START_TEST(members_by_type)
{
    struct json *j = NULL;
    const struct json *list;
    const char *text = NULL;
    int64_t n = 0;
    double x = 0;
    struct status st = { 0 };
    ck_assert_int_eq(json_parse(DOCUMENT, sizeof DOCUMENT - 1, &j, NULL), 0);
    ck_assert_int_eq(json_get_text(j, "name", &text, NULL), 0);
    ck_assert_str_eq(text, "x");
    ck_assert_int_eq(json_get_int(j, "n", 0, 42, &n, NULL), 0);
    ck_assert_int_eq(n, 42);
    ck_assert_int_eq(json_get_int(j, "n", 0, 41, &n, NULL), RC_FORMAT);
    ck_assert_int_eq(json_get_int(j, "name", 0, 1, &n, NULL), RC_FORMAT);
    ck_assert_int_eq(json_get_decimal(j, "lr", &text, &x, NULL), 0);
    ck_assert_double_eq(x, -0.02);
    ck_assert_int_eq(json_get_decimal(j, "name", NULL, &x, NULL), RC_FORMAT);
    ck_assert_int_eq(json_get_text(j, "absent", &text, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "'absent'"));
    ck_assert_int_eq(json_get(j, "list", JSON_ARRAY, &list, NULL), 0);
    ck_assert_uint_eq(json_size(list), 2);
    ck_assert_str_eq(json_text(json_next(json_first(list))), "two");
    ck_assert_ptr_null(json_find(list, "n"));
    ck_assert_ptr_null(json_text(list));
    ck_assert_int_eq(json_type(json_find(j, "no")), JSON_NULL);
    st = (struct status){ 0 };
    ck_assert_int_eq(json_only(j, (const char *[]){ "name", "n", "lr", "on", "list", NULL }, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "'no'"));
    ck_assert_int_eq(json_only(j, (const char *[]){ "no", "name", "n", "lr", "on", "list", NULL }, NULL), 0);
    struct json *same = json_copy(j);
    ck_assert(json_equal(j, same));
    json_put_int(same, "more", 1);
    ck_assert(!json_equal(j, same));
    json_free(same);
    json_free(j);
    static const char *const DECIMALS[] = { "0", "-0", "0.02", "10", "-1.000000000001", "0.0" };
    static const char *const OTHERS[] = { "",   "-",  "01", "1.", ".5", "1e3", "+1", "1.0000000000001",
                                          " 1", "0x1" };
    for (size_t i = 0; i < COUNT(DECIMALS); i++)
        ck_assert_msg(json_is_decimal(DECIMALS[i]), "%s", DECIMALS[i]);
    for (size_t i = 0; i < COUNT(OTHERS); i++)
        ck_assert_msg(!json_is_decimal(OTHERS[i]), "%s", OTHERS[i]);
}
END_TEST

/* Builds, copies, checks, writes, reads. The bytes that come out, or what failed. */
static int round_trip(struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object(), *list = json_array(), *copy = NULL, *back = NULL;
    json_put_text(root, "b", "\"text\"");
    json_put_dec6(root, "a", 0.5);
    json_put_hex(root, "hex", (const uint8_t *)"\x01\xfe", 2);
    json_push(list, json_of_int(-7));
    json_push(list, json_of_bool(false));
    json_put(root, "list", list);
    TRY(json_check(root, st));
    copy = json_copy(root);
    TRY(json_check(copy, st));
    TRY(json_write_canonical(copy, out, st));
    TRY(json_parse_canonical(out->data, out->size, &back, st));
out:
    json_free(root);
    json_free(copy);
    json_free(back);
    return rc;
}

static int text_trip(struct str *out, struct status *st)
{
    static const char WIDE[] = "  Stra\u00dfe \u212b";
    int rc = utf8_normalise_text(WIDE, sizeof WIDE - 1, out, st);
    if (rc)
        return rc;
    escape_html("<a\u200b>", 6, 0, out);
    escape_markdown("`a", 2, 0, out);
    str_base64(out, (const uint8_t *)"ab", 2);
    rc = str_check(out, st);
    return rc ? rc : base64_read("bGV0aGU=", 8, out, st);
}

static int file_trip(struct str *out, struct status *st)
{
    struct path_digest d;
    int rc = path_digest(TESTS_DIR "/golden/fuzz_json", &d, st);
    if (rc)
        return rc;
    struct hash h = d.hash;
    path_digest_release(&d);
    str_puts(out, hash_hex(&h).s);
    return str_check(out, st);
}

static int warn_trip(struct str *out, struct status *st)
{
    return event_warn(&(struct event_sink){ .self = out }, st, "code", "%d \"bytes\"", 3);
}

START_TEST(want_of_memory_everywhere)
{
    static int (*const TRIPS[])(struct str * out, struct status * st) = { round_trip, text_trip, file_trip,
                                                                          warn_trip };
    static const size_t LEAST[] = { 20, 8, 8, 1 }; /* a trip that stops allocating here would test nothing */
    for (size_t i = 0; i < COUNT(TRIPS); i++) {
        size_t nth = 1;
        for (;; nth++) {
            struct str s = { 0 };
            struct status st = { 0 };
            mem_fail_at(nth);
            int rc = TRIPS[i](&s, &st);
            mem_fail_at(0);
            str_release(&s);
            if (rc == 0)
                break;
            ck_assert_msg(rc == RC_NOMEM && st.rc == RC_NOMEM, "trip %zu, allocation %zu: %s", i, nth,
                          st.msg);
            ck_assert_uint_lt(nth, 1000);
        }
        ck_assert_msg(nth > LEAST[i], "trip %zu: %zu allocations", i, nth - 1);
    }
    struct str s = { 0 };
    ck_assert_int_eq(round_trip(&s, NULL), 0);
    ck_text(&s, "{\"a\":\"0.500000\",\"b\":\"\\\"text\\\"\",\"hex\":\"01fe\",\"list\":[-7,false]}");
}
END_TEST

START_TEST(what_the_writer_refuses)
{
    static const char *const BAD[] = { "[null]", "[0.5]", "[1e300]", "{\"\u00e9\":1}", "[9007199254740992]" };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        struct json *j = NULL;
        struct str s = { 0 };
        str_puts(&s, "kept");
        ck_assert_int_eq(json_parse(BAD[i], strlen(BAD[i]), &j, NULL), 0);
        ck_assert_int_eq(json_write_canonical(j, &s, NULL), RC_FORMAT);
        ck_text(&s, "kept");
        json_free(j);
    }
    struct json *j = json_of_textn("\xff", 1);
    struct str s = { 0 };
    ck_assert_int_eq(json_write_canonical(j, &s, NULL), RC_FORMAT);
    json_free(j);
    j = json_of_int(INT64_MAX);
    ck_assert_int_eq(json_write_canonical(j, &s, NULL), RC_FORMAT);
    json_free(j);
    str_release(&s);
}
END_TEST

/* ---- files ---- */

START_TEST(files_that_are_none)
{
    char folder[] = "/tmp/lethe-test-XXXXXX", pipe[64], below[64];
    struct str s = { 0 };
    struct file_map map;
    struct status st = { 0 };
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(pipe, sizeof pipe, "%s/pipe", folder);
    snprintf(below, sizeof below, "%s/pipe/x", folder);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    ck_assert_int_eq(file_read(pipe, 10, &s, NULL), RC_IO); /* and does not wait for a writer */
    ck_assert_int_eq(file_map_open(pipe, &map, NULL), RC_IO);
    ck_assert_int_eq(file_write(below, "x", 1, 0600, &st), RC_IO);
    ck_assert_ptr_nonnull(strstr(st.msg, below));
    ck_assert_int_eq(dir_make(below, NULL), RC_IO);
    unlink(pipe);
    ck_assert_int_eq(dir_make(below, NULL), 0);
    ck_assert_int_eq(dir_make(below, NULL), 0);
    ck_assert_int_eq(file_write(pipe, "x", 1, 0600, NULL), RC_IO); /* a folder has the name */
    rmdir(below);
    rmdir(pipe);
    ck_assert_int_eq(file_create(pipe, "", 0, 0640, NULL), 0);
    struct stat info;
    ck_assert_int_eq(stat(pipe, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
    ck_assert_int_eq(file_map_open(pipe, &map, NULL), 0);
    ck_assert_uint_eq(map.size, 0);
    file_map_close(&map);
    unlink(pipe);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing was left behind */
}
END_TEST

START_TEST(lines_end_in_lf)
{
    struct lines l = { .data = "a\n\nbc", .size = 5 };
    struct status st = { 0 };
    const char *line;
    size_t n;
    ck_assert(lines_next(&l, &line, &n, &st) && n == 1 && *line == 'a');
    ck_assert(lines_next(&l, &line, &n, &st) && n == 0 && l.number == 2);
    ck_assert(!lines_next(&l, &line, &n, &st));
    ck_assert_int_eq(st.rc, RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "line 3"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_vectors");
    TCase *tests = tcase_create("base_vectors");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, floats_read_back_equal);
    tcase_add_test(tests, six_decimals);
    tcase_add_test(tests, bootstrap_draws);
    tcase_add_test(tests, blocks_and_uniforms);
    tcase_add_test(tests, normal_forms);
    tcase_add_test(tests, trailing_space);
    tcase_add_test(tests, invalid_parts);
    tcase_add_test(tests, escapes);
    tcase_add_test(tests, digests_in_parts);
    tcase_add_test(tests, paths_in_trees_of_every_size);
    tcase_add_test(tests, limits_on_both_sides);
    tcase_add_test(tests, members_by_type);
    tcase_add_test(tests, want_of_memory_everywhere);
    tcase_add_test(tests, what_the_writer_refuses);
    tcase_add_test(tests, files_that_are_none);
    tcase_add_test(tests, lines_end_in_lf);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
