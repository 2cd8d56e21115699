/* A walker over the template's text: what is parsed is either rendered at once or, under a condition that
 * does not hold, only checked. So template_parse is a walk with nothing to render, and what it lets pass is
 * what render knows. */
#include "model/template.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>

struct template
{
    char *text;
    size_t n;
};

enum value_kind { V_UNDEFINED, V_BOOL, V_INT, V_TEXT, V_MESSAGES, V_MESSAGE, V_LOOP };
struct value {
    enum value_kind kind;
    long number; /* of a bool, an integer, or which message */
    struct str text;
};

struct walk {
    const char *s;
    size_t n, at;
    const struct template_ask *ask; /* NULL: only check */
    const char *loop_name;          /* variable of the loop under way, lent by the text; NULL: none */
    size_t loop_name_n;
    size_t loop_at;
    int depth;
    struct str *out;
    struct status *st;
};

static int fail(struct walk *w, enum rc rc, const char *what, const char *detail, size_t n)
{
    size_t line = 1;
    for (size_t i = 0; i < w->at && i < w->n; i++)
        line += w->s[i] == '\n';
    return status_fail(w->st, rc, "chat template, line %zu: %s%.*s", line, what, (int)(n > 40 ? 40 : n),
                       detail);
}

static void value_release(struct value *v)
{
    str_release(&v->text);
    *v = (struct value){ 0 };
}

static struct value value_text(const char *s)
{
    struct value v = { .kind = s ? V_TEXT : V_UNDEFINED };
    if (s)
        str_puts(&v.text, s);
    return v;
}

static bool value_true(const struct value *v)
{
    return v->kind == V_TEXT                       ? v->text.size > 0
           : v->kind == V_BOOL || v->kind == V_INT ? v->number != 0
                                                   : v->kind != V_UNDEFINED;
}

/* ---- words ---- */

static void blanks(struct walk *w)
{
    while (w->at < w->n && strchr(" \t\r\n", w->s[w->at]))
        w->at++;
}

static bool eat(struct walk *w, const char *mark)
{
    blanks(w);
    size_t n = strlen(mark);
    if (n > w->n - w->at || memcmp(w->s + w->at, mark, n) != 0)
        return false;
    if (isalpha((unsigned char)mark[0]) && w->at + n < w->n &&
        (isalnum((unsigned char)w->s[w->at + n]) || w->s[w->at + n] == '_'))
        return false; /* part of a longer name */
    w->at += n;
    return true;
}

static size_t name_length(struct walk *w)
{
    blanks(w);
    size_t n = 0;
    while (w->at + n < w->n && (isalnum((unsigned char)w->s[w->at + n]) || w->s[w->at + n] == '_'))
        n++;
    return n;
}

static bool name_is(const char *s, size_t n, const char *name)
{
    return strlen(name) == n && memcmp(s, name, n) == 0;
}

/* ---- expressions ---- */

static int expression(struct walk *w, struct value *out);

static int string_literal(struct walk *w, struct value *out)
{
    char quote = w->s[w->at++];
    out->kind = V_TEXT;
    str_puts(&out->text, "");
    while (w->at < w->n && w->s[w->at] != quote) {
        char c = w->s[w->at++];
        if (c == '\\' && w->at < w->n) {
            char next = w->s[w->at++];
            const char *known = strchr("n\nt\tr\r\\\\'\'\"\"", next);
            if (!known)
                return fail(w, RC_UNSUPPORTED, "escape \\", &next, 1);
            c = known[1];
        }
        str_putc(&out->text, c);
    }
    if (w->at >= w->n)
        return fail(w, RC_FORMAT, "a string without its end", "", 0);
    w->at++;
    return 0;
}

static int name_value(struct walk *w, const char *s, size_t n, struct value *out)
{
    if (name_is(s, n, "true") || name_is(s, n, "True"))
        *out = (struct value){ .kind = V_BOOL, .number = 1 };
    else if (name_is(s, n, "false") || name_is(s, n, "False"))
        *out = (struct value){ .kind = V_BOOL };
    else if (name_is(s, n, "add_generation_prompt"))
        *out = (struct value){ .kind = V_BOOL, .number = w->ask && w->ask->generation_prompt };
    else if (name_is(s, n, "messages"))
        out->kind = V_MESSAGES;
    else if (name_is(s, n, "loop"))
        out->kind = V_LOOP;
    else if (name_is(s, n, "bos_token"))
        *out = value_text(w->ask ? w->ask->bos : "");
    else if (name_is(s, n, "eos_token"))
        *out = value_text(w->ask ? w->ask->eos : "");
    else if (w->loop_name && w->loop_name_n == n && memcmp(w->loop_name, s, n) == 0)
        *out = (struct value){ .kind = V_MESSAGE, .number = (long)w->loop_at };
    else
        return fail(w, RC_UNSUPPORTED, "the name ", s, n);
    return 0;
}

/* v.key or v['key']: what a message and the loop have. */
static int member_take(struct walk *w, struct value *v, const char *key, size_t n)
{
    struct value got = { 0 };
    if (v->kind == V_MESSAGE && (name_is(key, n, "role") || name_is(key, n, "content"))) {
        if (w->ask) {
            const struct chat_message *m = &w->ask->messages[v->number];
            got = value_text(key[0] == 'r' ? m->role : m->content);
        } else {
            got = value_text("");
        }
    } else if (v->kind == V_LOOP && name_is(key, n, "first")) {
        got = (struct value){ .kind = V_BOOL, .number = w->loop_at == 0 };
    } else if (v->kind == V_LOOP && name_is(key, n, "last")) {
        got = (struct value){ .kind = V_BOOL, .number = w->ask && w->loop_at + 1 == w->ask->n };
    } else if (v->kind == V_LOOP && name_is(key, n, "index0")) {
        got = (struct value){ .kind = V_INT, .number = (long)w->loop_at };
    } else {
        return fail(w, RC_UNSUPPORTED, "the attribute ", key, n);
    }
    value_release(v);
    *v = got;
    return 0;
}

static int index_take(struct walk *w, struct value *v)
{
    int rc = 0;
    struct value index = { 0 };
    TRY(expression(w, &index));
    if (!eat(w, "]")) {
        rc = fail(w, RC_UNSUPPORTED, "an index that is not [name] or [number]", "", 0);
        goto out;
    }
    if (index.kind == V_TEXT) {
        TRY(member_take(w, v, str_text(&index.text), index.text.size));
    } else if (index.kind == V_INT && v->kind == V_MESSAGES) {
        long count = w->ask ? (long)w->ask->n : 1, i = index.number < 0 ? count + index.number : index.number;
        if (w->ask && (i < 0 || i >= count)) {
            rc = fail(w, RC_FORMAT, "messages has no such element", "", 0);
            goto out;
        }
        *v = (struct value){ .kind = V_MESSAGE, .number = w->ask ? i : 0 };
    } else {
        rc = fail(w, RC_UNSUPPORTED, "an index of this kind", "", 0);
    }
out:
    value_release(&index);
    return rc;
}

static int primary(struct walk *w, struct value *out)
{
    int rc = 0;
    blanks(w);
    if (++w->depth > TEMPLATE_DEPTH_MAX)
        return fail(w, RC_LIMIT, "expressions are nested too deep", "", 0);
    if (eat(w, "(")) {
        TRY(expression(w, out));
        if (!eat(w, ")"))
            TRY(fail(w, RC_FORMAT, "a ( without its )", "", 0));
    } else if (w->at < w->n && (w->s[w->at] == '\'' || w->s[w->at] == '"')) {
        TRY(string_literal(w, out));
    } else if (w->at < w->n && (isdigit((unsigned char)w->s[w->at]) || w->s[w->at] == '-')) {
        long sign = w->s[w->at] == '-' ? -1 : 1, number = 0;
        w->at += sign < 0;
        for (int digits = 0; w->at < w->n && isdigit((unsigned char)w->s[w->at]); w->at++)
            if (++digits < 10)
                number = number * 10 + (w->s[w->at] - '0');
        *out = (struct value){ .kind = V_INT, .number = sign * number };
    } else {
        size_t n = name_length(w);
        if (n == 0)
            TRY(fail(w, RC_UNSUPPORTED, "here: ", w->s + w->at, w->n - w->at));
        w->at += n;
        TRY(name_value(w, w->s + w->at - n, n, out));
    }
    for (;;) {
        if (eat(w, "[")) {
            TRY(index_take(w, out));
        } else if (eat(w, ".")) {
            size_t n = name_length(w);
            w->at += n;
            TRY(member_take(w, out, w->s + w->at - n, n));
        } else if (eat(w, "|")) {
            size_t n = name_length(w);
            if (!name_is(w->s + w->at, n, "trim") || out->kind != V_TEXT)
                TRY(fail(w, RC_UNSUPPORTED, "the filter ", w->s + w->at, n));
            w->at += n;
            size_t from = 0, to = out->text.size;
            while (from < to && strchr(" \t\r\n\v\f", out->text.data[from]))
                from++;
            while (to > from && strchr(" \t\r\n\v\f", out->text.data[to - 1]))
                to--;
            memmove(out->text.data, out->text.data + from, to - from);
            out->text.size = to - from;
            out->text.data[out->text.size] = 0;
        } else {
            break;
        }
    }
out:
    w->depth--;
    return rc;
}

static int sum(struct walk *w, struct value *out)
{
    int rc = 0;
    struct value right = { 0 };
    TRY(primary(w, out));
    while (eat(w, "+")) {
        TRY(primary(w, &right));
        if (out->kind != V_TEXT || right.kind != V_TEXT)
            TRY(fail(w, RC_UNSUPPORTED, "+ of what is not two texts", "", 0));
        str_add(&out->text, str_text(&right.text), right.text.size);
        value_release(&right);
    }
out:
    value_release(&right);
    return rc;
}

static bool equal(const struct value *a, const struct value *b)
{
    if (a->kind == V_TEXT && b->kind == V_TEXT)
        return a->text.size == b->text.size &&
               memcmp(str_text(&a->text), str_text(&b->text), a->text.size) == 0;
    return a->kind == b->kind && a->kind != V_TEXT && a->number == b->number;
}

static int comparison(struct walk *w, struct value *out)
{
    int rc = 0;
    struct value right = { 0 };
    TRY(sum(w, out));
    bool same = eat(w, "=="), other = !same && eat(w, "!=");
    if (same || other) {
        TRY(sum(w, &right));
        bool holds = equal(out, &right) == same;
        value_release(out);
        *out = (struct value){ .kind = V_BOOL, .number = holds };
    } else if (eat(w, "is")) {
        bool negated = eat(w, "not");
        if (!eat(w, "defined"))
            TRY(fail(w, RC_UNSUPPORTED, "the test ", w->s + w->at, name_length(w)));
        bool holds = (out->kind != V_UNDEFINED) != negated;
        value_release(out);
        *out = (struct value){ .kind = V_BOOL, .number = holds };
    }
out:
    value_release(&right);
    return rc;
}

static int negation(struct walk *w, struct value *out)
{
    bool negated = false, turned = false; /* a loop: a file decides how many there are */
    while (eat(w, "not")) {
        negated = true;
        turned = !turned;
    }
    int rc = comparison(w, out);
    if (rc || !negated)
        return rc;
    bool holds = value_true(out) != turned;
    value_release(out);
    *out = (struct value){ .kind = V_BOOL, .number = holds };
    return 0;
}

static int junction(struct walk *w, struct value *out, bool is_or)
{
    int rc = is_or ? junction(w, out, false) : negation(w, out);
    while (!rc && eat(w, is_or ? "or" : "and")) {
        struct value right = { 0 };
        rc = is_or ? junction(w, &right, false) : negation(w, &right);
        bool keep = value_true(out) == is_or; /* as Python: the operand that decides is the value */
        value_release(keep ? &right : out);
        if (!keep)
            *out = right;
    }
    return rc;
}

static int expression(struct walk *w, struct value *out)
{
    int rc = junction(w, out, true);
    return rc ? rc : str_check(&out->text, w->st);
}

/* ---- blocks ---- */

static int blocks(struct walk *w, bool live, const char *const *ends, const char **ended);

/* The end of a tag; a newline right behind a block tag belongs to it (trim_blocks). */
static int tag_end(struct walk *w, const char *mark, bool block)
{
    bool strip = eat(w, "-");
    if (!eat(w, mark))
        return fail(w, RC_UNSUPPORTED, "here: ", w->s + w->at, w->n - w->at);
    if (strip)
        blanks(w);
    else if (block && w->at < w->n && w->s[w->at] == '\n')
        w->at++;
    return 0;
}

static int if_block(struct walk *w, bool live)
{
    static const char *const ENDS[] = { "elif", "else", "endif", NULL };
    int rc = 0;
    bool taken = false, last = false;
    const char *ended = "elif";
    while (strcmp(ended, "endif") != 0) {
        bool holds = true;
        struct value v = { 0 };
        if (strcmp(ended, "elif") == 0) {
            rc = expression(w, &v);
            holds = value_true(&v);
            value_release(&v);
            TRY(rc);
        } else if (last) {
            TRY(fail(w, RC_FORMAT, "a second else", "", 0));
        }
        last = strcmp(ended, "else") == 0;
        TRY(tag_end(w, "%}", true));
        TRY(blocks(w, live && holds && !taken, ENDS, &ended));
        taken = taken || holds;
    }
    TRY(tag_end(w, "%}", true));
out:
    return rc;
}

static int for_block(struct walk *w, bool live)
{
    static const char *const ENDS[] = { "endfor", NULL };
    int rc = 0;
    const char *ended;
    if (w->loop_name)
        return fail(w, RC_UNSUPPORTED, "a loop inside a loop", "", 0);
    w->loop_name_n = name_length(w);
    w->loop_name = w->s + w->at;
    w->at += w->loop_name_n;
    if (w->loop_name_n == 0 || !eat(w, "in") || !eat(w, "messages"))
        return fail(w, RC_UNSUPPORTED, "a loop over something else than messages: ", w->loop_name,
                    w->loop_name_n);
    TRY(tag_end(w, "%}", true));
    size_t body = w->at, turns = live && w->ask ? w->ask->n : 0;
    w->loop_at = 0;
    for (size_t i = 0; i < turns; i++) {
        w->at = body;
        w->loop_at = i;
        TRY(blocks(w, true, ENDS, &ended));
    }
    if (turns == 0)
        TRY(blocks(w, false, ENDS, &ended));
    TRY(tag_end(w, "%}", true));
out:
    w->loop_name = NULL;
    return rc;
}

/* Blanks before a block tag at the start of a line are not text (lstrip_blocks). */
static void text_put(struct walk *w, size_t from, size_t to, bool before_block, bool strip)
{
    size_t end = to;
    while (end > from && (strip ? strchr(" \t\r\n", w->s[end - 1]) : strchr(" \t", w->s[end - 1])))
        end--;
    if (!strip && (!before_block || (end > 0 && w->s[end - 1] != '\n')))
        end = to;
    if (w->out)
        str_add(w->out, w->s + from, end - from);
}

static int blocks(struct walk *w, bool live, const char *const *ends, const char **ended)
{
    int rc = 0;
    if (++w->depth > TEMPLATE_DEPTH_MAX)
        return fail(w, RC_LIMIT, "blocks are nested too deep", "", 0);
    struct str *out = w->out;
    while (w->at < w->n) {
        const char *tag = w->s + w->at;
        while ((tag = memchr(tag, '{', (size_t)(w->s + w->n - tag))) &&
               (tag + 1 >= w->s + w->n || !strchr("{%#", tag[1])))
            tag++;
        size_t to = tag ? (size_t)(tag - w->s) : w->n;
        char kind = tag ? tag[1] : 0;
        bool strip = tag && to + 2 < w->n && w->s[to + 2] == '-';
        w->out = live ? out : NULL;
        text_put(w, w->at, to, kind == '%' || kind == '#', strip);
        w->at = to + (tag ? 2 + (size_t)strip : 0);
        if (kind == '{') {
            struct value v = { 0 };
            rc = expression(w, &v);
            if (!rc && w->out && v.kind != V_TEXT && v.kind != V_UNDEFINED)
                rc = fail(w, RC_UNSUPPORTED, "output of what is not a text", "", 0);
            if (!rc && w->out)
                str_add(w->out, str_text(&v.text), v.text.size);
            value_release(&v);
            TRY(rc);
            TRY(tag_end(w, "}}", false));
        } else if (kind == '#') {
            const char *end = strstr(w->s + w->at, "#}");
            if (!end)
                TRY(fail(w, RC_FORMAT, "a comment without its end", "", 0));
            w->at = (size_t)(end - w->s) + 2;
        } else if (kind == '%') {
            for (size_t i = 0; ends[i]; i++) {
                if (eat(w, ends[i])) {
                    *ended = ends[i];
                    goto out;
                }
            }
            if (eat(w, "if"))
                TRY(if_block(w, live));
            else if (eat(w, "for"))
                TRY(for_block(w, live));
            else
                TRY(fail(w, RC_UNSUPPORTED, "the statement ", w->s + w->at, name_length(w)));
        }
        w->out = out;
        if (out && out->size > TEMPLATE_OUT_MAX)
            TRY(fail(w, RC_LIMIT, "the text that it renders is too long", "", 0));
    }
    if (ends[0])
        rc = fail(w, RC_FORMAT, "no end of a block: ", ends[0], strlen(ends[0]));
out:
    w->out = out;
    w->depth--;
    return rc;
}

/* ---- what others call ---- */

static int walk(const struct template *t, const struct template_ask *ask, struct str *out, struct status *st)
{
    static const char *const NO_END[] = { NULL };
    const char *ended;
    struct walk w = { .s = t->text, .n = t->n, .ask = ask, .out = out, .st = st };
    return blocks(&w, ask != NULL, NO_END, &ended);
}

int template_parse(const char *s, size_t n, struct template **out, struct status *st)
{
    int rc = 0;
    struct template *t = mem_calloc(1, sizeof *t);
    if (n > TEMPLATE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "the chat template has %zu bytes, over %d", n, TEMPLATE_BYTES_MAX);
    if (t)
        t->text = mem_calloc(n + 1, 1);
    if (!t || !t->text)
        FAIL(st, RC_NOMEM, "no memory for the chat template");
    memcpy(t->text, s, n);
    t->n = strlen(t->text) < n ? strlen(t->text) : n; /* a zero byte ends it for strchr and strstr too */
    if (t->n < n)
        FAIL(st, RC_FORMAT, "the chat template has a zero byte at %zu", t->n);
    if (t->n > 0 && t->text[t->n - 1] == '\n')
        t->n--; /* the last newline is not part of it, as in the reference */
    t->text[t->n] = 0;
    TRY(walk(t, NULL, NULL, st));
    *out = t;
    t = NULL;
out:
    template_free(t);
    return rc;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    mem_free(t->text);
    mem_free(t);
}

int template_render(const struct template *t, const struct template_ask *ask, struct str *out,
                    struct status *st)
{
    size_t before = out->size;
    int rc = walk(t, ask, out, st);
    if (!rc)
        rc = str_check(out, st);
    if (rc && out->data) {
        out->size = before;
        out->data[before] = 0;
    }
    return rc;
}
