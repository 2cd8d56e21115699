/* lethe ood: parts training data into what is trained on and what is out of its domain. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "eval/contamination.h"
#include "eval/split.h"
#include "model/encode.h"
#include "probes/index.h"
#include "probes/pool.h"
#include "train/data.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const struct usage USAGE = {
    .forms = "lethe ood DATA... --train T --out O [--by source|tag|length] [--share X] [--seed S]",
    .does =
        "Proposes an out-of-domain part of training data: whole sources (the key \"source\" of a line, else "
        "its file),\n"
        "whole tags (\"tag\", or the first of \"tags\"), or the longest lines; without --by the first of "
        "these "
        "that can be\n"
        "done. Writes what is left to train on to T and the part to O, both without those keys, and says "
        "what differs.\n"
        "Files that are there are not written over.",
    .example = "lethe ood mail.jsonl faq.jsonl --train train.jsonl --out ood.jsonl --by source",
};

/* A line as it is written, and what the split looks at. */
struct ood_text {
    struct str line, words;
};
struct ood_run {
    struct common common;
    const char *train, *out, *by;
    double share;
    uint64_t seed;
    enum line_form form; /* of the first line, and so of all */
    struct ood_text *texts;
    struct split_line *lines; /* [n] */
    size_t n, texts_cap, lines_cap;
    struct text_index ids;
    struct pool pool;   /* ids, sources and tags */
    const char *file;   /* under way */
    const char **found; /* texts of the line under way */
};

/* ---- reading ---- */

/* A copy of a string under `key`, or NULL where there is none. */
static int label_read(struct ood_run *r, const struct json *line, const char *key, const char **out,
                      struct status *st)
{
    int rc = 0;
    const struct json *j = json_find(line, key);
    *out = NULL;
    if (!j)
        goto out;
    if (!json_text(j))
        FAIL(st, RC_FORMAT, "key '%s' is not a string", key);
    *out = pool_text(&r->pool, json_text(j), strlen(json_text(j)));
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for a %s", key);
out:
    return rc;
}

static int tag_read(struct ood_run *r, const struct json *line, const char **out, struct status *st)
{
    int rc = 0;
    const struct json *tags = json_find(line, "tags");
    const struct json *first = tags ? json_first(tags) : NULL;
    TRY(label_read(r, line, "tag", out, st));
    if (!tags)
        goto out;
    if (json_type(tags) != JSON_ARRAY || (first && !json_text(first)))
        FAIL(st, RC_FORMAT, "key 'tags' is not a list of strings");
    if (*out)
        FAIL(st, RC_FORMAT, "keys 'tag' and 'tags' are both there");
    if (first)
        *out = pool_text(&r->pool, json_text(first), strlen(json_text(first)));
    if (first && !*out)
        FAIL(st, RC_NOMEM, "no memory for a tag");
out:
    return rc;
}

static int id_keep(struct ood_run *r, const struct json *line, struct status *st)
{
    int rc = 0;
    const char *id = NULL;
    size_t number = 0;
    bool fresh = true;
    TRY(label_read(r, line, "id", &id, st));
    if (id)
        TRY(text_index_put(&r->ids, id, strlen(id), &number, &fresh, st));
    if (!fresh)
        FAIL(st, RC_FORMAT, "id '%.60s' is used twice", id);
out:
    return rc;
}

/* The line as training takes it: without the keys that only the split reads. */
static int line_write(const struct json *line, struct str *out, struct status *st)
{
    static const char *const keys[] = { "id",   "prompt", "completion", "messages", "text",
                                        "tags", "tag",    "source",     NULL };
    int rc = 0;
    struct json *kept = json_object();
    TRY(json_only(line, keys, st));
    for (const struct json *m = json_first(line); m; m = json_next(m)) {
        size_t k = 0;
        while (strcmp(keys[k], json_key(m)) != 0)
            k++;
        if (k < 5) /* "tags" and what follows it */
            json_put(kept, json_key(m), json_copy(m));
    }
    TRY(json_check(kept, st));
    TRY(json_write_canonical(kept, out, st));
    str_putc(out, '\n');
    TRY(str_check(out, st));
out:
    json_free(kept);
    return rc;
}

static int line_take(void *self, const struct json *line, struct status *st)
{
    int rc = 0;
    struct ood_run *r = self;
    enum line_form form;
    size_t texts_n = 0;
    struct ood_text text = { 0 };
    struct split_line add = { 0 };
    if (json_type(line) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "a training line is an object");
    TRY(line_form_of(line, &form, st));
    if (r->n == 0)
        r->form = form;
    if (form != r->form)
        FAIL(st, RC_FORMAT, "the line is of another form than the first one");
    if (r->n == DATA_LINES_MAX)
        FAIL(st, RC_LIMIT, "over %d lines", DATA_LINES_MAX);
    TRY(line_write(line, &text.line, st));
    TRY(id_keep(r, line, st));
    TRY(label_read(r, line, "source", &add.source, st));
    TRY(tag_read(r, line, &add.tag, st));
    if (!add.source)
        add.source = r->file;
    TRY(data_line_texts(line, r->found, &texts_n, st));
    for (size_t i = 0; i < texts_n; i++)
        TRY(contamination_words(r->found[i], strlen(r->found[i]), &text.words, st));
    TRY(mem_grow(&r->texts, r->n, &r->texts_cap, sizeof *r->texts, st));
    TRY(mem_grow(&r->lines, r->n, &r->lines_cap, sizeof *r->lines, st));
    add.words = str_text(&text.words);
    add.size = text.words.size;
    r->texts[r->n] = text;
    r->lines[r->n++] = add;
    text = (struct ood_text){ 0 };
out:
    str_release(&text.line);
    str_release(&text.words);
    return rc;
}

/* ---- writing ---- */

static int parts_write(const struct ood_run *r, const struct split *s, struct status *st)
{
    int rc = 0;
    struct str train = { 0 }, out = { 0 };
    for (size_t i = 0; i < r->n; i++) {
        const struct str *line = &r->texts[i].line;
        str_add(s->out[i] ? &out : &train, line->data, line->size);
    }
    TRY(str_check(&train, st));
    TRY(str_check(&out, st));
    TRY(file_create(r->train, train.data, train.size, 0644, st));
    rc = file_create(r->out, out.data, out.size, 0644, st);
    if (rc != 0)
        (void)unlink(r->train); /* both or none */
out:
    str_release(&train);
    str_release(&out);
    return rc;
}

static struct json *part_json(const struct split_part *p)
{
    struct json *j = json_object();
    json_put_int(j, "lines", (int64_t)p->lines);
    json_put_int(j, "words", (int64_t)p->words);
    json_put_int(j, "shortest", (int64_t)p->shortest);
    json_put_int(j, "longest", (int64_t)p->longest);
    return j;
}

static void part_put(struct str *out, const char *path, const struct split_part *p)
{
    str_printf(out, "%-30s %7zu lines of %zu to %zu words, %.1f on average\n", path, p->lines, p->shortest,
               p->longest, (double)p->words / (double)p->lines);
}

static int result_print(const struct ood_run *r, const struct split *s, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, line = { 0 };
    struct json *root = json_object();
    str_printf(&text, "out of domain by %s: ", split_by_name(s->by));
    escape_terminal(str_text(&s->what), s->what.size, 200, &text);
    str_putc(&text, '\n');
    part_put(&text, r->train, &s->train);
    part_put(&text, r->out, &s->ood);
    str_printf(
        &text,
        "%.1f %% of the out-of-domain words are in no training line; a part drawn at random: %.1f %%\n",
        100 * s->unseen, 100 * s->unseen_random);
    if (s->twins)
        str_printf(&text, "%zu lines of the part stood in the rest word for word and stay there\n", s->twins);
    json_put_int(root, "lethe_ood", 1);
    json_put_text(root, "by", split_by_name(s->by));
    json_put_text(root, "what", str_text(&s->what));
    json_put(root, "train", part_json(&s->train));
    json_put(root, "ood", part_json(&s->ood));
    json_put_int(root, "twins", (int64_t)s->twins);
    json_put_dec6(root, "unseen", s->unseen);
    json_put_dec6(root, "unseen_random", s->unseen_random);
    TRY(json_check(root, st));
    TRY(json_write_canonical(root, &line, st));
    str_putc(&line, '\n');
    TRY(cli_print(r->common.json ? &line : &text, st));
out:
    json_free(root);
    str_release(&text);
    str_release(&line);
    return rc;
}

/* ---- the command ---- */

static int by_read(const char *text, enum split_by *out, struct status *st)
{
    *out = SPLIT_ANY;
    for (int by = SPLIT_SOURCE; text && by < SPLIT_ANY; by++)
        if (strcmp(text, split_by_name((enum split_by)by)) == 0)
            *out = (enum split_by)by;
    if (text && *out == SPLIT_ANY)
        return status_fail(st, RC_ARG, "--by is '%.60s', wanted source, tag or length", text);
    return 0;
}

static int ood_run(struct ood_run *r, const struct opt_list *words, struct status *st)
{
    int rc = 0;
    struct split_options options = { .share = r->share, .seed = r->seed };
    struct split split = { 0 };
    TRY(by_read(r->by, &options.by, st));
    if (!(r->share > 0 && r->share <= 0.5))
        FAIL(st, RC_ARG, "--share is %g, wanted above 0 and at most 0.5", r->share);
    if (strcmp(r->train, r->out) == 0)
        FAIL(st, RC_ARG, "--train and --out are the same file");
    for (int k = 0; k < 2; k++)
        if (path_exists(k ? r->out : r->train))
            FAIL(st, RC_ARG, "%s is there already; --train and --out want new files", k ? r->out : r->train);
    r->found = mem_calloc(DATA_TEXTS_MAX, sizeof *r->found);
    if (!r->found)
        FAIL(st, RC_NOMEM, "no memory for the texts of a line");
    for (size_t i = 0; i < words->n; i++) {
        r->file = words->v[i];
        TRY(data_lines(r->file, line_take, r, st));
    }
    TRY(split_make(r->lines, r->n, &options, &split, st));
    TRY(parts_write(r, &split, st));
    TRY(result_print(r, &split, st));
out:
    split_release(&split);
    return rc;
}

static void ood_run_release(struct ood_run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        str_release(&r->texts[i].line);
        str_release(&r->texts[i].words);
    }
    mem_free(r->texts);
    mem_free(r->lines);
    mem_free(r->found);
    text_index_release(&r->ids);
    pool_release(&r->pool);
}

int cmd_ood(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct ood_run r = { .share = 0.1, .seed = 1 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "train", OPT_TEXT, &r.train, "T", "what is left to train on" },
        { "out", OPT_TEXT, &r.out, "O", "the out-of-domain part (also -o)" },
        { "by", OPT_TEXT, &r.by, "HOW", "source, tag or length (the first that can be done)" },
        { "share", OPT_REAL, &r.share, "X", "share of the lines that is held out, about (0.1)" },
        { "seed", OPT_SEED, &r.seed, "S", "which sources or tags are held out (1)" },
        { "json", OPT_FLAG, &r.common.json, NULL, "one JSON document on stdout" },
        { "help", OPT_FLAG, &r.common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&r.common, &USAGE, table))
        goto out;
    if (words.n == 0 || !r.train || !r.out)
        FAIL(st, RC_ARG, "data and two files are wanted: lethe ood DATA... --train T --out O");
    TRY(ood_run(&r, &words, st));
out:
    ood_run_release(&r);
    opts_release(table, &words);
    return rc;
}
