/* An out-of-domain part of training data: lines that differ from the rest by where they come from, what they
 * are about or how long they are, so that a model trained on the rest can be asked about something else. */
#ifndef LETHE_EVAL_SPLIT_H
#define LETHE_EVAL_SPLIT_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPLIT_LINES_MIN = 10 }; /* fewer lines say nothing about a model */

enum split_by { SPLIT_SOURCE, SPLIT_TAG, SPLIT_LENGTH, SPLIT_ANY };

struct split_line {
    const char *words; /* folded, each followed by LF: contamination_words */
    size_t size;
    const char *source, *tag; /* NULL: it has none */
};

struct split_options {
    enum split_by by; /* SPLIT_ANY: the first of the others that can be done */
    double share;     /* of the lines that are wanted out of domain, above 0, at most one half */
    uint64_t seed;    /* which sources or tags are held out */
};

struct split_part {
    size_t lines, words, shortest, longest; /* shortest and longest line, in words */
};

struct split {
    enum split_by by;
    bool *out;       /* [n] true: out of domain */
    struct str what; /* "faq.jsonl, mail.jsonl", "40 words and more" */
    size_t twins;    /* lines that are word for word in the training part, and stay there */
    struct split_part train, ood;
    double unseen;        /* share of the out-of-domain words that no training line has */
    double unseen_random; /* the same for as many lines drawn at random: what a split by nothing would give */
};

/* Whole sources or tags are held out, in an order by the seed, until they hold the share; lines without one
 * stay in training. By length: the longest lines. RC_ARG says why it cannot be done: too few lines, one
 * source, no tags, all lines of one length. */
MUST_USE int split_make(const struct split_line *lines, size_t n, const struct split_options *options,
                        struct split *out, struct status *st);
void split_release(struct split *s);
const char *split_by_name(enum split_by by); /* "source", "tag", "length", "any" */

#endif
