/* Recipes: what is read, what is refused by name, what is written back; schedules and warm-up against worked
 * numbers. tier: quick */
#include "base/json.h"
#include "train/recipe.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status st;

static int parse(const char *text, struct recipe *out)
{
    int rc = 0;
    struct json *tree = NULL;
    st = (struct status){ 0 };
    TRY(json_parse(text, strlen(text), &tree, &st));
    TRY(recipe_parse(tree, out, &st));
out:
    json_free(tree);
    return rc;
}

static void written(const struct recipe *r, struct str *out)
{
    struct json *tree = recipe_write(r);
    ck_assert_int_eq(json_check(tree, &st), 0);
    ck_assert_int_eq(json_write_canonical(tree, out, &st), 0);
    json_free(tree);
}

/* ---- reading and writing ---- */

START_TEST(defaults_are_written_out)
{
    struct recipe r;
    struct str text = { 0 };
    ck_assert_msg(parse("{\"name\":\"lora\",\"seed\":7}", &r) == 0, "%s", st.msg);
    written(&r, &text);
    ck_assert_str_eq(
        str_text(&text),
        "{\"alpha\":\"16\",\"batch\":16,\"beta1\":\"0.9\",\"beta2\":\"0.999\",\"clip\":\"1\","
        "\"dropout\":\"0\",\"epochs\":3,\"eps\":\"0.00000001\",\"length\":1024,\"lr\":\"0.0001\","
        "\"micro_batch\":1,\"name\":\"lora\",\"on_empty\":\"refuse\",\"on_long\":\"refuse\","
        "\"rank\":8,\"rslora\":false,\"schedule\":\"linear\",\"seed\":7,"
        "\"targets\":\"all-linear\",\"weight_decay\":\"0\"}");
    str_release(&text);
}
END_TEST

START_TEST(every_key_comes_back)
{
    static const char TEXT[] =
        "{\"alpha\":\"2\",\"batch\":4,\"beta1\":\"0.8\",\"beta2\":\"0.99\",\"clip\":\"0.3\",\"dropout\":\"0."
        "05\","
        "\"eps\":\"0.000001\",\"length\":64,\"lr\":\"0.0002\",\"micro_batch\":2,\"name\":\"lora\","
        "\"on_empty\":\"drop\",\"on_long\":\"cut\",\"rank\":1,\"rslora\":true,\"schedule\":\"cosine\","
        "\"seed\":9007199254740991,\"steps\":3,\"targets\":[\"q_proj\",\"v_proj\"],\"warmup_steps\":1,"
        "\"weight_decay\":\"0.01\"}";
    struct recipe r, again;
    struct str text = { 0 };
    ck_assert_msg(parse(TEXT, &r) == 0, "%s", st.msg);
    ck_assert_uint_eq(r.targets, ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_V));
    ck_assert_uint_eq(r.epochs, 0);
    written(&r, &text);
    ck_assert_str_eq(str_text(&text), TEXT);
    ck_assert_int_eq(parse(str_text(&text), &again), 0);
    str_release(&text);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *text, *says;
    } CASES[] = {
        { "[]", "an object" },
        { "{\"seed\":7}", "'name'" },
        { "{\"name\":\"lora\"}", "'seed'" },
        { "{\"name\":\"dora\",\"seed\":1}", "no method 'dora': there is lora" },
        { "{\"name\":\"lora\",\"seed\":1,\"lerning_rate\":\"1\"}", "lerning_rate" },
        { "{\"name\":\"lora\",\"seed\":1,\"lr\":0.1}", "'lr'" },
        { "{\"name\":\"lora\",\"seed\":1,\"lr\":\"1e-4\"}", "'lr'" },
        { "{\"name\":\"lora\",\"seed\":1,\"lr\":\"2\"}", "'lr' is 2, wanted 0 to 1" },
        { "{\"name\":\"lora\",\"seed\":1,\"epochs\":1,\"steps\":1}", "'epochs' and 'steps'" },
        { "{\"name\":\"lora\",\"seed\":1,\"warmup_steps\":1,\"warmup_ratio\":\"0.1\"}", "'warmup_ratio'" },
        { "{\"name\":\"lora\",\"seed\":1,\"schedule\":\"wsd\"}", "wanted one of constant, linear, cosine" },
        { "{\"name\":\"lora\",\"seed\":1,\"targets\":[]}", "'targets'" },
        { "{\"name\":\"lora\",\"seed\":1,\"targets\":[\"lm_head\"]}", "'lm_head'" },
        { "{\"name\":\"lora\",\"seed\":1,\"targets\":[\"q_proj\",\"q_proj\"]}", "twice" },
        { "{\"name\":\"lora\",\"seed\":1,\"rank\":0}", "'rank'" },
        { "{\"name\":\"lora\",\"seed\":1,\"dropout\":\"1\"}", "'dropout'" },
        { "{\"name\":\"lora\",\"seed\":1,\"rslora\":1}", "'rslora'" },
        { "{\"name\":\"lora\",\"seed\":-1}", "'seed'" },
        { "{\"name\":\"lora\",\"seed\":1,\"batch\":0}", "'batch'" },
        { "{\"name\":\"lora\",\"seed\":1,\"on_long\":\"trim\"}", "wanted one of refuse, cut" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct recipe r = { .batch = 77 };
        ck_assert_msg(parse(CASES[i].text, &r) != 0, "%s was taken", CASES[i].text);
        ck_assert_msg(strstr(st.msg, CASES[i].says), "%s says '%s', wanted '%s'", CASES[i].text, st.msg,
                      CASES[i].says);
        ck_assert_uint_eq(r.batch, 77);
    }
}
END_TEST

START_TEST(decimals_of_a_command_line)
{
    static const char *const CASES[][2] = {
        { "1e-4", "0.0001" },          { "0.5", "0.5" }, { "2", "2" },     { "-0", "0" },
        { "5e-12", "0.000000000005" }, { "10", "10" },   { "100", "100" },
    };
    struct decimal d;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        ck_assert_int_eq(decimal_parse(CASES[i][0], &d, &st), 0);
        ck_assert_str_eq(d.text, CASES[i][1]);
    }
    static const char *const BAD[] = { "", "x", "1x", "nan", "inf", "1e-13", "0.1234567890123" };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        st = (struct status){ 0 };
        ck_assert_msg(decimal_parse(BAD[i], &d, &st) == RC_ARG, "%s was taken as %s", BAD[i], d.text);
    }
}
END_TEST

START_TEST(shares_are_exact)
{
    ck_assert_uint_eq(share_of("0.29", 100), 29);
    ck_assert_uint_eq(share_of("0.7", 11), 7);
    ck_assert_uint_eq(share_of("0.3", 11), 3);
    ck_assert_uint_eq(share_of("0.1", 5), 0);
    ck_assert_uint_eq(share_of("1", 5), 5);
    ck_assert_uint_eq(share_up("0.29", 100), 29);
    ck_assert_uint_eq(share_up("0.03", 101), 4);
    ck_assert_uint_eq(share_of("0.999999999999", UINT64_C(1) << 40), UINT64_C(1099511627774));
}
END_TEST

/* ---- length and rate ---- */

static struct recipe_shape shape_of(struct recipe *r, uint32_t examples)
{
    struct recipe_shape s;
    ck_assert_msg(recipe_shape(r, examples, &s, &st) == 0, "%s", st.msg);
    return s;
}

START_TEST(updates_are_counted)
{
    struct recipe r;
    ck_assert_int_eq(parse("{\"name\":\"lora\",\"seed\":1}", &r), 0);
    struct recipe_shape s = shape_of(&r, 184); /* 12 updates an epoch, the last one short */
    ck_assert_uint_eq(s.epoch_steps, 12);
    ck_assert_uint_eq(s.steps, 36);
    ck_assert_uint_eq(s.warmup_steps, 3);
    ck_assert_uint_eq(shape_of(&r, 48).warmup_steps, 0); /* 9 updates: none below 10 */
    ck_assert_uint_eq(shape_of(&r, 1).steps, 3);
    ck_assert_uint_eq(shape_of(&r, 100000).warmup_steps, 500);
    recipe_settle(&r, &s);
    ck_assert_uint_eq(r.warmup_steps, 3);
    ck_assert_uint_eq(shape_of(&r, 184).warmup_steps, 3);
    ck_assert_int_eq(recipe_shape(&r, 0, &s, &st), RC_ARG);
    st = (struct status){ 0 };
    r.warmup_steps = 36;
    ck_assert_int_eq(recipe_shape(&r, 184, &s, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "warm-up of 36"), "%s", st.msg);
}
END_TEST

START_TEST(rates_follow_the_schedule)
{
    static const uint32_t AT[] = { 0, 1, 250, 499, 500, 501, 1625, 2750, 3875, 4999 };
    static const double LINEAR[] = { 0,           4e-8,   1e-5, 1.996e-5, 2e-5,
                                     1.999556e-5, 1.5e-5, 1e-5, 5e-6,     4.444444e-9 };
    static const double COSINE[] = { 0,           4e-8,        1e-5, 1.996e-5,    2e-5,
                                     2.000000e-5, 1.707107e-5, 1e-5, 2.928932e-6, 2.436939e-12 };
    struct recipe r;
    ck_assert_int_eq(parse("{\"name\":\"lora\",\"seed\":1,\"lr\":\"0.00002\",\"steps\":5000}", &r), 0);
    const struct recipe_shape s = shape_of(&r, 100);
    ck_assert_uint_eq(s.warmup_steps, 500);
    for (size_t i = 0; i < sizeof AT / sizeof *AT; i++) {
        r.schedule = SCHEDULE_linear;
        ck_assert_double_eq_tol(schedule_rate(&r, &s, AT[i]), LINEAR[i], 1e-6 * LINEAR[i] + 1e-20);
        r.schedule = SCHEDULE_cosine;
        ck_assert_double_eq_tol(schedule_rate(&r, &s, AT[i]), COSINE[i], 1e-6 * COSINE[i] + 1e-20);
        r.schedule = SCHEDULE_constant;
        ck_assert_double_eq_tol(schedule_rate(&r, &s, AT[i]), AT[i] < 500 ? 2e-5 * AT[i] / 500 : 2e-5, 1e-18);
    }
}
END_TEST

/* ---- the model it meets ---- */

static const struct model_hyper HYPER = { .blocks = 2,
                                          .width = 64,
                                          .mlp = 96,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 16,
                                          .context = 128,
                                          .vocab = 512,
                                          .tied_head = true };

START_TEST(a_model_can_be_too_small)
{
    struct recipe r;
    ck_assert_int_eq(parse("{\"name\":\"lora\",\"seed\":1,\"length\":128,\"rank\":33}", &r), 0);
    ck_assert_int_eq(recipe_check(&r, &HYPER, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "'rank' is 33, but k_proj is [32, 64]"), "%s", st.msg);
    ck_assert_int_eq(parse("{\"name\":\"lora\",\"seed\":1,\"length\":129}", &r), 0);
    ck_assert_int_eq(recipe_check(&r, &HYPER, &st), RC_ARG);
    ck_assert_msg(strstr(st.msg, "context is 128"), "%s", st.msg);
    ck_assert_int_eq(parse("{\"name\":\"lora\",\"seed\":1,\"length\":128,\"rank\":32}", &r), 0);
    ck_assert_int_eq(recipe_check(&r, &HYPER, &st), 0);
}
END_TEST

static int take_code(void *self, const struct event *e, struct status *status)
{
    (void)status;
    str_puts(self, e->keys);
    return strcmp(e->name, "warning") == 0 ? 0 : RC_ARG;
}

static void advice(const char *text, uint32_t examples, bool retention, struct str *out)
{
    struct recipe r;
    struct event_sink sink = { .self = out, .take = take_code };
    ck_assert_msg(parse(text, &r) == 0, "%s", st.msg);
    const struct recipe_shape s = shape_of(&r, examples);
    str_clear(out);
    ck_assert_int_eq(recipe_advise(&r, &HYPER, &s, retention, &sink, &st), 0);
}

START_TEST(what_is_unwise_is_said)
{
    struct str said = { 0 };
    advice("{\"name\":\"lora\",\"seed\":1}", 100, true, &said);
    ck_assert_str_eq(str_text(&said), "");
    advice("{\"name\":\"lora\",\"seed\":1,\"epochs\":8}", 100, true, &said);
    ck_assert_ptr_nonnull(strstr(str_text(&said), "\"code\":\"epochs\""));
    advice("{\"name\":\"lora\",\"seed\":1,\"batch\":4}", 100, true, &said);
    ck_assert_ptr_nonnull(strstr(str_text(&said), "\"code\":\"batch\""));
    advice("{\"name\":\"lora\",\"seed\":1,\"lr\":\"0.00002\"}", 100, true, &said);
    ck_assert_ptr_nonnull(strstr(str_text(&said), "\"code\":\"lr\""));
    advice("{\"name\":\"lora\",\"seed\":1,\"steps\":10,\"warmup_steps\":6}", 100, true, &said);
    ck_assert_ptr_nonnull(strstr(str_text(&said), "\"code\":\"warmup\""));
    advice("{\"name\":\"lora\",\"seed\":1}", 100, false, &said);
    ck_assert_ptr_nonnull(strstr(str_text(&said), "\"code\":\"retention\""));
    str_release(&said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe");
    TCase *t = tcase_create("recipe");
    tcase_add_test(t, defaults_are_written_out);
    tcase_add_test(t, every_key_comes_back);
    tcase_add_test(t, what_is_wrong_is_named);
    tcase_add_test(t, decimals_of_a_command_line);
    tcase_add_test(t, shares_are_exact);
    tcase_add_test(t, updates_are_counted);
    tcase_add_test(t, rates_follow_the_schedule);
    tcase_add_test(t, a_model_can_be_too_small);
    tcase_add_test(t, what_is_unwise_is_said);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int bad = srunner_ntests_failed(runner) != 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return bad;
}
