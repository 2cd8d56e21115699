/* Training lines as sequences with their mask. */
#include "model/encode_own.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { MESSAGES_MAX = 4096 };

static const char *const KEYS_PROMPT[] = { "id", "prompt", "completion", NULL };
static const char *const KEYS_MESSAGES[] = { "id", "messages", NULL };
static const char *const KEYS_TEXT[] = { "id", "text", NULL };
static const char *const KEYS_MESSAGE[] = { "role", "content", NULL };

int line_form_of(const struct json *line, enum line_form *out, struct status *st)
{
    if (json_find(line, "prompt"))
        *out = LINE_PROMPT;
    else if (json_find(line, "messages"))
        *out = LINE_MESSAGES;
    else if (json_find(line, "text"))
        *out = LINE_TEXT;
    else
        return status_fail(
            st, RC_FORMAT,
            "a training line is an object with 'prompt' and 'completion', 'messages', or 'text'");
    return 0;
}

/* ---- a line under way: all tokens in one list, with what is a target ---- */

struct builder {
    struct tokens ids;
    uint8_t *mask;
    size_t mask_cap;
    uint32_t flags;
};

static void builder_release(struct builder *b)
{
    tokens_release(&b->ids);
    mem_free(b->mask);
    *b = (struct builder){ 0 };
}

/* Marks the tokens that came since as targets or not. */
static int builder_mark(struct builder *b, size_t from, bool target, struct status *st)
{
    if (b->ids.n > b->mask_cap) {
        size_t cap = b->ids.n * 2;
        uint8_t *more = mem_realloc(b->mask, cap, 1);
        if (!more)
            return status_fail(st, RC_NOMEM, "no memory for a training line");
        b->mask = more;
        b->mask_cap = cap;
    }
    for (size_t i = from; i < b->ids.n; i++)
        b->mask[i] = target && i > 0;
    return 0;
}

static int builder_add(struct builder *b, const struct encoder *e, const char *s, size_t n, bool target,
                       struct status *st)
{
    size_t from = b->ids.n;
    int rc = from == 0 ? tokenizer_tok(e->tokenizer, s, n, &b->ids, st)
                       : tokenizer_raw(e->tokenizer, s, n, &b->ids, st);
    return rc ? rc : builder_mark(b, from, target, st);
}

static int builder_end(struct builder *b, const struct encoder *e, struct status *st)
{
    int32_t eos = tokenizer_eos(e->tokenizer);
    if (eos < 0 || (b->ids.n > 0 && b->ids.ids[b->ids.n - 1] == eos))
        return 0;
    int rc = tokens_push(&b->ids, eos, st);
    return rc ? rc : builder_mark(b, b->ids.n - 1, true, st);
}

/* Takes `n` sequences of the builder's tokens: first token and length of each. */
static int builder_finish(struct builder *b, const struct sequence *sequences, size_t n,
                          struct encoded_line *out, struct status *st)
{
    struct encoded_line x = { .flags = b->flags, .dropped = b->ids.dropped };
    x.sequences = mem_calloc(n, sizeof *x.sequences);
    for (size_t k = 0; x.sequences && k < n; k++)
        x.ids_n += sequences[k].n;
    x.ids = mem_calloc(x.ids_n, sizeof *x.ids);
    x.mask = mem_calloc(x.ids_n, 1);
    if (!x.sequences || !x.ids || !x.mask) {
        encoded_line_release(&x);
        return status_fail(st, RC_NOMEM, "no memory for a training line");
    }
    size_t at = 0;
    bool any = false;
    for (; x.n < n; x.n++) {
        struct sequence *s = &x.sequences[x.n];
        *s = (struct sequence){ .first = at, .n = sequences[x.n].n };
        memcpy(x.ids + at, b->ids.ids + sequences[x.n].first, s->n * sizeof *x.ids);
        memcpy(x.mask + at, b->mask + sequences[x.n].first, s->n);
        x.mask[at] = 0; /* nothing stands before it */
        for (uint32_t i = 0; i < s->n; i++) {
            s->supervised += x.mask[at + i];
            if (x.mask[at + i] && !any)
                x.at = (uint32_t)(at + i);
            any = any || x.mask[at + i];
        }
        x.tokens += s->n;
        x.supervised += s->supervised;
        at += s->n;
    }
    *out = x;
    return 0;
}

/* ---- forms ---- */

static int too_long(size_t n, const struct encoder *e, const char *why, struct status *st)
{
    return status_fail(st, RC_LIMIT, "%zu tokens, over the length of %" PRIu32 "%s", n, e->len_max, why);
}

static int prompt_encode(const struct encoder *e, const struct json *line, enum on_long on_long,
                         struct encoded_line *out, struct status *st)
{
    int rc = 0;
    const char *prompt, *completion;
    struct builder b = { 0 };
    struct halves h = { 0 };
    TRY(json_only(line, KEYS_PROMPT, st));
    TRY(json_get_text(line, "prompt", &prompt, st));
    TRY(json_get_text(line, "completion", &completion, st));
    if (!completion[0]) { /* teaches nothing, its end included: no supervised token */
        TRY(tokens_push(&b.ids, tokenizer_prefix(e->tokenizer), st));
        TRY(builder_mark(&b, 0, false, st));
        TRY(builder_finish(&b, &(struct sequence){ .n = 1 }, 1, out, st));
        goto out;
    }
    /* the boundary is that of scoring, so what is trained is what an ask scores */
    TRY(halves_encode(e, prompt, strlen(prompt), completion, strlen(completion), &h, st));
    b.ids = h.ids;
    h.ids = (struct tokens){ 0 };
    b.flags = h.flags;
    TRY(builder_mark(&b, 0, false, st));
    TRY(builder_mark(&b, h.ctx, true, st));
    TRY(builder_end(&b, e, st));
    struct sequence s = { .n = (uint32_t)b.ids.n };
    size_t answer = b.ids.n - h.ctx;
    if (b.ids.n > e->len_max) {
        if (on_long == ON_LONG_REFUSE)
            TRY(too_long(b.ids.n, e, "", st));
        if (answer + 1 > e->len_max)
            TRY(too_long(answer + 1, e, " for the completion alone, which is never cut", st));
        s.first = b.ids.n - e->len_max;
        s.n = e->len_max;
        b.flags |= LM_TRUNCATED;
    }
    TRY(builder_finish(&b, &s, 1, out, st));
out:
    tokens_release(&h.ids);
    builder_release(&b);
    return rc;
}

static int text_encode(const struct encoder *e, const struct json *line, enum on_long on_long,
                       struct encoded_line *out, struct status *st)
{
    int rc = 0;
    const char *text;
    struct builder b = { 0 };
    struct sequence *sequences = NULL;
    size_t n = 0, cap = 0;
    TRY(json_only(line, KEYS_TEXT, st));
    TRY(json_get_text(line, "text", &text, st));
    TRY(builder_add(&b, e, text, strlen(text), true, st));
    TRY(builder_end(&b, e, st));
    if (b.ids.n == 0)
        FAIL(st, RC_FORMAT, "the text gives no token");
    if (b.ids.n > e->len_max && on_long == ON_LONG_REFUSE)
        TRY(too_long(b.ids.n, e, "", st));
    if (e->len_max < 2)
        TRY(too_long(b.ids.n, e, "", st));
    for (size_t at = 0; at + 1 < b.ids.n || n == 0; at += e->len_max - 1) {
        size_t left = b.ids.n - at;
        TRY(mem_grow(&sequences, n, &cap, sizeof *sequences, st));
        sequences[n++] =
            (struct sequence){ .first = at, .n = left < e->len_max ? (uint32_t)left : e->len_max };
    }
    b.flags |= n > 1 ? LM_TRUNCATED : 0;
    TRY(builder_finish(&b, sequences, n, out, st));
out:
    mem_free(sequences);
    builder_release(&b);
    return rc;
}

/* ---- messages ---- */

struct dialogue {
    struct chat_message *turns; /* [n], texts lent by the line */
    size_t n;
    size_t first; /* 1 behind a system turn */
};

static int dialogue_read(const struct json *line, struct dialogue *d, struct status *st)
{
    int rc = 0;
    const struct json *list;
    TRY(json_only(line, KEYS_MESSAGES, st));
    TRY(json_get(line, "messages", JSON_ARRAY, &list, st));
    if (json_size(list) == 0 || json_size(list) > MESSAGES_MAX)
        FAIL(st, RC_FORMAT, "'messages' holds %zu turns, 1 to %d are read", json_size(list), MESSAGES_MAX);
    d->turns = mem_calloc(json_size(list), sizeof *d->turns);
    if (!d->turns)
        FAIL(st, RC_NOMEM, "no memory for a dialogue");
    for (const struct json *m = json_first(list); m; m = json_next(m)) {
        struct chat_message *turn = &d->turns[d->n];
        TRY(json_only(m, KEYS_MESSAGE, st));
        TRY(json_get_text(m, "role", &turn->role, st));
        TRY(json_get_text(m, "content", &turn->content, st));
        if (d->n == 0 && strcmp(turn->role, "system") == 0)
            d->first = 1;
        else if (strcmp(turn->role, (d->n - d->first) % 2 ? "assistant" : "user") != 0)
            FAIL(st, RC_FORMAT, "turn %zu is '%s', wanted '%s'", d->n, turn->role,
                 (d->n - d->first) % 2 ? "assistant" : "user");
        d->n++;
    }
    if (d->n == d->first || (d->n - d->first) % 2)
        FAIL(st, RC_FORMAT, "the last turn is not the assistant's");
out:
    return rc;
}

static int turns_render(const struct encoder *e, const struct dialogue *d, size_t n, bool prompt,
                        struct str *out, struct status *st)
{
    struct gguf_text bos = tokenizer_piece(e->tokenizer, tokenizer_bos(e->tokenizer));
    struct gguf_text eos = tokenizer_piece(e->tokenizer, tokenizer_eos(e->tokenizer));
    str_clear(out);
    return template_render(e->chat,
                           &(struct template_ask){ .messages = d->turns,
                                                   .n = n,
                                                   .generation_prompt = prompt,
                                                   .bos = bos.n ? bos.s : NULL,
                                                   .eos = eos.n ? eos.s : NULL },
                           out, st);
}

/* What is new since `done` bytes, first up to where an answer would begin, then the answer with its end of
 * turn. Tokens never reach over that place, as they will not when the model answers. */
static int dialogue_encode(const struct encoder *e, const struct dialogue *d, struct builder *b,
                           struct status *st)
{
    int rc = 0;
    struct str before = { 0 }, after = { 0 }, done = { 0 };
    for (size_t k = d->first + 1; k < d->n; k += 2) {
        TRY(turns_render(e, d, k, true, &before, st));
        TRY(turns_render(e, d, k + 1, false, &after, st));
        if (before.size < done.size || after.size < before.size ||
            memcmp(str_text(&before), str_text(&done), done.size) != 0 ||
            memcmp(str_text(&after), str_text(&before), before.size) != 0)
            FAIL(st, RC_UNSUPPORTED,
                 "the chat template is not prefix-stable: turn %zu changes what it rendered before", k);
        TRY(builder_add(b, e, str_text(&before) + done.size, before.size - done.size, false, st));
        TRY(builder_add(b, e, str_text(&after) + before.size, after.size - before.size, true, st));
        str_clear(&done);
        str_add(&done, str_text(&after), after.size);
        TRY(str_check(&done, st));
    }
out:
    str_release(&before);
    str_release(&after);
    str_release(&done);
    return rc;
}

static int messages_encode(const struct encoder *e, const struct json *line, enum on_long on_long,
                           struct encoded_line *out, struct status *st)
{
    int rc = 0;
    struct dialogue d = { 0 };
    struct builder b = { 0 };
    if (!e->chat)
        FAIL(st, RC_UNSUPPORTED,
             "'messages' want a chat template, and the model has none that this version reads");
    TRY(dialogue_read(line, &d, st));
    for (;;) {
        TRY(dialogue_encode(e, &d, &b, st));
        if (b.ids.n <= e->len_max)
            break;
        if (on_long == ON_LONG_REFUSE)
            TRY(too_long(b.ids.n, e, "", st));
        if (d.n - d.first <= 2)
            TRY(too_long(b.ids.n, e, " for the last two turns, which are never cut", st));
        builder_release(&b);
        memmove(&d.turns[d.first], &d.turns[d.first + 2], (d.n - d.first - 2) * sizeof *d.turns);
        d.n -= 2;
        b.flags |= LM_TRUNCATED;
    }
    struct sequence s = { .n = (uint32_t)b.ids.n };
    TRY(builder_finish(&b, &s, 1, out, st));
out:
    mem_free(d.turns);
    builder_release(&b);
    return rc;
}

int encode_line(const struct encoder *e, const struct json *line, enum line_form form, enum on_long on_long,
                struct encoded_line *out, struct status *st)
{
    switch (form) {
    case LINE_PROMPT:
        return prompt_encode(e, line, on_long, out, st);
    case LINE_MESSAGES:
        return messages_encode(e, line, on_long, out, st);
    case LINE_TEXT:
        break;
    }
    return text_encode(e, line, on_long, out, st);
}

void encoded_line_release(struct encoded_line *x)
{
    mem_free(x->ids);
    mem_free(x->mask);
    mem_free(x->sequences);
    *x = (struct encoded_line){ 0 };
}
