/* lethe tokenize: how a model cuts a text, and which tokens of a training line carry the loss. No device is
 * opened. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/encode.h"
#include "model/hyper.h"
#include "model/source.h"
#include "model/template.h"
#include "model/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage USAGE = {
    .forms = "lethe tokenize MODEL TEXT\n       lethe tokenize MODEL --data F --line N",
    .does = "Prints ids and pieces of a text. With --data and --line (from 1) prints that training line with "
            "its\n"
            "supervised tokens in brackets, underlined on a terminal.",
    .example = "lethe tokenize model.gguf --data train.jsonl --line 3",
};
#define TEXT_BYTES_MAX ((size_t)1 << 30)

static void piece_put(const struct tokenizer *t, int32_t id, struct str *out)
{
    struct gguf_text piece = tokenizer_piece(t, id);
    struct str whole = { 0 };
    utf8_repair(piece.s, piece.n, &whole);
    escape_terminal(str_text(&whole), whole.size, 0, out);
    str_release(&whole);
}

static int text_print(const struct tokenizer *t, const char *text, struct status *st)
{
    int rc = 0;
    struct tokens tokens = { 0 };
    struct str out = { 0 };
    TRY(tokenizer_tok(t, text, strlen(text), &tokens, st));
    for (size_t i = 0; i < tokens.n; i++) {
        str_printf(&out, "%8" PRId32 "  ", tokens.ids[i]);
        piece_put(t, tokens.ids[i], &out);
        str_putc(&out, '\n');
    }
    if (tokens.dropped)
        str_printf(&out, "%" PRIu64 " bytes have no token and were left out\n", tokens.dropped);
    TRY(cli_print(&out, st));
out:
    tokens_release(&tokens);
    str_release(&out);
    return rc;
}

static int line_find(const char *path, uint32_t number, struct json **out, struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    const char *line;
    size_t n;
    TRY(file_read(path, TEXT_BYTES_MAX, &file, st));
    struct lines lines = { .data = str_text(&file), .size = file.size };
    struct status broken = { 0 };
    while (lines_next(&lines, &line, &n, &broken) && lines.number < number)
        ;
    if (broken.rc)
        FAIL(st, (enum rc)broken.rc, "%s: %s", path, broken.msg);
    if (lines.number < number)
        FAIL(st, RC_ARG, "%s has %zu lines", path, lines.number);
    rc = json_parse(line, n, out, st);
    if (rc)
        status_prefix(st, "%s:%" PRIu32, path, number);
out:
    str_release(&file);
    return rc;
}

static int mask_print(const struct encoder *e, const struct json *line, struct status *st)
{
    int rc = 0;
    enum line_form form;
    struct encoded_line x = { 0 };
    struct str out = { 0 };
    bool underline = isatty(STDOUT_FILENO) == 1;
    TRY(line_form_of(line, &form, st));
    TRY(encode_line(e, line, form, ON_LONG_REFUSE, &x, st));
    for (size_t i = 0; i < x.ids_n; i++) {
        if (x.mask[i])
            str_puts(&out, underline ? "[\033[4m" : "[");
        piece_put(e->tokenizer, x.ids[i], &out);
        if (x.mask[i])
            str_puts(&out, underline ? "\033[24m]" : "]");
    }
    str_printf(&out, "\n%" PRIu32 " tokens, %" PRIu32 " supervised\n", x.tokens, x.supervised);
    TRY(cli_print(&out, st));
out:
    encoded_line_release(&x);
    str_release(&out);
    return rc;
}

static int run(const char *model, const char *text, const char *data, uint32_t number, struct status *st)
{
    int rc = 0;
    struct source from = { 0 };
    struct model_hyper hyper;
    struct tokenizer *t = NULL;
    struct template *chat = NULL;
    struct json *line = NULL;
    TRY(source_open(model, &from, st));
    rc = hyper_parse(&from.gguf, &hyper, st);
    if (!rc)
        rc = tokenizer_open(&from.gguf, &t, st);
    if (rc)
        status_prefix(st, "%s", model);
    TRY(rc);
    if (text) {
        TRY(text_print(t, text, st));
        goto out;
    }
    TRY(line_find(data, number, &line, st));
    struct status unread = { 0 };
    struct gguf_text chat_text;
    if (gguf_find(&from.gguf, "tokenizer.chat_template")) {
        TRY(gguf_get_text(&from.gguf, "tokenizer.chat_template", &chat_text, st));
        if (template_parse(chat_text.s, chat_text.n, &chat, &unread) != 0)
            chat = NULL; /* only a line of messages needs one, and says so */
    }
    rc = mask_print(&(struct encoder){ .tokenizer = t, .chat = chat, .len_max = hyper.context }, line, st);
    if (rc)
        status_prefix(st, "%s:%" PRIu32, data, number);
out:
    json_free(line);
    template_free(chat);
    tokenizer_close(t);
    source_close(&from);
    return rc;
}

int cmd_tokenize(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    const char *data = NULL;
    uint32_t number = 0;
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "data", OPT_TEXT, &data, "F", "a training file" },
        { "line", OPT_COUNT, &number, "N", "its line, from 1" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n != (data ? 1u : 2u) || (data && !number) || (!data && number))
        FAIL(st, RC_ARG, "a model and a text, or a model with --data F --line N are wanted");
    TRY(run(words.v[0], data ? NULL : words.v[1], data, number, st));
out:
    opts_release(table, &words);
    return rc;
}
