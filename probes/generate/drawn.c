/* Questions whose every part is a template, from drawn.tsv: the cells of a row share their draws. */
#include "probes/generate/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 4, TRIES_MAX = 400 };

static const char *const columns[CHOICES] = { "answer", "wrong1", "wrong2", "wrong3" };

struct drawn {
    struct made *made;
    struct suite *suite;
    const char *name, *context;
    const char *templates[CHOICES];
    size_t n; /* of them: a suite of kind cloze has the answer only */
    struct str text, words[CHOICES], whole;
};

static void drawn_release(struct drawn *d)
{
    str_release(&d->text);
    str_release(&d->whole);
    for (size_t i = 0; i < CHOICES; i++)
        str_release(&d->words[i]);
}

/* *good false: two choices came out equal, or the suite has this item already. */
static int draw(struct drawn *d, struct draws *draws, bool *good, struct status *st)
{
    int rc = 0;
    struct expansion e = { .tables = &d->made->tables, .draws = draws };
    str_clear(&d->text);
    TRY(expand(&e, d->context, &d->text, st));
    *good = true;
    for (size_t i = 0; i < d->n; i++) {
        str_clear(&d->words[i]);
        TRY(expand(&e, d->templates[i], &d->words[i], st));
        for (size_t k = 0; k < i; k++)
            *good &= strcmp(str_text(&d->words[k]), str_text(&d->words[i])) != 0;
    }
    str_clear(&d->whole);
    str_printf(&d->whole, "%s %s", str_text(&d->text), str_text(&d->words[0]));
    TRY(str_check(&d->whole, st));
    *good &= !suite_has_text(d->suite, str_text(&d->whole));
out:
    return rc;
}

static int row_make(struct made *m, const struct table *t, size_t row, struct status *st)
{
    int rc = 0;
    struct drawn d = { .made = m };
    struct draws draws;
    const char *suite = NULL, *items = NULL;
    char id[48];
    TRY(table_cell(t, row, "suite", &suite, st));
    TRY(table_cell(t, row, "family", &d.name, st));
    TRY(table_cell(t, row, "items", &items, st));
    TRY(table_cell(t, row, "context", &d.context, st));
    TRY(made_suite(m, suite, &d.suite, st));
    for (; d.n < CHOICES; d.n++) {
        TRY(table_cell(t, row, columns[d.n], &d.templates[d.n], st));
        if (strcmp(d.templates[d.n], "-") == 0)
            break;
    }
    draws_init(&draws, m->seed, d.context); /* so that a row keeps its items wherever it stands */
    const unsigned long wanted = strtoul(items, NULL, 10);
    unsigned long n = 0;
    for (unsigned tries = 0; n < wanted && tries < TRIES_MAX; tries++) {
        bool good = false;
        const char *choices[CHOICES];
        TRY(draw(&d, &draws, &good, st));
        if (!good)
            continue;
        for (size_t i = 0; i < d.n; i++)
            choices[i] = str_text(&d.words[i]);
        snprintf(id, sizeof id, "%s-%02zu-%02lu", d.name, row, n++);
        struct asked_item item = { id, d.name, str_text(&d.text), choices, d.n };
        TRY(suite_add_asked(d.suite, &draws, &item, st));
    }
    if (n != wanted)
        FAIL(st, RC_FORMAT, "drawn.tsv: family '%s', row %zu: %lu different items, wanted %lu", d.name, row,
             n, wanted);
out:
    drawn_release(&d);
    return rc;
}

int drawn_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    TRY(tables_get(&m->tables, "drawn", &t, st));
    for (size_t row = 0; row < t->rows; row++)
        TRY(row_make(m, t, row, st));
out:
    return rc;
}
