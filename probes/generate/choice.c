/* Items with choices, from choice.tsv: a row of it names a table, a template, the column of the right answer,
 * and where wrong answers come from. */
#include "probes/generate/suite.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRONG = 3, TRIES_MAX = 1000, YEAR_MAX = 2024, YEARS_APART_MIN = 3, YEARS_APART_MAX = 40 };

struct family {
    struct made *made;
    const struct table *table;
    const char *suite, *name, *context, *answer, *group;
    struct draws draws;
    size_t row;                  /* the one that is made an item of */
    const char *pick[WRONG + 1]; /* the right answer, then wrong ones */
    size_t n;
    char years[WRONG][24]; /* what `near` makes */
    struct str list;       /* what `fixed` cuts up */
};

static const char *cell(const struct family *f, size_t row, const char *column)
{
    int at = table_column(f->table, column);
    return at < 0 ? "-" : f->table->cells[row * f->table->n_columns + (size_t)at];
}

/* True when `word` stands in a list parted by commas. */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == 0))
            return true;
    }
    return false;
}

/* Adds a wrong answer, unless it is unknown, there already, or right for this row in another way. */
static void offer(struct family *f, const char *word)
{
    bool good = strcmp(word, "-") != 0 && f->n <= WRONG && !listed(cell(f, f->row, "not"), word);
    for (size_t i = 0; good && i < f->n; i++)
        good = strcmp(f->pick[i], word) != 0;
    if (good)
        f->pick[f->n++] = word;
}

static void pick_others(struct family *f)
{
    const char *home = cell(f, f->row, f->group); /* "-" where no such column is */
    for (int tries = 0; f->n <= WRONG && tries < TRIES_MAX; tries++) {
        size_t row = draws_below(&f->draws, (uint32_t)f->table->rows);
        if (row != f->row && strcmp(cell(f, row, f->group), home) == 0)
            offer(f, cell(f, row, f->answer));
    }
}

/* The row's own other city, and capitals of the same continent. */
static void pick_rivals(struct family *f)
{
    const char *home = cell(f, f->row, "continent");
    offer(f, cell(f, f->row, f->group));
    for (int tries = 0; f->n <= WRONG && tries < TRIES_MAX; tries++) {
        size_t row = draws_below(&f->draws, (uint32_t)f->table->rows);
        if (row != f->row && (strcmp(home, "-") == 0 || strcmp(cell(f, row, "continent"), home) == 0))
            offer(f, cell(f, row, f->answer));
    }
}

static void pick_columns(struct family *f)
{
    static const char *const columns[] = { "wrong1", "wrong2", "wrong3" };
    for (size_t i = 0; i < WRONG; i++)
        offer(f, cell(f, f->row, columns[i]));
}

static void pick_near(struct family *f)
{
    long right = strtol(f->pick[0], NULL, 10);
    for (int tries = 0; f->n <= WRONG && tries < TRIES_MAX; tries++) {
        long apart = YEARS_APART_MIN + (long)draws_below(&f->draws, YEARS_APART_MAX - YEARS_APART_MIN + 1);
        long year = draws_below(&f->draws, 2) == 0 ? right - apart : right + apart;
        if (year > YEAR_MAX)
            continue;
        char *text = f->years[f->n - 1];
        snprintf(text, sizeof f->years[0], "%ld", year);
        offer(f, text);
    }
}

static void pick_fixed(struct family *f)
{
    const char *words[16];
    size_t n = 0;
    str_clear(&f->list);
    str_puts(&f->list, f->group);
    for (char *at = f->list.data; at != NULL && n < 16;) {
        char *bar = strchr(at, '|');
        words[n++] = at;
        if (bar != NULL)
            *bar++ = 0;
        at = bar;
    }
    for (int tries = 0; f->n <= WRONG && tries < TRIES_MAX; tries++)
        offer(f, words[draws_below(&f->draws, (uint32_t)n)]);
}

struct mode {
    const char *name;
    void (*pick)(struct family *f); /* NULL: an answer alone */
};
static const struct mode modes[] = {
    { "others", pick_others }, { "rivals", pick_rivals }, { "columns", pick_columns },
    { "near", pick_near },     { "fixed", pick_fixed },   { "none", NULL },
};

static int family_items(struct family *f, const struct mode *mode, struct status *st)
{
    int rc = 0;
    struct suite *s = NULL;
    struct str context = { 0 };
    TRY(made_suite(f->made, f->suite, &s, st));
    for (f->row = 0; f->row < f->table->rows; f->row++) {
        char id[48];
        struct expansion e = {
            .tables = &f->made->tables, .draws = &f->draws, .own = f->table, .row = f->row
        };
        TRY(table_cell(f->table, f->row, f->answer, &f->pick[0], st));
        f->n = 1;
        if (strcmp(f->pick[0], "-") == 0)
            continue;
        str_clear(&context);
        TRY(expand(&e, f->context, &context, st));
        if (mode->pick != NULL)
            mode->pick(f);
        if (mode->pick != NULL && f->n != WRONG + 1)
            FAIL(st, RC_FORMAT, "family '%s', row %zu: no three wrong answers", f->name, f->row);
        snprintf(id, sizeof id, "%s-%03zu", f->name, f->row);
        struct asked_item item = { id, f->name, context.data, f->pick, f->n };
        TRY(suite_add_asked(s, &f->draws, &item, st));
    }
out:
    str_release(&context);
    return rc;
}

static int family_make(struct made *m, const struct table *t, size_t row, struct status *st)
{
    int rc = 0;
    struct family f = { .made = m };
    const char *table = NULL, *name = NULL;
    const struct mode *mode = NULL;
    TRY(table_cell(t, row, "suite", &f.suite, st));
    TRY(table_cell(t, row, "family", &f.name, st));
    TRY(table_cell(t, row, "table", &table, st));
    TRY(table_cell(t, row, "context", &f.context, st));
    TRY(table_cell(t, row, "answer", &f.answer, st));
    TRY(table_cell(t, row, "mode", &name, st));
    TRY(table_cell(t, row, "group", &f.group, st));
    TRY(tables_get(&m->tables, table, &f.table, st));
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, name) == 0)
            mode = &modes[i];
    if (mode == NULL)
        FAIL(st, RC_FORMAT, "choice.tsv: no mode '%s'", name);
    draws_init(&f.draws, m->seed, f.name);
    TRY(family_items(&f, mode, st));
out:
    str_release(&f.list);
    return rc;
}

int choice_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    TRY(tables_get(&m->tables, "choice", &t, st));
    for (size_t row = 0; row < t->rows; row++)
        TRY(family_make(m, t, row, st));
out:
    return rc;
}
