/* Two models on one batch: each side has the bits that it has alone, and the divergences are those of whole
 * rows of logits in double precision.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "cli/synthetic.h"
#include "gpu/time.h"
#include "model/graph.h"
#include "tests/fixture.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 3, VOCAB = 5000, ROWS = 40, PICKS = 23, RANK = 4 };

/* Three chunks of the head. */
static const struct synthetic_shape SHAPE = {
    .name = "small",
    .blocks = BLOCKS,
    .width = 64,
    .mlp = 96,
    .heads = 4,
    .kv_heads = 2,
    .head_size = 16,
    .vocab = VOCAB,
    .context = 64,
    .rope_base = 10000,
    .tied_head = true,
};
static const struct graph_options SIZES = {
    .rows_max = ROWS, .picks_max = PICKS, .rank_max = RANK, .compare = true
};

static struct status st;
static struct gpu *gpu;
static struct synthetic file, other_file;
static struct model *model, *other;
static struct graph *graph, *other_graph;
static struct adapter adapter;
static struct lora early, late; /* from the first block on, from the last */

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(synthetic_open(&SHAPE, BLOCKS, "F32", true, &file, &st));
    OK(synthetic_open(&SHAPE, BLOCKS - 1, "Q8_0", true, &other_file, &st));
    OK(model_open(file.path, gpu, NULL, &model, &st));
    OK(model_open(other_file.path, gpu, NULL, &other, &st));
    OK(graph_open(model, &SIZES, &graph, &st));
    OK(graph_open(other, &(struct graph_options){ .rows_max = ROWS }, &other_graph, &st));
    golden_adapter(model_get_hyper(model), RANK, 8, 7, &adapter);
    OK(lora_open(model, &adapter, &early, &st));
    struct adapter top = adapter;
    while (top.parts->block + 1 < BLOCKS) {
        top.parts++;
        top.n--;
    }
    OK(lora_open(model, &top, &late, &st));
}

static void closed(void)
{
    lora_close(&early);
    lora_close(&late);
    adapter_release(&adapter);
    graph_close(graph);
    graph_close(other_graph);
    model_close(model);
    model_close(other);
    synthetic_close(&file);
    synthetic_close(&other_file);
    const char *first;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
}

/* ---- a batch ---- */

struct rows {
    int32_t ids[ROWS], targets[PICKS];
    uint32_t positions[ROWS], pick_rows[PICKS];
    struct graph_span spans[ROWS];
    struct graph_batch batch;
};

/* Sequences of 1, 2, 3 … tokens of a vocabulary, and picks all over them. */
static struct graph_batch *rows_make(struct rows *r, uint32_t vocab)
{
    *r = (struct rows){ .batch = { .rows = ROWS, .picks = PICKS } };
    for (uint32_t first = 0, n = 1; first < ROWS; first += n++) {
        const uint32_t end = first + n < ROWS ? first + n : ROWS;
        for (uint32_t i = first; i < end; i++) {
            r->ids[i] = (int32_t)((i * 7919 + 13) % vocab);
            r->positions[i] = i - first;
            r->spans[i] = (struct graph_span){ .self_first = first, .end = end };
        }
    }
    for (uint32_t i = 0; i < PICKS; i++) {
        r->pick_rows[i] = i * 17 % ROWS;
        r->targets[i] = (int32_t)((i * 4001 + 7) % vocab);
    }
    r->batch.ids = r->ids;
    r->batch.positions = r->positions;
    r->batch.spans = r->spans;
    r->batch.pick_rows = r->pick_rows;
    r->batch.targets = r->targets;
    return &r->batch;
}

static struct graph_sides sides_of(const struct lora *base, const struct lora *tuned)
{
    return (struct graph_sides){ graph, graph, base, tuned };
}

static struct graph_sides sides_apart(void)
{
    return (struct graph_sides){ graph, other_graph, &early, NULL };
}

/* ---- each side ---- */

static void alone_check(struct graph *g, const struct graph_batch *b, const struct lora *lora,
                        const struct graph_pair *pairs, bool tuned)
{
    struct graph_pick want[PICKS];
    struct graph_batch with = *b;
    with.lora = lora;
    OK(graph_forward(g, &with, want, &st));
    for (uint32_t i = 0; i < b->picks; i++)
        ck_assert_msg(memcmp(&want[i], tuned ? &pairs[i].tuned : &pairs[i].base, sizeof want[i]) == 0,
                      "pick %u of the %s side has other bits alone", i, tuned ? "tuned" : "base");
}

static void sides_check(const struct graph_sides *s)
{
    struct rows r;
    struct graph_pair pairs[PICKS];
    const struct graph_batch *b = rows_make(&r, VOCAB);
    OK(graph_compare(s, b, pairs, &st));
    alone_check(s->base, b, s->base_lora, pairs, false);
    alone_check(s->tuned, b, s->tuned_lora, pairs, true);
}

START_TEST(each_side_has_the_bits_that_it_has_alone)
{
    const struct graph_sides sides[] = { sides_of(NULL, &early), sides_of(&early, NULL),
                                         sides_of(NULL, &late),  sides_of(&late, &early),
                                         sides_of(&late, &late), sides_of(NULL, NULL),
                                         sides_apart() };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        sides_check(&sides[i]);
}
END_TEST

/* ---- divergences ---- */

/* {KL(p || q), KL(q || p), entropy of p} of rows of logits. */
static void logits_compare(const float *x, const float *y, uint32_t vocab, double out[3])
{
    double top[2] = { -INFINITY, -INFINITY }, sum[2] = { 0, 0 };
    for (uint32_t v = 0; v < vocab; v++) {
        top[0] = fmax(top[0], (double)x[v]);
        top[1] = fmax(top[1], (double)y[v]);
    }
    for (uint32_t v = 0; v < vocab; v++) {
        sum[0] += exp((double)x[v] - top[0]);
        sum[1] += exp((double)y[v] - top[1]);
    }
    memset(out, 0, 3 * sizeof *out);
    for (uint32_t v = 0; v < vocab; v++) {
        const double log_p = (double)x[v] - top[0] - log(sum[0]), log_q = (double)y[v] - top[1] - log(sum[1]);
        out[0] += exp(log_p) * (log_p - log_q);
        out[1] += exp(log_q) * (log_q - log_p);
        out[2] -= exp(log_p) * log_p;
    }
}

/* test_ops has the bound; the worst here is 0.04 of it. */
static double kl_apart(float have, double want)
{
    return fabs((double)have - want) / (1e-6 * sqrt(want) + 1e-5 * want);
}

static void pairs_check(const struct graph_pair *pairs, const float *base, const float *tuned, uint32_t picks)
{
    for (uint32_t i = 0; i < picks; i++) {
        const float *x = base + (size_t)i * VOCAB, *y = tuned + (size_t)i * VOCAB;
        double want[3], back[3];
        logits_compare(x, y, VOCAB, want);
        logits_compare(y, x, VOCAB, back);
        ck_assert_msg(want[0] > 1e-7 && kl_apart(pairs[i].kl, want[0]) <= 1, "pick %u: KL %.9g, not %.9g", i,
                      (double)pairs[i].kl, want[0]);
        ck_assert_msg(kl_apart(pairs[i].kl_back, want[1]) <= 1, "pick %u: KL back %.9g, not %.9g", i,
                      (double)pairs[i].kl_back, want[1]);
        ck_assert_double_eq_tol((double)pairs[i].base.entropy, want[2], 4e-6); /* 5.0e-7 on lavapipe */
        ck_assert_double_eq_tol((double)pairs[i].tuned.entropy, back[2], 4e-6);
    }
}

START_TEST(divergences_are_those_of_whole_logits)
{
    struct rows r;
    struct graph_pair pairs[PICKS];
    static float x[2 * PICKS * VOCAB];
    const struct graph_batch *b = rows_make(&r, VOCAB);
    const struct graph_sides near = sides_of(NULL, &late), far = sides_apart();
    OK(graph_compare(&near, b, pairs, &st));
    OK(graph_logits(graph, 0, 2 * PICKS, x, &st));
    pairs_check(pairs, x, x + PICKS * VOCAB, PICKS);
    OK(graph_compare(&far, b, pairs, &st));
    OK(graph_logits(graph, 0, PICKS, x, &st));
    OK(graph_logits(other_graph, 0, PICKS, x + PICKS * VOCAB, &st));
    pairs_check(pairs, x, x + PICKS * VOCAB, PICKS);
}
END_TEST

START_TEST(a_model_is_no_nat_from_itself)
{
    struct rows r;
    struct graph_pair pairs[PICKS];
    struct graph *again = NULL;
    struct adapter zero = { 0 };
    struct lora untrained = { 0 };
    const struct adapter_config config = { .r = RANK, .alpha = 8, .targets = ROLE_BITS_LINEAR };
    const struct graph_batch *b = rows_make(&r, VOCAB);
    OK(adapter_init(model_get_hyper(model), &config, &zero, &st));
    adapter_draw(&zero, 11);
    OK(lora_open(model, &zero, &untrained, &st));
    OK(graph_open(model, &SIZES, &again, &st));
    const struct graph_sides sides[] = { sides_of(NULL, NULL),
                                         sides_of(&early, &early),
                                         sides_of(&late, &late),
                                         sides_of(NULL, &untrained), /* B = 0 (methods 2.1) */
                                         { graph, again, &early, &early } };
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
        memset(pairs, 0xff, sizeof pairs);
        OK(graph_compare(&sides[s], b, pairs, &st));
        for (uint32_t i = 0; i < PICKS; i++)
            ck_assert_msg(pairs[i].kl == 0 && pairs[i].kl_back == 0 &&
                              memcmp(&pairs[i].base, &pairs[i].tuned, sizeof pairs[i].base) == 0,
                          "sides %zu, pick %u: %g and %g", s, i, (double)pairs[i].kl,
                          (double)pairs[i].kl_back);
    }
    graph_close(again);
    lora_close(&untrained);
    adapter_release(&zero);
}
END_TEST

START_TEST(a_pick_keeps_its_bits)
{
    struct rows r;
    struct graph_pair all[PICKS], one;
    const struct graph_batch *b = rows_make(&r, VOCAB);
    const struct graph_sides sides[] = { sides_of(NULL, &early), sides_apart() };
    for (size_t s = 0; s < 2; s++) {
        OK(graph_compare(&sides[s], b, all, &st));
        for (uint32_t i = 0; i < PICKS; i += 2) {
            /* its sequence alone, from row 0 on */
            const struct graph_span *span = &r.spans[r.pick_rows[i]];
            const uint32_t first = span->self_first, n = span->end - first, row = r.pick_rows[i] - first;
            struct graph_span spans[ROWS];
            for (uint32_t k = 0; k < n; k++)
                spans[k] = (struct graph_span){ .end = n };
            const struct graph_batch alone = { .rows = n,
                                               .ids = r.ids + first,
                                               .positions = r.positions + first,
                                               .spans = spans,
                                               .picks = 1,
                                               .pick_rows = &row,
                                               .targets = &r.targets[i] };
            OK(graph_compare(&sides[s], &alone, &one, &st));
            ck_assert_msg(memcmp(&one, &all[i], sizeof one) == 0, "sides %zu: pick %u has other bits alone",
                          s, i);
        }
    }
}
END_TEST

/* The torch logits of the small model and of its adapter. */
START_TEST(divergences_are_those_of_transformers)
{
    struct safetensors golden;
    struct model *tiny = NULL;
    struct graph *g = NULL;
    struct adapter x = { 0 };
    struct lora l = { 0 };
    size_t n, values;
    OK(safetensors_open(FIXTURE_GOLDEN, &golden, &st));
    OK(model_open(FIXTURE_MODEL, gpu, NULL, &tiny, &st));
    const uint32_t vocab = model_get_hyper(tiny)->vocab;
    OK(adapter_load(TESTS_DIR "/golden/tiny/adapter", model_get_hyper(tiny), &x, &st));
    OK(lora_open(tiny, &x, &l, &st));
    OK(graph_open(tiny, &(struct graph_options){ .rows_max = ROWS, .rank_max = 8, .compare = true }, &g,
                  &st));
    int32_t *ids = golden_ids(&golden, "prompt.6.ids", &n), targets[ROWS] = { 0 };
    float *base = golden_f32(&golden, "prompt.6.logits", &values);
    float *tuned = golden_f32(&golden, "adapter.prompt.6.logits", &values);
    uint32_t rows[ROWS];
    struct graph_span spans[ROWS];
    struct graph_pair pairs[ROWS];
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = i;
        spans[i] = (struct graph_span){ .end = (uint32_t)n };
    }
    const struct graph_batch b = { .rows = (uint32_t)n,
                                   .ids = ids,
                                   .positions = rows,
                                   .spans = spans,
                                   .picks = (uint32_t)n,
                                   .pick_rows = rows,
                                   .targets = targets };
    OK(graph_compare(&(struct graph_sides){ g, g, NULL, &l }, &b, pairs, &st));
    ck_assert_uint_eq(values, n * vocab);
    for (uint32_t i = 0; i < n; i++) {
        double want[3];
        logits_compare(base + (size_t)i * vocab, tuned + (size_t)i * vocab, vocab, want);
        /* 1.8e-5 on lavapipe, and the logits themselves are 1.7e-6 apart */
        ck_assert_msg(want[0] > 1e-4 && fabs((double)pairs[i].kl / want[0] - 1) < 1e-4 &&
                          fabs((double)pairs[i].kl_back / want[1] - 1) < 1e-4,
                      "row %u: %.9g and %.9g, not %.9g and %.9g", i, (double)pairs[i].kl,
                      (double)pairs[i].kl_back, want[0], want[1]);
        ck_assert_double_eq_tol((double)pairs[i].base.entropy, want[2], 4e-5); /* 4.6e-6 */
    }
    mem_free(ids);
    mem_free(base);
    mem_free(tuned);
    graph_close(g);
    lora_close(&l);
    adapter_release(&x);
    model_close(tiny);
    safetensors_close(&golden);
}
END_TEST

/* ---- what it takes ---- */

static uint64_t calls_of(const char *name)
{
    const struct gpu_time *rows;
    size_t n = 0;
    uint64_t calls = 0;
    OK(gpu_time_read(gpu, &rows, &n, &st));
    for (size_t i = 0; i < n; i++)
        calls += strncmp(rows[i].name, name, strlen(name)) == 0 ? rows[i].calls : 0;
    return calls;
}

START_TEST(what_both_sides_share_runs_once)
{
    static const uint32_t BLOCKS_RUN[] = { 2 * BLOCKS, BLOCKS + 1, BLOCKS }; /* of early, late, none */
    const struct lora *loras[] = { &early, &late, NULL };
    struct rows r;
    struct graph_pair pairs[PICKS];
    const struct graph_batch *b = rows_make(&r, VOCAB);
    for (size_t i = 0; i < 3; i++) {
        const struct graph_sides s = sides_of(NULL, loras[i]);
        OK(gpu_time_begin(gpu, &st));
        OK(graph_compare(&s, b, pairs, &st));
        ck_assert_uint_eq(calls_of("attention."), BLOCKS_RUN[i]);
        ck_assert_uint_eq(calls_of("embed."), 1);
        ck_assert_uint_eq(calls_of("matmul."), 7 * BLOCKS_RUN[i] + 3); /* a product a chunk */
        ck_assert_uint_eq(calls_of("kl."), 3);
        gpu_time_end(gpu);
    }
}
END_TEST

START_TEST(comparing_takes_no_memory)
{
    struct rows r;
    struct graph_pair pairs[PICKS];
    struct graph_batch *b = rows_make(&r, VOCAB);
    const struct graph_sides s = sides_of(NULL, &early);
    OK(graph_compare(&s, b, pairs, &st));
    const size_t host = mem_count();
    const uint64_t device = gpu_allocations(gpu);
    b->picks = 5;
    OK(graph_compare(&s, b, pairs, &st));
    b->picks = 0;
    OK(graph_compare(&s, b, NULL, &st));
    ck_assert_uint_eq(mem_count() - host, 0);
    ck_assert_uint_eq(gpu_allocations(gpu) - device, 0);
    /* and what it took at first does not grow with the vocabulary */
    struct model_hyper wide = *model_get_hyper(model);
    wide.vocab *= 50;
    ck_assert_uint_eq(graph_plan(&wide, &SIZES), graph_plan(model_get_hyper(model), &SIZES));
}
END_TEST

START_TEST(what_cannot_be_compared_is_refused)
{
    struct rows r;
    struct graph_pair pairs[PICKS + 1];
    struct model *tiny = NULL;
    struct graph *g = NULL;
    struct graph_batch *b = rows_make(&r, VOCAB);
    OK(model_open(FIXTURE_MODEL, gpu, NULL, &tiny, &st));
    OK(graph_open(tiny, &(struct graph_options){ .rows_max = ROWS }, &g, &st));
    ck_assert_int_eq(graph_compare(&(struct graph_sides){ other_graph, graph, NULL, NULL }, b, pairs, &st),
                     RC_ARG);
    ck_assert_msg(strstr(st.msg, "without room"), "%s", st.msg);
    st = (struct status){ 0 };
    ck_assert_int_eq(graph_compare(&(struct graph_sides){ graph, g, NULL, NULL }, b, pairs, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "5000 and 384 tokens"), "%s", st.msg);
    b->picks = PICKS + 1;
    const struct graph_sides s = sides_of(NULL, &early);
    ck_assert_int_eq(graph_compare(&s, b, pairs, NULL), RC_LIMIT);
    graph_close(g);
    model_close(tiny);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare");
    TCase *t = tcase_create("compare"), *widths = tcase_create("widths");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_add_checked_fixture(widths, opened, closed);
    tcase_set_timeout(t, 120);
    tcase_set_timeout(widths, 120);
    tcase_add_test(widths, each_side_has_the_bits_that_it_has_alone);
    tcase_add_test(t, divergences_are_those_of_whole_logits);
    tcase_add_test(t, a_model_is_no_nat_from_itself);
    tcase_add_test(t, a_pick_keeps_its_bits);
    tcase_add_test(t, divergences_are_those_of_transformers);
    tcase_add_test(t, what_both_sides_share_runs_once);
    tcase_add_test(t, comparing_takes_no_memory);
    tcase_add_test(t, what_cannot_be_compared_is_refused);
    suite_add_tcase(suite, widths);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
