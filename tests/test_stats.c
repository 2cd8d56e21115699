/* The arithmetic that decides: exponential, McNemar, Wilson, micro-nats, bootstrap, Holm, replicates,
 * measures. The numbers are worked out elsewhere; every one is compared in all its bits.
 * tier: quick */
#include "base/status.h"
#include "eval/bootstrap.h"
#include "eval/exact.h"
#include "eval/measure.h"
#include "eval/metrics.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(exponential)
{
    static const double table[][2] = { { 0, 1 },
                                       { 1, 2.7182818284590455 },
                                       { -1, 0.36787944117144233 },
                                       { 0.5, 1.6487212707001282 },
                                       { 2.3025850929940459, 10.000000000000002 },
                                       { 11.5, 98715.771010760494 },
                                       { -20.25, 1.6052280551856116e-09 },
                                       { -708.5, 0 } };
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        double y = -1;
        ck_assert_int_eq(exact_exp(table[k][0], &y, NULL), 0);
        ck_assert(y == table[k][1]);
    }
    double y = -1;
    for (double x = -700; x < 700; x += 0.37) {
        ck_assert_int_eq(exact_exp(x, &y, NULL), 0);
        ck_assert_double_le(fabs(y / exp(x) - 1), 5e-16);
    }
    ck_assert_int_eq(exact_exp(709.5, &y, NULL), RC_LIMIT);
    ck_assert_int_eq(exact_exp(NAN, &y, NULL), RC_LIMIT);
}
END_TEST

START_TEST(mcnemar)
{
    static const struct {
        uint64_t b, c;
        double p;
    } table[] = { { 0, 0, 1 },
                  { 1, 0, 1 },
                  { 5, 5, 1 },
                  { 12, 5, 0.143463134765625 },
                  { 40, 20, 0.01348929373119186 },
                  { 700, 600, 0.0060157938610449491 },
                  { 60000, 60500, 0.15057645299413322 },
                  { 6, 0, 0.03125 } }; /* 2 / 2^6 */
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        ck_assert(exact_mcnemar(table[k].b, table[k].c) == table[k].p);
        ck_assert(exact_mcnemar(table[k].c, table[k].b) == table[k].p);
    }
}
END_TEST

START_TEST(micro_nats)
{
    static const struct {
        double ll;
        int64_t q;
    } table[] = { { -1234.5, -1234500000 },
                  { -4.9999999999999998e-07, 0 },
                  { -1.5e-06, -2 },
                  { -12.3456785, -12345678 },
                  { 0, 0 },
                  { -1e6, -1000000000000 } };
    int64_t q = 1;
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        ck_assert_int_eq(micronats(table[k].ll, &q, NULL), 0);
        ck_assert_int_eq(q, table[k].q);
    }
    ck_assert_int_eq(micronats(-1000001, &q, NULL), RC_LIMIT);
    ck_assert_int_eq(micronats(NAN, &q, NULL), RC_LIMIT);
    ck_assert_int_eq(q, -1000000000000);
}
END_TEST

START_TEST(measures)
{
    static const struct {
        uint64_t k, n;
        double value, lower, upper;
    } table[] = {
        { 0, 23, 0, 0, 0.14311661845042686 },
        { 1, 22, 0.045454545454545456, 0.0080694276212638499, 0.21798045838657332 },
        { 31, 620, 0.050000000000000003, 0.035445530915459676, 0.070096442753876748 },
        { 0, 20, 0, 0, 0.16112515805281938 },
        { 45, 50, 0.90000000000000002, 0.78639768562520351, 0.95652423506810957 },
        { 1, 1, 1, 0.20654931437723745, 1 },
        { 1999, 2000, 0.99950000000000006, 0.99717313749673375, 0.99991173226929442 },
    };
    const struct measure_ops *forgotten = measure_find("forgotten_share"),
                             *learned = measure_find("learned_share");
    ck_assert_ptr_nonnull(forgotten);
    ck_assert_ptr_nonnull(learned);
    ck_assert_ptr_null(measure_find("flips"));
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct measure m = { 0 };
        struct measure_counts counts = { .accuracy = true, .items = 5000, .base = table[i].n };
        counts.forgot = table[i].k;
        ck_assert(forgotten->compute(&counts, &m));
        ck_assert(m.value == table[i].value && m.lower == table[i].lower && m.upper == table[i].upper);
        ck_assert(m.has_bounds && m.n == table[i].n);
        counts.base = 5000 - table[i].n;
        counts.learned = table[i].k;
        ck_assert(learned->compute(&counts, &m));
        ck_assert(m.value == table[i].value && m.n == table[i].n);
        counts.base = 5000; /* nothing was left to learn */
        ck_assert(!learned->compute(&counts, &m));
        counts.accuracy = false;
        ck_assert(!forgotten->compute(&counts, &m));
    }
}
END_TEST

START_TEST(draws)
{
    static const struct {
        const char *id;
        uint64_t seed;
        uint32_t n, replicate, first[12];
    } table[] = {
        { "capitals", 20261124, 26, 0, { 20, 11, 11, 10, 10, 5, 15, 10, 11, 4, 20, 9 } },
        { "capitals", 20261124, 26, 1, { 12, 20, 22, 25, 7, 25, 1, 25, 17, 19, 18, 24 } },
        { "capitals", 20261124, 26, 9998, { 10, 14, 18, 8, 12, 9, 4, 3, 1, 4, 3, 2 } },
        { "a",
          9007199254740991,
          1000003,
          7,
          { 530893, 896767, 502236, 387494, 829862, 681618, 532094, 790590, 609654, 760584, 175291,
            947468 } },
    };
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        uint32_t got[12] = { 0 };
        bootstrap_draws(table[k].seed, table[k].id, table[k].n, table[k].replicate, 12, got);
        ck_assert_mem_eq(got, table[k].first, sizeof(got));
    }
}
END_TEST

/* Clusters of the suites below, in their order; the last number of clusters is all of one item, unchanged. */
static size_t clusters_of(const char *id, int64_t *d, int64_t *w)
{
    static const int8_t clustered[40] = { 0, 0, 1, -1, 0,  2,  -1, 0,  1,  -1, 1,  1, -1, 0,
                                          1, 0, 0, 1,  -1, 0,  2,  -1, 0,  1,  -1, 1, 1,  -1,
                                          0, 1, 0, 0,  1,  -1, 0,  2,  -1, 0,  1,  -1 };
    const size_t n = strcmp(id, "c24-1") == 0  ? 24
                     : strcmp(id, "c200") == 0 ? 200
                     : strcmp(id, "task") == 0 ? 100
                                               : 0;
    for (size_t c = 0; c < n; c++) {
        d[c] = 0;
        w[c] = 1;
    }
    if (n == 24)
        d[0] = 1;
    for (size_t c = 0; n == 200 && c < 18; c++)
        d[c] = c < 14 ? 1 : -1;
    for (size_t c = 0; n == 100 && c < 65; c++)
        d[c] = c < 60 ? -1 : 1;
    for (size_t c = 0; strcmp(id, "c40-clustered") == 0 && c < 40; c++) {
        d[c] = clustered[c];
        w[c] = 3 + (int64_t)c % 4;
    }
    for (size_t c = 0; strcmp(id, "text30") == 0 && c < 30; c++) {
        d[c] = 40000 + 1000 * (int64_t)c;
        w[c] = 60 + (int64_t)c;
    }
    return n ? n : strcmp(id, "text30") == 0 ? 30 : 40;
}

static struct bootstrap_ask ask_of(const char *id, double limit, int64_t *d, int64_t *w)
{
    return (struct bootstrap_ask){
        .id = id,
        .d = d,
        .w = w,
        .clusters = clusters_of(id, d, w),
        .accuracy = strcmp(id, "text30") != 0,
        .limit = limit,
        .seed = 7,
        .replicates = 9999,
        .alpha_count = 500,
    };
}

START_TEST(bootstraps)
{
    static const struct {
        const char *id;
        double limit;
        uint64_t held, broken;
        double lower, upper;
    } table[] = {
        { "c24-1", 0.25, 32, 10000, -0.080000000000000002, 0.16 },
        { "c200", 0.05, 5457, 6340, 0.0099502487562189053, 0.089552238805970144 },
        { "c40-clustered", 0.1, 1429, 9873, -0.049450549450549448, 0.12299465240641712 },
        { "task", -0.4, 151, 9935, -0.65346534653465349, -0.43564356435643564 },
        { "text30", 0.001, 10000, 1, 0.0010412029144820163, 0.0010684550821629028 },
    };
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        int64_t d[200], w[200];
        const struct bootstrap_ask ask = ask_of(table[k].id, table[k].limit, d, w);
        struct bootstrap b = { 0 };
        ck_assert_int_eq(bootstrap_run(&ask, &b, NULL), 0);
        ck_assert_uint_eq(b.held_count, table[k].held);
        ck_assert_uint_eq(b.broken_count, table[k].broken);
        ck_assert(b.lower == table[k].lower);
        ck_assert(b.upper == table[k].upper);
    }
}
END_TEST

START_TEST(bootstrap_limits)
{
    int64_t d[200], w[200];
    struct bootstrap b = { .held_count = 77 };
    struct bootstrap_ask ask = ask_of("c24-1", 0.25, d, w);
    ask.clusters = 0;
    ck_assert_int_eq(bootstrap_run(&ask, &b, NULL), RC_ARG);
    ask.clusters = 24;
    ask.alpha_count = 0;
    ck_assert_int_eq(bootstrap_run(&ask, &b, NULL), RC_ARG);
    ask.alpha_count = 500;
    d[3] = INT64_C(1) << 53;
    ck_assert_int_eq(bootstrap_run(&ask, &b, NULL), RC_LIMIT);
    d[3] = d[4] = INT64_C(1) << 52; /* each fits, their sum does not */
    ck_assert_int_eq(bootstrap_run(&ask, &b, NULL), RC_LIMIT);
    ck_assert_uint_eq(b.held_count, 77);
}
END_TEST

START_TEST(holm)
{
    static const uint64_t counts[] = { 130, 2, 700, 40 }, wanted[] = { 260, 8, 700, 120 };
    static const char *const ids[] = { "d", "c", "b", "a" };
    uint64_t got[4] = { 0 };
    ck_assert_int_eq(holm_adjust(counts, ids, 4, 9999, got, NULL), 0);
    ck_assert_mem_eq(got, wanted, sizeof(got));
    // Adjusted counts never fall along the order, and never pass R + 1.
    static const uint64_t close[] = { 10, 9, 9000 }, close_wanted[] = { 27, 27, 9000 };
    ck_assert_int_eq(holm_adjust(close, ids, 3, 9999, got, NULL), 0);
    ck_assert_mem_eq(got, close_wanted, sizeof(close_wanted));
    static const uint64_t large[] = { 9000, 9500 };
    ck_assert_int_eq(holm_adjust(large, ids, 2, 9999, got, NULL), 0);
    ck_assert_uint_eq(got[0], 10000);
    ck_assert_uint_eq(got[1], 10000);
}
END_TEST

START_TEST(replicates)
{
    static const struct {
        const char *alpha;
        size_t claims;
        uint32_t replicates;
    } table[] = {
        { "0.05", 5, 9999 }, { "0.05", 51, 10199 }, { "0.025", 5, 9999 },
        { "0.03", 7, 9999 }, { "0.01", 12, 11999 }, { "0.007", 1, 9999 }
    }; /* 10,000 x 0.007 = 70 */
    for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
        uint32_t r = 0;
        uint64_t count = 0;
        ck_assert_int_eq(eval_replicates(table[k].alpha, table[k].claims, &r, NULL), 0);
        ck_assert_uint_eq(r, table[k].replicates);
        ck_assert_int_eq(eval_alpha_count(table[k].alpha, r, table[k].claims, &count, NULL), 0);
        ck_assert_uint_eq(count, (uint64_t)(strtod(table[k].alpha, NULL) * (r + 1) + 0.5));
    }
    static const char *const bad[] = { "0", "0.5", "0.50", "1", "-0.05", "0.9", "5e-2", "", "0.", ".05" };
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        uint64_t count = 42;
        ck_assert_int_eq(eval_alpha_count(bad[k], 9999, 1, &count, NULL), RC_ARG);
        ck_assert_uint_eq(count, 42);
    }
    uint64_t count = 0;
    struct status st = { 0 };
    ck_assert_int_eq(eval_alpha_count("0.05", 9998, 1, &count, &st), RC_ARG);
    ck_assert_ptr_nonnull(strstr(st.msg, "not a whole number"));
    ck_assert_int_eq(eval_alpha_count("0.05", 9999, 51, &count, NULL), RC_ARG);
    ck_assert_int_eq(eval_alpha_count("0.05", 100000000, 1, &count, NULL), RC_LIMIT);
    ck_assert_int_eq(eval_alpha_count("0.05", 0, 0, &count, NULL), RC_LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = tcase_create("stats");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, exponential);
    tcase_add_test(tc, mcnemar);
    tcase_add_test(tc, micro_nats);
    tcase_add_test(tc, measures);
    tcase_add_test(tc, draws);
    tcase_add_test(tc, bootstraps);
    tcase_add_test(tc, bootstrap_limits);
    tcase_add_test(tc, holm);
    tcase_add_test(tc, replicates);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
