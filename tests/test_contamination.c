/* The word search: which items stand in a training line.
 * tier: quick */
#include "base/alloc.h"
#include "eval/contamination.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A text suite of the given items. */
static struct probe_set texts_of(const char *const *texts, size_t n)
{
    struct str file = { 0 };
    struct probe_set s = { 0 };
    for (size_t i = 0; i < n; i++) {
        str_printf(&file, "{\"id\":\"%zu\",\"text\":", i);
        str_json_string(&file, texts[i], strlen(texts[i]));
        str_puts(&file, "}\n");
    }
    ck_assert_int_eq(probe_set_parse(file.data, file.size, "texts.jsonl", &s, NULL), 0);
    str_release(&file);
    return s;
}

static size_t search(const struct probe_set *set, const char *const *line, size_t n)
{
    struct contamination *c = NULL;
    ck_assert_int_eq(contamination_open(&set, 1, &c, NULL), 0);
    ck_assert_int_eq(contamination_line(c, line, n, NULL), 0);
    const size_t hits = contamination_hits(c, 0);
    contamination_close(c);
    return hits;
}

static const struct {
    const char *item, *line, *words;
    size_t hits;
} cases[] = {
    { "The capital of Peru is Lima.", "He said: the CAPITAL of Peru is lima, of course",
      "the\ncapital\nof\nperu\nis\nlima\n", 1 },
    { "The capital of Peru is Lima.", "The capital of Peru, is it Lima?",
      "the\ncapital\nof\nperu\nis\nlima\n", 0 },
    { "Ice is frozen water.", "ice is frozen water", "ice\nis\nfrozen\nwater\n", 0 },
    { "a b c d e f g h i j k l m n", "x b c d e f g h i j k l m n y", NULL, 1 },
    { "a b c d e f g h i j k l m n", "x b c d e f g h i j k l m y", NULL, 0 },
    { "well-known \xef\xac\x81ve-word Stra\xc3\x9f"
      "e",
      "well known five word strasse", "well\nknown\nfive\nword\nstrasse\n", 1 },
    { "one two three four five", "zero one two three four five", NULL, 1 },
    { "one two three four five", "one two three four", NULL, 0 },
    { "one two three four five", "one two three four fives", NULL, 0 },
    { "one two three four five", "", NULL, 0 },
    { "...", "one two three four five", "", 0 },
};

START_TEST(one_item)
{
    struct probe_set s = texts_of(&cases[_i].item, 1);
    ck_assert_uint_eq(search(&s, &cases[_i].line, 1), cases[_i].hits);
    if (cases[_i].words) {
        struct str words = { 0 };
        ck_assert_int_eq(contamination_words(cases[_i].item, strlen(cases[_i].item), &words, NULL), 0);
        ck_assert_str_eq(str_text(&words), cases[_i].words);
        str_release(&words);
    }
    probe_set_release(&s);
}
END_TEST

/* The texts of a line are one sequence of words. */
START_TEST(prompt_and_completion)
{
    const char *file =
        "{\"id\":\"a\",\"context\":\"What is the capital of Peru?\",\"choices\":[\"Lima\",\"Cusco\"],"
        "\"gold\":0}\n"
        "{\"id\":\"b\",\"context\":\"What is the capital of Chile?\",\"choices\":[\"Arica\",\"Santiago\"],"
        "\"gold\":[1,0]}\n";
    struct probe_set s = { 0 };
    ck_assert_int_eq(probe_set_parse(file, strlen(file), "x.jsonl", &s, NULL), 0);
    const char *right[] = { "What is the capital of Peru?", "Lima" };
    const char *wrong[] = { "What is the capital of Peru?", "Cusco" };
    const char *either[] = { "Tell me.", "What is the capital of Chile", "Arica" };
    ck_assert_uint_eq(search(&s, right, 2), 1);
    ck_assert_uint_eq(search(&s, wrong, 2), 0);
    ck_assert_uint_eq(search(&s, either, 3), 1);
    ck_assert_uint_eq(search(&s, right, 1), 0);
    probe_set_release(&s);
}
END_TEST

/* A beginning that a tenth of the items share is an instruction, and no sign of contamination. */
START_TEST(shared_instruction)
{
    const char *instruction = "read the ticket below and answer with the name of one of our eight teams";
    const char *texts[30];
    struct str made[30] = { 0 };
    for (size_t i = 0; i < 30; i++) {
        str_printf(&made[i], "%s number %zu",
                   i < 3 ? instruction
                         : "other words that go before all of this here and "
                           "are many more",
                   i);
        texts[i] = str_text(&made[i]);
    }
    struct probe_set s = texts_of(texts, 30);
    const char *line = "read the ticket below and answer with the name of one of our eight teams today";
    ck_assert_uint_eq(search(&s, &line, 1), 0);
    ck_assert_uint_eq(search(&s, &texts[2], 1), 1); /* the whole text still counts */
    probe_set_release(&s);
    struct probe_set few = texts_of(texts + 2, 28); /* now one item of 28 has it */
    ck_assert_uint_eq(search(&few, &line, 1), 1);
    probe_set_release(&few);
    for (size_t i = 0; i < 30; i++)
        str_release(&made[i]);
}
END_TEST

START_TEST(several_suites)
{
    const char *a[] = { "one two three four five", "six seven eight nine ten" };
    const char *b[] = { "one two three four five" };
    struct probe_set sa = texts_of(a, 2), sb = texts_of(b, 1);
    const struct probe_set *sets[] = { &sa, &sb };
    struct contamination *c = NULL;
    ck_assert_int_eq(contamination_open(sets, 2, &c, NULL), 0);
    const char *line = "one two three four five";
    ck_assert_int_eq(contamination_line(c, &line, 1, NULL), 0);
    ck_assert_int_eq(contamination_line(c, &line, 1, NULL), 0); /* counted once */
    ck_assert_uint_eq(contamination_hits(c, 0), 1);
    ck_assert_uint_eq(contamination_hits(c, 1), 1);
    ck_assert(contamination_hit(c, 0, 0) && !contamination_hit(c, 0, 1));
    contamination_close(c);
    size_t nth = 1;
    for (;; nth++) {
        mem_fail_at(nth);
        const int rc = contamination_open(sets, 2, &c, NULL);
        mem_fail_at(0);
        if (rc == 0)
            break;
        ck_assert_int_eq(rc, RC_NOMEM);
    }
    ck_assert_uint_gt(nth, 10);
    contamination_close(c);
    probe_set_release(&sa);
    probe_set_release(&sb);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contamination");
    TCase *tc = tcase_create("contamination");
    tcase_add_loop_test(tc, one_item, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tc, prompt_and_completion);
    tcase_add_test(tc, shared_instruction);
    tcase_add_test(tc, several_suites);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
