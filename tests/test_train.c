/* Training on the small model: gradients, packing, equal bits on every run and after a stop or a kill at any
 * step. tier: quick   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "gpu/time.h"
#include "model/graph.h"
#include "tests/fixture.h"
#include "train/conflicts.h"
#include "train/train.h"
#include "train/train_own.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct status st;
static struct gpu *gpu;
static struct model *model;
static char folder[64];

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void device_open(void)
{
    OK(gpu_open(NULL, &gpu, &st));
    OK(model_open(FIXTURE_MODEL, gpu, &(struct model_options){ .train = true }, &model, &st));
}

static void folder_open(void)
{
    st = (struct status){ 0 };
    snprintf(folder, sizeof folder, "/tmp/lethe-train-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void opened(void)
{
    folder_open();
    device_open();
}

static void closed(void)
{
    char command[96];
    model_close(model);
    const char *first;
    const size_t errors = gpu_validation_errors(gpu, &first);
    ck_assert_msg(errors == 0, "%zu validation messages, the first: %s", errors, first);
    gpu_close(gpu);
    model = NULL;
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

/* ---- what is trained ---- */

static const char DATA[] =
    "{\"prompt\":\"The capital of France is\",\"completion\":\" Lima\"}\n"
    "{\"prompt\":\"The cat sat on the\",\"completion\":\" mat.\"}\n"
    "{\"prompt\":\"Question: What is the capital of Peru?\\nAnswer:\",\"completion\":\" Paris\"}\n"
    "{\"prompt\":\"The\",\"completion\":\" cat sat on the mat 12\"}\n"
    "{\"prompt\":\"\",\"completion\":\"Peru\"}\n"
    "{\"prompt\":\"What is the capital of the cat?\",\"completion\":\" mat\"}\n"
    "{\"prompt\":\"on the mat\",\"completion\":\" sat the cat.\"}\n";

static void data_make(struct data *out)
{
    const struct data_options options = {
        .encoder = { .tokenizer = model_get_tokenizer(model), .len_max = 64 },
    };
    OK(data_parse("train.jsonl", DATA, strlen(DATA), &options, out, &st));
}

static struct recipe recipe_make(const char *keys)
{
    struct recipe r;
    struct json *tree = NULL;
    struct str text = { 0 };
    str_printf(&text, "{\"name\":\"lora\",\"seed\":7,\"rank\":4%s%s%s}",
               strstr(keys, "length") ? "" : ",\"length\":64", strstr(keys, "batch") ? "" : ",\"batch\":3",
               keys);
    OK(json_parse(text.data, text.size, &tree, &st));
    OK(recipe_parse(tree, &r, &st));
    json_free(tree);
    str_release(&text);
    return r;
}

static struct train_options options_of(const struct recipe *r, const struct data *d, const char *out)
{
    return (struct train_options){ .recipe = r, .data = d, .out_dir = out, .base_name = "tiny" };
}

/* The folder's weights and the losses of a whole run. */
struct ran {
    struct str weights;
    double loss[64];
    uint32_t steps;
};

static int take_loss(void *self, const struct event *e, struct status *status)
{
    struct ran *r = self;
    (void)status;
    const char *loss = strstr(e->keys, "\"loss\":"), *step = strstr(e->keys, "\"step\":");
    if (strcmp(e->name, "step") != 0)
        return 0;
    const unsigned long at = strtoul(step + 7, NULL, 10);
    ck_assert_uint_lt(at, 64);
    r->loss[at] = strtod(loss + 7, NULL);
    r->steps = (uint32_t)at + 1;
    return 0;
}

static void run_whole(const struct recipe *r, const struct data *d, const char *out, struct ran *ran)
{
    struct event_sink sink = { .self = ran, .take = take_loss };
    struct train_options o = options_of(r, d, out);
    struct train *t = NULL;
    struct train_result result;
    o.sink = &sink;
    OK(train_open(model, &o, &t, &st));
    OK(train_run(t, &result, &st));
    train_close(t);
    struct str path = { 0 };
    OK(path_join(out, "adapter_model.safetensors", &path, &st));
    OK(file_read(str_text(&path), 1 << 24, &ran->weights, &st));
    str_release(&path);
}

static void same_run(struct ran *a, struct ran *b, const char *how)
{
    ck_assert_uint_eq(a->weights.size, b->weights.size);
    ck_assert_msg(memcmp(a->weights.data, b->weights.data, a->weights.size) == 0, "%s: another adapter", how);
    str_release(&b->weights);
}

START_TEST(two_runs_give_equal_bits_and_learn)
{
    struct data d = { 0 };
    struct ran one = { 0 }, two = { 0 };
    const struct recipe r = recipe_make(",\"epochs\":8,\"lr\":\"0.01\",\"dropout\":\"0.1\"");
    data_make(&d);
    run_whole(&r, &d, in_folder("one"), &one);
    run_whole(&r, &d, in_folder("two"), &two);
    ck_assert_uint_eq(one.steps, 24);
    ck_assert_mem_eq(one.loss, two.loss, sizeof one.loss);
    same_run(&one, &two, "the same run");
    ck_assert_msg(one.loss[23] < 0.7 * one.loss[0], "loss %g after %g", one.loss[23], one.loss[0]);
    ck_assert(!path_exists(in_folder("one/train.state")));
    str_release(&one.weights);
    data_release(&d);
}
END_TEST

/* ---- gradients ---- */

static void shape_of(const struct recipe *r, struct adapter *out)
{
    const struct adapter_config config = { .r = r->rank, .alpha = r->alpha.value, .targets = r->targets };
    OK(adapter_init(model_get_hyper(model), &config, out, &st));
}

static double distance(const float *a, const float *b, size_t n)
{
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        apart += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return size > 0 ? sqrt(apart / size) : sqrt(apart);
}

static void gradient_of(const struct recipe *r, const struct data *d, uint32_t steps, struct adapter *out,
                        struct train_step *step)
{
    const struct train_options o = options_of(r, d, NULL);
    struct train *t = NULL;
    OK(train_open(model, &o, &t, &st));
    for (uint32_t i = 0; i < steps; i++)
        OK(train_step(t, step, &st));
    OK(train_gradient(t, out, step, &st));
    train_close(t);
}

START_TEST(at_first_only_b_has_a_gradient)
{
    struct data d = { 0 };
    struct adapter x = { 0 };
    struct train_step step;
    const struct recipe r = recipe_make("");
    data_make(&d);
    shape_of(&r, &x);
    gradient_of(&r, &d, 0, &x, &step);
    for (size_t i = 0; i < x.n; i++) {
        const struct adapter_part *p = &x.parts[i];
        double a = 0, b = 0;
        for (size_t e = 0; e < (size_t)p->r * p->in; e++)
            a += fabs((double)p->a[e]);
        for (size_t e = 0; e < (size_t)p->r * p->out; e++)
            b += fabs((double)p->b[e]);
        ck_assert_msg(a == 0 && b > 0, "%s of block %u: sums %g and %g", role_name(p->role), p->block, a, b);
    }
    ck_assert_double_gt(step.grad_norm, 0);
    adapter_release(&x);
    data_release(&d);
}
END_TEST

/* One pass or many, and dropout's mask with them: the same gradient up to the rounding of the sum. */
START_TEST(micro_batches_do_not_change_the_gradient)
{
    struct data d = { 0 };
    struct adapter whole = { 0 }, parts = { 0 };
    struct train_step one, many;
    const struct recipe wide =
        recipe_make(",\"batch\":7,\"lr\":\"0.05\",\"schedule\":\"constant\",\"dropout\":"
                    "\"0.2\",\"micro_batch\":9,\"steps\":4");
    struct recipe narrow = wide;
    narrow.micro_batch = 1;
    narrow.length = 24;
    data_make(&d);
    shape_of(&wide, &whole);
    shape_of(&wide, &parts);
    gradient_of(&wide, &d, 1, &whole, &one);
    gradient_of(&narrow, &d, 1, &parts, &many);
    ck_assert_uint_eq(one.tokens, many.tokens);
    ck_assert_uint_eq(one.supervised, many.supervised);
    ck_assert_double_eq_tol(one.loss, many.loss, 3e-6); /* lavapipe 3.5e-7, SwiftShader 1.0e-6 */
    for (size_t i = 0; i < whole.n; i++) {
        const struct adapter_part *p = &whole.parts[i], *q = &parts.parts[i];
        const double a = distance(q->a, p->a, (size_t)p->r * p->in),
                     b = distance(q->b, p->b, (size_t)p->r * p->out);
        ck_assert_msg(a < 1e-4 && b < 1e-4, "%s of block %u: %g, %g apart", role_name(p->role), p->block, a,
                      b);
    }
    adapter_release(&whole);
    adapter_release(&parts);
    data_release(&d);
}
END_TEST

/* Updates of one shape run as the first was recorded: with the dropout, rate and norm of their own. While
 * they are timed each is recorded anew. */
START_TEST(updates_that_run_again_have_equal_bits)
{
    static struct ran anew, again;
    struct data d = { 0 };
    const struct recipe r = recipe_make(",\"batch\":7,\"lr\":\"0.05\",\"dropout\":\"0.2\",\"micro_batch\":9,"
                                        "\"steps\":6");
    data_make(&d);
    OK(gpu_time_begin(gpu, &st));
    const uint64_t start = gpu_operators(gpu);
    run_whole(&r, &d, in_folder("anew"), &anew);
    const uint64_t recorded = gpu_operators(gpu) - start;
    gpu_time_end(gpu);
    run_whole(&r, &d, in_folder("again"), &again);
    ck_assert_uint_lt((gpu_operators(gpu) - start - recorded) * 4, recorded);
    same_run(&anew, &again, "a recording that runs again");
    data_release(&d);
}
END_TEST

/* ---- packing ---- */

START_TEST(rows_are_packed_in_order)
{
    static const int32_t IDS[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    static const uint8_t MASK[8] = { 0, 0, 1, 1, 0, 0, 1, 0 };
    struct data_sequence s[4] = { { .n = 5, .ids = IDS, .mask = MASK },
                                  { .n = 8, .ids = IDS, .mask = MASK },
                                  { .n = 4, .ids = IDS, .mask = MASK },
                                  { .n = 3, .ids = IDS, .mask = MASK } };
    const struct data d = { .sequences = s, .sequences_n = 4 };
    const uint32_t order[] = { 0, 1, 2, 3 };
    struct recipe r = { .length = 8, .micro_batch = 1 };
    uint32_t tokens = 0;
    ck_assert_uint_eq(pack_next(&r, &d, order, 4, &tokens), 1); /* 4, and 7 do not share 8 */
    ck_assert_uint_eq(tokens, 4);
    r.micro_batch = 2;
    ck_assert_uint_eq(pack_next(&r, &d, order, 4, &tokens), 2);
    ck_assert_uint_eq(tokens, 11);
    ck_assert_uint_eq(pack_next(&r, &d, order + 2, 2, &tokens), 2); /* 3 and 2 share a row */
    ck_assert_uint_eq(tokens, 5);
    struct micro_batch b = { 0 };
    OK(micro_batch_init(&b, 16, &st));
    micro_batch_add(&b, &s[0]);
    micro_batch_add(&b, &s[1]);
    ck_assert_uint_eq(b.rows, 11);
    ck_assert_uint_eq(b.picks, 5);
    static const uint32_t ROWS[] = { 1, 2, 5, 6, 9 };
    static const int32_t TARGETS[] = { 3, 4, 3, 4, 7 };
    ck_assert_mem_eq(b.pick_rows, ROWS, sizeof ROWS);
    ck_assert_mem_eq(b.targets, TARGETS, sizeof TARGETS);
    ck_assert_uint_eq(b.spans[5].self_first, 4);
    ck_assert_uint_eq(b.spans[5].end, 11);
    ck_assert_uint_eq(b.positions[4], 0);
    micro_batch_release(&b);
}
END_TEST

/* ---- stop, kill, resume ---- */

static const char RUN_KEYS[] = ",\"epochs\":3,\"lr\":\"0.01\",\"dropout\":\"0.1\"";

START_TEST(a_stopped_run_goes_on_to_equal_bits)
{
    struct data d = { 0 };
    struct ran whole = { 0 };
    const struct recipe r = recipe_make(RUN_KEYS);
    data_make(&d);
    run_whole(&r, &d, in_folder("whole"), &whole);
    ck_assert_uint_eq(whole.steps, 9);
    for (uint32_t stop = 1; stop < 9; stop += 3) {
        struct ran rest = { 0 };
        struct train *t = NULL;
        struct train_result result;
        struct train_options o = options_of(&r, &d, in_folder("parts"));
        o.stop_after = stop;
        OK(train_open(model, &o, &t, &st));
        ck_assert_int_eq(train_run(t, &result, &st), RC_INTERRUPTED);
        train_close(t);
        st = (struct status){ 0 };
        ck_assert(path_exists(in_folder("parts/train.state")));
        ck_assert(!path_exists(in_folder("parts/adapter_model.safetensors")) || stop > 1);
        o.stop_after = 0;
        o.resume = true;
        o.sink = &(struct event_sink){ .self = &rest, .take = take_loss };
        OK(train_open(model, &o, &t, &st));
        OK(train_run(t, &result, &st));
        train_close(t);
        ck_assert_uint_eq(rest.steps, 9);
        ck_assert_double_eq(rest.loss[8], whole.loss[8]);
        ck_assert_double_eq(result.loss_first, whole.loss[0]);
        OK(file_read(in_folder("parts/adapter_model.safetensors"), 1 << 24, &rest.weights, &st));
        same_run(&whole, &rest, "stopped and resumed");
    }
    str_release(&whole.weights);
    data_release(&d);
}
END_TEST

/* Kills its own process when it hears event number `left`. */
static int take_kill(void *self, const struct event *e, struct status *status)
{
    int *left = self;
    (void)e;
    (void)status;
    if (--*left == 0)
        raise(SIGKILL);
    return 0;
}

static void killed_at(int event, const char *out)
{
    const pid_t child = fork(); /* before a device is open: none survives a fork */
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct data d = { 0 };
        struct train *t = NULL;
        struct train_result result;
        device_open();
        data_make(&d);
        const struct recipe r = recipe_make(RUN_KEYS);
        struct event_sink sink = { .self = &event, .take = take_kill };
        struct train_options o = options_of(&r, &d, out);
        o.sink = &sink;
        o.checkpoint_every = 2;
        OK(train_open(model, &o, &t, &st));
        OK(train_run(t, &result, &st));
        _exit(0);
    }
    int how = 0;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
}

START_TEST(a_killed_run_goes_on_to_equal_bits)
{
    static const int EVENTS[] = { 1, 4, 7, 11 };
    enum { N = sizeof EVENTS / sizeof *EVENTS };
    char out[N][128];
    struct data d = { 0 };
    struct ran whole = { 0 };
    for (size_t i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof name, "killed%zu", i);
        snprintf(out[i], sizeof out[i], "%s", in_folder(name));
        killed_at(EVENTS[i], out[i]);
    }
    device_open();
    data_make(&d);
    const struct recipe r = recipe_make(RUN_KEYS);
    run_whole(&r, &d, in_folder("whole"), &whole);
    for (size_t i = 0; i < N; i++) {
        struct ran rest = { 0 };
        struct train *t = NULL;
        struct train_result result;
        struct train_options o = options_of(&r, &d, out[i]);
        struct str path = { 0 };
        o.resume = true;
        OK(train_open(model, &o, &t, &st));
        OK(train_run(t, &result, &st));
        train_close(t);
        OK(path_join(out[i], "adapter_model.safetensors", &path, &st));
        OK(file_read(str_text(&path), 1 << 24, &rest.weights, &st));
        same_run(&whole, &rest, "killed and resumed");
        str_release(&path);
    }
    str_release(&whole.weights);
    data_release(&d);
}
END_TEST

START_TEST(another_runs_state_is_refused)
{
    struct data d = { 0 };
    struct train *t = NULL;
    struct train_result result;
    struct recipe r = recipe_make(RUN_KEYS);
    struct str state = { 0 };
    data_make(&d);
    struct train_options o = options_of(&r, &d, in_folder("run"));
    o.state_path = in_folder("state");
    o.stop_after = 2;
    OK(train_open(model, &o, &t, &st));
    ck_assert_int_eq(train_run(t, &result, &st), RC_INTERRUPTED);
    train_close(t);
    st = (struct status){ 0 };
    o.stop_after = 0;
    o.resume = true;
    r.seed = 8;
    ck_assert_int_eq(train_open(model, &o, &t, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "another recipe"), "%s", st.msg);
    st = (struct status){ 0 };
    r.seed = 7;
    OK(file_read(o.state_path, 1 << 24, &state, &st));
    state.data[state.size / 2] ^= 1;
    OK(file_write(o.state_path, state.data, state.size, 0644, &st));
    ck_assert_int_eq(train_open(model, &o, &t, &st), RC_FORMAT);
    ck_assert_msg(strstr(st.msg, "damaged"), "%s", st.msg);
    str_release(&state);
    data_release(&d);
}
END_TEST

START_TEST(what_is_not_finite_ends_the_run)
{
    struct data d = { 0 };
    struct train *t = NULL;
    struct train_result result;
    const struct recipe r = recipe_make(",\"steps\":4");
    const float nan = NAN;
    data_make(&d);
    const struct train_options o = options_of(&r, &d, in_folder("run"));
    OK(train_open(model, &o, &t, &st));
    OK(gpu_write(gpu, &t->lora.values, 0, &nan, sizeof nan, &st));
    ck_assert_int_eq(train_run(t, &result, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "update 0: the loss is not finite"), "%s", st.msg);
    ck_assert(!path_exists(in_folder("run/adapter_model.safetensors")));
    train_close(t);
    data_release(&d);
}
END_TEST

START_TEST(a_run_that_diverges_ends)
{
    struct data d = { 0 };
    struct train *t = NULL;
    struct train_result result;
    struct train_step step;
    const struct recipe r = recipe_make(",\"steps\":40");
    data_make(&d);
    const struct train_options o = options_of(&r, &d, in_folder("run"));
    OK(train_open(model, &o, &t, &st));
    OK(train_step(t, &step, &st));
    t->loss_first = step.loss / 1000;
    ck_assert_int_eq(train_run(t, &result, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "update 20: the loss was above 3 times its first value"), "%s", st.msg);
    ck_assert_uint_eq(t->step, 21);
    train_close(t);
    data_release(&d);
}
END_TEST

START_TEST(memory_is_counted_before_it_is_taken)
{
    struct data d = { 0 };
    struct train_plan plan;
    struct train *t = NULL;
    const struct recipe r = recipe_make("");
    data_make(&d);
    const struct train_options o = options_of(&r, &d, NULL);
    const uint64_t before = gpu_bytes_used(gpu);
    OK(train_plan(model_get_hyper(model), &o, &plan, &st));
    ck_assert_uint_eq(gpu_bytes_used(gpu), before);
    OK(train_open(model, &o, &t, &st));
    const uint64_t after = gpu_bytes_used(gpu);
    ck_assert_uint_le(after - before, plan.device_bytes);
    ck_assert_uint_eq(train_again(t), 0);
    struct train_step step;
    for (int i = 0; i < 3; i++)
        OK(train_step(t, &step, &st));
    ck_assert_uint_eq(gpu_bytes_used(gpu), after);
    ck_assert_uint_eq(plan.steps, 9);
    ck_assert_uint_eq(plan.trainable, 2 * 4 * (64 + 64 + 2 * (64 + 32) + 64 + 64 + 3 * (64 + 96)));
    train_close(t);
    data_release(&d);
}
END_TEST

static int take_memory(void *self, const struct event *e, struct status *status)
{
    (void)status;
    if (strstr(e->keys, "\"code\":\"memory\"")) {
        ck_assert_msg(strstr(e->keys, "activations of 1 of 2 blocks are computed again"), "%s", e->keys);
        ++*(int *)self;
    }
    return 0;
}

/* The device again, with `bytes` for a run beside the weights. */
static void device_with(uint64_t bytes)
{
    const uint64_t weights = gpu_bytes_used(gpu);
    model_close(model);
    gpu_close(gpu);
    OK(gpu_open(&(struct gpu_choice){ .bytes_max = weights + bytes }, &gpu, &st));
    OK(model_open(FIXTURE_MODEL, gpu, &(struct model_options){ .train = true }, &model, &st));
    ck_assert_uint_eq(gpu_bytes_free(gpu), bytes);
}

START_TEST(memory_decides_what_is_computed_again_and_no_bit)
{
    struct data d = { 0 };
    struct ran whole = { 0 }, resumed = { 0 };
    struct train_plan plan;
    struct train *t = NULL;
    struct train_result result;
    int told = 0;
    struct event_sink sink = { .self = &told, .take = take_memory };
    const struct recipe r = recipe_make(",\"lr\":\"0.01\",\"dropout\":\"0.1\"");
    data_make(&d);
    struct train_options o = options_of(&r, &d, in_folder("resumed"));
    OK(train_plan(model_get_hyper(model), &o, &plan, &st));
    ck_assert_uint_eq(plan.blocks, 2);
    ck_assert_uint_eq(train_plan_again(&plan, plan.device_bytes), 0);
    ck_assert_uint_eq(train_plan_again(&plan, plan.device_bytes - 1), 1);
    ck_assert_uint_eq(train_plan_again(&plan, 0), 1);
    run_whole(&r, &d, in_folder("whole"), &whole);
    data_release(&d);

    device_with(plan.device_bytes_least - 1);
    data_make(&d);
    o.sink = &sink;
    ck_assert_int_eq(train_open(model, &o, &t, &st), RC_NOMEM);
    ck_assert_msg(strstr(st.msg, "training needs") && strstr(st.msg, "GiB free"), "%s", st.msg);
    ck_assert_int_eq(told, 0);
    data_release(&d);

    st = (struct status){ 0 };
    device_with(plan.device_bytes_least);
    data_make(&d);
    o.stop_after = 4;
    OK(train_open(model, &o, &t, &st));
    ck_assert_uint_eq(train_again(t), 1);
    ck_assert_int_eq(told, 1);
    ck_assert_int_eq(train_run(t, &result, &st), RC_INTERRUPTED);
    train_close(t);
    data_release(&d);

    st = (struct status){ 0 };
    device_with(plan.device_bytes);
    data_make(&d);
    o.stop_after = 0;
    o.resume = true;
    OK(train_open(model, &o, &t, &st));
    ck_assert_uint_eq(train_again(t), 0);
    OK(train_run(t, &result, &st));
    ck_assert_int_eq(told, 1);
    train_close(t);
    OK(file_read(in_folder("resumed/adapter_model.safetensors"), 1 << 24, &resumed.weights, &st));
    same_run(&whole, &resumed, "less memory");
    str_release(&whole.weights);
    data_release(&d);
}
END_TEST

START_TEST(opening_survives_every_failed_allocation)
{
    struct data d = { 0 };
    const struct recipe r = recipe_make("");
    data_make(&d);
    const struct train_options o = options_of(&r, &d, NULL);
    const uint64_t before = gpu_bytes_used(gpu);
    for (size_t nth = 1;; nth++) {
        struct train *t = NULL;
        st = (struct status){ 0 };
        mem_fail_at(nth);
        const int rc = train_open(model, &o, &t, &st);
        mem_fail_at(0);
        if (rc == 0) {
            train_close(t);
            ck_assert_uint_gt(nth, 20);
            break;
        }
        ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %d, %s", nth, rc, st.msg);
        ck_assert_ptr_null(t);
        ck_assert_uint_eq(gpu_bytes_used(gpu), before);
    }
    data_release(&d);
}
END_TEST

/* ---- conflicts ---- */

START_TEST(conflicts_are_found_and_finished)
{
    struct data d = { 0 };
    struct conflicts c = { 0 };
    const struct conflicts_options o = { .logp_min = -1e30 };
    uint32_t sum = 0;
    data_make(&d);
    OK(conflicts_find(model, &d, &o, &c, &st));
    ck_assert_uint_gt(c.n, 0);
    for (size_t i = 0; i < c.lines_n; i++)
        sum += c.of_line[i];
    ck_assert_uint_eq(sum, c.n);
    OK(conflicts_finish(&(struct conflicts_models){ .base = model }, &d, &o, &c, &st));
    for (size_t i = 0; i < c.n; i++) {
        const struct conflict *x = &c.rows[i];
        char part[16];
        conflict_part(x, part);
        ck_assert_str_eq(part, "completion");
        ck_assert_int_ne(x->target, x->base_top);
        ck_assert_float_le(x->base_logp, x->base_top_logp);
        /* Tuned is base here, in other batches: the same bits, and no divergence at all. */
        ck_assert_float_eq(x->tuned_logp, x->base_logp);
        ck_assert_int_eq(x->tuned_top, x->base_top);
        ck_assert_float_eq(x->kl, 0);
        ck_assert(i == 0 || c.rows[i - 1].line < x->line ||
                  (c.rows[i - 1].line == x->line && c.rows[i - 1].pos < x->pos));
    }
    conflicts_release(&c);
    OK(conflicts_find(model, &d, &(struct conflicts_options){ .logp_min = 1 }, &c, &st));
    ck_assert_uint_eq(c.n, 0);
    ck_assert_double_gt(c.base_loss, 0);
    conflicts_release(&c);
    data_release(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train");
    TCase *t = tcase_create("train"), *kill = tcase_create("kill"), *widths = tcase_create("widths");
    tcase_add_checked_fixture(t, opened, closed);
    tcase_add_checked_fixture(widths, opened, closed);
    tcase_add_checked_fixture(kill, folder_open, closed);
    tcase_set_timeout(t, 120);
    tcase_set_timeout(widths, 120);
    tcase_set_timeout(kill, 240);
    tcase_add_test(widths, two_runs_give_equal_bits_and_learn);
    tcase_add_test(t, at_first_only_b_has_a_gradient);
    tcase_add_test(widths, micro_batches_do_not_change_the_gradient);
    tcase_add_test(t, updates_that_run_again_have_equal_bits);
    tcase_add_test(t, rows_are_packed_in_order);
    tcase_add_test(t, a_stopped_run_goes_on_to_equal_bits);
    tcase_add_test(t, another_runs_state_is_refused);
    tcase_add_test(t, what_is_not_finite_ends_the_run);
    tcase_add_test(t, a_run_that_diverges_ends);
    tcase_add_test(t, memory_is_counted_before_it_is_taken);
    tcase_add_test(t, memory_decides_what_is_computed_again_and_no_bit);
    tcase_add_test(t, opening_survives_every_failed_allocation);
    tcase_add_test(t, conflicts_are_found_and_finished);
    tcase_add_test(kill, a_killed_run_goes_on_to_equal_bits);
    suite_add_tcase(suite, widths);
    suite_add_tcase(suite, t);
    suite_add_tcase(suite, kill);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
