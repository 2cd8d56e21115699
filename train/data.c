#include "train/data.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_BYTES_MAX = 200 };

static char *text_copy(const char *text, size_t n)
{
    char *copy = mem_calloc(n + 1, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

/* ---- a line ---- */

/* The key `id`, or the line's number from 0. */
static int id_read(const struct json *line, uint32_t number, char **out, struct status *st)
{
    int rc = 0;
    char own[16];
    const struct json *key = json_find(line, "id");
    const char *id = key ? json_text(key) : own;
    snprintf(own, sizeof own, "%" PRIu32, number - 1);
    if (!id)
        FAIL(st, RC_FORMAT, "key 'id' is not a string");
    const size_t n = strlen(id);
    if (n == 0 || n > ID_BYTES_MAX)
        FAIL(st, RC_FORMAT, "key 'id' has %zu bytes, wanted 1 to %d", n, ID_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7f)
            FAIL(st, RC_FORMAT, "key 'id' has a control character");
    *out = text_copy(id, n);
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for an id");
out:
    return rc;
}

static void turns_count(const struct json *line, struct data_line *out)
{
    uint32_t index = 0;
    const struct json *messages = json_find(line, "messages");
    for (const struct json *m = messages ? json_first(messages) : NULL; m; m = json_next(m), index++) {
        const struct json *role = json_find(m, "role");
        if (!role || !json_text(role) || strcmp(json_text(role), "assistant") != 0)
            continue;
        if (out->turns == 0)
            out->turn_first = index;
        out->turns++;
    }
}

static int sequences_add(struct data *d, const struct encoded_line *e, struct status *st)
{
    int rc = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < e->n; i++) {
        const struct sequence *s = &e->sequences[i];
        if (s->supervised == 0)
            continue;
        TRY(mem_grow(&d->sequences, d->sequences_n, &d->sequences_cap, sizeof *d->sequences, st));
        d->sequences[d->sequences_n++] = (struct data_sequence){
            .line = (uint32_t)d->lines_n,
            .n = s->n,
            .supervised = s->supervised,
            .scored_before = before,
            .ids = e->ids + s->first,
            .mask = e->mask + s->first,
        };
        before += s->supervised;
        d->longest = s->n > d->longest ? s->n : d->longest;
    }
out:
    return rc;
}

/* Counts of a line go to its file and, when it is trained on, to the whole. */
static void line_count(struct data *d, struct data_file *f, const struct data_line *l,
                       const struct encoded_line *e)
{
    f->examples++;
    f->bytes_without_token += e->dropped;
    f->nonprefix += (l->flags & LM_NONPREFIX) ? 1 : 0;
    f->truncated += (l->flags & LM_TRUNCATED) ? 1 : 0;
    f->dropped_empty += l->dropped ? 1 : 0;
    if (l->dropped)
        return;
    f->used++;
    f->tokens += l->tokens;
    f->supervised += l->supervised;
    d->tokens += l->tokens;
    d->supervised += l->supervised;
}

static int line_add(struct data *d, const struct json *line, uint32_t number, const struct data_options *o,
                    struct status *st)
{
    int rc = 0;
    struct data_file *f = &d->files[d->files_n - 1];
    struct data_line l = { .file = (uint32_t)(d->files_n - 1), .number = number, .form = f->form };
    struct encoded_line e = { 0 };
    TRY(id_read(line, number, &l.id, st));
    TRY(encode_line(&o->encoder, line, f->form, o->on_long, &e, st));
    if (e.supervised == 0 && o->on_empty == ON_EMPTY_REFUSE)
        FAIL(st, RC_FORMAT, "no supervised token in example '%s'", l.id);
    l.tokens = e.tokens;
    l.supervised = e.supervised;
    l.first = e.at;
    l.flags = e.flags;
    l.dropped = e.supervised == 0;
    turns_count(line, &l);
    TRY(mem_grow(&d->lines, d->lines_n, &d->lines_cap, sizeof *d->lines, st));
    TRY(mem_grow(&d->encoded, d->lines_n, &d->encoded_cap, sizeof *d->encoded, st));
    TRY(sequences_add(d, &e, st));
    line_count(d, f, &l, &e);
    d->encoded[d->lines_n] = e;
    d->lines[d->lines_n++] = l;
    l.id = NULL;
    e = (struct encoded_line){ 0 };
out:
    mem_free(l.id);
    encoded_line_release(&e);
    return rc;
}

/* ---- a file ---- */

static int by_id(const void *a, const void *b)
{
    const struct data_line *x = *(const struct data_line *const *)a, *y = *(const struct data_line *const *)b;
    const int order = strcmp(x->id, y->id);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static int ids_check(const struct data *d, size_t first, const char *name, struct status *st)
{
    int rc = 0;
    const size_t n = d->lines_n - first;
    const struct data_line **order = mem_calloc(n, sizeof *order);
    if (!order)
        FAIL(st, RC_NOMEM, "no memory to compare ids");
    for (size_t i = 0; i < n; i++)
        order[i] = &d->lines[first + i];
    qsort(order, n, sizeof *order, by_id);
    for (size_t i = 1; i < n; i++)
        if (strcmp(order[i - 1]->id, order[i]->id) == 0)
            FAIL(st, RC_FORMAT, "%s:%" PRIu32 ": id '%s' stands at line %" PRIu32 " already", name,
                 order[i]->number, order[i]->id, order[i - 1]->number);
out:
    mem_free(order);
    return rc;
}

static int file_lines(struct data *d, const char *name, const char *bytes, size_t size,
                      const struct data_options *o, struct status *st)
{
    int rc = 0;
    struct lines lines = { .data = bytes, .size = size };
    struct status broken = { 0 };
    struct json *tree = NULL;
    const char *line = NULL;
    size_t n = 0;
    while (lines_next(&lines, &line, &n, &broken)) {
        if (lines.number > DATA_LINES_MAX)
            FAIL(st, RC_LIMIT, "%s: over %d lines", name, DATA_LINES_MAX);
        rc = json_parse(line, n, &tree, st);
        if (rc == 0 && json_type(tree) != JSON_OBJECT)
            rc = status_fail(st, RC_FORMAT, "a training line is an object");
        if (rc == 0 && lines.number == 1)
            rc = line_form_of(tree, &d->files[d->files_n - 1].form, st);
        if (rc == 0)
            rc = line_add(d, tree, (uint32_t)lines.number, o, st);
        json_free(tree);
        tree = NULL;
        if (rc != 0) {
            status_prefix(st, "%s:%zu", name, lines.number);
            goto out;
        }
    }
    if (broken.rc)
        FAIL(st, (enum rc)broken.rc, "%s: %s", name, broken.msg);
    if (lines.number == 0)
        FAIL(st, RC_FORMAT, "%s: the file is empty", name);
    if (d->files[d->files_n - 1].used == 0)
        FAIL(st, RC_FORMAT, "%s: every line was dropped, there is nothing to train on", name);
out:
    return rc;
}

static int file_add(struct data *d, const char *name, const char *bytes, size_t size,
                    const struct data_options *o, struct status *st)
{
    int rc = 0;
    const size_t first = d->lines_n;
    struct data_file *files = mem_realloc(d->files, d->files_n + 1, sizeof *files);
    if (!files)
        FAIL(st, RC_NOMEM, "no memory for a training file");
    d->files = files;
    d->files[d->files_n] = (struct data_file){ .size = size, .sha256 = sha256_of(bytes, size) };
    d->files[d->files_n++].path = text_copy(name, strlen(name));
    if (!d->files[d->files_n - 1].path)
        FAIL(st, RC_NOMEM, "no memory for a training file");
    TRY(file_lines(d, name, bytes, size, o, st));
    TRY(ids_check(d, first, name, st));
out:
    return rc;
}

/* ---- outside ---- */

int data_parse(const char *name, const char *bytes, size_t size, const struct data_options *options,
               struct data *out, struct status *st)
{
    int rc = 0;
    struct data d = { 0 };
    TRY(file_add(&d, name, bytes, size, options, st));
    *out = d;
    d = (struct data){ 0 };
out:
    data_release(&d);
    return rc;
}

int data_load(const char *const *paths, size_t n, const struct data_options *options, struct data *out,
              struct status *st)
{
    int rc = 0;
    struct data d = { 0 };
    struct str bytes = { 0 };
    if (n == 0)
        FAIL(st, RC_ARG, "no training file");
    for (size_t i = 0; i < n; i++) {
        str_clear(&bytes);
        TRY(file_read(paths[i], DATA_BYTES_MAX, &bytes, st));
        TRY(file_add(&d, paths[i], str_text(&bytes), bytes.size, options, st));
    }
    *out = d;
    d = (struct data){ 0 };
out:
    str_release(&bytes);
    data_release(&d);
    return rc;
}

void data_release(struct data *d)
{
    for (size_t i = 0; i < d->lines_n; i++) {
        mem_free(d->lines[i].id);
        encoded_line_release(&d->encoded[i]);
    }
    for (size_t i = 0; i < d->files_n; i++)
        mem_free(d->files[i].path);
    mem_free(d->files);
    mem_free(d->lines);
    mem_free(d->encoded);
    mem_free(d->sequences);
    *d = (struct data){ 0 };
}

/* ---- texts ---- */

int data_line_texts(const struct json *line, const char *texts[DATA_TEXTS_MAX], size_t *n, struct status *st)
{
    int rc = 0;
    static const char *const KEYS[] = { "prompt", "completion", "text" };
    const struct json *messages = json_find(line, "messages");
    *n = 0;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const struct json *value = json_find(line, KEYS[i]);
        if (value && json_text(value))
            texts[(*n)++] = json_text(value);
    }
    for (const struct json *m = messages ? json_first(messages) : NULL; m; m = json_next(m)) {
        const struct json *content = json_find(m, "content");
        if (*n == DATA_TEXTS_MAX)
            FAIL(st, RC_LIMIT, "over %d turns", DATA_TEXTS_MAX);
        if (content && json_text(content))
            texts[(*n)++] = json_text(content);
    }
out:
    return rc;
}

int data_lines(const char *path, int (*take)(void *self, const struct json *line, struct status *st),
               void *self, struct status *st)
{
    int rc = 0;
    struct str bytes = { 0 };
    struct json *tree = NULL;
    struct status broken = { 0 };
    const char *line = NULL;
    size_t n = 0;
    TRY(file_read(path, DATA_BYTES_MAX, &bytes, st));
    struct lines lines = { .data = str_text(&bytes), .size = bytes.size };
    while (lines_next(&lines, &line, &n, &broken)) {
        rc = json_parse(line, n, &tree, st);
        if (rc == 0)
            rc = take(self, tree, st);
        json_free(tree);
        tree = NULL;
        if (rc != 0) {
            status_prefix(st, "%s:%zu", path, lines.number);
            goto out;
        }
    }
    if (broken.rc)
        FAIL(st, (enum rc)broken.rc, "%s: %s", path, broken.msg);
out:
    str_release(&bytes);
    return rc;
}

struct texts_taker {
    int (*take)(void *self, const char *const *texts, size_t n, struct status *st);
    void *self;
    const char **texts;
};

static int texts_take(void *self, const struct json *line, struct status *st)
{
    const struct texts_taker *t = self;
    size_t n = 0;
    const int rc = data_line_texts(line, t->texts, &n, st);
    return rc ? rc : t->take(t->self, t->texts, n, st);
}

int data_texts(const char *path,
               int (*take)(void *self, const char *const *texts, size_t n, struct status *st), void *self,
               struct status *st)
{
    int rc = 0;
    struct texts_taker t = { .take = take, .self = self };
    t.texts = mem_calloc(DATA_TEXTS_MAX, sizeof *t.texts);
    if (!t.texts)
        FAIL(st, RC_NOMEM, "no memory for the texts of a line");
    TRY(data_lines(path, texts_take, &t, st));
out:
    mem_free(t.texts);
    return rc;
}
