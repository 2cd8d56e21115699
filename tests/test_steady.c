/* Training takes all its memory before the first update and during it, none later.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "tests/fixture.h"
#include "train/train.h"

#include <check.h>
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
    OK(model_open(FIXTURE_MODEL, gpu, &(struct model_options){ .train = true }, &model, &st));
}

static void closed(void)
{
    model_close(model);
    gpu_close(gpu);
    model = NULL;
    gpu = NULL;
}

/* As on a device whose memory the host does not see. */
static void staged(void)
{
    ck_assert_int_eq(setenv("LETHE_STAGING", "1", 1), 0);
    opened();
}

/* Sequences of many lengths: no update has the shape of the one before. */
static const char DATA[] =
    "{\"prompt\":\"The capital of France is\",\"completion\":\" Lima\"}\n"
    "{\"prompt\":\"The\",\"completion\":\" cat\"}\n"
    "{\"prompt\":\"Question: What is the capital of Peru?\\nAnswer:\",\"completion\":\" Paris\"}\n"
    "{\"prompt\":\"The\",\"completion\":\" cat sat on the mat 12\"}\n"
    "{\"prompt\":\"What is the capital of the cat that sat on the mat?\",\"completion\":\" mat\"}\n"
    "{\"prompt\":\"on the mat\",\"completion\":\" sat the cat.\"}\n"
    "{\"prompt\":\"on\",\"completion\":\" the\"}\n";

static void recipe_make(const char *keys, struct recipe *out)
{
    struct json *tree = NULL;
    OK(json_parse(keys, strlen(keys), &tree, &st));
    OK(recipe_parse(tree, out, &st));
    json_free(tree);
}

/* Two updates, then four whose allocations count: over the end of an epoch, with and without a short last
 * batch, micro-batches and dropout. `again`: blocks whose activations are computed again. */
static void steady(const char *keys, uint32_t again)
{
    struct recipe recipe;
    struct data data = { 0 };
    struct train *train = NULL;
    struct train_step step;
    const struct data_options how = {
        .encoder = { .tokenizer = model_get_tokenizer(model), .len_max = 64 },
    };
    recipe_make(keys, &recipe);
    OK(data_parse("train.jsonl", DATA, strlen(DATA), &how, &data, &st));
    const struct train_options options = {
        .recipe = &recipe, .data = &data, .base_name = "tiny", .again = again
    };
    OK(train_open(model, &options, &train, &st));
    const size_t opened_with = mem_count();
    for (int i = 0; i < 2; i++)
        OK(train_step(train, &step, &st));
    const size_t host = mem_count();
    const uint64_t device = gpu_allocations(gpu);
    ck_assert_uint_gt(host, opened_with); /* pipelines */
    ck_assert_uint_gt(device, 0);
    for (int i = 0; i < 4; i++)
        OK(train_step(train, &step, &st));
    ck_assert_uint_eq(step.step, 5);
    ck_assert_uint_eq(gpu_allocations(gpu) - device, 0);
    ck_assert_uint_eq(mem_count() - host, 0);
    train_close(train);
    data_release(&data);
}

START_TEST(updates_take_no_memory)
{
    steady("{\"name\":\"lora\",\"seed\":7,\"rank\":4,\"length\":64,\"batch\":3,\"epochs\":3}", 0);
}
END_TEST

START_TEST(micro_batches_and_dropout_take_no_memory)
{
    steady("{\"name\":\"lora\",\"seed\":7,\"rank\":4,\"length\":32,\"batch\":5,\"micro_batch\":1,\"dropout\":"
           "\"0.1\","
           "\"epochs\":3}",
           1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steady");
    TCase *mapped = tcase_create("mapped"), *copied = tcase_create("staged");
    tcase_add_checked_fixture(mapped, opened, closed);
    tcase_add_checked_fixture(copied, staged, closed);
    tcase_add_test(mapped, updates_take_no_memory);
    tcase_add_test(mapped, micro_batches_and_dropout_take_no_memory);
    tcase_add_test(copied, updates_take_no_memory);
    suite_add_tcase(suite, mapped);
    suite_add_tcase(suite, copied);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
