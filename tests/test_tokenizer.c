/* The tokenizer of the real model against the reference library, on 2,000 varied strings
 * (tests/golden/make_tokens.py). tier: quick */
#include "base/file.h"
#include "base/json.h"
#include "model/gguf.h"
#include "model/tokenizer.h"
#include "tests/model_path.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gguf file;
static struct tokenizer *tokenizer;

static void open_model(void)
{
    struct status st = { 0 };
    ck_assert_msg(gguf_open(model_path(), &file, &st) == 0, "%s", st.msg);
    ck_assert_msg(tokenizer_open(&file, &tokenizer, &st) == 0, "%s", st.msg);
}

static void close_model(void)
{
    tokenizer_close(tokenizer);
    gguf_close(&file);
}

static bool same_ids(const struct json *want, const struct tokens *got)
{
    size_t i = 0;
    if (json_size(want) != got->n)
        return false;
    for (const struct json *id = json_first(want); id; id = json_next(id))
        if (json_int(id) != got->ids[i++])
            return false;
    return true;
}

START_TEST(equals_the_reference)
{
    struct str text = { 0 };
    const char *line;
    size_t n, count = 0, wrong = 0;
    struct status st = { 0 };
    ck_assert_int_eq(file_read(TESTS_DIR "/golden/tokens/smollm2.jsonl", 1 << 24, &text, &st), 0);
    struct lines lines = { .data = str_text(&text), .size = text.size };
    while (lines_next(&lines, &line, &n, &st)) {
        struct json *j = NULL;
        struct tokens got = { 0 };
        ck_assert_msg(json_parse(line, n, &j, &st) == 0, "%zu: %s", lines.number, st.msg);
        const char *s = json_text(json_find(j, "s"));
        ck_assert_int_eq(tokenizer_raw(tokenizer, s, strlen(s), &got, &st), 0);
        if (!same_ids(json_find(j, "ids"), &got)) {
            wrong++;
            printf("  line %zu differs: %s\n", lines.number, s);
        }
        count++;
        tokens_release(&got);
        json_free(j);
    }
    ck_assert_uint_eq(count, 2000);
    ck_assert_uint_eq(wrong, 0);
    str_release(&text);
}
END_TEST

START_TEST(invalid_parts_become_the_replacement_character)
{
    static const char BROKEN[] = "a\xe2\x82z\xffq", WHOLE[] = "a\xef\xbf\xbdz\xef\xbf\xbdq";
    struct tokens a = { 0 }, b = { 0 };
    ck_assert_int_eq(tokenizer_raw(tokenizer, BROKEN, sizeof BROKEN - 1, &a, NULL), 0);
    ck_assert_int_eq(tokenizer_raw(tokenizer, WHOLE, sizeof WHOLE - 1, &b, NULL), 0);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_mem_eq(a.ids, b.ids, a.n * sizeof *a.ids);
    tokens_release(&a);
    tokens_release(&b);
}
END_TEST

START_TEST(bytes_without_a_token_are_counted)
{
    struct tokens t = { 0 };
    ck_assert_int_eq(tokenizer_raw(tokenizer,
                                   "a\x04\x06\x1d"
                                   "b",
                                   5, &t, NULL),
                     0);
    ck_assert_uint_eq(t.dropped, 3);
    struct str text = { 0 };
    ck_assert_int_eq(tokenizer_decode(tokenizer, t.ids, t.n, false, &text, NULL), 0);
    ck_assert_str_eq(str_text(&text), "ab");
    str_release(&text);
    tokens_release(&t);
}
END_TEST

START_TEST(long_pieces_take_no_time)
{
    size_t n = 200000;
    char *s = malloc(n);
    struct tokens t = { 0 };
    memset(s, 'a', n);
    ck_assert_int_eq(tokenizer_raw(tokenizer, s, n, &t, NULL), 0);
    ck_assert_uint_gt(t.n, 0);
    struct str text = { 0 };
    ck_assert_int_eq(tokenizer_decode(tokenizer, t.ids, t.n, false, &text, NULL), 0);
    ck_assert_uint_eq(text.size, n);
    str_release(&text);
    tokens_release(&t);
    free(s);
}
END_TEST

START_TEST(ends)
{
    ck_assert_int_eq(tokenizer_bos(tokenizer), 1);
    ck_assert_int_eq(tokenizer_eos(tokenizer), 2);
    ck_assert_int_eq(tokenizer_prefix(tokenizer), 1);
    ck_assert(!tokenizer_adds_bos(tokenizer));
    ck_assert_uint_eq(tokenizer_size(tokenizer), 49152);
    ck_assert(tokenizer_is_special(tokenizer, 1) && !tokenizer_is_special(tokenizer, 500));
}
END_TEST

/* Digits of Unicode 15 and 16, which an older PCRE2 takes for symbols: each is a piece of its own. */
START_TEST(numbers_newer_than_the_pattern_library)
{
    static const char TEXT[] = "x\U0001d2c0\U0001d2c1 \U00011f50y\U00010d40";
    static const int32_t WANT[] = { 104, 23159, 229, 218, 23159, 229, 219, 216, 187,
                                    235, 138,   234, 105, 187,   234, 130, 218 };
    struct tokens t = { 0 };
    ck_assert_int_eq(tokenizer_raw(tokenizer, TEXT, sizeof TEXT - 1, &t, NULL), 0);
    ck_assert_uint_eq(t.n, sizeof WANT / sizeof *WANT);
    ck_assert_mem_eq(t.ids, WANT, sizeof WANT);
    tokens_release(&t);
}
END_TEST

/* Computed from the file by a few lines of Python after docs/formats 0.5. */
START_TEST(digests)
{
    struct gguf small = { 0 };
    struct tokenizer *other = NULL;
    struct hash d = tokenizer_digest(tokenizer);
    ck_assert_str_eq(hash_hex(&d).s, "8db700f31f6d30367e8f180fb96bdc0717588846044fcce152c02a7b913e624a");
    ck_assert_int_eq(gguf_open(TESTS_DIR "/golden/tiny/tiny.gguf", &small, NULL), 0);
    ck_assert_int_eq(tokenizer_open(&small, &other, NULL), 0);
    d = tokenizer_digest(other);
    ck_assert_str_eq(hash_hex(&d).s, "182d8c9651b56f7025217c8269a36eb632aaac652a537f60ac168dbb1e7f51f7");
    tokenizer_close(other);
    gguf_close(&small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *tests = tcase_create("tokenizer");
    tcase_add_unchecked_fixture(tests, open_model, close_model);
    tcase_add_test(tests, equals_the_reference);
    tcase_add_test(tests, invalid_parts_become_the_replacement_character);
    tcase_add_test(tests, bytes_without_a_token_are_counted);
    tcase_add_test(tests, long_pieces_take_no_time);
    tcase_add_test(tests, ends);
    tcase_add_test(tests, numbers_newer_than_the_pattern_library);
    tcase_add_test(tests, digests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
