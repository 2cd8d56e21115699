/* The small model against transformers and peft: logits in three weight types and with an adapter, gradients,
 * ten updates. What a model file can lack is refused by name.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "cli/synthetic.h"
#include "model/graph.h"
#include "tests/fixture.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct status st;
static struct gpu *gpu;
static struct safetensors golden;

enum { ROWS = 64 };

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    st = (struct status){ 0 };
    OK(gpu_open(NULL, &gpu, &st));
    OK(safetensors_open(FIXTURE_GOLDEN, &golden, &st));
}

static void closed(void)
{
    safetensors_close(&golden);
    const char *first;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
}

static struct model *model_of(const char *name)
{
    struct model *m = NULL;
    char path[256];
    snprintf(path, sizeof path, TESTS_DIR "/golden/tiny/%s.gguf", name);
    OK(model_open(path, gpu, NULL, &m, &st));
    return m;
}

/* Largest difference of the logits of a golden prompt, as a share of the largest logit. */
static double logits_apart(struct model *m, const struct lora *lora, const char *prefix, int prompt)
{
    int32_t targets[ROWS] = { 0 };
    uint32_t positions[ROWS], rows[ROWS];
    struct graph_span spans[ROWS];
    struct graph_pick picks[ROWS];
    struct graph *g = NULL;
    char name[64];
    size_t n = 0, values = 0;
    snprintf(name, sizeof name, "prompt.%d.ids", prompt);
    int32_t *ids = golden_ids(&golden, name, &n);
    snprintf(name, sizeof name, "%sprompt.%d.logits", prefix, prompt);
    float *want = golden_f32(&golden, name, &values), *is = mem_calloc(values, sizeof *is);
    ck_assert_ptr_nonnull(is);
    for (uint32_t i = 0; i < n; i++) {
        positions[i] = rows[i] = i;
        spans[i] = (struct graph_span){ .self_first = 0, .end = (uint32_t)n };
    }
    const struct graph_batch batch = { .rows = (uint32_t)n,
                                       .ids = ids,
                                       .positions = positions,
                                       .spans = spans,
                                       .picks = (uint32_t)n,
                                       .pick_rows = rows,
                                       .targets = targets,
                                       .lora = lora };
    OK(graph_open(m, &(struct graph_options){ .rows_max = ROWS, .rank_max = 8 }, &g, &st));
    OK(graph_forward(g, &batch, picks, &st));
    OK(graph_logits(g, 0, (uint32_t)n, is, &st));
    double apart = 0, most = 0;
    for (size_t i = 0; i < values; i++) {
        apart = fmax(apart, fabs((double)is[i] - (double)want[i]));
        most = fmax(most, fabs((double)want[i]));
    }
    /* What the head folds up is what the whole row of logits says. */
    const uint32_t vocab = model_get_hyper(m)->vocab;
    for (uint32_t i = 0; i < n; i++) {
        const float *x = is + (size_t)i * vocab;
        double sum = 0, entropy = 0;
        uint32_t top = 0;
        for (uint32_t v = 1; v < vocab; v++)
            top = x[v] > x[top] ? v : top;
        for (uint32_t v = 0; v < vocab; v++)
            sum += exp((double)x[v] - (double)x[top]);
        for (uint32_t v = 0; v < vocab; v++) {
            const double logp = (double)x[v] - (double)x[top] - log(sum);
            entropy -= exp(logp) * logp;
        }
        ck_assert_int_eq(picks[i].top, (int32_t)top);
        ck_assert_double_eq_tol((double)picks[i].top_logp, -log(sum), 1e-5);
        ck_assert_double_eq_tol((double)picks[i].entropy, entropy, 1e-5);
        ck_assert_double_eq_tol((double)picks[i].logp, (double)x[0] - (double)x[top] - log(sum), 1e-5);
    }
    graph_close(g);
    mem_free(ids);
    mem_free(want);
    mem_free(is);
    return apart / most;
}

START_TEST(logits_are_those_of_transformers)
{
    struct model *m = model_of("tiny");
    for (int prompt = 0; prompt < 8; prompt++) {
        const double apart = logits_apart(m, NULL, "", prompt);
        ck_assert_msg(apart < 1e-5, "prompt %d: %g apart", prompt, apart); /* 1.7e-6 on lavapipe */
    }
    model_close(m);
}
END_TEST

START_TEST(quantised_weights_too)
{
    static const char *const NAMES[] = { "tiny-q8_0", "tiny-q4_1" };
    for (int i = 0; i < 2; i++) {
        char prefix[32];
        struct model *m = model_of(NAMES[i]);
        snprintf(prefix, sizeof prefix, "%s.", NAMES[i]);
        const double apart = logits_apart(m, NULL, prefix, 6);
        ck_assert_msg(apart < 1e-5, "%s: %g apart", NAMES[i], apart);
        model_close(m);
    }
}
END_TEST

START_TEST(and_with_an_adapter_of_peft)
{
    struct model *m = model_of("tiny");
    struct adapter x = { 0 };
    struct lora l = { 0 };
    OK(adapter_load(TESTS_DIR "/golden/tiny/adapter", model_get_hyper(m), &x, &st));
    OK(lora_open(m, &x, &l, &st));
    const double apart = logits_apart(m, &l, "adapter.", 6);
    ck_assert_msg(apart < 1e-5, "%g apart", apart);
    lora_close(&l);
    adapter_release(&x);
    model_close(m);
}
END_TEST

START_TEST(gradients_are_those_of_peft)
{
    struct model *m = model_of("tiny");
    struct adapter x = { 0 };
    double loss = 0, worst = 0;
    size_t n = 0;
    float *want = golden_f32(&golden, "loss", &n);
    golden_adapter(model_get_hyper(m), 4, 8, 7, &x);
    golden_backward(m, &golden, 4, &x, &loss);
    ck_assert_double_eq_tol(loss, (double)want[0], 1e-5);
    for (size_t i = 0; i < x.n; i++) {
        double apart[2];
        ck_assert(golden_gradient(&golden, model_get_hyper(m), &x.parts[i], apart));
        worst = fmax(worst, fmax(apart[0], apart[1]));
        ck_assert_msg(apart[0] < 1e-5 && apart[1] < 1e-5, "%s of block %u: %g, %g apart",
                      role_name(x.parts[i].role), x.parts[i].block, apart[0], apart[1]);
    }
    ck_assert_double_lt(worst, 1e-5); /* 2.4e-6 on lavapipe */
    mem_free(want);
    adapter_release(&x);
    model_close(m);
}
END_TEST

START_TEST(ten_updates_are_those_of_adamw)
{
    /* At the high rate the sign of a gradient that is all but zero moves a weight by 0.01, and such signs are
     * those of rounding: torch in f32 and in f64 are 5e-5 apart there. */
    static const struct {
        const char *name, *lr;
        double tolerance;
    } RUNS[] = { { "losses.1e-5", "0.00001", 1e-4 }, { "losses.1e-2", "0.01", 1e-3 } };
    struct model *m = model_of("tiny");
    for (int i = 0; i < 2; i++) {
        double losses[10];
        size_t n = 0;
        float *want = golden_f32(&golden, RUNS[i].name, &n);
        ck_assert_uint_eq(n, 10);
        golden_train(m, &golden, 4, RUNS[i].lr, 10, losses);
        for (int s = 0; s < 10; s++)
            ck_assert_msg(fabs(losses[s] - (double)want[s]) < RUNS[i].tolerance,
                          "%s, update %d: %.7g, not %.7g", RUNS[i].name, s, losses[s], (double)want[s]);
        mem_free(want);
    }
    model_close(m);
}
END_TEST

/* ---- activations that are computed again ---- */

enum { AGAIN_BLOCKS = 5, AGAIN_ROWS = 41, AGAIN_PICKS = 17, AGAIN_VOCAB = 384 };

/* Picks and gradient of one batch: two sequences and a third one, all of different lengths. */
struct again {
    struct graph_pick picks[AGAIN_PICKS];
    float *gradient; /* [n] */
    size_t n;
};

static void again_batch(struct graph *g, const struct lora *l, double dropout, uint32_t first_token,
                        struct again *out)
{
    static const uint32_t ENDS[] = { 19, 20, AGAIN_ROWS };
    int32_t ids[AGAIN_ROWS], targets[AGAIN_PICKS];
    uint32_t positions[AGAIN_ROWS], rows[AGAIN_PICKS];
    struct graph_span spans[AGAIN_ROWS];
    float weights[AGAIN_PICKS];
    struct gpu_buffer gradient;
    for (uint32_t i = 0, k = 0; i < AGAIN_ROWS; i++) {
        const uint32_t first = k ? ENDS[k - 1] : 0;
        ids[i] = (int32_t)(rng_at(3, RNG_SAMPLING, i, first_token, 0).w[0] % AGAIN_VOCAB);
        positions[i] = i - first;
        spans[i] = (struct graph_span){ .self_first = first, .end = ENDS[k] };
        k += i + 1 == ENDS[k];
    }
    for (uint32_t i = 0; i < AGAIN_PICKS; i++) {
        rows[i] = i * AGAIN_ROWS / AGAIN_PICKS;
        targets[i] = (int32_t)(i * 7 % AGAIN_VOCAB);
        weights[i] = 0.01f * (float)(i + 1);
    }
    const struct graph_batch batch = { .rows = AGAIN_ROWS,
                                       .ids = ids,
                                       .positions = positions,
                                       .spans = spans,
                                       .picks = AGAIN_PICKS,
                                       .pick_rows = rows,
                                       .targets = targets,
                                       .lora = l,
                                       .dropout = dropout,
                                       .seed = 11,
                                       .step = 2,
                                       .first_token = first_token };
    out->n = l->n;
    out->gradient = mem_calloc(l->n, sizeof *out->gradient);
    ck_assert_ptr_nonnull(out->gradient);
    OK(gpu_alloc(gpu, l->n * sizeof(float), "gradient", &gradient, &st));
    OK(graph_forward(g, &batch, out->picks, &st));
    OK(graph_backward(g, &batch, weights, &gradient, &st));
    OK(gpu_read(gpu, &gradient, 0, out->gradient, l->n * sizeof(float), &st));
    gpu_free(gpu, &gradient);
}

static void again_same(const struct again *a, struct again *b, const char *what, uint32_t again)
{
    ck_assert_msg(memcmp(a->picks, b->picks, sizeof a->picks) == 0, "%s, %u again: other picks", what, again);
    for (size_t i = 0; i < a->n; i++)
        ck_assert_msg(memcmp(&a->gradient[i], &b->gradient[i], sizeof *a->gradient) == 0,
                      "%s, %u again: value %zu is %g, not %g", what, again, i, (double)b->gradient[i],
                      (double)a->gradient[i]);
    mem_free(b->gradient);
}

/* Every number of blocks, up to more than there are, and two batches one after the other. */
START_TEST(blocks_computed_again_have_the_same_bits)
{
    static const struct synthetic_shape SHAPE = { "five", AGAIN_BLOCKS, 64,  96,    4,   2,
                                                  16,     AGAIN_VOCAB,  128, 10000, true };
    struct synthetic file = { 0 };
    struct model *m = NULL;
    struct adapter x = { 0 };
    struct lora l = { 0 };
    OK(synthetic_open(&SHAPE, AGAIN_BLOCKS, "F32", true, &file, &st));
    OK(model_open(file.path, gpu, &(struct model_options){ .train = true }, &m, &st));
    golden_adapter(model_get_hyper(m), 4, 8, 7, &x);
    OK(lora_open(m, &x, &l, &st));
    for (int dropout = 0; dropout < 2; dropout++) {
        struct again first = { 0 }, second = { 0 };
        uint64_t bytes_before = UINT64_MAX;
        for (uint32_t again = 0; again <= AGAIN_BLOCKS; again++) {
            const struct graph_options options = {
                .rows_max = AGAIN_ROWS, .rank_max = 4, .train = true, .again = again
            };
            const uint64_t used = gpu_bytes_used(gpu), bytes = graph_plan(model_get_hyper(m), &options);
            struct graph *g = NULL;
            struct again one, two;
            OK(graph_open(m, &options, &g, &st));
            ck_assert_uint_eq(gpu_bytes_used(gpu) - used, bytes);
            ck_assert(again < AGAIN_BLOCKS ? bytes < bytes_before : bytes == bytes_before);
            bytes_before = bytes;
            again_batch(g, &l, 0.1 * dropout, 0, again ? &one : &first);
            again_batch(g, &l, 0.1 * dropout, AGAIN_ROWS, again ? &two : &second);
            if (again) {
                again_same(&first, &one, dropout ? "dropout" : "first batch", again);
                again_same(&second, &two, dropout ? "dropout" : "second batch", again);
            }
            graph_close(g);
        }
        ck_assert_int_ne(memcmp(first.gradient, second.gradient, first.n * sizeof(float)), 0);
        mem_free(first.gradient);
        mem_free(second.gradient);
    }
    lora_close(&l);
    adapter_release(&x);
    model_close(m);
    synthetic_close(&file);
}
END_TEST

/* ---- files ---- */

START_TEST(a_plan_says_what_opening_takes)
{
    struct model_plan plan;
    OK(model_plan(FIXTURE_MODEL, &plan, &st));
    ck_assert_uint_eq(plan.parameters, 384 * 64 + 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64 + 128) + 64);
    const uint64_t before = gpu_bytes_used(gpu);
    struct model *m = model_of("tiny");
    const uint64_t took = gpu_bytes_used(gpu) - before;
    ck_assert_uint_eq(took, plan.weight_bytes);
    ck_assert_str_eq(model_get_hyper(m)->arch, "llama");
    ck_assert_ptr_nonnull(model_get_template(m, NULL));
    ck_assert_ptr_nonnull(model_get_template_text(m));
    model_close(m);
    ck_assert_uint_eq(gpu_bytes_used(gpu), before);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    struct str whole = { 0 };
    char path[] = "/tmp/lethe-model-XXXXXX";
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    OK(file_read(FIXTURE_MODEL, 1 << 24, &whole, &st));
    const uint64_t before = gpu_bytes_used(gpu);
    for (size_t size = 0; size < whole.size; size += whole.size / 23 + 1) {
        struct model *m = NULL;
        st = (struct status){ 0 };
        OK(file_write(path, whole.data, size, 0600, &st));
        ck_assert_int_ne(model_open(path, gpu, NULL, &m, &st), 0);
        ck_assert_ptr_null(m);
        ck_assert_msg(strncmp(st.msg, path, strlen(path)) == 0, "%zu bytes: %s", size, st.msg);
        ck_assert_uint_eq(gpu_bytes_used(gpu), before);
    }
    st = (struct status){ 0 };
    struct model *m = NULL;
    ck_assert_int_eq(model_open("/nowhere/x.gguf", gpu, NULL, &m, &st), RC_IO);
    ck_assert_msg(strstr(st.msg, "/nowhere/x.gguf"), "%s", st.msg);
    close(fd);
    unlink(path);
    str_release(&whole);
}
END_TEST

START_TEST(opening_survives_every_failed_allocation)
{
    for (size_t nth = 1;; nth += nth < 60 ? 1 : 97) {
        struct model *m = NULL;
        st = (struct status){ 0 };
        mem_fail_at(nth);
        const int rc = model_open(FIXTURE_MODEL, gpu, NULL, &m, &st);
        mem_fail_at(0);
        if (rc == 0) {
            model_close(m);
            ck_assert_uint_gt(nth, 20);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %d, %s", nth, rc, st.msg);
        ck_assert_ptr_null(m);
    }
}
END_TEST

START_TEST(a_batch_that_does_not_fit_is_refused)
{
    struct model *m = model_of("tiny");
    struct graph *g = NULL;
    struct graph_pick pick;
    int32_t ids[3] = { 1, 2, 3 }, target = 5;
    uint32_t positions[3] = { 0, 1, 2 }, row = 2;
    struct graph_span spans[3] = { { 0, 0, 0, 3 }, { 0, 0, 0, 3 }, { 0, 0, 0, 3 } };
    struct graph_batch b = { .rows = 3,
                             .ids = ids,
                             .positions = positions,
                             .spans = spans,
                             .picks = 1,
                             .pick_rows = &row,
                             .targets = &target };
    OK(graph_open(m, &(struct graph_options){ .rows_max = 3 }, &g, &st));
    OK(graph_forward(g, &b, &pick, &st));
    ids[1] = 384;
    ck_assert_int_eq(graph_forward(g, &b, &pick, &st), RC_LIMIT);
    ids[1] = 2;
    spans[2].self_first = 1; /* a row that attends two has position 1 */
    ck_assert_int_eq(graph_forward(g, &b, &pick, NULL), RC_ARG);
    spans[2].self_first = 0;
    row = 3;
    ck_assert_int_eq(graph_forward(g, &b, &pick, NULL), RC_LIMIT);
    row = 2;
    b.rows = 4;
    ck_assert_int_eq(graph_forward(g, &b, &pick, NULL), RC_LIMIT);
    b.rows = 3;
    OK((st = (struct status){ 0 }, graph_forward(g, &b, &pick, &st)));
    graph_close(g);
    model_close(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *t = tcase_create("model"), *widths = tcase_create("widths");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_add_checked_fixture(widths, opened, closed);
    tcase_set_timeout(t, 120);
    tcase_set_timeout(widths, 120);
    tcase_add_test(widths, logits_are_those_of_transformers);
    tcase_add_test(widths, quantised_weights_too);
    tcase_add_test(widths, and_with_an_adapter_of_peft);
    tcase_add_test(widths, gradients_are_those_of_peft);
    tcase_add_test(t, ten_updates_are_those_of_adamw);
    tcase_add_test(t, blocks_computed_again_have_the_same_bits);
    tcase_add_test(t, a_plan_says_what_opening_takes);
    tcase_add_test(t, a_file_cut_anywhere_is_refused);
    tcase_add_test(t, opening_survives_every_failed_allocation);
    tcase_add_test(t, a_batch_that_does_not_fit_is_refused);
    suite_add_tcase(suite, widths);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
