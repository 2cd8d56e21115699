/* tier: quick
 * Out-of-domain parts of training data: by source, tag and length, figures worked by hand, and what is
 * refused. */
#include "base/alloc.h"
#include "eval/split.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { LINES_MAX = 200 };

/* Lines under construction: line i has words "w<i>" and more. */
static struct {
    struct split_line lines[LINES_MAX];
    char words[LINES_MAX][256];
    size_t n;
} data;

static void add(const char *source, const char *tag, size_t words, const char *word)
{
    char *at = data.words[data.n];
    *at = 0;
    for (size_t k = 0; k < words; k++)
        snprintf(at + strlen(at), sizeof data.words[0] - strlen(at), "%s%zu\n", word, k);
    data.lines[data.n] = (struct split_line){ .words = at, .size = strlen(at), .source = source, .tag = tag };
    data.n++;
}

static int make(enum split_by by, double share, uint64_t seed, struct split *out, struct status *st)
{
    const struct split_options o = { .by = by, .share = share, .seed = seed };
    *st = (struct status){ 0 };
    return split_make(data.lines, data.n, &o, out, st);
}

static void setup(void)
{
    memset(&data, 0, sizeof data);
}

/* Names that make every line differ. */
static const char *unique(void)
{
    static char names[LINES_MAX][8];
    snprintf(names[data.n], sizeof names[0], "x%zu_", data.n);
    return names[data.n];
}

/* Five sources of 20 lines, a fifth wanted: one whole source, which one the seed says. */
START_TEST(whole_sources)
{
    static const char *const sources[] = { "a", "b", "c", "d", "e" };
    struct status st;
    bool seen[5] = { false };
    size_t different = 0;
    for (int i = 0; i < 100; i++)
        add(sources[i % 5], "t", 3, unique());
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct split s = { 0 }, again = { 0 };
        ck_assert_msg(make(SPLIT_ANY, 0.2, seed, &s, &st) == 0, "%s", st.msg);
        ck_assert_int_eq(make(SPLIT_SOURCE, 0.2, seed, &again, &st), 0);
        ck_assert_int_eq(s.by, SPLIT_SOURCE);
        ck_assert_uint_eq(s.ood.lines, 20);
        ck_assert_uint_eq(s.train.lines, 80);
        ck_assert_uint_eq(s.what.size, 1);
        ck_assert_mem_eq(s.out, again.out, 100 * sizeof(bool));
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(s.out[i], *sources[i % 5] == *s.what.data);
        seen[*s.what.data - 'a'] = true;
        split_release(&s);
        split_release(&again);
    }
    for (int k = 0; k < 5; k++)
        different += seen[k];
    ck_assert_uint_ge(different, 3);
}
END_TEST

/* Small tags are put together until they hold the share; lines without a tag are trained on. */
START_TEST(tags_together)
{
    static const char *const tags[] = { "a", "b", "c", "d", "e", "f" };
    struct status st;
    struct split s = { 0 };
    for (int i = 0; i < 60; i++)
        add("one", tags[i / 10], 3, unique());
    for (int i = 0; i < 40; i++)
        add("one", NULL, 3, unique());
    ck_assert_msg(make(SPLIT_ANY, 0.3, 1, &s, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(s.by, SPLIT_TAG);
    ck_assert_uint_eq(s.ood.lines, 30);
    ck_assert_uint_eq(s.what.size, strlen("a, b, c"));
    for (size_t i = 60; i < 100; i++)
        ck_assert(!s.out[i]);
    split_release(&s);
}
END_TEST

/* Two sources, 30 and 70 of 100 lines, a tenth wanted: no source fits, so the smaller is taken. */
START_TEST(smallest_source)
{
    struct status st;
    struct split s = { 0 };
    for (int i = 0; i < 100; i++)
        add(i < 30 ? "few" : "many", NULL, 3, unique());
    ck_assert_msg(make(SPLIT_ANY, 0.1, 1, &s, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(s.what.data, "few");
    ck_assert_uint_eq(s.ood.lines, 30);
    split_release(&s);
}
END_TEST

/* Lengths 1 to 10, ten lines each; a quarter wanted: 10, 9 and 8 words, 30 lines. The words of line lengths
 * repeat, so unseen are words 7, 8 and 9 of each: 30 + 20 + 10 of 270. */
START_TEST(longest_lines)
{
    struct status st;
    struct split s = { 0 };
    for (size_t i = 0; i < 100; i++) {
        add("one", NULL, i / 10 + 1, "w");
    }
    ck_assert_msg(make(SPLIT_ANY, 0.25, 1, &s, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(s.by, SPLIT_LENGTH);
    ck_assert_str_eq(s.what.data, "8 words and more");
    ck_assert_uint_eq(s.ood.lines, 30);
    ck_assert_uint_eq(s.ood.words, 270);
    ck_assert_uint_eq(s.ood.shortest, 8);
    ck_assert_uint_eq(s.ood.longest, 10);
    ck_assert_uint_eq(s.train.words, 280);
    ck_assert_uint_eq(s.train.longest, 7);
    ck_assert_double_eq_tol(s.unseen, 60.0 / 270, 1e-15);
    ck_assert_double_lt(s.unseen_random, 0.05);
    split_release(&s);
}
END_TEST

/* What stands in training word for word is no test: it goes back. */
START_TEST(twins_stay)
{
    struct status st;
    struct split s = { 0 };
    for (int i = 0; i < 60; i++)
        add("many", NULL, 3, i == 0 ? "same" : unique());
    for (int i = 0; i < 15; i++)
        add("few", NULL, 3, i < 4 ? "same" : unique());
    ck_assert_msg(make(SPLIT_SOURCE, 0.2, 1, &s, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(s.twins, 4);
    ck_assert_uint_eq(s.ood.lines, 11);
    ck_assert_uint_eq(s.train.lines, 64);
    ck_assert_double_eq(s.unseen, 1.0);
    split_release(&s);
    data.n = 0;
    for (int i = 0; i < 75; i++)
        add(i < 60 ? "many" : "few", NULL, 3, i == 0 || i > 65 ? "same" : unique());
    ck_assert_int_eq(make(SPLIT_SOURCE, 0.2, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg,
                     "by source: 6 lines would be out of domain (9 are also in the rest), wanted 10 or more");
}
END_TEST

START_TEST(refusals)
{
    struct status st;
    struct split s = { .twins = 77 };
    for (int i = 0; i < 39; i++)
        add("one", NULL, 3, unique());
    ck_assert_int_eq(make(SPLIT_ANY, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "39 lines are too few to hold some of them out, wanted 40 or more");
    for (int i = 0; i < 61; i++)
        add("one", NULL, 3, unique());
    ck_assert_int_eq(make(SPLIT_SOURCE, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "by source: there is one source only, 'one'");
    ck_assert_int_eq(make(SPLIT_TAG, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "by tag: no line has a tag");
    ck_assert_int_eq(make(SPLIT_LENGTH, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "by length: all lines have 3 words");
    ck_assert_int_eq(make(SPLIT_ANY, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_ptr_nonnull(
        strstr(st.msg, "source: there is one source only, 'one'; tag: no line has a tag; length: all"));
    add("two", NULL, 9, unique());
    ck_assert_int_eq(make(SPLIT_SOURCE, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "by source: each source has fewer than 10 lines or more than half of all");
    ck_assert_int_eq(make(SPLIT_LENGTH, 0.1, 1, &s, &st), RC_ARG);
    ck_assert_ptr_nonnull(strstr(st.msg, "no length parts off 10 lines"));
    ck_assert_uint_eq(s.twins, 77);
}
END_TEST

START_TEST(no_memory)
{
    bool failed = true;
    size_t nth = 1;
    for (int i = 0; i < 60; i++)
        add(i < 20 ? "few" : "many", NULL, 3, unique());
    for (; failed && nth < 2000; nth++) {
        struct status st;
        struct split s = { 0 };
        mem_fail_at(nth);
        int rc = make(SPLIT_ANY, 0.3, 1, &s, &st);
        mem_fail_at(0);
        failed = rc != 0;
        if (failed) {
            ck_assert_int_eq(rc, RC_NOMEM);
            ck_assert_ptr_null(s.out);
        }
        split_release(&s);
    }
    ck_assert_uint_gt(nth, 5);
    ck_assert(!failed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split");
    TCase *tests = tcase_create("split");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, whole_sources);
    tcase_add_test(tests, tags_together);
    tcase_add_test(tests, smallest_source);
    tcase_add_test(tests, longest_lines);
    tcase_add_test(tests, twins_stay);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, no_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed == 0 && ran > 0 ? 0 : 1;
}
