/* The scorer on the small model: an answer depends on its ask alone, in every bit; what is refused.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "model/adapter.h"
#include "model/graph.h"
#include "model/lm.h"
#include "model/score_plan.h"
#include "tests/fixture.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status st;
static struct gpu *gpu;
static struct model *model;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(model_open(FIXTURE_MODEL, gpu, NULL, &model, &st));
}

static void closed(void)
{
    model_close(model);
    const char *first;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
}

/* ---- placing rows ---- */

START_TEST(common_starts_stand_once)
{
    static const int32_t A[] = { 1, 5, 6, 7, 8 }, B[] = { 1, 5, 6, 9 }, C[] = { 1, 5, 6, 7, 4, 3 };
    const struct score_sequence s[] = { { A, 5, 2, 0 }, { B, 4, 1, 1 }, { C, 6, 5, 2 } };
    struct score_batch b = { 0 };
    bool placed = false;
    OK(score_batch_init(&b, 16, 16, &st));
    ck_assert_uint_eq(score_common(s, 3), 3);
    OK(score_batch_place(&b, s, 3, true, &placed, &st));
    ck_assert(placed);
    /* three rows for 1 5 6, then 7 of A, nothing of B, 7 4 of C */
    ck_assert_uint_eq(b.rows, 6);
    ck_assert_uint_eq(b.entries_n, 3);
    static const int32_t IDS[] = { 1, 5, 6, 7, 7, 4 };
    static const uint32_t POSITIONS[] = { 0, 1, 2, 3, 3, 4 };
    ck_assert_mem_eq(b.ids, IDS, sizeof IDS);
    ck_assert_mem_eq(b.positions, POSITIONS, sizeof POSITIONS);
    ck_assert_uint_eq(b.spans[5].prefix_len, 3);
    ck_assert_uint_eq(b.spans[5].self_first, 4);
    /* A: 7 behind row 2, 8 behind row 3; B: 9 behind row 2; C: 5 6 7 4 3, where 7 behind row 2 is A's pick */
    static const uint32_t ROWS[] = { 2, 3, 2, 0, 1, 4, 5 };
    static const int32_t TARGETS[] = { 7, 8, 9, 5, 6, 4, 3 };
    static const uint32_t ORDER[] = { 0, 1, 2, 3, 4, 0, 5, 6 };
    ck_assert_uint_eq(b.picks, 7);
    ck_assert_uint_eq(b.order_n, 8);
    ck_assert_mem_eq(b.pick_rows, ROWS, sizeof ROWS);
    ck_assert_mem_eq(b.targets, TARGETS, sizeof TARGETS);
    ck_assert_mem_eq(b.order, ORDER, sizeof ORDER);
    OK(score_batch_place(&b, s, 3, false, &placed, &st)); /* 12 rows do not fit beside 6 */
    ck_assert(!placed);
    ck_assert_uint_eq(b.rows, 6);
    score_batch_release(&b);
}
END_TEST

/* ---- asks ---- */

enum { ITEMS = 48, ASKS_MAX = ITEMS * 4 };

static const char *const WORDS[] = { "The",      " capital", " of", " France", " is",  " Paris", ".",
                                     " The cat", " sat",     " 12", " on",     " the", " mat",   "\n",
                                     " Lima",    " Peru",    "?",   " Answer", ":" };
enum { WORDS_N = sizeof WORDS / sizeof *WORDS };

struct asks {
    struct lm_ask ask[ASKS_MAX];
    size_t n;
    char text[ASKS_MAX][2][160];
};

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void words(uint32_t *seed, uint32_t n, char out[160])
{
    out[0] = '\0';
    for (uint32_t i = 0; i < n; i++) {
        const size_t at = strlen(out);
        snprintf(out + at, 160 - at, "%s", WORDS[next(seed) % WORDS_N]);
    }
}

/* Items of four choices behind a context, pairs without one, and texts. */
static struct asks *asks_make(void)
{
    struct asks *a = mem_calloc(1, sizeof *a);
    uint32_t seed = 7;
    ck_assert_ptr_nonnull(a);
    for (uint32_t item = 0; item < ITEMS; item++) {
        const uint32_t kind = item % 3, parts = kind == 0 ? 4 : kind == 1 ? 2 : 1;
        char start[160], context[160];
        words(&seed, 1 + next(&seed) % 5, start);
        words(&seed, 1 + next(&seed) % 9, context);
        for (uint32_t p = 0; p < parts; p++, a->n++) {
            char *target = a->text[a->n][1], end[160];
            words(&seed, 1 + next(&seed) % 4, end);
            snprintf(a->text[a->n][0], 160, "%s", kind == 0 ? context : "");
            snprintf(target, 160, " %s%s x%u", kind == 0 ? "" : start, end, p);
            a->ask[a->n] = (struct lm_ask){ .context = a->text[a->n][0],
                                            .context_size = strlen(a->text[a->n][0]),
                                            .target = target,
                                            .target_size = strlen(target),
                                            .item = item,
                                            .rolling = kind == 2,
                                            .plain = true };
        }
    }
    return a;
}

static void score(const struct lm_options *options, const struct lora *adapter, const struct lm_ask *asks,
                  size_t n, struct lm_answer *out)
{
    struct lm lm;
    size_t bad = 0;
    OK(model_lm(model, adapter, options, &lm, &st));
    OK(lm.check(lm.self, asks, n, &bad, &st));
    OK(lm.score(lm.self, asks, n, out, &bad, &st));
    model_lm_close(&lm);
}

static void same(const struct lm_answer *a, const struct lm_answer *b, size_t ask, const char *how)
{
    ck_assert_msg(memcmp(&a->ll, &b->ll, sizeof a->ll) == 0, "ask %zu %s: %.17g, not %.17g", ask, how, b->ll,
                  a->ll);
    ck_assert_uint_eq(a->n_ctx, b->n_ctx);
    ck_assert_uint_eq(a->n_tok, b->n_tok);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->greedy, b->greedy);
}

/* Every way of asking gives the answers of `want` to the bit. */
static void every_way(const struct asks *a, const struct lora *adapter)
{
    static struct lm_answer want[ASKS_MAX], got[ASKS_MAX];
    static struct lm_ask turned[ASKS_MAX];
    const struct lm_options plain = { .max_len = 40 };
    score(&plain, adapter, a->ask, a->n, want);
    double sum = 0;
    for (size_t i = 0; i < a->n; i++)
        sum += want[i].ll;
    ck_assert(isfinite(sum) && sum < 0);
    for (size_t i = 0; i < a->n; i++)
        turned[i] = a->ask[a->n - 1 - i];
    score(&plain, adapter, turned, a->n, got);
    for (size_t i = 0; i < a->n; i++)
        same(&want[i], &got[a->n - 1 - i], i, "in reversed order");
    score(&(struct lm_options){ .max_len = 40, .no_prefix = true }, adapter, a->ask, a->n, got);
    for (size_t i = 0; i < a->n; i++)
        same(&want[i], &got[i], i, "without a shared prefix");
    score(&(struct lm_options){ .max_len = 40, .rows = 64 }, adapter, a->ask, a->n, got);
    for (size_t i = 0; i < a->n; i++)
        same(&want[i], &got[i], i, "in small batches");
    struct lm lm;
    size_t bad = 0;
    OK(model_lm(model, adapter, &plain, &lm, &st));
    for (size_t i = 0; i < a->n; i++) {
        OK(lm.score(lm.self, &a->ask[i], 1, got, &bad, &st));
        same(&want[i], got, i, "alone");
    }
    ck_assert_uint_gt(lm.tokens, 0);
    model_lm_close(&lm);
}

START_TEST(an_answer_depends_on_its_ask_alone)
{
    struct asks *a = asks_make();
    every_way(a, NULL);
    mem_free(a);
}
END_TEST

static void adapter_random(struct adapter *x, uint32_t targets)
{
    const struct adapter_config config = { .r = 4, .alpha = 8, .targets = targets };
    uint32_t seed = 3;
    OK(adapter_init(model_get_hyper(model), &config, x, &st));
    adapter_draw(x, 11);
    for (size_t i = 0; i < x->n; i++)
        for (size_t e = 0; e < (size_t)x->parts[i].r * x->parts[i].out; e++)
            x->parts[i].b[e] = ((float)(next(&seed) % 1000) - 500) * 1e-4f;
}

START_TEST(so_does_one_with_an_adapter)
{
    struct asks *a = asks_make();
    struct adapter x = { 0 };
    struct lora l = { 0 };
    adapter_random(&x, ROLE_BITS_LINEAR);
    OK(lora_open(model, &x, &l, &st));
    every_way(a, &l);
    lora_close(&l);
    adapter_release(&x);
    mem_free(a);
}
END_TEST

/* B = 0 adds an exact zero (methods 2.1). */
START_TEST(an_untrained_adapter_is_the_base)
{
    static struct lm_answer base[ASKS_MAX], tuned[ASKS_MAX];
    struct asks *a = asks_make();
    const struct adapter_config config = { .r = 4, .alpha = 8, .targets = ROLE_BITS_LINEAR };
    struct adapter x = { 0 };
    struct lora l = { 0 };
    OK(adapter_init(model_get_hyper(model), &config, &x, &st));
    adapter_draw(&x, 11);
    OK(lora_open(model, &x, &l, &st));
    score(NULL, NULL, a->ask, a->n, base);
    score(NULL, &l, a->ask, a->n, tuned);
    for (size_t i = 0; i < a->n; i++)
        same(&base[i], &tuned[i], i, "with B = 0");
    lora_close(&l);
    adapter_release(&x);
    mem_free(a);
}
END_TEST

/* ---- windows, refusals ---- */

static struct lm_ask ask_of(const char *context, const char *target, bool rolling)
{
    return (struct lm_ask){ .context = context,
                            .context_size = strlen(context),
                            .target = target,
                            .target_size = strlen(target),
                            .rolling = rolling,
                            .plain = true };
}

START_TEST(a_text_is_scored_in_windows)
{
    static const char TEXT[] = "The capital of France is Paris. The cat sat on the mat. 123 Lima?";
    const struct lm_ask ask = ask_of("", TEXT, true);
    struct lm_answer whole, cut;
    score(&(struct lm_options){ .max_len = 100 }, NULL, &ask, 1, &whole);
    score(&(struct lm_options){ .max_len = 5 }, NULL, &ask, 1, &cut);
    ck_assert_uint_eq(whole.n_ctx, 0);
    ck_assert_uint_eq(whole.n_tok, cut.n_tok);
    ck_assert_double_ne(whole.ll, cut.ll);
    /* The first window of five is the same question as the text's first five tokens. */
    ck_assert_uint_gt(whole.n_tok, 10);
}
END_TEST

START_TEST(what_cannot_be_asked_is_named)
{
    struct lm lm;
    size_t bad = 9;
    OK(model_lm(model, NULL, &(struct lm_options){ .max_len = 6 }, &lm, &st));
    const struct lm_ask long_target[] = { ask_of("The", " cat", true),
                                          ask_of("The", " cat sat on the mat Lima Peru 1234567", false) };
    ck_assert_int_eq(lm.check(lm.self, long_target + 1, 1, &bad, &st), RC_FORMAT);
    ck_assert_uint_eq(bad, 0);
    st = (struct status){ 0 };
    const struct lm_ask none[] = { ask_of("The", " cat", false), ask_of("The", "", false) };
    ck_assert_int_eq(lm.check(lm.self, none, 2, &bad, &st), RC_FORMAT);
    ck_assert_uint_eq(bad, 1);
    st = (struct status){ 0 };
    /* A byte without a token is dropped, so these two are the same tokens; the item says which. */
    const struct lm_ask equal[] = { ask_of("The", " cat", false), ask_of("The", " cat\xc0", false) };
    const int rc = lm.check(lm.self, equal, 2, &bad, &st);
    ck_assert_msg(rc == 0 || (rc == RC_FORMAT && bad == 1), "%s", st.msg);
    model_lm_close(&lm);
}
END_TEST

START_TEST(scoring_survives_every_failed_allocation)
{
    const struct lm_ask ask = ask_of("The", " cat sat on the mat", false);
    const uint64_t before = gpu_bytes_used(gpu);
    for (size_t nth = 1;; nth++) {
        struct lm lm = { 0 };
        struct lm_answer answer;
        size_t bad = 0;
        st = (struct status){ 0 };
        mem_fail_at(nth);
        int rc = model_lm(model, NULL, NULL, &lm, &st);
        if (rc == 0)
            rc = lm.score(lm.self, &ask, 1, &answer, &bad, &st);
        mem_fail_at(0);
        if (lm.self)
            model_lm_close(&lm);
        ck_assert_msg(gpu_bytes_used(gpu) == before, "allocation %zu: %s: memory is left", nth, st.msg);
        if (rc == 0) {
            ck_assert_uint_gt(nth, 15);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %d, %s", nth, rc, st.msg);
    }
}
END_TEST

START_TEST(too_little_memory_is_found_first)
{
    struct model *other = NULL;
    const uint64_t used = gpu_bytes_used(gpu);
    ck_assert_int_eq(model_open(FIXTURE_MODEL, gpu,
                                &(struct model_options){ .room_bytes = UINT64_C(1) << 60 }, &other, &st),
                     RC_NOMEM);
    ck_assert_ptr_null(other);
    ck_assert_uint_eq(gpu_bytes_used(gpu), used);
    ck_assert_msg(strstr(st.msg, FIXTURE_MODEL ": needs "), "%s", st.msg);
    st = (struct status){ 0 };
    struct graph *g = NULL;
    ck_assert_int_eq(
        graph_open(model, &(struct graph_options){ .rows_max = 1 << 29, .positions_max = 64 }, &g, &st),
        RC_NOMEM);
    ck_assert_uint_eq(gpu_bytes_used(gpu), used);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lm");
    TCase *plan = tcase_create("plan"), *t = tcase_create("lm"), *widths = tcase_create("widths");
    tcase_add_test(plan, common_starts_stand_once);
    tcase_add_checked_fixture(t, opened, closed);
    tcase_add_checked_fixture(widths, opened, closed);
    tcase_set_timeout(t, 120);
    tcase_set_timeout(widths, 120);
    tcase_add_test(widths, an_answer_depends_on_its_ask_alone);
    tcase_add_test(widths, so_does_one_with_an_adapter);
    tcase_add_test(t, an_untrained_adapter_is_the_base);
    tcase_add_test(t, a_text_is_scored_in_windows);
    tcase_add_test(t, what_cannot_be_asked_is_named);
    tcase_add_test(t, scoring_survives_every_failed_allocation);
    tcase_add_test(t, too_little_memory_is_found_first);
    suite_add_tcase(suite, plan);
    suite_add_tcase(suite, widths);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
