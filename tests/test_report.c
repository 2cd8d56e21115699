/* Pages over an archive: nothing from outside gets through unescaped, every number is one of the archive's,
 * and no text of an item stands in what is packed. tier: quick */
#include "base/file.h"
#include "base/hash.h"
#include "reports/lines.h"
#include "reports/pack.h"
#include "reports/report.h"
#include "tests/make_archive.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct made_keys keys;
static char folder[64];
static struct str archive, page;
static struct report *report;
static struct status st;

static void open_folder(void)
{
    st = (struct status){ 0 };
    ck_assert_int_eq(make_folder(folder, &st), 0);
    ck_assert_int_eq(made_keys_open(&keys, &st), 0);
}

static void open_kind(enum made kind)
{
    ck_assert_msg(make_archive(folder, kind, &keys, &archive, &st) == 0, "%s", st.msg);
    ck_assert_msg(report_open_archive(str_text(&archive), &report, &st) == 0, "%s", st.msg);
}

static void close_folder(void)
{
    make_folder_gone(folder);
    report_close(report);
    report = NULL;
    made_keys_close(&keys);
    str_release(&archive);
    str_release(&page);
}

static bool says(const char *text)
{
    return strstr(str_text(&page), text) != NULL;
}

static size_t count(const char *text)
{
    size_t n = 0;
    for (const char *at = str_text(&page); (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

START_TEST(packed_page)
{
    open_kind(MADE_FAIL);
    ck_assert_int_eq(report_html(report, false, &page, &st), 0);
    ck_assert(says("<html lang=\"en\" data-generator=\"lethe-report/1\">"));
    ck_assert(says("data-v=\"/outcome\">FAIL<"));
    ck_assert(says("A made up &lt;audit&gt; &amp; its data&#45;m"));
    ck_assert(!says("<audit>"));
    ck_assert_uint_eq(count("<h1>"), 1);
    ck_assert_uint_eq(count("<style>"), 1);
    ck_assert(!says("<script") && !says(" style=\"") && !says("http://") && !says("https://") &&
              !says("javascript:"));
    ck_assert(says("fa-00") && says("fa-22"));
    /* the texts of items, outputs and tokens */
    ck_assert(!says("Birch-3") && !says("house of number") && !says("porter") && !says(" Aster"));
    ck_assert(!says("ferry"));
}
END_TEST

START_TEST(style_is_named_by_its_hash)
{
    struct str wanted = { 0 };
    open_kind(MADE_PASS);
    ck_assert_int_eq(report_html(report, false, &page, &st), 0);
    const char *start = strstr(str_text(&page), "<style>") + 7, *end = strstr(start, "</style>");
    struct hash h = sha256_of(start, (size_t)(end - start));
    str_puts(&wanted, "style-src 'sha256-");
    str_base64(&wanted, h.b, sizeof h.b);
    str_puts(&wanted, "'; base-uri 'none'; form-action 'none'\">");
    ck_assert(says(str_text(&wanted)));
    ck_assert(says("content=\"default-src 'none'; "));
    str_release(&wanted);
}
END_TEST

START_TEST(rendered_page)
{
    const struct approval a = {
        .name = "<V>", .role = "validator", .meaning = "read & approved", .time = "2026-11-24T13:00:00.000Z"
    };
    open_kind(MADE_FAIL);
    report_close(report);
    ck_assert_int_eq(pack_approve(str_text(&archive), str_text(&archive), keys.validator, &a, &st), 0);
    ck_assert_int_eq(report_open_archive(str_text(&archive), &report, &st), 0);
    ck_assert_int_eq(report_html(report, true, &page, &st), 0);
    ck_assert(says("house of number 3?"));
    ck_assert(says("Cedar &lt;2&gt;") && !says("Cedar <"));
    ck_assert(says("read &amp; approved") && says("&lt;V&gt;"));
    ck_assert(says("page made from manifest"));
    ck_assert(says("the data<")); /* who won a conflict */
}
END_TEST

START_TEST(packed_equals_again)
{
    struct container c = { 0 };
    open_kind(MADE_PASS);
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_int_eq(report_html(report, false, &page, &st), 0);
    const struct container_member *m = container_find(&c, "report/report.html");
    ck_assert_str_eq(str_text(&m->data), str_text(&page));
    str_clear(&page);
    ck_assert_int_eq(report_md(report, &page, &st), 0);
    m = container_find(&c, "report/report.md");
    ck_assert_str_eq(str_text(&m->data), str_text(&page));
    container_release(&c);
}
END_TEST

START_TEST(markdown)
{
    open_kind(MADE_FAIL);
    ck_assert_int_eq(report_md(report, &page, &st), 0);
    ck_assert_int_eq(strncmp(str_text(&page), "<!-- lethe-report/1 verdict:", 28), 0);
    ck_assert(says("-->\n**FAIL** `A made up <audit> & its data-m`\n"));
    ck_assert(says("| facts | gate | 24 |"));
    ck_assert(says("- facts `fa-"));
    ck_assert_uint_lt(page.size, 60000);
    ck_assert_uint_eq(count("\n- facts"), 10);
}
END_TEST

START_TEST(imported_says_so_first)
{
    open_kind(MADE_IMPORTED);
    ck_assert_int_eq(report_html(report, false, &page, &st), 0);
    ck_assert(says("INCONCLUSIVE on imported scores</title>"));
    ck_assert(says("on imported scores: they were made elsewhere"));
    str_clear(&page);
    ck_assert_int_eq(report_md(report, &page, &st), 0);
    ck_assert(says("**INCONCLUSIVE** on imported scores `An import`"));
    str_clear(&page);
    const struct report_terminal o = { .quiet = true };
    ck_assert_int_eq(report_terminal(report, &o, &page, &st), 0);
    ck_assert_str_eq(str_text(&page), "INCONCLUSIVE on imported scores: An import\n");
    ck_assert_int_eq(report_exit(report), 5);
}
END_TEST

START_TEST(terminal)
{
    const struct report_terminal o = { .texts = true, .worst = 2, .archive = "a.lethe", .html = "a.html" };
    open_kind(MADE_FAIL);
    ck_assert_int_eq(report_terminal(report, &o, &page, &st), 0);
    ck_assert(says("facts   gate"));
    ck_assert(says("BROKEN  (forgot 20, learned 1)"));
    ck_assert(says("safety  critical"));
    ck_assert(says("lost 0"));
    ck_assert(says("the worst of "));
    ck_assert(says("before: Dahlia 3   after: Aster-3\n"));
    ck_assert(says("FAIL: A made up <audit> & its data-m\narchive: a.lethe\nreport:  a.html\n"));
    ck_assert(!says("\033["));
    ck_assert_int_eq(report_exit(report), 3);
    str_clear(&page);
    const struct report_terminal coloured = { .colour = true };
    ck_assert_int_eq(report_terminal(report, &coloured, &page, &st), 0);
    ck_assert(says("\033[31mFAIL\033[0m"));
}
END_TEST

/* Text that would change a terminal or a page stands there as what it is. */
START_TEST(hostile_title)
{
    struct container c = { 0 };
    open_kind(MADE_PASS);
    report_close(report);
    report = NULL;
    ck_assert_int_eq(make_load(str_text(&archive), &c, &st), 0);
    ck_assert_int_eq(make_replace(&c, "plan.json", "A made up <audit> & its data-m",
                                  "\\u001b[2J`|</title><script>x</script>\xE2\x80\xAE", &st),
                     0);
    ck_assert_int_eq(make_store(str_text(&archive), &c, &st), 0);
    ck_assert_msg(report_open_archive(str_text(&archive), &report, &st) == 0, "%s", st.msg);
    ck_assert_int_eq(report_html(report, true, &page, &st), 0);
    ck_assert(!says("<script") && !says("\033") && !says("\xE2\x80\xAE"));
    str_clear(&page);
    ck_assert_int_eq(report_md(report, &page, &st), 0);
    ck_assert(says("** ``") && !says("\033"));
    str_clear(&page);
    const struct report_terminal o = { .quiet = true };
    ck_assert_int_eq(report_terminal(report, &o, &page, &st), 0);
    ck_assert(!says("\033") && !says("\xE2\x80\xAE"));
    container_release(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tc = tcase_create("report");
    tcase_add_checked_fixture(tc, open_folder, close_folder);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, packed_page);
    tcase_add_test(tc, style_is_named_by_its_hash);
    tcase_add_test(tc, rendered_page);
    tcase_add_test(tc, packed_equals_again);
    tcase_add_test(tc, markdown);
    tcase_add_test(tc, imported_says_so_first);
    tcase_add_test(tc, terminal);
    tcase_add_test(tc, hostile_title);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
