#include "model/encode_own.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

int encoder_check(const struct encoder *e, struct status *st)
{
    if (tokenizer_prefix(e->tokenizer) < 0)
        return status_fail(st, RC_UNSUPPORTED,
                           "the model has neither BOS nor EOS, so nothing can stand before a text");
    return 0;
}

/* ---- asks ---- */

static void ids_take(struct encoded *x, struct tokens *t)
{
    x->ids = t->ids;
    x->ids_n = t->n;
    x->dropped = t->dropped;
    *t = (struct tokens){ 0 };
}

/* Disjoint windows, each with one token of context at least: the last may see more of what is scored before
 * it. */
static int rolling_encode(const struct encoder *e, const struct lm_ask *ask, struct encoded *out,
                          struct status *st)
{
    int rc = 0;
    struct tokens text = { 0 }, all = { 0 };
    struct encoded x = { 0 };
    size_t cap = 0, most = e->len_max;
    TRY(tokenizer_raw(e->tokenizer, ask->target, ask->target_size, &text, st));
    if (text.n == 0)
        FAIL(st, RC_FORMAT, "the text gives no token");
    for (size_t done = 0; done < text.n;) {
        size_t end = done + most < text.n ? done + most : text.n;
        size_t first = all.n;
        if (done == 0)
            TRY(tokens_push(&all, tokenizer_prefix(e->tokenizer), st));
        for (size_t i = done == 0 ? 0 : end - most - 1; i < end; i++)
            TRY(tokens_push(&all, text.ids[i], st));
        TRY(mem_grow(&x.windows, x.n, &cap, sizeof *x.windows, st));
        x.windows[x.n++] = (struct window){ first, (uint32_t)(all.n - first), (uint32_t)(end - done) };
        done = end;
    }
    all.dropped = text.dropped;
    x.n_tok = (uint32_t)text.n;
    ids_take(&x, &all);
    *out = x;
    x = (struct encoded){ 0 };
out:
    tokens_release(&text);
    tokens_release(&all);
    encoded_release(&x);
    return rc;
}

static int user_render(const struct encoder *e, const char *text, size_t n, struct str *out,
                       struct status *st)
{
    int rc = 0;
    struct str content = { 0 };
    struct gguf_text bos = tokenizer_piece(e->tokenizer, tokenizer_bos(e->tokenizer));
    struct gguf_text eos = tokenizer_piece(e->tokenizer, tokenizer_eos(e->tokenizer));
    if (!e->chat)
        FAIL(st, RC_UNSUPPORTED, "the model has no chat template that this version reads");
    str_add(&content, text, n);
    TRY(str_check(&content, st));
    struct chat_message message = { "user", str_text(&content) };
    TRY(template_render(e->chat,
                        &(struct template_ask){ .messages = &message,
                                                .n = 1,
                                                .generation_prompt = true,
                                                .bos = bos.n ? bos.s : NULL,
                                                .eos = eos.n ? eos.s : NULL },
                        out, st));
out:
    str_release(&content);
    return rc;
}

int halves_encode(const struct encoder *e, const char *context, size_t context_n, const char *rest,
                  size_t rest_n, struct halves *out, struct status *st)
{
    int rc = 0;
    struct str whole = { 0 };
    struct tokens all = { 0 }, ctx = { 0 };
    struct halves h = { 0 };
    int32_t prefix = tokenizer_prefix(e->tokenizer);
    size_t space = utf8_trailing_space(context, context_n), kept = context_n - space;
    str_add(&whole, context, context_n);
    str_add(&whole, rest, rest_n);
    TRY(str_check(&whole, st));
    if (kept == 0) {
        TRY(tokenizer_raw(e->tokenizer, str_text(&whole), whole.size, &all, st));
        if (all.n == 0 || all.ids[0] != prefix)
            TRY(tokens_push(&h.ids, prefix, st));
        h.ctx = 1;
    } else {
        TRY(tokenizer_tok(e->tokenizer, str_text(&whole), whole.size, &all, st));
        TRY(tokenizer_tok(e->tokenizer, context, kept, &ctx, st));
        bool same = ctx.n <= all.n && memcmp(ctx.ids, all.ids, ctx.n * sizeof *ctx.ids) == 0;
        h.flags = same ? 0 : LM_NONPREFIX;
        h.ctx = ctx.n;
        for (size_t i = 0; i < ctx.n; i++)
            TRY(tokens_push(&h.ids, ctx.ids[i], st));
    }
    for (size_t i = kept == 0 ? 0 : ctx.n; i < all.n; i++)
        TRY(tokens_push(&h.ids, all.ids[i], st));
    h.ids.dropped = all.dropped;
    *out = h;
    h = (struct halves){ 0 };
out:
    str_release(&whole);
    tokens_release(&all);
    tokens_release(&ctx);
    tokens_release(&h.ids);
    return rc;
}

int encode_ask(const struct encoder *e, const struct lm_ask *ask, struct encoded *out, struct status *st)
{
    int rc = 0;
    struct str rendered = { 0 };
    struct halves h = { 0 };
    struct encoded x = { 0 };
    const char *context = ask->context;
    size_t context_n = ask->context_size;
    if (ask->rolling)
        return rolling_encode(e, ask, out, st);
    if (e->render_asks && !ask->plain) {
        TRY(user_render(e, context, context_n, &rendered, st));
        context = str_text(&rendered);
        context_n = rendered.size;
    }
    TRY(halves_encode(e, context, context_n, ask->target, ask->target_size, &h, st));
    size_t scored = h.ids.n > h.ctx ? h.ids.n - h.ctx : 0;
    if (scored == 0)
        FAIL(st, RC_FORMAT, "the continuation gives no token");
    if (scored > e->len_max)
        FAIL(st, RC_FORMAT, "the continuation has %zu tokens, more than the %" PRIu32 " of max_len", scored,
             e->len_max);
    if (h.ctx == 0)
        FAIL(st, RC_FORMAT, "the context gives no token");
    size_t most = (size_t)e->len_max + 1, n = h.ids.n < most ? h.ids.n : most;
    x.windows = mem_calloc(1, sizeof *x.windows);
    if (!x.windows)
        FAIL(st, RC_NOMEM, "no memory for a question");
    x.windows[0] = (struct window){ h.ids.n - n, (uint32_t)n, (uint32_t)scored };
    x.n = 1;
    x.n_ctx = (uint32_t)h.ctx;
    x.n_tok = (uint32_t)scored;
    x.flags = h.flags | (n < h.ids.n ? LM_TRUNCATED : 0);
    ids_take(&x, &h.ids);
    *out = x;
    x = (struct encoded){ 0 };
out:
    str_release(&rendered);
    tokens_release(&h.ids);
    encoded_release(&x);
    return rc;
}

void encoded_release(struct encoded *x)
{
    mem_free(x->ids);
    mem_free(x->windows);
    *x = (struct encoded){ 0 };
}
