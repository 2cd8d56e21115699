/* Word search: which items of the suites stand in the training data (docs/formats 4). The suites are
 * indexed, the training lines stream past, so memory is bounded by the suites. */
#ifndef LETHE_EVAL_CONTAMINATION_H
#define LETHE_EVAL_CONTAMINATION_H

#include "base/status.h"
#include "base/str.h"
#include "probes/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTAMINATION_NGRAM = 13, CONTAMINATION_WORDS_MIN = 5 };

struct contamination;

/* [n] suites; they must outlive the search. */
MUST_USE int contamination_open(const struct probe_set *const *sets, size_t n, struct contamination **out,
                                struct status *st);
void contamination_close(struct contamination *c);
/* One training line: its texts in order (prompt, completion; the contents of all turns; the text), as one
 * sequence of words. */
MUST_USE int contamination_line(struct contamination *c, const char *const *texts, size_t n,
                                struct status *st);
/* Contaminated items of a suite so far. */
size_t contamination_hits(const struct contamination *c, size_t set);
bool contamination_hit(const struct contamination *c, size_t set, size_t item);

/* Words of a text: folded, split at white space and punctuation, each followed by LF. */
MUST_USE int contamination_words(const char *text, size_t n, struct str *out, struct status *st);

#endif
