/* tier: quick
 * Stratified samples: shares worked by hand, nothing in both parts, the same seed the same sample, and the
 * file that comes out read back. */
#include "base/alloc.h"
#include "probes/sample.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS = 60 };

/* A suite of n items of `kind`; item i has tag "a" or "b" by turns, "a" twice as often. */
static void make(const char *id, const char *kind, size_t n, const char *header, struct probe_set *out)
{
    struct status st = { 0 };
    struct str text = { 0 };
    str_printf(&text,
               "{\"lethe_probe\":1,\"id\":\"%s\",\"version\":\"3\",\"title\":\"T\",\"kind\":\"%s\",\"role\":"
               "\"facts\","
               "\"licence\":\"CC0-1.0\",\"source\":\"own\"%s}\n",
               id, kind, header);
    for (size_t i = 0; i < n; i++) {
        str_printf(&text, "{\"id\":\"%s-%zu\",\"tags\":[\"%s\"],\"cluster\":\"k%zu\",", id, i,
                   i % 3 == 2 ? "b" : "a", i / 2);
        if (strcmp(kind, "pair") == 0)
            str_printf(&text, "\"good\":\"He is %zu.\",\"bad\":\"He are %zu.\"}\n", i, i);
        else if (strcmp(kind, "choice") == 0)
            str_printf(&text, "\"context\":\"Q%zu\",\"choices\":[\"x\",\"y\",\"z\"],\"gold\":%zu}\n", i,
                       i % 3);
        else
            str_printf(&text, "\"context\":\"Q%zu\",\"answers\":[\"x\"]}\n", i);
    }
    ck_assert_msg(probe_set_parse(text.data, text.size, "t.jsonl", out, &st) == 0, "%s", st.msg);
    str_release(&text);
}

static size_t taken_with_tag(const struct sample *s, const struct probe_set *const *sets, size_t k,
                             const char *tag)
{
    size_t n = 0;
    for (size_t i = 0; i < sets[k]->n; i++)
        n += s->taken[k][i] && strcmp(sets[k]->items[i].tags[0], tag) == 0;
    return n;
}

/* 60 and 30 items, tags 40:20 and 20:10; 20 of 90 are shares of 8.89, 4.44, 4.44 and 2.22: whole parts 8, 4,
 * 4, 2, and the two left over go to the remainders .89 and the first .44. */
START_TEST(shares_by_hand)
{
    struct status st = { 0 };
    struct probe_set a = { 0 }, b = { 0 };
    struct sample s = { 0 };
    make("first", "choice", 60, "", &a);
    make("second", "pair", 30, "", &b);
    const struct probe_set *sets[] = { &a, &b };
    ck_assert_msg(sample_draw(sets, 2, 20, 7, &s, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(s.n, 20);
    ck_assert_uint_eq(s.strata, 4);
    ck_assert_uint_eq(taken_with_tag(&s, sets, 0, "a"), 9);
    ck_assert_uint_eq(taken_with_tag(&s, sets, 0, "b"), 5);
    ck_assert_uint_eq(taken_with_tag(&s, sets, 1, "a"), 4);
    ck_assert_uint_eq(taken_with_tag(&s, sets, 1, "b"), 2);
    sample_release(&s);
    probe_set_release(&a);
    probe_set_release(&b);
}
END_TEST

START_TEST(seed_decides)
{
    struct probe_set a = { 0 };
    struct sample s[3] = { 0 };
    size_t differ = 0;
    make("first", "choice", ITEMS, "", &a);
    const struct probe_set *sets[] = { &a };
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(sample_draw(sets, 1, 12, k == 2 ? 2 : 1, &s[k], NULL), 0);
    ck_assert_mem_eq(s[0].taken[0], s[1].taken[0], ITEMS * sizeof(bool));
    for (size_t i = 0; i < ITEMS; i++)
        differ += s[0].taken[0][i] != s[2].taken[0][i];
    ck_assert_uint_ge(differ, 4);
    for (int k = 0; k < 3; k++)
        sample_release(&s[k]);
    probe_set_release(&a);
}
END_TEST

/* Every item is taken about as often as the others: 400 seeds, 15 of 60 items, so 100 times each, give or
 * take 4.5 standard deviations (8.7). */
START_TEST(every_item_alike)
{
    struct probe_set a = { 0 };
    size_t count[ITEMS] = { 0 };
    make("first", "choice", ITEMS, "", &a);
    const struct probe_set *sets[] = { &a };
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct sample s = { 0 };
        ck_assert_int_eq(sample_draw(sets, 1, 15, seed, &s, NULL), 0);
        for (size_t i = 0; i < ITEMS; i++)
            count[i] += s.taken[0][i];
        sample_release(&s);
    }
    for (size_t i = 0; i < ITEMS; i++) {
        ck_assert_uint_ge(count[i], 61);
        ck_assert_uint_le(count[i], 139);
    }
    probe_set_release(&a);
}
END_TEST

/* Clusters of two stay together: none is in both parts, and a share that a cluster does not fit into is left.
 */
START_TEST(clusters_stay_whole)
{
    struct probe_set a = { 0 };
    make("first", "choice", ITEMS, ",\"cluster_by\":\"cluster\"", &a);
    const struct probe_set *sets[] = { &a };
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct sample s = { 0 };
        ck_assert_int_eq(sample_draw(sets, 1, 15, seed, &s, NULL), 0);
        ck_assert_uint_ge(s.n, 13); /* two strata, each at most one item short */
        ck_assert_uint_le(s.n, 15);
        for (size_t i = 0; i < ITEMS; i += 2)
            ck_assert_int_eq(s.taken[0][i], s.taken[0][i + 1]);
        sample_release(&s);
    }
    probe_set_release(&a);
}
END_TEST

/* The monitor and the rests are suites, and every item is in exactly one of them. */
START_TEST(files_are_suites)
{
    struct status st = { 0 };
    struct probe_set a = { 0 }, b = { 0 }, monitor = { 0 };
    struct sample s = { 0 };
    struct str text = { 0 };
    size_t turned = 0;
    make("first", "choice", 60, ",\"cluster_by\":\"cluster\"", &a);
    make("second", "pair", 30, "", &b);
    const struct probe_set *sets[] = { &a, &b };
    ck_assert_int_eq(sample_draw(sets, 2, 20, 7, &s, &st), 0);
    ck_assert_msg(sample_write(&s, sets, "watch", 7, &text, &st) == 0, "%s", st.msg);
    ck_assert_msg(probe_set_parse(text.data, text.size, "m", &monitor, &st) == 0, "%s", st.msg);
    ck_assert_str_eq(monitor.id, "watch");
    ck_assert_int_eq(monitor.kind, PROBE_choice);
    ck_assert(monitor.by_cluster);
    const size_t first = taken_with_tag(&s, sets, 0, "a") + taken_with_tag(&s, sets, 0, "b");
    ck_assert_uint_eq(s.n, first + 6); /* of the second suite as in shares_by_hand */
    ck_assert_uint_ge(first, 12);
    ck_assert_uint_eq(monitor.n, s.n);
    ck_assert_ptr_nonnull(strstr(monitor.source, " items, 4 strata, seed 7, of first 3, second 3"));
    for (size_t i = 0; i < monitor.n; i++) {
        const struct probe_item *item = &monitor.items[i];
        ck_assert_str_eq(item->tags[0], i < first ? "first" : "second");
        ck_assert_int_eq(strncmp(item->cluster, i < first ? "first/k" : "second/second-", 7), 0);
        if (i < first)
            continue;
        ck_assert_str_eq(item->context, "");
        ck_assert_ptr_nonnull(strstr(item->parts[item->gold[0]], "He is"));
        turned += item->gold[0];
    }
    ck_assert_uint_gt(turned, 0);
    ck_assert_uint_lt(turned, 6);
    for (size_t k = 0; k < 2; k++) {
        struct probe_set rest = { 0 };
        str_clear(&text);
        ck_assert_int_eq(sample_rest_write(&s, sets, k, "watch", &text, &st), 0);
        ck_assert_msg(probe_set_parse(text.data, text.size, "r", &rest, &st) == 0, "%s", st.msg);
        ck_assert_str_eq(rest.id, sets[k]->id);
        ck_assert_str_eq(rest.version, "3-without-watch");
        ck_assert_int_eq(rest.by_cluster, sets[k]->by_cluster);
        size_t at = 0;
        for (size_t i = 0; i < sets[k]->n; i++)
            if (!s.taken[k][i])
                ck_assert_str_eq(rest.items[at++].canonical, sets[k]->items[i].canonical);
        ck_assert_uint_eq(at, rest.n);
        probe_set_release(&rest);
    }
    sample_release(&s);
    str_release(&text);
    probe_set_release(&monitor);
    probe_set_release(&a);
    probe_set_release(&b);
}
END_TEST

START_TEST(refusals)
{
    struct status st = { 0 };
    struct probe_set a = { 0 }, b = { 0 }, c = { 0 };
    struct sample s = { 0 };
    struct str text = { 0 };
    make("first", "choice", 60, "", &a);
    make("second", "cloze", 30, "", &b);
    make("third", "choice", 1, ",\"metric\":\"acc_norm\"", &c);
    const struct probe_set *one[] = { &a }, *kinds[] = { &a, &b }, *metrics[] = { &a, &c };
    ck_assert_int_eq(sample_draw(one, 1, 60, 1, &s, &st), RC_ARG);
    ck_assert_int_eq(sample_draw(one, 1, 0, 1, &s, &st), RC_ARG);
    st = (struct status){ 0 };
    ck_assert_int_eq(sample_draw(metrics, 2, 60, 1, &s, &st), RC_ARG);
    ck_assert_str_eq(st.msg, "nothing of suite 'third' would be left");
    st = (struct status){ 0 };
    ck_assert_int_eq(sample_draw(kinds, 2, 20, 1, &s, &st), 0);
    ck_assert_int_eq(sample_write(&s, kinds, "m", 1, &text, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "'second' is of kind 'cloze'"));
    sample_release(&s);
    st = (struct status){ 0 };
    ck_assert_int_eq(sample_draw(metrics, 2, 9, 1, &s, &st), 0);
    ck_assert_int_eq(sample_write(&s, metrics, "m", 1, &text, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "different metrics"));
    sample_release(&s);
    str_release(&text);
    probe_set_release(&a);
    probe_set_release(&b);
    probe_set_release(&c);
}
END_TEST

/* Every failed allocation is RC_NOMEM, and nothing comes out. */
START_TEST(no_memory)
{
    struct probe_set a = { 0 };
    bool failed = true;
    make("first", "choice", ITEMS, "", &a);
    const struct probe_set *sets[] = { &a };
    size_t nth = 1;
    for (; failed && nth < 1000; nth++) {
        struct status st = { 0 };
        struct sample s = { 0 };
        mem_fail_at(nth);
        int rc = sample_draw(sets, 1, 12, 1, &s, &st);
        mem_fail_at(0);
        failed = rc != 0;
        if (failed) {
            ck_assert_int_eq(rc, RC_NOMEM);
            ck_assert_ptr_null(s.taken);
        }
        sample_release(&s);
    }
    ck_assert_uint_gt(nth, 5);
    ck_assert(!failed);
    probe_set_release(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *tests = tcase_create("sample");
    tcase_add_test(tests, shares_by_hand);
    tcase_add_test(tests, seed_decides);
    tcase_add_test(tests, every_item_alike);
    tcase_add_test(tests, clusters_stay_whole);
    tcase_add_test(tests, files_are_suites);
    tcase_add_test(tests, refusals);
    tcase_add_test(tests, no_memory);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed == 0 && ran > 0 ? 0 : 1;
}
