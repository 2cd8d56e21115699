/* Questions as tokens: the boundary, the windows of a text, what is cut and what is refused (docs/formats
 * 1.3). tier: quick */
#include "base/alloc.h"
#include "model/encode.h"
#include "model/gguf.h"
#include "tests/fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct status st;
static struct gguf file;
static struct tokenizer *tokenizer;
static struct template *chat;

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

static void opened(void)
{
    struct gguf_text text;
    st = (struct status){ 0 };
    OK(gguf_open(FIXTURE_MODEL, &file, &st));
    OK(tokenizer_open(&file, &tokenizer, &st));
    OK(gguf_get_text(&file, "tokenizer.chat_template", &text, &st));
    OK(template_parse(text.s, text.n, &chat, &st));
}

static void closed(void)
{
    tokenizer_close(tokenizer);
    template_free(chat);
    gguf_close(&file);
}

static struct encoder encoder(uint32_t len_max)
{
    return (struct encoder){ .tokenizer = tokenizer, .chat = chat, .len_max = len_max };
}

static struct lm_ask ask_of(const char *context, const char *target)
{
    return (struct lm_ask){ context, strlen(context), target, strlen(target), 0, false, false };
}

static struct encoded asked(const char *context, const char *target, uint32_t len_max)
{
    struct encoder e = encoder(len_max);
    struct lm_ask ask = ask_of(context, target);
    struct encoded x = { 0 };
    st = (struct status){ 0 };
    OK(encode_ask(&e, &ask, &x, &st));
    ck_assert_uint_eq(x.n, 1);
    ck_assert_uint_eq(x.windows[0].scored, x.n_tok);
    ck_assert_uint_eq(x.windows[0].first + x.windows[0].n, x.ids_n);
    return x;
}

/* ids [from, to) of the last window as text. */
static void text_is(const struct encoded *x, size_t from, size_t to, const char *want)
{
    struct str text = { 0 };
    OK(tokenizer_decode(tokenizer, x->ids + from, to - from, false, &text, &st));
    ck_assert_str_eq(str_text(&text), want);
    str_release(&text);
}

static void halves_are(const char *context, const char *target, const char *ctx, const char *cont)
{
    struct encoded x = asked(context, target, 64);
    size_t at = x.ids_n - x.n_tok;
    ck_assert_uint_eq(x.n_ctx, at);
    ck_assert_uint_eq(x.flags, 0);
    text_is(&x, 0, at, ctx);
    text_is(&x, at, x.ids_n, cont);
    encoded_release(&x);
}

START_TEST(white_space_moves_to_the_continuation)
{
    halves_are("Answer:", " Paris", "Answer:", " Paris");
    halves_are("Answer: ", "Paris", "Answer:", " Paris");
    halves_are("A\u00a0\n ", " b", "A", "\u00a0\n  b");
    halves_are("A\u200b", "b", "A\u200b", "b");
    halves_are("A\u3000\x1c\x85", "b", "A\u3000\x1c\ufffd", "b"); /* an invalid part is no white space */
}
END_TEST

START_TEST(an_empty_context_is_the_prefix)
{
    halves_are("", " Paris", "<|im_start|>", " Paris");
    halves_are(" \n", "Paris", "<|im_start|>", " \nParis");
    halves_are("", "<|im_start|> Paris", "<|im_start|>", " Paris"); /* not twice */
    halves_are("<|im_start|>", " Paris", "<|im_start|>", " Paris");
    struct encoded x = asked("", "Paris", 64);
    ck_assert_int_eq(x.ids[0], tokenizer_prefix(tokenizer));
    ck_assert_uint_eq(x.n_ctx, 1);
    encoded_release(&x);
}
END_TEST

/* "Par" alone and "Paris" share no boundary: what the whole has behind as many tokens is scored all the same.
 * */
START_TEST(a_torn_word_is_flagged)
{
    struct tokens ctx = { 0 }, whole = { 0 };
    OK(tokenizer_raw(tokenizer, "The capi", 8, &ctx, &st));
    OK(tokenizer_raw(tokenizer, "The capital of", 14, &whole, &st));
    ck_assert(memcmp(ctx.ids, whole.ids, ctx.n * sizeof *ctx.ids) != 0 || ctx.n > whole.n);
    ck_assert_uint_lt(ctx.n, whole.n + 1);
    struct encoder e = encoder(64);
    struct lm_ask ask = ask_of("The capi", "tal of");
    struct encoded x = { 0 };
    int rc = encode_ask(&e, &ask, &x, &st);
    if (whole.n > ctx.n) {
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(x.flags, LM_NONPREFIX);
        ck_assert_uint_eq(x.n_ctx, ctx.n);
        ck_assert_mem_eq(x.ids, ctx.ids, ctx.n * sizeof *ctx.ids);
        ck_assert_mem_eq(x.ids + ctx.n, whole.ids + ctx.n, x.n_tok * sizeof *x.ids);
    } else {
        ck_assert_int_eq(rc, RC_FORMAT); /* nothing is left to score */
    }
    encoded_release(&x);
    tokens_release(&ctx);
    tokens_release(&whole);
}
END_TEST

START_TEST(long_contexts_are_cut_on_the_left)
{
    static const char CONTEXT[] = "The cat sat on the mat, and the dog sat under the table. Answer:";
    struct encoded whole = asked(CONTEXT, " four", 200), cut = asked(CONTEXT, " four", 7);
    ck_assert_uint_eq(whole.flags, 0);
    ck_assert_uint_eq(cut.flags, LM_TRUNCATED);
    ck_assert_uint_eq(cut.windows[0].n,
                      8); /* one token more than an input may have: the last is only a target */
    ck_assert_uint_eq(cut.n_tok, whole.n_tok);
    ck_assert_uint_eq(cut.n_ctx, whole.n_ctx);
    ck_assert_mem_eq(cut.ids + cut.windows[0].first, whole.ids + whole.ids_n - 8, 8 * sizeof *whole.ids);
    struct encoded just = asked(CONTEXT, " four", (uint32_t)whole.ids_n - 1);
    ck_assert_uint_eq(just.flags, 0);
    encoded_release(&whole);
    encoded_release(&cut);
    encoded_release(&just);
}
END_TEST

static void refused(const char *context, const char *target, uint32_t len_max, bool rolling,
                    const char *sentence)
{
    struct encoder e = encoder(len_max);
    struct lm_ask ask = ask_of(context, target);
    struct encoded x, untouched;
    memset(&x, 0x5a, sizeof x);
    untouched = x;
    ask.rolling = rolling;
    st = (struct status){ 0 };
    ck_assert_int_eq(encode_ask(&e, &ask, &x, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, sentence);
    ck_assert_mem_eq(&x, &untouched, sizeof x);
}

START_TEST(what_cannot_be_scored_is_refused)
{
    refused("Answer:", "", 64, false, "the continuation gives no token");
    refused("", "<|im_start|>", 64, false, "the continuation gives no token");
    refused("Answer:", "0123456", 6, false, "the continuation has 7 tokens, more than the 6 of max_len");
    refused("", "", 64, true, "the text gives no token");
}
END_TEST

/* ---- rolling ---- */

struct rolled {
    uint32_t tokens, len_max;
    uint32_t windows;
    struct {
        int context; /* tokens in front of what is scored; the first window has the prefix */
        uint32_t from, to;
    } window[3];
};
/* Digits are one token each, so a text of n digits has n tokens. */
static const struct rolled ROLLED[] = {
    { 5, 8, 1, { { 1, 0, 4 } } },
    { 8, 4, 2, { { 1, 0, 3 }, { 1, 4, 7 } } },
    { 10, 4, 3, { { 1, 0, 3 }, { 1, 4, 7 }, { 3, 8, 9 } } },
    { 4, 4, 1, { { 1, 0, 3 } } },
    { 3, 1, 3, { { 1, 0, 0 }, { 1, 1, 1 }, { 1, 2, 2 } } },
};
enum { ROLLED_N = sizeof ROLLED / sizeof ROLLED[0] };

START_TEST(a_text_is_scored_once)
{
    const struct rolled *r = &ROLLED[_i];
    char text[] = "0123456789";
    text[r->tokens] = 0;
    struct encoder e = encoder(r->len_max);
    struct lm_ask ask = ask_of("", text);
    struct encoded x = { 0 };
    struct tokens ids = { 0 };
    ask.rolling = true;
    OK(tokenizer_raw(tokenizer, text, r->tokens, &ids, &st));
    ck_assert_uint_eq(ids.n, r->tokens);
    OK(encode_ask(&e, &ask, &x, &st));
    ck_assert_uint_eq(x.n, r->windows);
    ck_assert_uint_eq(x.n_tok, r->tokens);
    ck_assert_uint_eq(x.n_ctx, 0);
    ck_assert_uint_eq(x.flags, 0);
    for (uint32_t k = 0; k < r->windows; k++) {
        const struct window *w = &x.windows[k];
        uint32_t scored = r->window[k].to - r->window[k].from + 1, context = (uint32_t)r->window[k].context;
        ck_assert_uint_eq(w->scored, scored);
        ck_assert_uint_eq(w->n, context + scored);
        ck_assert_uint_le(w->n - 1, r->len_max);
        for (uint32_t i = 0; i < w->n; i++) {
            int32_t at = (int32_t)(r->window[k].from + i) - (int32_t)context;
            ck_assert_int_eq(x.ids[w->first + i], at < 0 ? tokenizer_prefix(tokenizer) : ids.ids[at]);
        }
    }
    encoded_release(&x);
    tokens_release(&ids);
}
END_TEST

/* ---- templates ---- */

START_TEST(a_context_is_rendered_when_asked_to)
{
    static const char WANT[] =
        "<|im_start|>system\nYou are small.<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n"
        "<|im_start|>assistant";
    struct encoder e = encoder(200);
    struct lm_ask ask = ask_of("Who?", "Nobody");
    struct encoded x = { 0 };
    e.render_asks = true;
    OK(encode_ask(&e, &ask, &x, &st));
    text_is(&x, 0, x.n_ctx, WANT);
    text_is(&x, x.n_ctx, x.ids_n, "\nNobody"); /* white space moves here too */
    ck_assert_int_eq(x.ids[0], tokenizer_bos(tokenizer));
    encoded_release(&x);
    ask.plain = true;
    OK(encode_ask(&e, &ask, &x, &st));
    text_is(&x, 0, x.n_ctx, "Who?");
    encoded_release(&x);
    ask.plain = false;
    e.chat = NULL;
    ck_assert_int_eq(encode_ask(&e, &ask, &x, &st), RC_UNSUPPORTED);
}
END_TEST

START_TEST(special_tokens_and_lost_bytes)
{
    struct encoded x = asked("<|im_end|>a", "<|im_end|>b", 64);
    ck_assert_int_eq(x.ids[0], 2);
    ck_assert_uint_eq(x.dropped, 0);
    ck_assert_uint_eq(x.n_ctx, 2);
    ck_assert_int_eq(x.ids[2], 2);
    encoded_release(&x);
    struct encoder e = encoder(64);
    OK(encoder_check(&e, &st));
}
END_TEST

/* ---- memory ---- */

static int line_encoded(const char *text, struct encoded_line *out)
{
    struct encoder e = encoder(64);
    struct json *line = NULL;
    enum line_form form;
    int rc = json_parse(text, strlen(text), &line, &st);
    if (rc == 0)
        rc = line_form_of(line, &form, &st);
    if (rc == 0)
        rc = encode_line(&e, line, form, ON_LONG_CUT, out, &st);
    json_free(line);
    return rc;
}

static int one_of(int which, struct encoded *x, struct encoded_line *line)
{
    struct encoder e = encoder(16);
    struct lm_ask ask = ask_of("The capital of France is", " Paris");
    struct tokenizer *t = NULL;
    int rc;
    switch (which) {
    case 0:
        return encode_ask(&e, &ask, x, &st);
    case 1:
        ask.rolling = true;
        return encode_ask(&e, &ask, x, &st);
    case 2:
        e.render_asks = true;
        return encode_ask(&e, &ask, x, &st);
    case 3:
        return line_encoded("{\"prompt\":\"The\",\"completion\":\" cat\"}", line);
    case 4:
        return line_encoded("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
                            "{\"role\":\"assistant\",\"content\":\"b\"}]}",
                            line);
    case 5:
        return line_encoded("{\"text\":\"The cat sat on the mat.\"}", line);
    default:
        rc = tokenizer_open(&file, &t, &st);
        tokenizer_close(t);
        return rc;
    }
}
enum { KINDS = 7 };

START_TEST(every_allocation_may_fail)
{
    int rc = RC_NOMEM;
    size_t nth = 0;
    while (rc == RC_NOMEM && nth < 5000) {
        struct encoded x = { 0 };
        struct encoded_line line = { 0 };
        st = (struct status){ 0 };
        mem_fail_at(++nth);
        rc = one_of(_i, &x, &line);
        mem_fail_at(0);
        if (rc) {
            ck_assert_msg(rc == RC_NOMEM, "allocation %zu: %s", nth, st.msg);
            ck_assert(x.ids == NULL && line.ids == NULL);
        }
        encoded_release(&x);
        encoded_line_release(&line);
    }
    OK(rc);
    ck_assert_uint_gt(nth, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encode");
    TCase *tc = tcase_create("asks");
    tcase_add_checked_fixture(tc, opened, closed);
    tcase_add_test(tc, white_space_moves_to_the_continuation);
    tcase_add_test(tc, an_empty_context_is_the_prefix);
    tcase_add_test(tc, a_torn_word_is_flagged);
    tcase_add_test(tc, long_contexts_are_cut_on_the_left);
    tcase_add_test(tc, what_cannot_be_scored_is_refused);
    tcase_add_loop_test(tc, a_text_is_scored_once, 0, ROLLED_N);
    tcase_add_test(tc, a_context_is_rendered_when_asked_to);
    tcase_add_test(tc, special_tokens_and_lost_bytes);
    tcase_add_loop_test(tc, every_allocation_may_fail, 0, KINDS);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || run == 0;
}
