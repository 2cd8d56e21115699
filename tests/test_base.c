/* base: strings, JSON, hashes, random numbers, text, files. Numbers are the format's vectors, or made by
 * hand. tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- numbers and JSON ---- */

static void ck_text(struct str *s, const char *want)
{
    ck_assert_int_eq(str_check(s, NULL), 0);
    ck_assert_str_eq(str_text(s), want);
    str_release(s);
}

static float f32_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

START_TEST(numbers_print_one_way)
{
    static const struct {
        uint32_t bits;
        const char *text;
    } F32[] = { { 0x3dcccccd, "0.100000001" },    { 0xc0300000, "-2.75" },
                { 0x3727c5ac, "9.99999975e-06" }, { 0x80000000, "0" },
                { 0x7f7fffff, "3.40282347e+38" }, { 0x4b800000, "16777216" } };
    for (size_t i = 0; i < sizeof F32 / sizeof *F32; i++) {
        struct str s = { 0 };
        str_json_f32(&s, f32_of_bits(F32[i].bits));
        ck_text(&s, F32[i].text);
    }
    struct str s = { 0 };
    str_json_f64(&s, 0.1);
    str_puts(&s, " ");
    str_dec6(&s, -0.0000001);
    str_puts(&s, " ");
    str_dec6(&s, 1.0 / 3);
    ck_text(&s, "0.10000000000000001 0.000000 0.333333");
}
END_TEST

START_TEST(canonical_text)
{
    static const char LOOSE[] =
        "{\"b\":[1,-2,9007199254740991], \"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\\\"\\\\\\n\\u0001/"
        "\x7f\",\"A\":{\"z\":true,\"\":false},\"aa\":\"0.02\"}";
    static const char WANT[] =
        "{\"A\":{\"\":false,\"z\":true},\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\\\"\\\\\\n\\u0001/"
        "\x7f\",\"aa\":\"0.02\",\"b\":[1,-2,9007199254740991]}";
    struct json *j = NULL;
    struct status st = { 0 };
    struct str s = { 0 };
    ck_assert_msg(json_parse(LOOSE, sizeof LOOSE - 1, &j, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(json_write_canonical(j, &s, &st), 0);
    struct hash h = sha256_of(str_text(&s), s.size);
    ck_assert_str_eq(hash_hex(&h).s, "a9914d94f42e150409fdf17eac0e2e6c0fb9b79d445eb198632d50c1e7ff7a05");
    ck_text(&s, WANT);
    json_free(j);
    ck_assert_int_eq(json_parse_canonical(WANT, sizeof WANT - 1, &j, &st), 0);
    json_free(j);
    ck_assert_int_ne(json_parse_canonical(LOOSE, sizeof LOOSE - 1, &j, NULL), 0);
}
END_TEST

static const char *const REFUSED[] = {
    "",
    "{",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1}x",
    "[1,]",
    "NaN",
    "Infinity",
    "1e999",
    "01",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\xc0\xaf\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\xef\xbb\xbf{}",
    "\"a\nb\"",
    "'a'",
    "1234567890123456789012345678901234567890",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "tru",
    "{\"a\" 1}",
    "// x\n1",
};
static const char *const NOT_CANONICAL[] = {
    "null",
    "1.0",
    "1e2",
    "-0",
    "9007199254740992",
    "{\"b\":1,\"a\":2}",
    "[1, 2]",
    "\"\\u0041\"",
    "\"\\/\"",
    "{\"\xc3\xa9\":1}",
};

START_TEST(what_json_refuses)
{
    struct json *j = NULL;
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        ck_assert_msg(json_parse(REFUSED[i], strlen(REFUSED[i]), &j, NULL) != 0, "taken: %s", REFUSED[i]);
    for (size_t i = 0; i < sizeof NOT_CANONICAL / sizeof *NOT_CANONICAL; i++)
        ck_assert_msg(json_parse_canonical(NOT_CANONICAL[i], strlen(NOT_CANONICAL[i]), &j, NULL) != 0,
                      "taken: %s", NOT_CANONICAL[i]);
    ck_assert_ptr_null(j);
    struct status st = { 0 };
    ck_assert_int_eq(json_parse("\"\\ud834\\udd1e\"", 14, &j, &st), 0);
    ck_assert_str_eq(json_text(j), "\xf0\x9d\x84\x9e");
    json_free(j);
}
END_TEST

START_TEST(json_survives_want_of_memory)
{
    static const char TEXT[] = "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":true}";
    size_t nth = 1;
    for (;; nth++) {
        struct json *j = NULL;
        struct status st = { 0 };
        mem_fail_at(nth);
        int rc = json_parse(TEXT, sizeof TEXT - 1, &j, &st);
        mem_fail_at(0);
        if (rc == 0) {
            json_free(j);
            break;
        }
        ck_assert_int_eq(rc, RC_NOMEM);
        ck_assert_ptr_null(j);
    }
    ck_assert_uint_gt(nth, 3);
}
END_TEST

START_TEST(base64_has_one_form)
{
    struct str s = { 0 };
    str_base64(&s, (const uint8_t *)"lethe", 5);
    ck_assert_str_eq(str_text(&s), "bGV0aGU=");
    struct str back = { 0 };
    ck_assert_int_eq(base64_read(str_text(&s), s.size, &back, NULL), 0);
    ck_text(&back, "lethe");
    str_release(&s);
    static const char *const BAD[] = {
        "bGV0aGV=", "bGV0aGU", "bGV0a GU=", "bGV0aG_=", "====", "bGV0aGU=bGV0"
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        ck_assert_msg(base64_read(BAD[i], strlen(BAD[i]), &back, NULL) != 0, "taken: %s", BAD[i]);
    str_release(&back);
}
END_TEST

/* ---- hashes ---- */

static struct hash leaf_of_line(size_t i, char *line, size_t n)
{
    char word[16];
    snprintf(word, sizeof word, "salt%zu", i);
    struct hash salt = sha256_of(word, strlen(word));
    snprintf(line, n, "{\"i\":%zu,\"acc\":%zu,\"salt\":\"%.32s\"}", i, i % 2, hash_hex(&salt).s);
    return merkle_leaf(line, strlen(line));
}

START_TEST(trees)
{
    static const char *const ROOTS[] = { "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                         NULL,
                                         NULL,
                                         "ab2343308da7e75302bc44aced5997d038b6fdf16b9cdcb293f8a3e233d90eae",
                                         NULL,
                                         "b0389d120c460070f8a00f8b5a4a12cb7271e50765bc9de07599f6b25bc1c69b" };
    struct merkle m = { .count = 0 };
    struct hash leaves[5], path[64];
    char line[128];
    for (size_t i = 0; i <= 5; i++) {
        struct hash root = merkle_root(&m);
        if (ROOTS[i])
            ck_assert_str_eq(hash_hex(&root).s, ROOTS[i]);
        if (i == 5)
            break;
        leaves[i] = leaf_of_line(i, line, sizeof line);
        merkle_add(&m, &leaves[i]);
    }
    ck_assert_str_eq(hash_hex(&leaves[1]).s,
                     "5ddd3bb8bcb08d560e2be14b2b6ac2a6adc725522e48dda3f6c9848165db83f0");
    ck_assert_uint_eq(merkle_path(leaves, 5, 4, path), 1);
    ck_assert_str_eq(hash_hex(&path[0]).s,
                     "d12efe044d0723041b46866c11ea8c36a03c4b1943c009fcd338c5927973c841");
    struct hash root = merkle_root(&m);
    for (size_t i = 0; i < 5; i++) {
        size_t n = merkle_path(leaves, 5, i, path);
        ck_assert(merkle_check(&leaves[i], i, 5, path, n, &root));
        ck_assert(!merkle_check(&leaves[(i + 1) % 5], i, 5, path, n, &root));
        ck_assert(!merkle_check(&leaves[i], i, 5, path, n - 1, &root));
    }
}
END_TEST

START_TEST(salts)
{
    uint8_t key[32];
    char salt[33];
    ck_assert_int_eq(hex_read("9e192687e1c0b268cc0d859ac28f85569211acd59930bf7ed149cc13cde99b9d", 64, key,
                              sizeof key, NULL),
                     0);
    salt_of(key, "evidence/probes/capitals.jsonl", 5, salt);
    ck_assert_str_eq(salt, "4f7193ba440266e3795598b1225e63b1");
}
END_TEST

START_TEST(random_numbers)
{
    struct rng_block z = philox((const uint32_t[4]){ 0, 0, 0, 0 }, 0);
    ck_assert_uint_eq(z.w[0], 0x6627e8d5);
    ck_assert_uint_eq(z.w[3], 0x9b00dbd8);
    struct rng_block p = philox((const uint32_t[4]){ 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
                                UINT64_C(0x299f31d0a4093822));
    ck_assert_uint_eq(p.w[0], 0xd16cfe09);
    ck_assert_uint_eq(p.w[1], 0x94fdcceb);
    ck_assert_uint_eq(p.w[2], 0x5001e420);
    ck_assert_uint_eq(p.w[3], 0x24126ea1);
    static const uint32_t FIRST[] = { 2, 4, 3, 7, 5, 0, 6, 1 }, SECOND[] = { 4, 7, 6, 3, 0, 2, 5, 1 },
                          REPLAY[] = { 3, 7, 1, 4, 2, 0, 5, 6 };
    uint32_t order[8];
    rng_order(7, 0, 0, 8, order);
    ck_assert_mem_eq(order, FIRST, sizeof order);
    rng_order(7, 1, 0, 8, order);
    ck_assert_mem_eq(order, SECOND, sizeof order);
    rng_order(7, 0, 1, 8, order);
    ck_assert_mem_eq(order, REPLAY, sizeof order);
    struct rng_block w = rng_at(7, RNG_INIT, 0, 0, 0);
    ck_assert_float_eq(rng_uniform(w.w[0]), 0.461315095f);
    ck_assert_float_eq(rng_uniform(w.w[3]), 0.885690629f);
    ck_assert_uint_eq(rng_below(UINT64_MAX, 24), 23);
    ck_assert_uint_eq(rng_below(0, 24), 0);
}
END_TEST

/* ---- text ---- */

START_TEST(normalised)
{
    static const char *const PAIRS[][2] = {
        { "\xce\x8c\xce\xa3\xce\x9f\xce\xa3", "\xcf\x8c\xcf\x83\xce\xbf\xcf\x83" }, /* ΌΣΟΣ */
        { "\xe1\xba\x9e\xef\xac\x83", "ssffi" },                                    /* ẞﬃ */
        { "\xc4\xb0zmir", "i\xcc\x87zmir" },                                        /* İzmir */
        { "  The \t  Answer: **42**.  ", "the answer: **42" },
        { "\"(Rome)\"", "rome" },
        { "-5 %", "-5 %" },
        { "...", "" },
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        struct str s = { 0 };
        ck_assert_int_eq(utf8_normalise_text(PAIRS[i][0], strlen(PAIRS[i][0]), &s, NULL), 0);
        ck_text(&s, PAIRS[i][1]);
    }
    ck_assert_str_eq(utf8_unicode_version(), "15.0.0");
}
END_TEST

START_TEST(white_space_and_parts)
{
    ck_assert(utf8_is_space(0x1C) && utf8_is_space(0x85) && utf8_is_space(0x3000) && utf8_is_space(0x2029));
    ck_assert(!utf8_is_space(0x200B) && !utf8_is_space('x') && !utf8_is_space(0x180E));
    ck_assert_uint_eq(utf8_trailing_space("a \xe3\x80\x80\t", 6), 5);
    ck_assert_uint_eq(utf8_words("a b\n\nc", 6), 3);
    struct str s = { 0 };
    ck_assert_uint_eq(utf8_repair("a\xe2\x82z\xff\xf0\x9f\x98", 8, &s), 3);
    ck_text(&s, "a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
    ck_assert_uint_eq(utf8_points("\xc3\xa9\xf0\x9d\x84\x9e", 6), 2);
}
END_TEST

START_TEST(foreign_text_is_tamed)
{
    static const char WILD[] = "a\x1b[31m<b>&\"'\xe2\x80\xae\x7f`|\n\xff";
    struct str s = { 0 };
    escape_terminal(WILD, sizeof WILD - 1, 0, &s);
    ck_text(&s,
            "a\xe2\x90\x9b[31m<b>&\"'\xe2\x9f\xa8U+202E\xe2\x9f\xa9\xe2\x90\xa1`|\xe2\x90\x8a\xef\xbf\xbd");
    escape_html("<\x01>", 3, 0, &s);
    ck_text(&s, "<bdi>&lt;<span class=\"c\">\xe2\x90\x81</span>&gt;</bdi>");
    escape_html_attribute("a\"b'c", 5, &s);
    ck_text(&s, "a&quot;b&#39;c");
    escape_markdown("x``y|z\n", 7, 0, &s);
    ck_text(&s, "```x``y\\|z ```");
    escape_terminal("abcdef", 6, 4, &s);
    ck_text(&s, "abcd\xe2\x80\xa6 (+2)");
}
END_TEST

/* ---- files ---- */

static size_t entries(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

START_TEST(a_file_is_whole_or_not_there)
{
    char folder[] = "/tmp/lethe-test-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    struct status st = { 0 };
    ck_assert_int_eq(file_write(path, "one", 3, 0600, &st), 0);
    ck_assert_int_eq(file_create(path, "two", 3, 0600, &st), RC_IO);
    ck_assert_ptr_nonnull(strstr(st.msg, "is there already"));

    signal(SIGXFSZ, SIG_IGN); /* a full disk, as far as a test can have one */
    struct rlimit old, tiny = { .rlim_cur = 4096 };
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    tiny.rlim_max = old.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    static char big[65536];
    st = (struct status){ 0 };
    int rc = file_write(path, big, sizeof big, 0600, &st);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(rc, RC_IO);
    ck_assert_ptr_nonnull(strstr(st.msg, path));

    struct str s = { 0 };
    ck_assert_int_eq(file_read(path, 16, &s, NULL), 0);
    ck_text(&s, "one");
    ck_assert_int_eq(file_read(path, 2, &s, NULL), RC_LIMIT);
    ck_assert_uint_eq(entries(folder), 1);
    st = (struct status){ 0 };
    ck_assert_int_eq(file_write("/proc/none/x", "a", 1, 0600, &st), RC_IO);
    ck_assert_int_eq(file_read("/tmp", 16, &s, NULL), RC_IO);
    unlink(path);
    rmdir(folder);
}
END_TEST

/* Pages in memory of [from, from + n). */
static size_t pages_in_memory(const uint8_t *from, size_t n)
{
    unsigned char pages[64] = { 0 };
    size_t count = 0;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    FILE *maps = fopen("/proc/self/pagemap", "rb");
    ck_assert_ptr_nonnull(maps);
    for (size_t i = 0; i < n / page && i < sizeof pages; i++) {
        uint64_t entry = 0;
        ck_assert_int_eq(fseek(maps, (long)(((uintptr_t)from / page + i) * sizeof entry), SEEK_SET), 0);
        ck_assert_uint_eq(fread(&entry, sizeof entry, 1, maps), 1);
        count += entry >> 63;
    }
    fclose(maps);
    return count;
}

START_TEST(a_forgotten_part_of_a_view_can_be_read_again)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 8 * page;
    char path[] = "/tmp/lethe-view-XXXXXX";
    uint8_t *bytes = mem_calloc(n, 1);
    uint32_t sum = 0;
    struct file_map map;
    close(mkstemp(path));
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 % 251);
    ck_assert_int_eq(file_write(path, bytes, n, 0600, NULL), 0);
    ck_assert_int_eq(file_map_open(path, &map, NULL), 0);
    for (size_t i = 0; i < n; i += page)
        sum += map.data[i];
    ck_assert_uint_gt(sum, 0);
    ck_assert_uint_eq(pages_in_memory(map.data, n), 8);
    file_map_forget(map.data + 10, n - 20); /* the first and the last page are not whole in it */
    ck_assert_uint_eq(pages_in_memory(map.data, n), 2);
    ck_assert_mem_eq(map.data, bytes, n);
    file_map_forget(map.data + 10, page - 20);
    file_map_close(&map);
    mem_free(bytes);
    unlink(path);
}
END_TEST

START_TEST(what_a_killed_writer_left_goes)
{
    char folder[] = "/tmp/lethe-left-XXXXXX";
    static const struct {
        const char *name;
        bool stays;
    } files[] = {
        { "a.jsonl", true },      { "a.jsonl.part-x1Y2z3", false }, { "below/b.part-abcdef", false },
        { "below/c.part", true }, { "d.part-abcde", true },         { "e.part-abcdefg", true }
    };
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct str path = { 0 };
    str_printf(&path, "%s/below", folder);
    ck_assert_int_eq(dir_make(str_text(&path), NULL), 0);
    for (int gone = 0; gone < 2; gone++) {
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            str_clear(&path);
            str_printf(&path, "%s/%s", folder, files[i].name);
            if (gone)
                ck_assert_msg(path_exists(str_text(&path)) == files[i].stays, "%s", files[i].name);
            else
                ck_assert_int_eq(file_write(str_text(&path), "x", 1, 0600, NULL), 0);
        }
        file_leftovers_remove(folder);
    }
    str_release(&path);
    file_leftovers_remove("/nowhere/at/all");
}
END_TEST

START_TEST(digest_of_a_folder)
{
    char folder[] = "/tmp/lethe-test-XXXXXX", path[80];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    static const char *const NAMES[] = { "b", "a/z", "model.sig" };
    snprintf(path, sizeof path, "%s/a", folder);
    ck_assert_int_eq(dir_make(path, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, NAMES[i]);
        ck_assert_int_eq(file_write(path, NAMES[i], strlen(NAMES[i]), 0600, NULL), 0);
    }
    struct path_digest d;
    struct status st = { 0 };
    ck_assert_msg(path_digest(folder, &d, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(d.n, 2);
    ck_assert_str_eq(d.files[0].path, "a/z");
    struct hash both[2] = { sha256_of("a/z", 3), sha256_of("b", 1) }, want = sha256_of(both, sizeof both);
    ck_assert(hash_equal(&d.hash, &want));
    path_digest_release(&d);
    snprintf(path, sizeof path, "%s/link", folder);
    ck_assert_int_eq(symlink("b", path), 0);
    ck_assert_int_eq(path_digest(folder, &d, NULL), RC_FORMAT);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(times)
{
    ck_assert(time_is_valid(time_now_ms().s) && time_is_valid(time_now_s().s));
    ck_assert(time_is_valid("2024-02-29T23:59:59Z") && !time_is_valid("2023-02-29T23:59:59Z"));
    ck_assert(!time_is_valid("2024-01-01T24:00:00Z") && !time_is_valid("2024-01-01 00:00:00Z"));
    ck_assert(!time_is_valid("2024-01-01T00:00:00.1Z") && !time_is_valid("") && !time_is_valid("2024"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, numbers_print_one_way);
    tcase_add_test(tests, canonical_text);
    tcase_add_test(tests, what_json_refuses);
    tcase_add_test(tests, json_survives_want_of_memory);
    tcase_add_test(tests, base64_has_one_form);
    tcase_add_test(tests, trees);
    tcase_add_test(tests, salts);
    tcase_add_test(tests, random_numbers);
    tcase_add_test(tests, normalised);
    tcase_add_test(tests, white_space_and_parts);
    tcase_add_test(tests, foreign_text_is_tamed);
    tcase_add_test(tests, a_file_is_whole_or_not_there);
    tcase_add_test(tests, a_forgotten_part_of_a_view_can_be_read_again);
    tcase_add_test(tests, what_a_killed_writer_left_goes);
    tcase_add_test(tests, digest_of_a_folder);
    tcase_add_test(tests, times);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
