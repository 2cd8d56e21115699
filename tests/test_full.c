/* Full tuning: gradients and updates of every tensor as transformers has them, what is frozen, equal bits on
 * every run, after a stop and with less memory. tier: quick   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "tests/fixture.h"
#include "train/method.h"
#include "train/train.h"
#include "train/train_own.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER   TESTS_DIR "/golden/full/"
#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

enum { STEPS = 10 };

static struct status st;
static struct gpu *gpu;
static struct model *model;
static struct safetensors golden;
static struct data batch;
static char folder[64];

static void model_take(const char *path)
{
    model_close(model);
    model = NULL;
    OK(model_open(path, gpu, &(struct model_options){ .train = true, .f32 = true }, &model, &st));
}

static void opened(void)
{
    st = (struct status){ 0 };
    snprintf(folder, sizeof folder, "/tmp/lethe-full-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    OK(gpu_open(NULL, &gpu, &st));
    OK(safetensors_open(FOLDER "golden.safetensors", &golden, &st));
    golden_batch(&golden, &batch);
}

static void closed(void)
{
    char command[96];
    const char *first;
    golden_batch_release(&batch);
    safetensors_close(&golden);
    model_close(model);
    model = NULL;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
    gpu = NULL;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static int recipe_of(const char *keys, struct recipe *out)
{
    struct json *tree = NULL;
    struct str text = { 0 };
    str_printf(&text, "{\"name\":\"full\",\"seed\":7%s}", keys);
    OK(json_parse(text.data, text.size, &tree, &st));
    const int rc = recipe_parse(tree, out, &st);
    json_free(tree);
    str_release(&text);
    return rc;
}

/* On the golden batch: all of it in each update. */
static struct recipe recipe_make(const char *keys)
{
    struct recipe r;
    char all[256];
    snprintf(all, sizeof all,
             ",\"steps\":10,\"batch\":3,\"length\":128,\"schedule\":\"constant\",\"warmup_steps\":0,"
             "\"weight_decay\":\"0.01\"%s",
             keys);
    OK(recipe_of(all, &r));
    return r;
}

static struct train *run_open(const struct recipe *r, const char *out)
{
    struct train *t = NULL;
    OK(train_open(model, &(struct train_options){ .recipe = r, .data = &batch, .out_dir = out }, &t, &st));
    return t;
}

static double distance(const float *is, const float *want, size_t n)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        apart += ((double)is[i] - (double)want[i]) * ((double)is[i] - (double)want[i]);
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(apart / size);
}

/* A gradient in Hugging Face's order of rows: mem_free. */
static float *gradient_read(const struct full_part *p)
{
    const size_t n = (size_t)p->shape.rows * p->shape.columns;
    float *rows = mem_calloc(n, sizeof *rows), *out = mem_calloc(n, sizeof *out);
    ck_assert(rows && out);
    OK(gpu_read(gpu, p->buffers[FULL_GRADIENT], p->at, rows, n * sizeof *rows, &st));
    for (uint32_t row = 0; row < p->shape.rows; row++)
        memcpy(out + (size_t)role_row_hf(model_get_hyper(model), p->role, row) * p->shape.columns,
               rows + (size_t)row * p->shape.columns, p->shape.columns * sizeof *out);
    mem_free(rows);
    return out;
}

/* ---- as transformers has it ---- */

static const char *const MODELS[] = { "tied", "own" };

static void golden_model(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, FOLDER "%s.gguf", name);
    model_take(path);
}

/* The gradient of the next update, of every tensor. */
static void gradients_check(struct train *t, const char *name)
{
    struct train_step step;
    double worst = 0;
    size_t n = 0;
    char key[160], path[ROLE_PATH_MAX];
    OK(train_gradient(t, NULL, &step, &st));
    snprintf(key, sizeof key, "%s.loss", name);
    float *loss = golden_f32(&golden, key, &n);
    ck_assert_double_eq_tol(step.loss, (double)loss[0], 1e-5);
    mem_free(loss);
    ck_assert_uint_eq(t->full.n, hyper_tensors(model_get_hyper(model)));
    for (size_t i = 0; i < t->full.n; i++) {
        const struct full_part *p = &t->full.parts[i];
        role_path(p->role, p->block, path);
        snprintf(key, sizeof key, "%s.grad.%s.weight", name, path);
        float *want = golden_f32(&golden, key, &n), *is = gradient_read(p);
        ck_assert_uint_eq(n, (size_t)p->shape.rows * p->shape.columns);
        const double apart = distance(is, want, n);
        worst = apart > worst ? apart : worst;
        ck_assert_msg(apart < 1e-5, "%s: %g apart", key, apart); /* lavapipe 1.7e-6 */
        mem_free(want);
        mem_free(is);
    }
    printf("gradients of %s: %.2e apart at most\n", name, worst);
}

static void losses_check(const char *key, const double *is)
{
    size_t n = 0;
    float *want = golden_f32(&golden, key, &n);
    ck_assert_uint_eq(n, STEPS);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double apart = fabs(is[i] - (double)want[i]);
        worst = apart > worst ? apart : worst;
        ck_assert_msg(apart < 1.4e-5, "%s, update %zu: %.8g, not %.8g", key, i, is[i],
                      (double)want[i]); /* lavapipe 1.4e-6 */
    }
    printf("%s: %.2e apart at most\n", key, worst);
    ck_assert_double_lt(is[STEPS - 1], 0.9 * is[0]);
    mem_free(want);
}

/* The tuned file, tensor by tensor, and that a model opens with it to the same weights. */
static void weights_check(const char *name)
{
    struct safetensors file;
    struct model_plan plan;
    char key[160];
    double worst = 0;
    OK(safetensors_open(in_folder("out/model.safetensors"), &file, &st));
    ck_assert_uint_eq(file.n, hyper_tensors(model_get_hyper(model)));
    OK(model_plan(in_folder("out"), &plan, &st)); /* a whole Hugging Face directory */
    ck_assert_uint_eq(plan.parameters, hyper_parameters(model_get_hyper(model)));
    for (size_t i = 0; i < file.n; i++) {
        size_t n = 0, is_n = 0;
        snprintf(key, sizeof key, "%s.final.%s", name, file.tensors[i].name);
        float *want = golden_f32(&golden, key, &n), *is = golden_f32(&file, file.tensors[i].name, &is_n);
        ck_assert_uint_eq(is_n, n);
        ck_assert_uint_eq(file.tensors[i].dims, strstr(key, "norm") ? 1 : 2);
        const double apart = distance(is, want, n);
        worst = apart > worst ? apart : worst;
        ck_assert_msg(apart < 2e-6, "%s: %g apart", key, apart); /* lavapipe 2.4e-7 */
        mem_free(want);
        mem_free(is);
    }
    printf("weights of %s: %.2e apart at most\n", name, worst);
    safetensors_close(&file);
}

START_TEST(gradients_and_ten_updates_are_those_of_transformers)
{
    const char *name = MODELS[_i];
    double losses[STEPS];
    char key[64];
    struct train_step step;
    struct str one = { 0 }, two = { 0 };
    const struct recipe r = recipe_make(",\"lr\":\"0.001\",\"clip\":\"0\"");
    golden_model(name);
    struct train *t = run_open(&r, in_folder("out"));
    gradients_check(t, name);
    for (int i = 0; i < STEPS; i++) {
        OK(train_step(t, &step, &st));
        losses[i] = step.loss;
    }
    train_close(t);
    OK(full_save(model, in_folder("out"), &st));
    snprintf(key, sizeof key, "%s.losses", name);
    losses_check(key, losses);
    weights_check(name);
    /* All copies of the weights are those of the file: the model trains on from it to the same loss. */
    t = run_open(&r, NULL);
    OK(train_gradient(t, NULL, &step, &st));
    train_close(t);
    const double after = step.loss, norm = step.grad_norm;
    golden_model(name);
    OK(full_load(model, in_folder("out"), &st));
    OK(dir_make(in_folder("again"), &st));
    OK(full_save(model, in_folder("again"), &st));
    OK(file_read(in_folder("out/model.safetensors"), 1 << 24, &one, &st));
    OK(file_read(in_folder("again/model.safetensors"), 1 << 24, &two, &st));
    ck_assert(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
    t = run_open(&r, NULL);
    OK(train_gradient(t, NULL, &step, &st));
    train_close(t);
    ck_assert_double_eq(step.loss, after);
    ck_assert_double_eq(step.grad_norm, norm);
    str_release(&one);
    str_release(&two);
}
END_TEST

START_TEST(frozen_blocks_and_falling_rates)
{
    const char *name = MODELS[_i];
    double losses[STEPS];
    char key[64];
    struct train_step step;
    const struct recipe r =
        recipe_make(",\"lr\":\"0.003\",\"freeze\":\"0.5\",\"layer_decay\":\"0.5\",\"train_head\":true");
    golden_model(name);
    struct train *t = run_open(&r, NULL);
    for (int i = 0; i < STEPS; i++) {
        OK(train_step(t, &step, &st));
        losses[i] = step.loss;
    }
    snprintf(key, sizeof key, "%s.layered.losses", name);
    losses_check(key, losses);
    ck_assert_ptr_null(full_part(&t->full, ROLE_DOWN, 0));
    ck_assert_ptr_nonnull(full_part(&t->full, ROLE_Q, 1));
    ck_assert_ptr_nonnull(full_part(&t->full, ROLE_HEAD, 0));
    ck_assert_int_eq(full_part(&t->full, ROLE_EMBEDDING, 0) != NULL, _i == 0);
    train_close(t);
}
END_TEST

/* ---- what is trained, and how fast ---- */

START_TEST(rates_of_layers)
{
    struct recipe r;
    struct model_hyper h = { .blocks = 30, .tied_head = true };
    static const struct {
        uint32_t block;
        double rate;
    } WANT[] = { { 0, 0.306102 },  { 5, 0.375413 },  { 10, 0.460419 }, { 15, 0.564673 },
                 { 20, 0.692534 }, { 25, 0.849347 }, { 28, 0.96 },     { 29, 1 } };
    OK(recipe_of(",\"layer_decay\":\"0.96\"", &r));
    for (size_t i = 0; i < sizeof WANT / sizeof *WANT; i++)
        ck_assert_double_eq_tol(full_rate(&r, &h, ROLE_Q, WANT[i].block), WANT[i].rate, 5e-7);
    ck_assert_double_eq_tol(full_rate(&r, &h, ROLE_EMBEDDING, 0), 0.293858, 5e-7);
    ck_assert_double_eq_tol(full_rate(&r, &h, ROLE_HEAD, 0), 0.293858, 5e-7);
    ck_assert_double_eq(full_rate(&r, &h, ROLE_FINAL_NORM, 0), 1);
    h.tied_head = false;
    ck_assert_double_eq(full_rate(&r, &h, ROLE_HEAD, 0), 1);
    OK(recipe_of(",\"lr\":\"0.00002\",\"lr_bottom\":\"0.000001\"", &r));
    ck_assert_double_eq_tol(2e-5 * full_rate(&r, &h, ROLE_UP, 1), 1.655172e-6, 5e-13);
    ck_assert_double_eq_tol(2e-5 * full_rate(&r, &h, ROLE_UP, 14), 1.017241e-5, 5e-12);
    ck_assert_double_eq_tol(2e-5 * full_rate(&r, &h, ROLE_UP, 29), 2e-5, 1e-18);
    OK(recipe_of("", &r));
    for (uint32_t block = 0; block < 30; block++)
        ck_assert_double_eq(full_rate(&r, &h, ROLE_Q, block), 1);
}
END_TEST

static void refused(const char *keys, const char *words)
{
    struct recipe r;
    st = (struct status){ 0 };
    int rc = recipe_of(keys, &r);
    if (rc == 0)
        rc = recipe_check(&r, model_get_hyper(model), &st);
    ck_assert_msg(rc != 0 && strstr(st.msg, words), "%s: %d, '%s', not '%s'", keys, rc, st.msg, words);
    st = (struct status){ 0 };
}

START_TEST(what_contradicts_is_refused)
{
    golden_model("tied");
    refused(",\"rank\":8", "rank");
    refused(",\"dropout\":\"0.1\"", "dropout");
    refused(",\"freeze\":\"1.5\"", "key 'freeze' is 1.5, wanted 0 to 1");
    refused(",\"layer_decay\":\"0.9\",\"lr_bottom\":\"0.00001\"",
            "'layer_decay' and 'lr_bottom' cannot both");
    refused(",\"lr\":\"0\",\"lr_bottom\":\"0.00001\"", "wants an 'lr' above 0");
    refused(",\"length\":64,\"freeze\":\"1\"", "leaves nothing but the final norm");
    struct recipe r;
    struct json *tree = NULL;
    static const char LORA[] = "{\"name\":\"lora\",\"seed\":1,\"freeze\":\"0.5\"}";
    OK(json_parse(LORA, strlen(LORA), &tree, &st));
    ck_assert_int_ne(recipe_parse(tree, &r, &st), 0);
    ck_assert_msg(strstr(st.msg, "freeze"), "%s", st.msg);
    json_free(tree);
    st = (struct status){ 0 };
}
END_TEST

/* Blocks below the lowest that is trained cost no memory and no work of the backward pass. */
START_TEST(frozen_blocks_cost_nothing)
{
    static const char *const KEYS[] = { "", ",\"freeze\":\"0.5\"" };
    struct train_plan plan[2];
    uint64_t operators[2];
    struct train_step step;
    golden_model("own");
    const struct model_hyper *h = model_get_hyper(model);
    for (int i = 0; i < 2; i++) {
        const struct recipe r = recipe_make(KEYS[i]);
        const struct train_options o = { .recipe = &r, .data = &batch };
        OK(train_plan(h, &o, &plan[i], &st));
        struct train *t = run_open(&r, NULL);
        const uint64_t before = gpu_operators(gpu);
        OK(train_step(t, &step, &st));
        operators[i] = gpu_operators(gpu) - before;
        train_close(t);
    }
    const uint64_t block = 32 * 32 * 2 + 16 * 32 * 2 + 3 * 48 * 32 + 2 * 32;
    ck_assert_uint_eq(plan[0].trainable, hyper_parameters(h));
    ck_assert_uint_eq(plan[1].trainable, hyper_parameters(h) - block - 384 * 32);
    ck_assert_uint_eq(plan[1].frozen, 1);
    /* activations of a block, and four floats for each parameter less its weight */
    ck_assert_uint_gt(plan[0].device_bytes - plan[1].device_bytes, 3 * sizeof(float) * (block + 384 * 32));
    ck_assert_uint_le(operators[1] + 25, operators[0]);
}
END_TEST

/* ---- bits ---- */

struct result {
    struct str weights;
    double loss[STEPS];
    uint32_t again;
};

static int take_loss(void *self, const struct event *e, struct status *status)
{
    struct result *r = self;
    (void)status;
    if (strcmp(e->name, "step") == 0) {
        const unsigned long at = strtoul(strstr(e->keys, "\"step\":") + 7, NULL, 10);
        ck_assert_uint_lt(at, STEPS);
        r->loss[at] = strtod(strstr(e->keys, "\"loss\":") + 7, NULL);
    }
    return 0;
}

static const char RUN_KEYS[] = ",\"lr\":\"0.003\",\"layer_decay\":\"0.7\"";

/* The run in two processes' worth: `stop` updates, a model that is opened anew, and the rest. */
static void run_parts(const char *path, uint32_t stop, uint32_t again, struct result *out)
{
    const struct recipe r = recipe_make(RUN_KEYS);
    struct event_sink sink = { .self = out, .take = take_loss };
    struct train_options o = {
        .recipe = &r, .data = &batch, .out_dir = in_folder("run"), .sink = &sink, .again = again
    };
    struct train *t = NULL;
    struct train_result result;
    model_take(path);
    if (stop > 0) {
        o.stop_after = stop;
        OK(train_open(model, &o, &t, &st));
        ck_assert_int_eq(train_run(t, &result, &st), RC_INTERRUPTED);
        train_close(t);
        st = (struct status){ 0 };
        model_take(path);
        o.stop_after = 0;
        o.resume = true;
    }
    OK(train_open(model, &o, &t, &st));
    out->again = train_again(t);
    OK(train_run(t, &result, &st));
    train_close(t);
    ck_assert(!path_exists(in_folder("run/train.state")));
    OK(file_read(in_folder("run/model.safetensors"), 1 << 24, &out->weights, &st));
}

START_TEST(every_way_has_equal_bits)
{
    static const struct {
        uint32_t stop, again;
    } WAYS[] = { { 0, 0 }, { 0, 0 }, { 1, 0 }, { 7, 0 }, { 0, 1 }, { 4, 1 } };
    static const char *const PATHS[] = { FOLDER "own.gguf", TESTS_DIR "/golden/tiny/tiny-q4_1.gguf" };
    struct result first = { 0 };
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
        struct result next = { 0 };
        run_parts(PATHS[_i], WAYS[i].stop, WAYS[i].again, i == 0 ? &first : &next);
        if (i == 0)
            continue;
        ck_assert_uint_eq(next.again, WAYS[i].again);
        ck_assert_mem_eq(first.loss, next.loss, WAYS[i].stop ? 0 : sizeof first.loss);
        ck_assert_double_eq(first.loss[STEPS - 1], next.loss[STEPS - 1]);
        ck_assert_msg(first.weights.size == next.weights.size &&
                          memcmp(first.weights.data, next.weights.data, first.weights.size) == 0,
                      "way %zu: other weights", i);
        str_release(&next.weights);
    }
    str_release(&first.weights);
}
END_TEST

START_TEST(micro_batches_do_not_change_the_gradient)
{
    struct train_step one, many;
    const struct recipe wide = recipe_make(",\"micro_batch\":3");
    struct recipe narrow = wide;
    narrow.micro_batch = 1;
    narrow.length = 24;
    golden_model("tied");
    struct train *a = run_open(&wide, NULL), *b = run_open(&narrow, NULL);
    OK(train_gradient(a, NULL, &one, &st));
    OK(train_gradient(b, NULL, &many, &st));
    ck_assert_uint_gt(a->plan.rows_max, b->plan.rows_max);
    ck_assert_double_eq_tol(one.loss, many.loss, 3e-6);
    for (size_t i = 0; i < a->full.n; i++) {
        float *x = gradient_read(&a->full.parts[i]), *y = gradient_read(&b->full.parts[i]);
        const struct tensor_shape s = a->full.parts[i].shape;
        const double apart = distance(x, y, (size_t)s.rows * s.columns);
        ck_assert_msg(apart < 1e-5, "tensor %zu: %g apart", i, apart);
        mem_free(x);
        mem_free(y);
    }
    train_close(a);
    train_close(b);
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_is_counted_before_it_is_taken)
{
    struct train_plan plan;
    struct train_step step;
    const struct recipe r = recipe_make("");
    const struct train_options o = { .recipe = &r, .data = &batch };
    golden_model("own");
    OK(train_plan(model_get_hyper(model), &o, &plan, &st));
    const uint64_t before = gpu_bytes_used(gpu);
    struct train *t = run_open(&r, NULL);
    const uint64_t after = gpu_bytes_used(gpu);
    ck_assert_uint_le(after - before, plan.device_bytes);
    ck_assert_uint_gt(after - before, plan.device_bytes - plan.device_bytes / 50);
    ck_assert_uint_lt(plan.device_bytes_least, plan.device_bytes);
    for (int i = 0; i < 3; i++)
        OK(train_step(t, &step, &st));
    ck_assert_uint_eq(gpu_bytes_used(gpu), after);
    train_close(t);
}
END_TEST

START_TEST(opening_survives_every_failed_allocation)
{
    const struct recipe r = recipe_make("");
    const struct train_options o = { .recipe = &r, .data = &batch };
    golden_model("tied");
    const uint64_t before = gpu_bytes_used(gpu);
    for (size_t nth = 1;; nth++) {
        struct train *t = NULL;
        st = (struct status){ 0 };
        mem_fail_at(nth);
        const int rc = train_open(model, &o, &t, &st);
        mem_fail_at(0);
        if (rc == 0) {
            train_close(t);
            ck_assert_uint_ge(nth, 20);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %d, %s", nth, rc, st.msg);
        ck_assert_ptr_null(t);
        ck_assert_uint_eq(gpu_bytes_used(gpu), before);
    }
}
END_TEST

START_TEST(a_model_in_its_own_types_is_refused)
{
    struct train *t = NULL;
    const struct recipe r = recipe_make("");
    OK(model_open(TESTS_DIR "/golden/tiny/tiny-q4_1.gguf", gpu, &(struct model_options){ .train = true },
                  &model, &st));
    ck_assert_int_eq(train_open(model, &(struct train_options){ .recipe = &r, .data = &batch }, &t, &st),
                     RC_ARG);
    ck_assert_msg(strstr(st.msg, "not in f32"), "%s", st.msg);
}
END_TEST

/* ---- the file ---- */

START_TEST(a_file_of_another_model_is_refused)
{
    golden_model("own");
    OK(dir_make(in_folder("own"), &st));
    OK(full_save(model, in_folder("own"), &st));
    golden_model("tied");
    ck_assert_int_eq(full_load(model, in_folder("own"), &st), RC_FORMAT);
    ck_assert_msg(strstr(st.msg, "own/model.safetensors: tensor 'lm_head.weight' is no part of the model"),
                  "%s", st.msg);
    st = (struct status){ 0 };
    model_take(FIXTURE_MODEL);
    ck_assert_int_eq(full_load(model, in_folder("own"), &st), RC_FORMAT);
    ck_assert_msg(strstr(st.msg, "the model wants 384 x 64"), "%s", st.msg);
    st = (struct status){ 0 };
    ck_assert_int_eq(full_load(model, in_folder("none"), &st), RC_IO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("full");
    TCase *t = tcase_create("full");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, gradients_and_ten_updates_are_those_of_transformers, 0, 2);
    tcase_add_loop_test(t, frozen_blocks_and_falling_rates, 0, 2);
    tcase_add_test(t, rates_of_layers);
    tcase_add_test(t, what_contradicts_is_refused);
    tcase_add_test(t, frozen_blocks_cost_nothing);
    tcase_add_loop_test(t, every_way_has_equal_bits, 0, 2);
    tcase_add_test(t, micro_batches_do_not_change_the_gradient);
    tcase_add_test(t, memory_is_counted_before_it_is_taken);
    tcase_add_test(t, opening_survives_every_failed_allocation);
    tcase_add_test(t, a_model_in_its_own_types_is_refused);
    tcase_add_test(t, a_file_of_another_model_is_refused);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
