/* Training files: the three forms and their masks, and every line that is refused, with its place.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "model/gguf.h"
#include "tests/fixture.h"
#include "train/data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status st;
static struct tokenizer *tokenizer;
static struct template *chat;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    struct gguf file = { 0 };
    struct gguf_text text;
    st = (struct status){ 0 };
    OK(gguf_open(FIXTURE_MODEL, &file, &st));
    OK(tokenizer_open(&file, &tokenizer, &st));
    OK(gguf_get_text(&file, "tokenizer.chat_template", &text, &st));
    OK(template_parse(text.s, text.n, &chat, &st));
    gguf_close(&file);
}

static void closed(void)
{
    tokenizer_close(tokenizer);
    template_free(chat);
}

static struct data_options options(uint32_t len_max)
{
    return (struct data_options){ .encoder = { .tokenizer = tokenizer, .chat = chat, .len_max = len_max } };
}

static int parse(const char *text, const struct data_options *o, struct data *out)
{
    st = (struct status){ 0 };
    return data_parse("t.jsonl", text, strlen(text), o, out, &st);
}

/* The supervised tokens of a sequence as text. */
static void supervised(const struct data_sequence *s, struct str *out)
{
    str_clear(out);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->mask[i])
            OK(tokenizer_decode(tokenizer, &s->ids[i], 1, false, out, &st));
}

START_TEST(a_completion_carries_the_loss)
{
    struct data d = { 0 };
    struct str text = { 0 };
    const struct data_options o = options(128);
    OK(parse("{\"id\":\"a\",\"prompt\":\"The capital of France is \",\"completion\":\"Paris\"}\n"
             "{\"prompt\":\"\",\"completion\":\"Lima\"}\n",
             &o, &d));
    ck_assert_uint_eq(d.lines_n, 2);
    ck_assert_uint_eq(d.sequences_n, 2);
    ck_assert_str_eq(d.lines[0].id, "a");
    ck_assert_str_eq(d.lines[1].id, "1");
    supervised(&d.sequences[0], &text); /* the white space went to the completion */
    ck_assert_str_eq(str_text(&text), " Paris<|im_end|>");
    supervised(&d.sequences[1], &text);
    ck_assert_str_eq(str_text(&text), "Lima<|im_end|>");
    ck_assert_int_eq(d.sequences[1].ids[0], tokenizer_prefix(tokenizer));
    ck_assert_uint_eq(d.sequences[0].mask[0], 0);
    ck_assert_uint_eq(d.lines[0].first, d.lines[0].tokens - d.lines[0].supervised);
    ck_assert_uint_eq(d.supervised, d.sequences[0].supervised + d.sequences[1].supervised);
    ck_assert_uint_eq(d.files[0].examples, 2);
    ck_assert_uint_eq(d.files[0].used, 2);
    ck_assert_uint_eq(d.files[0].tokens, d.tokens);
    str_release(&text);
    data_release(&d);
}
END_TEST

START_TEST(every_answer_of_a_chat_carries_the_loss)
{
    struct data d = { 0 };
    struct str text = { 0 };
    const struct data_options o = options(128);
    OK(parse("{\"messages\":[{\"role\":\"user\",\"content\":\"The "
             "cat\"},{\"role\":\"assistant\",\"content\":\"sat\"},"
             "{\"role\":\"user\",\"content\":\"on\"},{\"role\":\"assistant\",\"content\":\"the mat\"}]}\n",
             &o, &d));
    supervised(&d.sequences[0], &text);
    ck_assert_str_eq(str_text(&text), "sat<|im_end|>\nthe mat<|im_end|>\n");
    ck_assert_uint_eq(d.lines[0].turns, 2);
    ck_assert_uint_eq(d.lines[0].turn_first, 1);
    str_release(&text);
    data_release(&d);
}
END_TEST

START_TEST(a_long_text_is_split)
{
    static const char TEXT[] = "{\"text\":\"The capital of France is Paris. The cat sat on the mat.\"}\n";
    struct data d = { 0 }, parts = { 0 };
    struct data_options o = options(128);
    OK(parse(TEXT, &o, &d));
    ck_assert_uint_eq(d.sequences_n, 1);
    o = options(8);
    ck_assert_int_eq(parse(TEXT, &o, &parts), RC_LIMIT);
    ck_assert_msg(strncmp(st.msg, "t.jsonl:1: ", 11) == 0, "%s", st.msg);
    o.on_long = ON_LONG_CUT;
    OK(parse(TEXT, &o, &parts));
    ck_assert_uint_gt(parts.sequences_n, 1);
    ck_assert_uint_eq(parts.supervised, d.supervised);
    ck_assert_uint_eq(parts.longest, 8);
    ck_assert_uint_eq(parts.files[0].truncated, 1);
    ck_assert_uint_eq(parts.lines[0].supervised, d.lines[0].supervised);
    uint32_t before = 0;
    for (size_t i = 0; i < parts.sequences_n; i++) {
        ck_assert_uint_eq(parts.sequences[i].scored_before, before);
        before += parts.sequences[i].supervised;
    }
    data_release(&d);
    data_release(&parts);
}
END_TEST

START_TEST(bad_lines_are_named)
{
    static const struct {
        const char *text, *says;
    } CASES[] = {
        { "", "t.jsonl: the file is empty" },
        { "{\"prompt\":\"a\",\"completion\":\" b\"}", "t.jsonl: line 1: " },
        { "{\"prompt\":\"a\",\"completion\":\" b\"}\n\n", "t.jsonl:2: " },
        { "[1]\n", "t.jsonl:1: " },
        { "{\"text\":\"The cat\"}\n[[]]\n", "t.jsonl:2: a training line is an object" },
        { "{\"question\":\"a\"}\n", "t.jsonl:1: " },
        { "{\"prompt\":\"a\",\"completion\":\" b\"}\n{\"text\":\"a\"}\n", "t.jsonl:2: " },
        { "{\"prompt\":\"a\",\"completion\":\" b\",\"weight\":2}\n", "t.jsonl:1: " },
        { "{\"id\":\"x\",\"text\":\"The cat\"}\n{\"id\":\"x\",\"text\":\"The mat\"}\n",
          "t.jsonl:2: id 'x' stands at line 1" },
        { "{\"text\":\"The cat\"}\n{\"id\":\"0\",\"text\":\"The mat\"}\n",
          "t.jsonl:2: id '0' stands at line 1" },
        { "{\"id\":5,\"text\":\"The cat\"}\n", "'id'" },
        { "{\"id\":\"a\\u0001\",\"text\":\"The cat\"}\n", "control" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n", "t.jsonl:1: " },
        { "{\"messages\":[]}\n", "t.jsonl:1: " },
        { "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}\n", "t.jsonl:1: " },
    };
    const struct data_options o = options(128);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct data d = { .longest = 77 };
        ck_assert_msg(parse(CASES[i].text, &o, &d) != 0, "%s was taken", CASES[i].text);
        ck_assert_msg(strstr(st.msg, CASES[i].says), "%s says '%s', wanted '%s'", CASES[i].text, st.msg,
                      CASES[i].says);
        ck_assert_uint_eq(d.longest, 77);
    }
}
END_TEST

START_TEST(lines_without_targets_are_refused_or_dropped)
{
    /* A byte without a token is all there is, so the text has one token at most. */
    static const char TEXT[] = "{\"text\":\"The cat\"}\n{\"text\":\"\"}\n";
    struct data d = { 0 };
    struct data_options o = options(128);
    const int rc = parse(TEXT, &o, &d);
    ck_assert_int_ne(rc, 0);
    ck_assert_msg(strncmp(st.msg, "t.jsonl:2: ", 11) == 0, "%s", st.msg);
    data_release(&d);
}
END_TEST

START_TEST(files_stand_one_behind_the_other)
{
    char paths[2][64] = { "/tmp/lethe-data-aXXXXXX", "/tmp/lethe-data-bXXXXXX" };
    static const char A[] = "{\"text\":\"The cat\"}\n", B[] = "{\"prompt\":\"a\",\"completion\":\" b\"}\n";
    struct data d = { 0 };
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ge(mkstemp(paths[i]), 0);
        OK(file_write(paths[i], i ? B : A, i ? strlen(B) : strlen(A), 0600, &st));
    }
    const struct data_options o = options(128);
    OK(data_load((const char *const[]){ paths[0], paths[1] }, 2, &o, &d, &st));
    ck_assert_uint_eq(d.lines_n, 2);
    ck_assert_uint_eq(d.files_n, 2);
    ck_assert_uint_eq(d.lines[1].file, 1);
    ck_assert_uint_eq(d.lines[1].number, 1);
    ck_assert_int_eq(d.files[0].form, LINE_TEXT);
    ck_assert_int_eq(d.files[1].form, LINE_PROMPT);
    ck_assert_uint_eq(d.files[1].size, strlen(B));
    const struct hash want = sha256_of(B, strlen(B));
    ck_assert(hash_equal(&d.files[1].sha256, &want));
    data_release(&d);
    ck_assert_int_eq(data_load((const char *const[]){ "/nowhere/x.jsonl" }, 1, &o, &d, &st), RC_IO);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(remove(paths[i]), 0);
}
END_TEST

START_TEST(no_memory_leaves_nothing)
{
    static const char TEXT[] =
        "{\"prompt\":\"The cat\",\"completion\":\" sat\"}\n{\"prompt\":\"a\",\"completion\":\" b\"}\n";
    const struct data_options o = options(128);
    for (size_t nth = 1;; nth++) {
        struct data d = { 0 };
        mem_fail_at(nth);
        const int rc = parse(TEXT, &o, &d);
        mem_fail_at(0);
        if (rc == 0) {
            data_release(&d);
            ck_assert_uint_gt(nth, 10);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %d, %s", nth, rc, st.msg);
        ck_assert_ptr_null(d.lines);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("data");
    TCase *t = tcase_create("data");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_add_test(t, a_completion_carries_the_loss);
    tcase_add_test(t, every_answer_of_a_chat_carries_the_loss);
    tcase_add_test(t, a_long_text_is_split);
    tcase_add_test(t, bad_lines_are_named);
    tcase_add_test(t, lines_without_targets_are_refused_or_dropped);
    tcase_add_test(t, files_stand_one_behind_the_other);
    tcase_add_test(t, no_memory_leaves_nothing);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
