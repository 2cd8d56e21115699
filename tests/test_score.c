/* Scoring a suite through a table: the zero pass, chunks, events, refusals.
 * tier: quick */
#include "base/alloc.h"
#include "eval/metrics.h"
#include "eval/score.h"
#include "tests/lm_table.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 150 };

/* A suite of made-up items of a kind. */
static struct probe_set suite_of(enum probe_kind kind)
{
    struct str text = { 0 };
    struct probe_set s = { 0 };
    for (int i = 0; i < ITEMS; i++) {
        str_printf(&text, "{\"id\":\"item-%d\",", i);
        if (kind == PROBE_choice)
            str_printf(&text, "\"context\":\"What is %d?\",\"choices\":[\"a%d\",\"bb\",\"c\"],\"gold\":%d}\n",
                       i, i, i % 3);
        else if (kind == PROBE_pair)
            str_printf(&text, "\"good\":\"%d is a number.\",\"bad\":\"%d are a number.\"}\n", i, i);
        else
            str_printf(&text, "\"text\":\"Line %d of a long story.\"}\n", i);
    }
    ck_assert_int_eq(probe_set_parse(text.data, text.size, "made.jsonl", &s, NULL), 0);
    str_release(&text);
    return s;
}

static struct str bytes_of(const struct item_rows *rows)
{
    struct str out = { 0 };
    ck_assert_int_eq(item_rows_write(rows, &out, NULL), 0);
    return out;
}

static struct item_rows score(const struct probe_set *s, uint64_t seed, struct score_options o)
{
    static const uint8_t key[32] = { 7 };
    struct lm_table table = { .seed = seed };
    struct item_rows rows = { 0 };
    struct status st = { 0 };
    o.side = "base"; /* one name for all, so that salts do not differ */
    o.salt_key = key;
    ck_assert_msg(score_set(s, lm_table_open(&table), &o, NULL, &rows, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(rows.n, s->n);
    return rows;
}

static const enum probe_kind kinds[] = { PROBE_choice, PROBE_pair, PROBE_text };

/* Neither the order of asking nor the chunks may show in the rows. */
START_TEST(order_and_chunks)
{
    struct probe_set s = suite_of(kinds[_i]);
    struct item_rows forward = score(&s, 0, (struct score_options){ 0 });
    struct item_rows others[] = {
        score(&s, 0, (struct score_options){ .reverse = true }),
        score(&s, 0, (struct score_options){ .chunk = 1 }),
        score(&s, 0, (struct score_options){ .reverse = true, .chunk = 7 }),
        score(&s, 0, (struct score_options){ .chunk = 1000 }),
    };
    struct str wanted = bytes_of(&forward);
    for (size_t k = 0; k < 4; k++) {
        struct str got = bytes_of(&others[k]);
        ck_assert_uint_eq(got.size, wanted.size);
        ck_assert_mem_eq(got.data, wanted.data, wanted.size);
        str_release(&got);
        item_rows_release(&others[k]);
    }
    for (size_t i = 0; i < forward.n; i++) {
        ck_assert_uint_eq(forward.rows[i].i, i);
        ck_assert_str_eq(forward.rows[i].id, s.items[i].id);
    }
    item_rows_release(&forward);
    str_release(&wanted);
    probe_set_release(&s);
}
END_TEST

START_TEST(rows_outlive_the_suite)
{
    struct probe_set s = suite_of(PROBE_choice);
    struct item_rows rows = score(&s, 0, (struct score_options){ 0 });
    probe_set_release(&s);
    ck_assert_str_eq(rows.rows[149].id, "item-149");
    item_rows_release(&rows);
}
END_TEST

struct heard {
    size_t n;
    char name[16], keys[256], what[64];
    uint64_t done, total;
};

static int hear(void *self, const struct event *e, struct status *st)
{
    struct heard *h = self;
    (void)st;
    h->n++;
    ck_assert_uint_lt(strlen(e->keys), sizeof(h->keys));
    memcpy(h->name, e->name, strlen(e->name) + 1);
    memcpy(h->keys, e->keys, strlen(e->keys) + 1);
    return 0;
}

static void see(void *self, const char *what, uint64_t done, uint64_t total)
{
    struct heard *h = self;
    ck_assert_uint_lt(strlen(what), sizeof(h->what));
    memcpy(h->what, what, strlen(what) + 1);
    h->done = done;
    h->total = total;
}

START_TEST(events)
{
    struct probe_set s = suite_of(PROBE_pair);
    struct lm_table same = { 0 }, other = { .seed = 3 };
    struct heard heard = { 0 };
    struct event_sink sink = { .self = &heard, .take = hear, .progress = see };
    struct item_rows base = { 0 }, zero = { 0 };
    struct score_options o = { .side = "base" };
    ck_assert_int_eq(score_set(&s, lm_table_open(&same), &o, &sink, &base, NULL), 0);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_str_eq(heard.name, "score");
    ck_assert_ptr_nonnull(
        strstr(heard.keys, ",\"suite\":\"made\",\"side\":\"base\",\"items\":150,\"tokens\":"));
    ck_assert_ptr_null(strstr(heard.keys, "flips"));
    ck_assert_uint_eq(heard.done, ITEMS);
    ck_assert_uint_eq(heard.total, ITEMS);
    ck_assert_str_eq(heard.what, "base made");
    o = (struct score_options){ .side = "zero", .reverse = true, .base = &base };
    ck_assert_int_eq(score_set(&s, lm_table_open(&same), &o, &sink, &zero, NULL), 0);
    ck_assert_str_eq(heard.name, "zero");
    ck_assert_str_eq(heard.what, "zero made");
    ck_assert_ptr_nonnull(strstr(heard.keys, ",\"flips\":0,\"ll_max\":0"));
    item_rows_release(&zero);
    ck_assert_int_eq(score_set(&s, lm_table_open(&other), &o, &sink, &zero, NULL), 0);
    ck_assert_ptr_null(strstr(heard.keys, "\"ll_max\":0,"));
    uint64_t flips = 0;
    double ll_max = 0;
    rows_compare(&base, &zero, &flips, &ll_max);
    ck_assert_uint_gt(flips, 0);
    ck_assert_double_gt(ll_max, 0);
    item_rows_release(&base);
    item_rows_release(&zero);
    probe_set_release(&s);
}
END_TEST

START_TEST(not_finite)
{
    struct probe_set s = suite_of(PROBE_choice);
    const struct lm_table_answer nan = { "What is 77?", " bb", NAN, false };
    struct lm_table table = { .answers = &nan, .n = 1 };
    struct item_rows rows = { .n = 77 };
    struct status st = { 0 };
    const struct score_options o = { .side = "tuned", .reverse = true };
    ck_assert_int_eq(score_set(&s, lm_table_open(&table), &o, NULL, &rows, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "suite 'made', item 'item-77', part 1: the score is not finite");
    ck_assert_uint_eq(rows.n, 77);
    probe_set_release(&s);
}
END_TEST

START_TEST(refused_together)
{
    struct probe_set s = suite_of(PROBE_choice);
    struct lm_table table = { 0 };
    struct status st = { 0 };
    ck_assert_int_eq(score_check(&s, lm_table_open(&table), false, NULL), 0);
    table.target_max = 4; /* " a100" is one byte longer */
    ck_assert_int_eq(score_check(&s, lm_table_open(&table), false, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "suite 'made', item 'item-100', part 0: 5 target tokens, over 4");
    // Without the delimiter it fits.
    ck_assert_int_eq(score_check(&s, lm_table_open(&table), true, NULL), 0);
    probe_set_release(&s);
}
END_TEST

/* A rendered context goes with an empty delimiter; pairs and texts are never rendered. */
START_TEST(rendered)
{
    const struct lm_table_answer choice[] = { { "What is 0?", "bb", -0.5, true } };
    struct lm_table table = { .answers = choice, .n = 1 };
    struct probe_set s = suite_of(PROBE_choice);
    struct item_rows rows = { 0 };
    const struct score_options o = { .side = "base", .rendered = true };
    ck_assert_int_eq(score_set(&s, lm_table_open(&table), &o, NULL, &rows, NULL), 0);
    ck_assert_double_eq(rows.rows[0].ll[1], -0.5);
    item_rows_release(&rows);
    probe_set_release(&s);
    s = suite_of(PROBE_pair);
    const struct lm_table_answer pair[] = { { "", " 0 is a number.", -0.5, true } };
    table = (struct lm_table){ .answers = pair, .n = 1 };
    ck_assert_int_eq(score_set(&s, lm_table_open(&table), &o, NULL, &rows, NULL), 0);
    ck_assert_double_eq(rows.rows[0].ll[0], -0.5);
    item_rows_release(&rows);
    probe_set_release(&s);
}
END_TEST

START_TEST(torture)
{
    struct probe_set s = suite_of(PROBE_pair);
    const struct score_options o = { .side = "base" };
    size_t nth = 1;
    for (int rc = -1; rc != 0; nth = nth < 40 ? nth + 1 : nth * 2) {
        struct lm_table table = { 0 };
        struct item_rows rows = { .n = 77 };
        mem_fail_at(nth);
        rc = score_set(&s, lm_table_open(&table), &o, NULL, &rows, NULL);
        mem_fail_at(0);
        ck_assert(rc == 0 || rc == RC_NOMEM);
        ck_assert_uint_eq(rows.n, rc == 0 ? ITEMS : 77);
        if (rc == 0)
            item_rows_release(&rows);
    }
    ck_assert_uint_gt(nth, 5);
    probe_set_release(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("score");
    TCase *tc = tcase_create("score");
    tcase_add_loop_test(tc, order_and_chunks, 0, 3);
    tcase_add_test(tc, rows_outlive_the_suite);
    tcase_add_test(tc, events);
    tcase_add_test(tc, not_finite);
    tcase_add_test(tc, refused_together);
    tcase_add_test(tc, rendered);
    tcase_add_test(tc, torture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
