/* Sentences: minimal pairs from the templates of pair.tsv, plain text from sentences.tsv, letters from
 * letters.tsv. */
#include "probes/generate/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 200, LETTERS_A_TEMPLATE = 5, LETTER_CHOICES = 4 };

struct template
{
    struct made *made;
    struct suite *suite;
    struct draws *draws;
    size_t row; /* in pair.tsv */
    const char *name, *good, *bad;
};

/* Item n of a template; nothing where the good sentence is there already, or the draws made both equal. */
static int pair_put(const struct template *p, struct expansion *e, unsigned long *n, struct status *st)
{
    int rc = 0;
    char id[48];
    struct str a = { 0 }, b = { 0 };
    TRY(expand(e, p->good, &a, st));
    TRY(expand(e, p->bad, &b, st));
    if (suite_has_text(p->suite, a.data) || strcmp(a.data, b.data) == 0)
        goto out;
    snprintf(id, sizeof id, "%s-%02zu-%02lu", p->name, p->row, (*n)++);
    TRY(suite_add_pair(p->suite, id, p->name, a.data, b.data, st));
out:
    str_release(&a);
    str_release(&b);
    return rc;
}

static int template_make(const struct template *p, const struct table *t, struct status *st)
{
    int rc = 0;
    const char *items = NULL, *name = NULL;
    const struct table *own = NULL;
    unsigned long n = 0;
    TRY(table_cell(t, p->row, "items", &items, st));
    TRY(table_cell(t, p->row, "table", &name, st));
    if (strcmp(name, "-") == 0) {
        const unsigned long wanted = strtoul(items, NULL, 10);
        for (unsigned long tries = 0; n < wanted && tries < TRIES_MAX; tries++) {
            struct expansion e = { .tables = &p->made->tables, .draws = p->draws };
            TRY(pair_put(p, &e, &n, st));
        }
        goto out;
    }
    TRY(tables_get(&p->made->tables, name, &own, st));
    for (size_t row = 0; row < own->rows; row++) {
        struct expansion e = { .tables = &p->made->tables, .draws = p->draws, .own = own, .row = row };
        TRY(pair_put(p, &e, &n, st));
    }
out:
    return rc;
}

static int sentences_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    struct suite *s = NULL;
    TRY(tables_get(&m->tables, "sentences", &t, st));
    TRY(made_suite(m, "sentences", &s, st));
    for (size_t row = 0; row < t->rows; row++) {
        char id[48];
        const char *text = NULL;
        TRY(table_cell(t, row, "text", &text, st));
        snprintf(id, sizeof id, "sentence-%02zu", row);
        TRY(suite_add_text(s, id, text, st));
    }
out:
    return rc;
}

/* The rows of a suite stand together and share its draws. */
int pair_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    struct draws d = { 0 };
    struct template p = { .made = m, .draws = &d };
    TRY(tables_get(&m->tables, "pair", &t, st));
    for (; p.row < t->rows; p.row++) {
        const char *suite = NULL;
        TRY(table_cell(t, p.row, "suite", &suite, st));
        TRY(table_cell(t, p.row, "phenomenon", &p.name, st));
        TRY(table_cell(t, p.row, "good", &p.good, st));
        TRY(table_cell(t, p.row, "bad", &p.bad, st));
        if (p.suite == NULL || strcmp(p.suite->id, suite) != 0) {
            TRY(made_suite(m, suite, &p.suite, st));
            draws_init(&d, m->seed, suite);
        }
        TRY(template_make(&p, t, st));
    }
    TRY(sentences_make(m, st));
out:
    return rc;
}

/* One letter: its team, and three other teams. */
static int letter_make(struct made *m, struct suite *s, const struct table *t, size_t row, struct draws *d,
                       struct status *st)
{
    int rc = 0;
    const struct table *teams = NULL;
    const char *text = NULL, *pick[LETTER_CHOICES];
    struct str context = { 0 };
    TRY(tables_get(&m->tables, "teams", &teams, st));
    TRY(table_cell(t, row, "text", &text, st));
    for (unsigned n = 0, tries = 0; n < LETTERS_A_TEMPLATE && tries < TRIES_MAX; tries++) {
        uint32_t order[64];
        char id[48];
        struct expansion e = { .tables = &m->tables, .draws = d };
        size_t k = 1;
        TRY(table_cell(t, row, "team", &pick[0], st));
        str_clear(&context);
        str_puts(&context, "Letter: ");
        TRY(expand(&e, text, &context, st));
        str_puts(&context, "\nTeam:");
        draws_shuffle(d, teams->rows, order);
        for (size_t i = 0; i < teams->rows && k < LETTER_CHOICES; i++)
            if (strcmp(teams->cells[order[i]], pick[0]) != 0)
                pick[k++] = teams->cells[order[i]];
        struct str whole = { 0 };
        str_printf(&whole, "%s %s", str_text(&context), pick[0]);
        bool known = suite_has_text(s, str_text(&whole));
        str_release(&whole);
        if (known)
            continue;
        snprintf(id, sizeof id, "letter-%02zu-%u", row, n++);
        struct asked_item item = { id, pick[0], str_text(&context), pick, k };
        TRY(suite_add_asked(s, d, &item, st));
    }
out:
    str_release(&context);
    return rc;
}

int letters_make(struct made *m, struct status *st)
{
    int rc = 0;
    const struct table *t = NULL;
    struct suite *s = NULL;
    struct draws d;
    TRY(tables_get(&m->tables, "letters", &t, st));
    TRY(made_suite(m, "letters", &s, st));
    draws_init(&d, m->seed, "letters");
    for (size_t row = 0; row < t->rows; row++)
        TRY(letter_make(m, s, t, row, &d, st));
out:
    return rc;
}
