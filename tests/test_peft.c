/* The adapter that peft wrote for the small model: its values in the file's order, and written again.
 * tests/golden/check_adapter.py shows that peft reads what is written here and gives the same logits.
 * tier: quick */
#include "base/file.h"
#include "base/rng.h"
#include "model/adapter.h"
#include "model/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TINY    TESTS_DIR "/golden/tiny/tiny.gguf"
#define ADAPTER TESTS_DIR "/golden/tiny/adapter"

enum { SEED = 7, RANK = 4, PARTS = 14 };

static struct status st;
static struct model_hyper hyper;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    struct gguf file = { 0 };
    st = (struct status){ 0 };
    OK(gguf_open(TINY, &file, &st));
    OK(hyper_parse(&file, &hyper, &st));
    gguf_close(&file);
}

/* Element e of a factor as tests/golden/README.md defines it: `third` is 0 for A and 1 for B. */
static float drawn(uint32_t tensor, uint32_t third, uint64_t e, float bound)
{
    struct rng_block block = rng_at(SEED, RNG_INIT, (uint32_t)(e >> 2), tensor, third);
    return (2.0f * rng_uniform(block.w[e & 3]) - 1.0f) * bound;
}

static void values_are_drawn(const struct adapter *x)
{
    ck_assert_uint_eq(x->n, PARTS);
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        float bound = (float)(1.0 / sqrt((double)p->in));
        ck_assert_uint_eq(p->r, RANK);
        ck_assert_float_eq(p->scale, 2.0f);
        ck_assert_uint_eq(p->tensor, role_index(&hyper, p->role, p->block));
        for (uint64_t e = 0; e < (uint64_t)p->r * p->in; e++)
            ck_assert_float_eq(p->a[e], drawn(p->tensor, 0, e, bound));
        for (uint64_t e = 0; e < (uint64_t)p->out * p->r; e++)
            ck_assert_float_eq(p->b[e], drawn(p->tensor, 1, e, 0.05f));
    }
}

START_TEST(rows_stand_in_the_order_of_the_file)
{
    struct adapter x = { 0 };
    OK(adapter_load(ADAPTER, &hyper, &x, &st));
    values_are_drawn(&x);
    adapter_release(&x);
}
END_TEST

/* LETHE_KEEP_ADAPTER=FOLDER leaves what was written there, for check_adapter.py. */
START_TEST(what_is_written_holds_the_tensors_of_peft)
{
    char made[] = "/tmp/lethe-peft-XXXXXX", path[256];
    const char *kept = getenv("LETHE_KEEP_ADAPTER"), *folder = kept ? kept : mkdtemp(made);
    struct adapter x = { 0 }, again = { 0 };
    struct safetensors ours = { 0 }, theirs = { 0 };
    ck_assert_ptr_nonnull(folder);
    OK(adapter_load(ADAPTER, &hyper, &x, &st));
    OK(adapter_save(&x, &hyper, "tiny", folder, &st));
    OK(adapter_load(folder, &hyper, &again, &st));
    values_are_drawn(&again);
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    OK(safetensors_open(path, &ours, &st));
    OK(safetensors_open(ADAPTER "/adapter_model.safetensors", &theirs, &st));
    ck_assert_uint_eq(ours.n, theirs.n);
    ck_assert_uint_eq(ours.n, 2 * PARTS);
    for (size_t i = 0; i < theirs.n; i++) {
        const struct safetensors_tensor *t = &theirs.tensors[i], *o = safetensors_find(&ours, t->name);
        ck_assert_msg(o != NULL, "%s is missing", t->name);
        ck_assert_uint_eq(o->shape[0], t->shape[0]);
        ck_assert_uint_eq(o->shape[1], t->shape[1]);
        ck_assert_mem_eq(o->data, t->data, t->n * sizeof(float));
    }
    safetensors_close(&ours);
    safetensors_close(&theirs);
    adapter_release(&x);
    adapter_release(&again);
    if (kept)
        return;
    unlink(path);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peft");
    TCase *tc = tcase_create("tiny");
    tcase_add_checked_fixture(tc, opened, NULL);
    tcase_add_test(tc, rows_stand_in_the_order_of_the_file);
    tcase_add_test(tc, what_is_written_holds_the_tensors_of_peft);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || run == 0;
}
