#include "reports/lines.h"

#include "base/alloc.h"
#include "base/file.h"
#include "probes/set.h"

#include <stdlib.h>
#include <string.h>

int members_add(struct container *c, const char *name, struct str *data, struct status *st)
{
    int rc = 0;
    struct container_member *grown = mem_realloc(c->members, c->n + 1, sizeof *grown);
    if (!grown)
        FAIL(st, RC_NOMEM, "no memory for a member");
    c->members = grown;
    char *copy = mem_calloc(strlen(name) + 1, 1);
    if (!copy)
        FAIL(st, RC_NOMEM, "no memory for a member");
    memcpy(copy, name, strlen(name));
    c->members[c->n++] = (struct container_member){ .name = copy, .data = *data };
    c->bytes += data->size;
    *data = (struct str){ 0 };
out:
    return rc;
}

static int member_order(const void *a, const void *b)
{
    return strcmp(((const struct container_member *)a)->name, ((const struct container_member *)b)->name);
}

void members_sort(struct container *c)
{
    if (c->n > 0)
        qsort(c->members, c->n, sizeof *c->members, member_order);
}

struct container_member *members_find(struct container *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->members[i].name, name) == 0)
            return &c->members[i];
    return NULL;
}

int members_write(const struct container *c, const char *path, struct status *st)
{
    int rc = 0;
    struct container_writer *w = NULL;
    TRY(container_create(path, &w, st));
    for (size_t i = 0; i < c->n; i++)
        TRY(container_add(w, c->members[i].name,
                          (struct bytes){ str_text(&c->members[i].data), c->members[i].data.size }, st));
    TRY(container_finish(w, st));
out:
    container_close(w);
    return rc;
}

int line_marks_open(struct container_member *m, struct line_marks *out, struct status *st)
{
    int rc = 0;
    struct line_marks l = { .member = m };
    struct lines lines = { .data = str_text(&m->data), .size = m->data.size };
    struct status broken = { 0 };
    const char *line;
    size_t n, all = 0;
    for (size_t i = 0; i < m->data.size; i++)
        all += m->data.data[i] == '\n';
    l.lines = mem_calloc(all, sizeof *l.lines);
    l.sizes = mem_calloc(all, sizeof *l.sizes);
    l.gone = mem_calloc(all, sizeof *l.gone);
    if (!l.lines || !l.sizes || !l.gone)
        FAIL(st, RC_NOMEM, "no memory for lines");
    while (lines_next(&lines, &line, &n, &broken)) {
        l.lines[l.n] = line;
        l.sizes[l.n++] = n;
    }
    if (broken.rc != 0)
        FAIL(st, broken.rc, "%s: %s", m->name, broken.msg);
    *out = l;
    l = (struct line_marks){ 0 };
out:
    line_marks_close(&l);
    return rc;
}

int line_marks_apply(struct line_marks *l, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    for (size_t i = 0; i < l->n; i++) {
        struct hash leaf;
        if (l->gone[i] && !withheld_read(l->lines[i], l->sizes[i], &leaf)) {
            leaf = merkle_leaf(l->lines[i], l->sizes[i]);
            withheld_write(&leaf, &text);
        } else {
            str_add(&text, l->lines[i], l->sizes[i]);
        }
        str_putc(&text, '\n');
    }
    TRY(str_check(&text, st));
    str_release(&l->member->data);
    l->member->data = text;
    text = (struct str){ 0 };
    l->n = 0; /* the lines lent from what is gone now */
out:
    str_release(&text);
    return rc;
}

void line_marks_close(struct line_marks *l)
{
    mem_free(l->lines);
    mem_free(l->sizes);
    mem_free(l->gone);
    *l = (struct line_marks){ 0 };
}
