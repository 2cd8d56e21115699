/* Questions about numbers, from numbers.tsv: two drawn numbers, what comes of them, and wrong answers near
 * it. */
#include "probes/generate/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 4, TRIES_MAX = 4000, NUMBERS = 5, DIGITS_MAX = 24 };

static const char *const slots[NUMBERS] = { "a", "b", "a1", "a2", "a3" };
static const long apart[] = { -10, -3, -2, -1, 1, 2, 3, 10 };

/* What a and b make. False: no operation of this name. */
static bool compute(const char *op, long numbers[NUMBERS], long *answer)
{
    const long a = numbers[0], b = numbers[1];
    if (strcmp(op, "plus") == 0) {
        *answer = a + b;
    } else if (strcmp(op, "minus") == 0) {
        *answer = a - b;
    } else if (strcmp(op, "times") == 0) {
        *answer = a * b;
    } else if (strcmp(op, "tens") == 0) {
        numbers[0] = 10 * a;
        numbers[1] = 10 * b;
        *answer = numbers[0] + numbers[1];
    } else if (strcmp(op, "less") == 0) { /* a is the difference, so that it is not below zero */
        numbers[0] = a + b;
        *answer = a;
    } else if (strcmp(op, "over") == 0) { /* a is the quotient, so that it comes out even */
        numbers[0] = a * b;
        *answer = a;
    } else if (strcmp(op, "next") == 0) {
        for (int i = 2; i < NUMBERS; i++)
            numbers[i] = a + b * (i - 1);
        *answer = a + b * (NUMBERS - 1);
    } else {
        return false;
    }
    return true;
}

struct sums {
    struct made *made;
    struct suite *suite;
    struct draws draws;
    const char *name, *op, *context;
    long low[2], high[2];
};

static long between(struct draws *d, long low, long high)
{
    return low + (long)draws_below(d, (uint32_t)(high - low + 1));
}

/* The right answer and three others, none below zero. */
static void answers(struct draws *d, long right, char text[CHOICES][DIGITS_MAX])
{
    snprintf(text[0], DIGITS_MAX, "%ld", right);
    for (size_t n = 1; n < CHOICES;) {
        const long wrong = right + apart[draws_below(d, sizeof apart / sizeof *apart)];
        bool there = wrong < 0;
        snprintf(text[n], DIGITS_MAX, "%ld", wrong);
        for (size_t i = 0; i < n; i++)
            there |= strcmp(text[i], text[n]) == 0;
        n += !there;
    }
}

/* One more item, or none where the suite has it already. */
static int sum_put(struct sums *s, size_t row, unsigned long *n, struct status *st)
{
    int rc = 0;
    long numbers[NUMBERS] = { 0 }, right = 0;
    char id[48], texts[NUMBERS][DIGITS_MAX], words[CHOICES][DIGITS_MAX];
    const char *cells[NUMBERS], *choices[CHOICES];
    struct str context = { 0 }, whole = { 0 };
    for (int i = 0; i < 2; i++)
        numbers[i] = between(&s->draws, s->low[i], s->high[i]);
    if (!compute(s->op, numbers, &right))
        FAIL(st, RC_FORMAT, "numbers.tsv: no operation '%s'", s->op);
    answers(&s->draws, right, words);
    for (int i = 0; i < CHOICES; i++)
        choices[i] = words[i];
    for (int i = 0; i < NUMBERS; i++) {
        snprintf(texts[i], DIGITS_MAX, "%ld", numbers[i]);
        cells[i] = texts[i];
    }
    struct table own = { .name = "numbers", .n_columns = NUMBERS, .cells = cells, .rows = 1 };
    memcpy(own.columns, slots, sizeof slots);
    struct expansion e = { .tables = &s->made->tables, .draws = &s->draws, .own = &own };
    TRY(expand(&e, s->context, &context, st));
    str_printf(&whole, "%s %s", str_text(&context), words[0]);
    TRY(str_check(&whole, st));
    if (suite_has_text(s->suite, str_text(&whole)))
        goto out;
    snprintf(id, sizeof id, "%s-%02zu-%02lu", s->name, row, (*n)++);
    struct asked_item item = { id, s->name, str_text(&context), choices, CHOICES };
    TRY(suite_add_asked(s->suite, &s->draws, &item, st));
out:
    str_release(&context);
    str_release(&whole);
    return rc;
}

static int bound(const struct table *t, size_t row, const char *column, long *out, struct status *st)
{
    const char *text = NULL;
    int rc = table_cell(t, row, column, &text, st);
    if (rc == 0)
        *out = strtol(text, NULL, 10);
    return rc;
}

static int row_make(struct made *m, const struct table *t, size_t row, struct status *st)
{
    int rc = 0;
    struct sums s = { .made = m };
    const char *suite = NULL;
    long items = 0;
    unsigned long n = 0;
    TRY(table_cell(t, row, "suite", &suite, st));
    TRY(table_cell(t, row, "family", &s.name, st));
    TRY(table_cell(t, row, "op", &s.op, st));
    TRY(table_cell(t, row, "context", &s.context, st));
    TRY(bound(t, row, "items", &items, st));
    TRY(bound(t, row, "a_min", &s.low[0], st));
    TRY(bound(t, row, "a_max", &s.high[0], st));
    TRY(bound(t, row, "b_min", &s.low[1], st));
    TRY(bound(t, row, "b_max", &s.high[1], st));
    if (s.low[0] > s.high[0] || s.low[1] > s.high[1])
        FAIL(st, RC_FORMAT, "numbers.tsv: family '%s': a lower bound over its upper one", s.name);
    TRY(made_suite(m, suite, &s.suite, st));
    draws_init(&s.draws, m->seed, s.name);
    for (unsigned tries = 0; n < (unsigned long)items && tries < TRIES_MAX; tries++)
        TRY(sum_put(&s, row, &n, st));
    if (n != (unsigned long)items)
        FAIL(st, RC_FORMAT, "numbers.tsv: family '%s': %lu different items, wanted %ld", s.name, n, items);
out:
    return rc;
}

int numbers_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    TRY(tables_get(&m->tables, "numbers", &t, st));
    for (size_t row = 0; row < t->rows; row++)
        TRY(row_make(m, t, row, st));
out:
    return rc;
}
