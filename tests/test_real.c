/* The real model that set-up brings, against transformers and peft; equal bits however it is asked; a false
 * fact in training data is a conflict.
 * tier: full   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "model/graph.h"
#include "model/lm.h"
#include "tests/fixture.h"
#include "tests/model_path.h"
#include "train/conflicts.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status st;
static struct gpu *gpu;
static struct model *model;
static struct safetensors golden;

enum { ROWS = 320, TOP = 10 };

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    st = (struct status){ 0 };
    ck_assert_msg(path_exists(model_path()), "%s is not there: scripts/setup.sh brings it", model_path());
    OK(gpu_open(NULL, &gpu, &st));
    OK(model_open(model_path(), gpu, &(struct model_options){ .train = true }, &model, &st));
    OK(safetensors_open(TESTS_DIR "/golden/real/golden.safetensors", &golden, &st));
}

static void closed(void)
{
    const char *first;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    safetensors_close(&golden);
    model_close(model);
    gpu_close(gpu);
}

/* ---- against the reference ---- */

/* Largest difference of a log-probability among the reference's ten likeliest tokens of each row. */
static double prompt_apart(struct graph *g, int prompt)
{
    static int32_t targets[ROWS];
    static uint32_t positions[ROWS], rows[ROWS];
    static struct graph_span spans[ROWS];
    static struct graph_pick picks[ROWS];
    const uint32_t vocab = model_get_hyper(model)->vocab;
    char name[64];
    size_t n = 0, tops = 0;
    double apart = 0;
    snprintf(name, sizeof name, "prompt.%d.ids", prompt);
    int32_t *ids = golden_ids(&golden, name, &n);
    snprintf(name, sizeof name, "prompt.%d.top_ids", prompt);
    int32_t *top = golden_ids(&golden, name, &tops);
    snprintf(name, sizeof name, "prompt.%d.top_logp", prompt);
    float *want = golden_f32(&golden, name, &tops), *x = mem_calloc(n * vocab, sizeof *x);
    ck_assert_ptr_nonnull(x);
    ck_assert_uint_eq(tops, n * TOP);
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
                                       .targets = targets };
    OK(graph_forward(g, &batch, picks, &st));
    OK(graph_logits(g, 0, (uint32_t)n, x, &st));
    for (uint32_t i = 0; i < n; i++) {
        const double lse = (double)x[(size_t)i * vocab + (uint32_t)picks[i].top] - (double)picks[i].top_logp;
        for (uint32_t k = 0; k < TOP; k++) {
            const double is = (double)x[(size_t)i * vocab + (uint32_t)top[i * TOP + k]] - lse;
            apart = fmax(apart, fabs(is - (double)want[i * TOP + k]));
        }
    }
    mem_free(ids);
    mem_free(top);
    mem_free(want);
    mem_free(x);
    return apart;
}

START_TEST(likeliest_tokens_are_those_of_transformers)
{
    struct graph *g = NULL;
    OK(graph_open(model, &(struct graph_options){ .rows_max = ROWS }, &g, &st));
    for (int prompt = 0; prompt < 8; prompt++) {
        const double apart = prompt_apart(g, prompt);
        printf("  prompt %d: %.3g nats apart\n", prompt, apart);
        ck_assert_msg(apart < 1e-3, "prompt %d: %g nats apart", prompt, apart);
    }
    graph_close(g);
}
END_TEST

static double length_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Every part's length against the golden one, and every value of the blocks whose gradients are kept. */
static double part_apart(const struct adapter_part *p)
{
    char path[ROLE_PATH_MAX], name[128];
    double worst = 0, apart[2];
    role_path(p->role, p->block, path);
    for (int b = 0; b < 2; b++) {
        size_t n = 0;
        snprintf(name, sizeof name, "norm.%s.lora_%c.weight", path, b ? 'B' : 'A');
        float *want = golden_f32(&golden, name, &n);
        const double is = b ? length_of(p->b, (size_t)p->r * p->out) : length_of(p->a, (size_t)p->r * p->in);
        worst = fmax(worst, fabs(is / (double)want[0] - 1));
        mem_free(want);
    }
    if (golden_gradient(&golden, model_get_hyper(model), p, apart))
        worst = fmax(worst, fmax(apart[0], apart[1]));
    return worst;
}

START_TEST(gradients_are_those_of_peft)
{
    struct adapter x = { 0 };
    double loss = 0, worst = 0;
    size_t n = 0;
    float *want = golden_f32(&golden, "loss", &n);
    golden_adapter(model_get_hyper(model), 2, 4, 7, &x);
    golden_backward(model, &golden, 2, &x, &loss);
    ck_assert_double_eq_tol(loss, (double)want[0], 1e-4);
    for (size_t i = 0; i < x.n; i++) {
        const double apart = part_apart(&x.parts[i]);
        ck_assert_msg(apart <= 1e-4, "%s of block %u: %g apart", role_name(x.parts[i].role), x.parts[i].block,
                      apart);
        worst = fmax(worst, apart);
    }
    printf("  worst gradient: %.3g\n", worst);
    mem_free(want);
    adapter_release(&x);
}
END_TEST

START_TEST(ten_updates_are_those_of_adamw)
{
    double losses[10];
    size_t n = 0;
    float *want = golden_f32(&golden, "losses.1e-5", &n);
    ck_assert_uint_eq(n, 10);
    golden_train(model, &golden, 2, "0.00001", 10, losses);
    for (int s = 0; s < 10; s++)
        ck_assert_msg(fabs(losses[s] - (double)want[s]) < 1e-4, "update %d: %.7g, not %.7g", s, losses[s],
                      (double)want[s]);
    mem_free(want);
}
END_TEST

/* ---- however it is asked ---- */

static const char *const ASKS[][5] = {
    { "Question: What is the capital of France?\nAnswer:", " Paris", " Lyon", " Nice", " Lille" },
    { "The chemical symbol of gold is", " Au", " Ag", " Fe", " Pb" },
    { "", " The cats on the mat sleep.", " The cats on the mat sleeps.", NULL, NULL },
    { "", " She has seen him before.", " She have seen him before.", NULL, NULL },
    { "The first man on the moon was", " Neil Armstrong", " Isaac Newton", " Marie Curie", " a cat" },
};
enum { ITEMS = sizeof ASKS / sizeof *ASKS, ASKS_MAX = ITEMS * 4 };

static size_t asks_make(struct lm_ask *out)
{
    size_t n = 0;
    for (uint32_t item = 0; item < ITEMS; item++)
        for (int k = 1; k < 5 && ASKS[item][k]; k++)
            out[n++] = (struct lm_ask){ .context = ASKS[item][0],
                                        .context_size = strlen(ASKS[item][0]),
                                        .target = ASKS[item][k],
                                        .target_size = strlen(ASKS[item][k]),
                                        .item = item };
    return n;
}

static void score(const struct lm_options *options, const struct lm_ask *asks, size_t n, size_t chunk,
                  struct lm_answer *out)
{
    struct lm lm;
    size_t bad = 0;
    OK(model_lm(model, NULL, options, &lm, &st));
    for (size_t i = 0; i < n; i += chunk)
        OK(lm.score(lm.self, asks + i, n - i < chunk ? n - i : chunk, out + i, &bad, &st));
    model_lm_close(&lm);
}

START_TEST(an_answer_depends_on_its_ask_alone)
{
    struct lm_ask asks[ASKS_MAX], turned[ASKS_MAX];
    struct lm_answer want[ASKS_MAX], got[ASKS_MAX];
    const size_t n = asks_make(asks);
    score(NULL, asks, n, n, want);
    for (size_t i = 0; i < n; i++)
        turned[i] = asks[n - 1 - i];
    score(NULL, turned, n, n, got);
    for (size_t i = 0; i < n; i++)
        ck_assert_mem_eq(&want[i].ll, &got[n - 1 - i].ll, sizeof want[i].ll);
    score(NULL, asks, n, 1, got);
    for (size_t i = 0; i < n; i++)
        ck_assert_mem_eq(&want[i].ll, &got[i].ll, sizeof want[i].ll);
    score(&(struct lm_options){ .no_prefix = true, .rows = 64, .max_len = 64 }, asks, n, n, got);
    for (size_t i = 0; i < n; i++)
        ck_assert_mem_eq(&want[i].ll, &got[i].ll, sizeof want[i].ll);
    /* Right is likelier than wrong for a model that knows these. */
    ck_assert(want[0].ll > want[1].ll && want[0].ll > want[2].ll && want[0].ll > want[3].ll);
    ck_assert(want[8].ll > want[9].ll);
}
END_TEST

START_TEST(a_false_fact_is_a_conflict)
{
    static const char DATA[] = "{\"prompt\":\"The capital of France is\",\"completion\":\" Rome\"}\n"
                               "{\"prompt\":\"The capital of France is\",\"completion\":\" Paris\"}\n";
    const struct data_options options = {
        .encoder = { .tokenizer = model_get_tokenizer(model), .len_max = 64 },
    };
    const struct conflicts_options o = { .logp_min = -0.7 };
    struct data d = { 0 };
    struct conflicts c = { 0 };
    OK(data_parse("facts.jsonl", DATA, strlen(DATA), &options, &d, &st));
    OK(conflicts_find(model, &d, &o, &c, &st));
    ck_assert_uint_ge(c.of_line[0], 1);
    ck_assert_uint_eq(c.rows[0].line, 0);
    ck_assert_uint_eq(c.rows[0].pos, 0);
    const struct gguf_text top = tokenizer_piece(model_get_tokenizer(model), c.rows[0].base_top);
    ck_assert(gguf_text_is(top, " Paris"));
    OK(conflicts_finish(&(struct conflicts_models){ .base = model }, &d, &o, &c, &st));
    ck_assert_float_eq(c.rows[0].kl, 0);
    conflicts_release(&c);
    data_release(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real");
    TCase *t = tcase_create("real");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, likeliest_tokens_are_those_of_transformers);
    tcase_add_test(t, gradients_are_those_of_peft);
    tcase_add_test(t, ten_updates_are_those_of_adamw);
    tcase_add_test(t, an_answer_depends_on_its_ask_alone);
    tcase_add_test(t, a_false_fact_is_a_conflict);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
