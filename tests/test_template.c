/* Chat templates against jinja2 (tests/golden/make_chat.py), and what is refused by name.
 * tier: quick */
#include "base/file.h"
#include "base/json.h"
#include "model/gguf.h"
#include "model/template.h"
#include "tests/model_path.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { TURNS_MAX = 8 };

static void line_check(const struct json *j, const struct template *own, size_t number)
{
    struct template *other = NULL;
    struct chat_message turns[TURNS_MAX];
    struct str got = { 0 };
    struct status st = { 0 };
    size_t n = 0;
    for (const struct json *m = json_first(json_find(j, "messages")); m; m = json_next(m))
        turns[n++] =
            (struct chat_message){ json_text(json_find(m, "role")), json_text(json_find(m, "content")) };
    const char *text = json_text(json_find(j, "template"));
    if (text)
        ck_assert_msg(template_parse(text, strlen(text), &other, &st) == 0, "line %zu: %s", number, st.msg);
    struct template_ask ask = { turns, n, json_bool(json_find(j, "prompt")), "<s>", "</s>" };
    ck_assert_msg(template_render(other ? other : own, &ask, &got, &st) == 0, "line %zu: %s", number, st.msg);
    ck_assert_msg(strcmp(str_text(&got), json_text(json_find(j, "text"))) == 0, "line %zu: %s\nwanted: %s",
                  number, str_text(&got), json_text(json_find(j, "text")));
    str_release(&got);
    template_free(other);
}

START_TEST(renders_as_the_reference)
{
    struct gguf file;
    struct gguf_text chat;
    struct template *own = NULL;
    struct str text = { 0 };
    struct status st = { 0 };
    const char *line;
    size_t n, count = 0;
    ck_assert_msg(gguf_open(model_path(), &file, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(gguf_get_text(&file, "tokenizer.chat_template", &chat, &st), 0);
    ck_assert_msg(template_parse(chat.s, chat.n, &own, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(file_read(TESTS_DIR "/golden/chat/smollm2.jsonl", 1 << 24, &text, &st), 0);
    struct lines lines = { .data = str_text(&text), .size = text.size };
    for (; lines_next(&lines, &line, &n, &st); count++) {
        struct json *j = NULL;
        ck_assert_int_eq(json_parse(line, n, &j, &st), 0);
        line_check(j, own, lines.number);
        json_free(j);
    }
    ck_assert_uint_eq(count, 60);
    str_release(&text);
    template_free(own);
    gguf_close(&file);
}
END_TEST

START_TEST(refuses_by_name)
{
    static const struct {
        const char *text, *says;
    } BAD[] = {
        { "{% macro x() %}{% endmacro %}", "macro" },
        { "{{ messages | tojson }}", "tojson" },
        { "{{ tools }}", "tools" },
        { "{% for t in tools %}{% endfor %}", "messages" },
        { "{{ messages[0].name }}", "name" },
        { "{% if true %}", "end" },
        { "{{ 'open }}", "string" },
        { "line\n{{ 1 + 2 }}", "line 2" },
        { "{{ messages }", "here" },
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct template *t = NULL;
        struct status st = { 0 };
        ck_assert_msg(template_parse(BAD[i].text, strlen(BAD[i].text), &t, &st) != 0, "taken: %s",
                      BAD[i].text);
        ck_assert_msg(strstr(st.msg, BAD[i].says) != NULL, "%s: %s", BAD[i].text, st.msg);
        ck_assert_ptr_null(t);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("template");
    TCase *tests = tcase_create("template");
    tcase_add_test(tests, renders_as_the_reference);
    tcase_add_test(tests, refuses_by_name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
