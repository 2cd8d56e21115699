/* tier: full
 * device: yes
 * Shipped suites on the demo's model, item by item as lm-eval scores them (tests/golden/lm_eval/make.py): the
 * same choice on 99.9 % of items, log-probabilities within 1e-3. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "model/lm.h"
#include "probes/set.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT     TESTS_DIR "/../"
#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

enum { CHOICES_MAX = 8, ITEMS_MAX = 512 };

static struct status st;
static struct gpu *gpu;
static struct model *model;
static struct lm lm;

/* What lm-eval gave for one item. */
struct golden {
    const struct probe_item *item;
    long best;
    double ll[CHOICES_MAX];
    size_t n;
};

static void scorer_open(void)
{
    const char *path = getenv("LETHE_MODEL");
    const struct gpu_choice choice = { .driver_file = ROOT ".deps/mesa25/lvp_icd.json" };
    const struct model_options room = { .room_bytes = (uint64_t)1 << 30 };
    if (path == NULL)
        path = ROOT ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
    ck_assert_msg(path_exists(path), "%s is not there: scripts/setup.sh brings it, or set LETHE_MODEL", path);
    OK(gpu_open(&choice, &gpu, &st));
    OK(model_open(path, gpu, &room, &model, &st));
    OK(model_lm(model, NULL, &(struct lm_options){ .max_len = 256 }, &lm, &st));
}

static void scorer_close(void)
{
    model_lm_close(&lm);
    model_close(model);
    gpu_close(gpu);
}

static size_t golden_read(const char *id, const struct probe_set *set, struct golden *out)
{
    char path[512];
    const char *line = NULL, *item = NULL;
    size_t bytes = 0, n = 0;
    struct str text = { 0 };
    snprintf(path, sizeof path, TESTS_DIR "/golden/lm_eval/%s.jsonl", id);
    OK(file_read(path, 1 << 20, &text, &st));
    struct lines lines = { .data = text.data, .size = text.size };
    for (; lines_next(&lines, &line, &bytes, &st); n++) {
        struct json *j = NULL;
        struct golden *g = &out[n];
        int64_t best = 0;
        ck_assert_uint_lt(n, ITEMS_MAX);
        *g = (struct golden){ 0 };
        OK(json_parse(line, bytes, &j, &st));
        OK(json_get_text(j, "id", &item, &st));
        OK(json_get_int(j, "best", 0, CHOICES_MAX, &best, &st));
        g->best = (long)best;
        const struct json *ll = json_first(json_find(j, "ll"));
        for (; ll != NULL && g->n < CHOICES_MAX; ll = json_next(ll))
            g->ll[g->n++] = json_double(ll);
        for (size_t i = 0; i < set->n && g->item == NULL; i++)
            if (strcmp(set->items[i].id, item) == 0)
                g->item = &set->items[i];
        ck_assert_msg(g->item != NULL, "%s has no item '%s'", id, item);
        json_free(j);
    }
    ck_assert_int_eq(st.rc, 0);
    str_release(&text);
    return n;
}

static void suite_compare(const char *id, size_t *items, size_t *same, double *worst)
{
    char path[512];
    struct probe_set set = { 0 };
    struct golden *golden = mem_calloc(ITEMS_MAX, sizeof *golden);
    struct probe_asks asks = { 0 };
    size_t bad = 0, at = 0;
    snprintf(path, sizeof path, ROOT "probes/sets/%s.jsonl", id);
    OK(probe_set_load(path, &set, &st));
    const struct probe_asking how = { .delimiter = set.delimiter };
    size_t n = golden_read(id, &set, golden);
    for (size_t i = 0; i < n; i++)
        OK(probe_item_asks(set.kind, golden[i].item, &how, (uint32_t)(2 * i), &asks, &st));
    struct lm_answer *answers = mem_calloc(asks.n, sizeof *answers);
    OK(lm.check(lm.self, asks.asks, asks.n, &bad, &st));
    OK(lm.score(lm.self, asks.asks, asks.n, answers, &bad, &st));
    for (size_t i = 0; i < n; at += golden[i++].n) {
        size_t best = 0;
        for (size_t k = 0; k < golden[i].n; k++) {
            *worst = fmax(*worst, fabs(answers[at + k].ll - golden[i].ll[k]));
            if (answers[at + k].ll > answers[at + best].ll)
                best = k;
        }
        *same += (long)best == golden[i].best;
    }
    ck_assert_uint_eq(at, asks.n);
    *items += n;
    mem_free(answers);
    mem_free(golden);
    probe_asks_release(&asks);
    probe_set_release(&set);
}

START_TEST(scores_as_lm_eval_does)
{
    static const char *const suites[] = { "everyday", "dates", "letters", "grammar" };
    size_t items = 0, same = 0;
    double worst = 0;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        suite_compare(suites[i], &items, &same, &worst);
    printf("parity with lm-eval: %zu of %zu choices, largest difference %.2e\n", same, items, worst);
    ck_assert_uint_ge(items, 200);
    ck_assert_uint_ge(same * 1000, items * 999);
    ck_assert_double_le(worst, 1e-3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parity");
    TCase *tests = tcase_create("parity");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, scorer_open, scorer_close);
    tcase_add_test(tests, scores_as_lm_eval_does);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed == 0 && ran > 0 ? 0 : 1;
}
