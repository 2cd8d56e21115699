/* Suites under construction, how they are filled from fact tables, and what the demo takes from them. Private
 * to probes/generate. */
#ifndef LETHE_GENERATE_SUITE_H
#define LETHE_GENERATE_SUITE_H

#include "probes/generate/table.h"

#include <stdbool.h>

enum { SUITE_ITEMS_MAX = 2048, SUITES_MAX = 24 };

struct suite_item {
    char id[48];
    struct str body; /* the item's keys after "id", as written */
    struct str text; /* what a reader sees: context and right answer, or the good sentence */
};
struct suite {
    const char *id, *kind, *role, *folder, *title;
    uint32_t demo; /* items that the demo's sample has; 0: no sample */
    struct suite_item *items;
    size_t n;
};
struct made {
    struct tables tables;
    uint64_t seed;
    struct suite suites[SUITES_MAX];
    size_t n;
};

/* A context to go on with. The suite's kind decides: of a choice, wrong answers are shuffled with the right
 * one by the draws; of a cloze, only the right one stands in the file. */
struct asked_item {
    const char *id, *tag, *context;
    const char **choices; /* [n], the right one first */
    size_t n;
};
MUST_USE int suite_add_asked(struct suite *s, struct draws *d, const struct asked_item *item,
                             struct status *st);
MUST_USE int suite_add_pair(struct suite *s, const char *id, const char *tag, const char *good,
                            const char *bad, struct status *st);
MUST_USE int suite_add_text(struct suite *s, const char *id, const char *text, struct status *st);
bool suite_has_text(const struct suite *s, const char *text);
/* Whole file: header and the items order[0..n), or all of them where order is NULL. */
MUST_USE int suite_write(const struct suite *s, const char *id, const uint32_t *order, size_t n,
                         struct str *out, struct status *st);
void suite_release(struct suite *s);

/* suites.tsv: what there is. */
MUST_USE int made_open(struct made *m, const char *root, uint64_t seed, struct status *st);
MUST_USE int made_suite(struct made *m, const char *id, struct suite **out, struct status *st);
void made_release(struct made *m);

MUST_USE int choice_make(struct made *m, struct status *st);  /* choice.tsv */
MUST_USE int pair_make(struct made *m, struct status *st);    /* pair.tsv, sentences.tsv */
MUST_USE int letters_make(struct made *m, struct status *st); /* letters.tsv */
MUST_USE int drawn_make(struct made *m, struct status *st);   /* drawn.tsv */
MUST_USE int numbers_make(struct made *m, struct status *st); /* numbers.tsv */

/* Writes below `to`: the demo's training data, what is planted in it, its suites. */
MUST_USE int demo_write(struct made *m, const char *to, struct status *st);
/* dir_make and file_write below `to`. */
MUST_USE int put_file(const char *to, const char *name, const struct str *text, struct status *st);

#endif
