/* Each kind: an item, what the table answers, and the row that comes out. Then rows as lines: written, read
 * back, judged, and refused.
 * tier: quick */
#include "base/alloc.h"
#include "eval/record.h"
#include "eval/row.h"
#include "eval/score.h"
#include "probes/set.h"
#include "tests/lm_table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t KEY[32] = { 1 };

/* ---- from item to row ---- */

static const struct {
    const char *suite;                /* its lines */
    struct lm_table_answer answer[8]; /* what the model says */
    const char *row;                  /* up to the salt */
} cases[] = {
    { /* argmax ll is the second; by characters and by bytes the first, which is longer */
      "{\"id\":\"c\",\"context\":\"Q:\",\"choices\":[\"Zürich\",\"no\"],\"gold\":0,\"tags\":[\"t\"]}\n",
      { { "Q:", " Zürich", -3.5, false }, { "Q:", " no", -2.5, true } },
      "{\"i\":0,\"id\":\"c\",\"kind\":\"choice\",\"cluster\":\"c\",\"tags\":[\"t\"],\"gold\":[0],\"n_ctx\":1,"
      "\"n_tok\":[3,1],\"chars\":[6,2],\"bytes\":[7,2],\"ll\":[-3.5,-2.5],\"greedy\":[false,true],\"acc\":0,"
      "\"acc_norm\":1,\"acc_bytes\":1,\"flags\":[],\"salt\":\"" },
    { /* a tie of choices goes to the lower index */
      "{\"id\":\"c\",\"context\":\"Q:\",\"choices\":[\"ja\",\"no\"],\"gold\":[1]}\n",
      { { "Q:", " ja", -2, false }, { "Q:", " no", -2, false } },
      "{\"i\":0,\"id\":\"c\",\"kind\":\"choice\",\"cluster\":\"c\",\"gold\":[1],\"n_ctx\":1,\"n_tok\":[1,1],"
      "\"chars\":[2,2],\"bytes\":[2,2],\"ll\":[-2,-2],\"greedy\":[false,false],\"acc\":0,\"acc_norm\":0,"
      "\"acc_bytes\":0,\"flags\":[],\"salt\":\"" },
    { /* the second is likelier, but it was likelier without the context too */
      "{\"lethe_probe\":1,\"id\":\"m\",\"version\":\"1\",\"title\":\"M\",\"licence\":\"CC0-1.0\",\"source\":"
      "\"own\","
      "\"kind\":\"choice\",\"role\":\"facts\",\"metric\":\"acc_mutual_info\"}\n"
      "{\"id\":\"c\",\"context\":\"Q:\",\"choices\":[\"ja\",\"no\"],\"gold\":0}\n",
      { { "Q:", " ja", -2, false },
        { "Q:", " no", -1, true },
        { "", " ja", -4, false },
        { "", " no", -1.5, false } },
      "{\"i\":0,\"id\":\"c\",\"kind\":\"choice\",\"cluster\":\"c\",\"gold\":[0],\"n_ctx\":1,\"n_tok\":[1,1],"
      "\"chars\":[2,2],\"bytes\":[2,2],\"ll\":[-2,-1],\"ll_uncond\":[-4,-1.5],\"greedy\":[false,true],"
      "\"acc\":0,"
      "\"acc_norm\":0,\"acc_bytes\":0,\"acc_mutual_info\":1,\"flags\":[],\"salt\":\"" },
    { "{\"id\":\"p\",\"good\":\"He is.\",\"bad\":\"He are.\"}\n",
      { { "", " He is.", -7.25, false }, { "", " He are.", -9, false } },
      "{\"i\":0,\"id\":\"p\",\"kind\":\"pair\",\"cluster\":\"p\",\"gold\":[0],\"n_ctx\":1,\"n_tok\":[2,3],"
      "\"chars\":[6,7],\"bytes\":[6,7],\"ll\":[-7.25,-9],\"greedy\":[false,false],\"acc\":1,\"flags\":[],"
      "\"salt\":\"" },
    { /* a tie of a pair is wrong */
      "{\"id\":\"p\",\"good\":\"He is.\",\"bad\":\"He are.\"}\n",
      { { "", " He is.", -9, false }, { "", " He are.", -9, false } },
      "{\"i\":0,\"id\":\"p\",\"kind\":\"pair\",\"cluster\":\"p\",\"gold\":[0],\"n_ctx\":1,\"n_tok\":[2,3],"
      "\"chars\":[6,7],\"bytes\":[6,7],\"ll\":[-9,-9],\"greedy\":[false,false],\"acc\":0,\"flags\":[],"
      "\"salt\":\"" },
    { /* a cloze is right when one of its answers is greedy, however likely the others are */
      "{\"id\":\"z\",\"context\":\"Q:\",\"answers\":[\"ja\",\"no\"]}\n",
      { { "Q:", " ja", -0.5, false }, { "Q:", " no", -2, true } },
      "{\"i\":0,\"id\":\"z\",\"kind\":\"cloze\",\"cluster\":\"z\",\"n_ctx\":1,\"n_tok\":[1,1],"
      "\"ll\":[-0.5,-2],\"greedy\":[false,true],\"acc\":1,\"flags\":[],\"salt\":\"" },
    { "{\"id\":\"z\",\"context\":\"Q:\",\"answers\":[\"ja\"]}\n",
      { { "Q:", " ja", -0.5, false } },
      "{\"i\":0,\"id\":\"z\",\"kind\":\"cloze\",\"cluster\":\"z\",\"n_ctx\":1,\"n_tok\":[1],"
      "\"ll\":[-0.5],\"greedy\":[false],\"acc\":0,\"flags\":[],\"salt\":\"" },
    { "{\"id\":\"t\",\"text\":\"Tea  is\\nhot. \"}\n",
      { { "", "Tea  is\nhot. ", -12.125, false } },
      "{\"i\":0,\"id\":\"t\",\"kind\":\"text\",\"cluster\":\"t\",\"n_tok\":4,\"bytes\":13,\"words\":4,\"ll\":"
      "-12.125,"
      "\"flags\":[],\"salt\":\"" },
};

START_TEST(item_to_row)
{
    struct probe_set s = { 0 };
    struct lm_table table = { .answers = cases[_i].answer };
    struct item_rows rows = { 0 };
    struct str line = { 0 };
    struct status st = { 0 };
    while (table.n < 8 && table.answers[table.n].target)
        table.n++;
    ck_assert_int_eq(probe_set_parse(cases[_i].suite, strlen(cases[_i].suite), "x.jsonl", &s, &st), 0);
    const struct score_options options = { .side = "base", .salt_key = KEY };
    ck_assert_msg(score_set(&s, lm_table_open(&table), &options, NULL, &rows, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(rows.n, 1);
    ck_assert_int_eq(item_row_write(&rows.rows[0], &line, &st), 0);
    ck_assert_uint_eq(line.size, strlen(cases[_i].row) + 34);
    line.data[strlen(cases[_i].row)] = 0;
    ck_assert_str_eq(line.data, cases[_i].row);
    ck_assert_int_eq(item_row_check(&rows.rows[0], NULL), 0);
    ck_assert_int_eq(item_row_check_item(&rows.rows[0], &s.items[0], NULL), 0);
    item_rows_release(&rows);
    probe_set_release(&s);
    str_release(&line);
}
END_TEST

START_TEST(later_kinds)
{
    static const char text[] =
        "{\"lethe_probe\":1,\"id\":\"m\",\"version\":\"1\",\"title\":\"M\",\"licence\":\"x\","
        "\"source\":\"own\",\"kind\":\"exact\",\"role\":\"task\"}\n"
        "{\"id\":\"c\",\"context\":\"Q:\",\"answers\":[\"ja\"]}\n";
    struct probe_set s = { 0 };
    struct lm_table table = { 0 };
    struct item_rows rows = { .n = 77 };
    struct status st = { 0 };
    ck_assert_int_eq(probe_set_parse(text, strlen(text), "x.jsonl", &s, &st), 0);
    const struct score_options options = { .side = "base" };
    ck_assert_int_eq(score_set(&s, lm_table_open(&table), &options, NULL, &rows, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "of kind 'exact' with a model comes later"));
    ck_assert_int_eq(score_check(&s, lm_table_open(&table), false, NULL), RC_UNSUPPORTED);
    ck_assert_uint_eq(rows.n, 77);
    ck_assert_uint_eq(table.calls, 0);
    probe_set_release(&s);
}
END_TEST

START_TEST(outputs)
{
    static const char *parts[] = { "cardiology", "heart  team" };
    static const struct {
        const char *output;
        bool text, none;
    } table[] = { { "cardiology", true, true },
                  { " Cardiology.", true, false },
                  { "HEART\tteam!", true, false },
                  { "heart  team", true, true },
                  { "-cardiology", false, false },
                  { "", false, false },
                  { "cardiology team", false, false },
                  { "\xef\xbc\xa3"
                    "ardiology",
                    true, false } };
    const struct probe_item item = { .id = "x", .parts = parts, .n_parts = 2 };
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        bool right = false;
        const char *o = table[k].output;
        ck_assert_int_eq(probe_output_judge(&item, o, strlen(o), NORMALISE_text, &right, NULL), 0);
        ck_assert_msg(right == table[k].text, "%s", o);
        ck_assert_int_eq(probe_output_judge(&item, o, strlen(o), NORMALISE_none, &right, NULL), 0);
        ck_assert_msg(right == table[k].none, "%s", o);
    }
}
END_TEST

/* ---- rows as lines ---- */

#define SALT "\"salt\":\"00112233445566778899aabbccddeeff\"}"
#define OUT  "bd4b0467a4ec78e5ce24991e75d730a84b7b1be474f00db5cb38cb8f1f6b2b6e"

static const char *const good_rows[] = {
    "{\"i\":0,\"id\":\"a\",\"kind\":\"choice\",\"cluster\":\"k\",\"gold\":[2,0],\"n_ctx\":11,\"n_tok\":[1,1,"
    "2],"
    "\"chars\":[5,4,4],\"bytes\":[5,4,5],\"ll\":[-1.7013882728409953,-4.8964866024092775,-0.5],"
    "\"greedy\":[false,false,true],\"acc\":1,\"acc_norm\":1,\"acc_bytes\":1,\"flags\":[\"nonprefix\","
    "\"truncated\"]," SALT,
    "{\"i\":3,\"id\":\"é\","
    "\"kind\":\"cloze\",\"cluster\":\"\",\"tags\":[\"x\",\"y\"],\"n_ctx\":0,\"n_tok\":["
    "0],"
    "\"ll\":[-0.25],\"greedy\":[false],\"acc\":0,\"flags\":[\"truncated\"]," SALT,
    "{\"i\":4,\"id\":\"e\",\"kind\":\"exact\",\"cluster\":\"e\",\"n_ctx\":9,\"n_tok\":1,\"stop\":\"length\","
    "\"out\":\"" OUT "\",\"acc\":1,\"flags\":[]," SALT,
    "{\"i\":5,\"id\":\"t\",\"kind\":\"text\",\"cluster\":\"t\",\"n_tok\":13,\"bytes\":73,\"words\":12,"
    "\"ll\":-42.322663671616468,\"flags\":[]," SALT,
    "{\"withheld\":\"" OUT "\"}",
};

START_TEST(rows_round_trip)
{
    struct item_rows rows = { 0 };
    struct str line = { 0 };
    struct status st = { 0 };
    const size_t n = sizeof(good_rows) / sizeof(good_rows[0]);
    for (size_t k = 0; k < n; k++) {
        str_clear(&line);
        ck_assert_msg(item_rows_add(&rows, good_rows[k], strlen(good_rows[k]), &st) == 0, "%s", st.msg);
        ck_assert_int_eq(item_row_write(&rows.rows[k], &line, NULL), 0);
        ck_assert_str_eq(line.data, good_rows[k]);
        ck_assert_int_eq(item_row_check(&rows.rows[k], NULL), 0);
    }
    ck_assert(rows.rows[n - 1].withheld);
    ck_assert_uint_eq(rows.rows[n - 1].i, 6);
    ck_assert_int_eq(item_rows_add(&rows, good_rows[3], strlen(good_rows[3]), &st),
                     RC_FORMAT); /* i went back */
    ck_assert_uint_eq(rows.n, n);
    ck_assert_int_eq(item_rows_agree(&rows, &rows, NULL), 0);
    item_rows_release(&rows);
    str_release(&line);
}
END_TEST

START_TEST(rows_in_any_key_order)
{
    struct pool pool = { 0 };
    struct item_row row = { 0 };
    const char *line = "{\"flags\":[],"
                       "\"words\":2,\"ll\":-3,\"bytes\":7,\"n_tok\":2,\"cluster\":\"t\",\"kind\":\"text\","
                       "\"i\":5,\"id\":\"t\"," SALT;
    ck_assert_int_eq(item_row_parse(line, strlen(line), &pool, &row, NULL), 0);
    ck_assert(row.ll[0] == -3 && row.words == 2 && row.right.acc == -1);
    pool_release(&pool);
}
END_TEST

/* Each replaces a part of a good row, which then must be refused. */
static const struct {
    size_t row;
    const char *part, *by;
} broken_rows[] = {
    { 0, "\"i\":0,", "" },
    { 0, "\"i\":0", "\"i\":-1" },
    { 0, "\"i\":0", "\"i\":1048576" },
    { 0, "\"i\":0", "\"i\":\"0\"" },
    { 0, "\"i\":0", "\"i\":0,\"i\":0" },
    { 0, "\"i\":0", "\"i\":0,\"words\":3" },
    { 0, "\"id\":\"a\"", "\"id\":\"\"" },
    { 0, "\"kind\":\"choice\"", "\"kind\":\"guess\"" },
    { 0, "\"kind\":\"choice\"", "\"kind\":\"pair\"" },
    { 0, "\"gold\":[2,0]", "\"gold\":[]" },
    { 0, "\"gold\":[2,0]", "\"gold\":[3]" },
    { 0, "\"gold\":[2,0]", "\"gold\":[1,1]" },
    { 0, "\"gold\":[2,0]", "\"gold\":0" },
    { 0, "\"n_ctx\":11", "\"n_ctx\":1.5" },
    { 0, "\"n_ctx\":11", "\"n_ctx\":-1" },
    { 0, "\"n_tok\":[1,1,2]", "\"n_tok\":[1,1]" },
    { 0, "\"n_tok\":[1,1,2]", "\"n_tok\":4" },
    { 0, "\"chars\":[5,4,4]", "\"chars\":[5,0,4]" },
    { 0, "\"bytes\":[5,4,5]", "\"bytes\":[5,4,5,6]" },
    { 0, "-0.5]", "\"-0.5\"]" },
    { 0, "-0.5]", "1e999]" },
    { 0, "-0.5]", "NaN]" },
    { 0, "\"acc\":1", "\"acc\":2" },
    { 0, "\"acc\":1", "\"acc\":true" },
    { 0, "\"acc_norm\":1,", "" },
    { 0, "\"acc_norm\":1", "\"acc_norm\":1,\"acc_mutual_info\":1" },
    { 0, "[false,false,true]", "[0,0,1]" },
    { 0, "[\"nonprefix\",\"truncated\"]", "[\"truncated\",\"nonprefix\"]" },
    { 0, "[\"nonprefix\",\"truncated\"]", "[\"truncated\",\"truncated\"]" },
    { 0, "[\"nonprefix\",\"truncated\"]", "[\"cut\"]" },
    { 0, "eeff\"", "eef\"" },
    { 0, "eeff\"", "eeFF\"" },
    { 1, "[\"x\",\"y\"]", "[]" },
    { 1, "[\"x\",\"y\"]", "[\"x\",\"x\"]" },
    { 1, "\"n_tok\":[0]", "\"n_tok\":[]" },
    { 2, "\"stop\":\"length\"", "\"stop\":\"tired\"" },
    { 2, OUT, "bd4b" },
    { 2, "\"n_tok\":1", "\"n_tok\":[1]" },
    { 3, "\"bytes\":73", "\"bytes\":0" },
    { 3, "\"words\":12", "\"words\":0" },
    { 3, "-42.322663671616468", "[-42.322663671616468]" },
    { 4, "\"}", "\",\"i\":1}" },
    { 4, OUT, "bd4b" },
};

START_TEST(rows_refused)
{
    struct pool pool = { 0 };
    struct item_row row = { .i = 77 };
    struct str line = { 0 };
    const char *good = good_rows[broken_rows[_i].row], *at = strstr(good, broken_rows[_i].part);
    ck_assert_ptr_nonnull(at);
    str_add(&line, good, (size_t)(at - good));
    str_puts(&line, broken_rows[_i].by);
    str_puts(&line, at + strlen(broken_rows[_i].part));
    ck_assert_msg(item_row_parse(line.data, line.size, &pool, &row, NULL) == RC_FORMAT, "%s", line.data);
    ck_assert_uint_eq(row.i, 77);
    pool_release(&pool);
    str_release(&line);
}
END_TEST

static void replace(struct str *out, const char *text, const char *part, const char *by)
{
    const char *at = strstr(text, part);
    ck_assert_ptr_nonnull(at);
    str_clear(out);
    str_add(out, text, (size_t)(at - text));
    str_puts(out, by);
    str_puts(out, at + strlen(part));
}

START_TEST(rows_false)
{
    static const struct {
        size_t row;
        const char *part, *by, *key;
    } lies[] = { { 0, "\"acc\":1", "\"acc\":0", "acc" },
                 { 0, "\"acc_norm\":1", "\"acc_norm\":0", "acc_norm" },
                 { 0, "-0.5]", "-9.5]", "acc_bytes" },
                 { 1, "\"acc\":0", "\"acc\":1", "acc" } };
    for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
        struct pool pool = { 0 };
        struct item_row row = { 0 };
        struct str line = { 0 };
        struct status st = { 0 };
        replace(&line, good_rows[lies[k].row], lies[k].part, lies[k].by);
        ck_assert_int_eq(item_row_parse(line.data, line.size, &pool, &row, NULL), 0);
        const int rc = item_row_check(&row, &st);
        if (strcmp(lies[k].key, "acc_bytes") == 0) { /* gold holds choice 0 too, which now is the likeliest */
            ck_assert_int_eq(rc, 0);
        } else {
            ck_assert_int_eq(rc, RC_VERIFY);
            ck_assert_ptr_nonnull(strstr(st.msg, lies[k].key));
        }
        pool_release(&pool);
        str_release(&line);
    }
}
END_TEST

START_TEST(sides_that_differ)
{
    static const char *const parts[][2] = {
        { "\"id\":\"a\"", "\"id\":\"b\"" },           { "\"cluster\":\"k\"", "\"cluster\":\"l\"" },
        { "\"gold\":[2,0]", "\"gold\":[2,1]" },       { "\"chars\":[5,4,4]", "\"chars\":[5,4,5]" },
        { "\"bytes\":[5,4,5]", "\"bytes\":[5,4,6]" }, { "\"i\":0", "\"i\":1" }
    };
    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
        struct item_rows a = { 0 }, b = { 0 };
        struct str line = { 0 };
        replace(&line, good_rows[0], parts[k][0], parts[k][1]);
        ck_assert_int_eq(item_rows_add(&a, good_rows[0], strlen(good_rows[0]), NULL), 0);
        ck_assert_int_eq(item_rows_add(&b, line.data, line.size, NULL), 0);
        ck_assert_int_eq(item_rows_agree(&a, &b, NULL), RC_VERIFY);
        item_rows_release(&a);
        item_rows_release(&b);
        str_release(&line);
    }
}
END_TEST

START_TEST(rows_torture)
{
    const char *line = good_rows[0];
    size_t nth = 1;
    for (;; nth++) {
        struct item_rows rows = { 0 };
        mem_fail_at(nth);
        const int rc = item_rows_add(&rows, line, strlen(line), NULL);
        mem_fail_at(0);
        ck_assert_uint_eq(rows.n, rc == 0);
        item_rows_release(&rows);
        if (rc == 0)
            break;
        ck_assert_int_eq(rc, RC_NOMEM);
    }
    ck_assert_uint_gt(nth, 10);
}
END_TEST

/* ---- the other records ---- */

START_TEST(records_round_trip)
{
    struct pool pool = { 0 };
    struct str line = { 0 };
    const char *output = "{\"i\":0,\"id\":\"tri-00\",\"text\":\" car\\n\"," SALT;
    const char *delta =
        "{\"i\":1,\"id\":\"a\",\"positions\":8,\"same_top\":7,\"forgot\":1,\"learned\":0,\"drift\":0,"
        "\"dlogp\":-0.063803438202012508,\"kl\":[0.080000000000000002,0.25]," SALT;
    const char *token =
        "{\"suite\":\"s\",\"i\":3,\"id\":\"a\",\"part\":\"choice:3\",\"pos\":0,\"target\":1063,"
        "\"target_text\":\" Yaoundé\",\"base_top\":1063,\"base_top_text\":\" Yaoundé\","
        "\"base_top_logp\":-0.209999993,\"tuned_top\":1060,\"tuned_top_text\":\" D\","
        "\"tuned_top_logp\":-0.349999994,\"base_logp\":-0.209999993,\"tuned_logp\":-5.9000001,"
        "\"kl\":[4.125,4.125],\"class\":\"forgot\"," SALT;
    const char *supervision =
        "{\"i\":0,\"id\":\"tr-0\",\"tokens\":11,\"supervised\":2,\"first\":9,\"conflicts\":1," SALT;
    struct output_row o;
    struct delta_row d;
    struct token_row t;
    struct supervision_row s;
    ck_assert_int_eq(output_row_parse(output, strlen(output), &pool, &o, NULL), 0);
    ck_assert_int_eq(output_row_write(&o, &line, NULL), 0);
    ck_assert_str_eq(line.data, output);
    str_clear(&line);
    ck_assert_int_eq(delta_row_parse(delta, strlen(delta), &pool, &d, NULL), 0);
    ck_assert_int_eq(delta_row_write(&d, &line, NULL), 0);
    ck_assert_str_eq(line.data, delta);
    str_clear(&line);
    ck_assert_int_eq(token_row_parse(token, strlen(token), &pool, &t, NULL), 0);
    ck_assert_int_eq(token_row_write(&t, &line, NULL), 0);
    ck_assert_str_eq(line.data, token);
    ck_assert_int_eq(token_row_check(&t, -0.7, NULL), 0);
    str_clear(&line);
    ck_assert_int_eq(supervision_row_parse(supervision, strlen(supervision), &pool, &s, NULL), 0);
    ck_assert_int_eq(supervision_row_write(&s, &line, NULL), 0);
    ck_assert_str_eq(line.data, supervision);
    str_clear(&line);
    replace(&line, supervision, "\"supervised\":2", "\"supervised\":12");
    ck_assert_int_eq(supervision_row_parse(line.data, line.size, &pool, &s, NULL), RC_FORMAT);
    replace(&line, token, "-5.9000001", "-5e39"); /* no f32 */
    ck_assert_int_eq(token_row_parse(line.data, line.size, &pool, &t, NULL), RC_FORMAT);
    replace(&line, token, "\"forgot\"", "\"same\"");
    ck_assert_int_eq(token_row_parse(line.data, line.size, &pool, &t, NULL), RC_FORMAT);
    replace(&line, delta, "\"same_top\":7", "\"same_top\":9");
    ck_assert_int_eq(delta_row_parse(line.data, line.size, &pool, &d, NULL), RC_FORMAT);
    pool_release(&pool);
    str_release(&line);
}
END_TEST

START_TEST(token_classes)
{
    ck_assert_int_eq(token_class_of(5, 5, 6), TOKEN_forgot);
    ck_assert_int_eq(token_class_of(5, 6, 5), TOKEN_learned);
    ck_assert_int_eq(token_class_of(5, 6, 7), TOKEN_drift);
    ck_assert_int_eq(token_class_of(5, 5, 5), TOKEN_same);
    struct token_row row = {
        .suite = "train", .id = "a", .part = "text", .target = 5, .base_top = 6, .tuned_top = 5
    };
    row.token_class = TOKEN_conflict;
    row.base_top_logp = -0.5F;
    ck_assert_int_eq(token_row_check(&row, -0.7, NULL), 0);
    row.base_top_logp = -0.75F;
    ck_assert_int_eq(token_row_check(&row, -0.7, NULL), RC_VERIFY);
    row.token_class = TOKEN_learned;
    ck_assert_int_eq(token_row_check(&row, -0.7, NULL), 0);
    row.token_class = TOKEN_drift;
    ck_assert_int_eq(token_row_check(&row, -0.7, NULL), RC_VERIFY);
    row.base_top = row.tuned_top;
    ck_assert_int_eq(token_row_check(&row, -0.7, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kinds");
    TCase *tc = tcase_create("kinds");
    tcase_add_loop_test(tc, item_to_row, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tc, later_kinds);
    tcase_add_test(tc, outputs);
    tcase_add_test(tc, rows_round_trip);
    tcase_add_test(tc, rows_in_any_key_order);
    tcase_add_loop_test(tc, rows_refused, 0, sizeof(broken_rows) / sizeof(broken_rows[0]));
    tcase_add_test(tc, rows_false);
    tcase_add_test(tc, sides_that_differ);
    tcase_add_test(tc, rows_torture);
    tcase_add_test(tc, records_round_trip);
    tcase_add_test(tc, token_classes);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
