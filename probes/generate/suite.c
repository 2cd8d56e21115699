#include "probes/generate/suite.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES_MAX = 8 };

static int item_new(struct suite *s, const char *id, struct suite_item **out, struct status *st)
{
    if (s->n == SUITE_ITEMS_MAX)
        return status_fail(st, RC_LIMIT, "suite '%s': over %d items", s->id, SUITE_ITEMS_MAX);
    if (s->items == NULL)
        s->items = mem_calloc(SUITE_ITEMS_MAX, sizeof *s->items);
    if (s->items == NULL)
        return status_fail(st, RC_NOMEM, "no memory for items");
    *out = &s->items[s->n++];
    snprintf((*out)->id, sizeof(*out)->id, "%s", id);
    return 0;
}

static void key(struct str *s, const char *name, const char *text)
{
    str_printf(s, ",\"%s\":", name);
    str_json_string(s, text, strlen(text));
}

static void tags(struct str *s, const char *tag)
{
    str_puts(s, ",\"tags\":[");
    str_json_string(s, tag, strlen(tag));
    str_puts(s, "]");
}

static int choices_put(struct suite_item *i, struct draws *d, const struct asked_item *item,
                       struct status *st)
{
    int rc = 0;
    uint32_t order[CHOICES_MAX];
    uint32_t gold = 0;
    if (item->n < 2 || item->n > CHOICES_MAX)
        FAIL(st, RC_LIMIT, "item '%s': %zu choices", item->id, item->n);
    for (size_t a = 0; a < item->n; a++)
        for (size_t b = 0; b < a; b++)
            if (strcmp(item->choices[a], item->choices[b]) == 0)
                FAIL(st, RC_FORMAT, "item '%s': '%s' is there twice", item->id, item->choices[a]);
    draws_shuffle(d, item->n, order);
    str_puts(&i->body, ",\"choices\":[");
    for (uint32_t k = 0; k < item->n; k++) {
        const char *choice = item->choices[order[k]];
        str_puts(&i->body, k == 0 ? "" : ",");
        str_json_string(&i->body, choice, strlen(choice));
        if (order[k] == 0)
            gold = k;
    }
    str_printf(&i->body, "],\"gold\":%u", gold);
out:
    return rc;
}

int suite_add_asked(struct suite *s, struct draws *d, const struct asked_item *item, struct status *st)
{
    int rc = 0;
    struct suite_item *i = NULL;
    TRY(item_new(s, item->id, &i, st));
    key(&i->body, "context", item->context);
    if (strcmp(s->kind, "choice") == 0) {
        TRY(choices_put(i, d, item, st));
    } else {
        str_puts(&i->body, ",\"answers\":[");
        str_json_string(&i->body, item->choices[0], strlen(item->choices[0]));
        str_puts(&i->body, "]");
    }
    tags(&i->body, item->tag);
    str_printf(&i->text, "%s %s", item->context, item->choices[0]);
    TRY(str_check(&i->body, st));
    TRY(str_check(&i->text, st));
out:
    return rc;
}

int suite_add_pair(struct suite *s, const char *id, const char *tag, const char *good, const char *bad,
                   struct status *st)
{
    int rc = 0;
    struct suite_item *i = NULL;
    if (strcmp(good, bad) == 0)
        FAIL(st, RC_FORMAT, "item '%s': both sentences are '%s'", id, good);
    TRY(item_new(s, id, &i, st));
    key(&i->body, "good", good);
    key(&i->body, "bad", bad);
    tags(&i->body, tag);
    str_puts(&i->text, good);
    TRY(str_check(&i->body, st));
    TRY(str_check(&i->text, st));
out:
    return rc;
}

int suite_add_text(struct suite *s, const char *id, const char *text, struct status *st)
{
    int rc = 0;
    struct suite_item *i = NULL;
    TRY(item_new(s, id, &i, st));
    key(&i->body, "text", text);
    str_puts(&i->text, text);
    TRY(str_check(&i->body, st));
    TRY(str_check(&i->text, st));
out:
    return rc;
}

bool suite_has_text(const struct suite *s, const char *text)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(str_text(&s->items[i].text), text) == 0)
            return true;
    return false;
}

int suite_write(const struct suite *s, const char *id, const uint32_t *order, size_t n, struct str *out,
                struct status *st)
{
    str_puts(out, "{\"lethe_probe\":1");
    key(out, "id", id);
    key(out, "version", "1");
    key(out, "title", s->title);
    key(out, "kind", s->kind);
    key(out, "role", s->role);
    key(out, "licence", "CC0-1.0");
    key(out, "source", "lethe-suites: own words, from fact tables of common knowledge");
    str_puts(out, "}\n");
    for (size_t k = 0; k < n; k++) {
        const struct suite_item *i = &s->items[order != NULL ? order[k] : k];
        str_puts(out, "{\"id\":");
        str_json_string(out, i->id, strlen(i->id));
        str_add(out, i->body.data, i->body.size);
        str_puts(out, "}\n");
    }
    return str_check(out, st);
}

void suite_release(struct suite *s)
{
    for (size_t i = 0; i < s->n; i++) {
        str_release(&s->items[i].body);
        str_release(&s->items[i].text);
    }
    mem_free(s->items);
    s->items = NULL;
    s->n = 0;
}

int made_open(struct made *m, const char *root, uint64_t seed, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    m->tables.root = root;
    m->seed = seed;
    TRY(tables_get(&m->tables, "suites", &t, st));
    if (t->rows > SUITES_MAX)
        FAIL(st, RC_LIMIT, "suites.tsv: over %d suites", SUITES_MAX);
    for (size_t row = 0; row < t->rows; row++) {
        struct suite *s = &m->suites[m->n++];
        const char *demo = NULL;
        TRY(table_cell(t, row, "suite", &s->id, st));
        TRY(table_cell(t, row, "kind", &s->kind, st));
        TRY(table_cell(t, row, "role", &s->role, st));
        TRY(table_cell(t, row, "folder", &s->folder, st));
        TRY(table_cell(t, row, "title", &s->title, st));
        TRY(table_cell(t, row, "demo", &demo, st));
        s->demo = (uint32_t)strtoul(demo, NULL, 10);
    }
out:
    return rc;
}

int made_suite(struct made *m, const char *id, struct suite **out, struct status *st)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->suites[i].id, id) == 0) {
            *out = &m->suites[i];
            return 0;
        }
    return status_fail(st, RC_FORMAT, "suites.tsv has no suite '%s'", id);
}

void made_release(struct made *m)
{
    for (size_t i = 0; i < m->n; i++)
        suite_release(&m->suites[i]);
    tables_release(&m->tables);
    m->n = 0;
}
