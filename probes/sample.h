/* A stratified sample of several suites as one suite, and the suites without it: what a monitor may look at
 * during training must not be what a gate decides by. */
#ifndef LETHE_PROBES_SAMPLE_H
#define LETHE_PROBES_SAMPLE_H

#include "probes/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sample {
    size_t n;      /* items taken */
    size_t strata; /* suite and first tag of an item: so many different ones */
    bool **taken;  /* [sets][set->n] */
    size_t sets;
};

/* Takes `items` of all items of sets [n]. Every stratum gives its share of them, rounded by largest
 * remainder; which items of it, the seed and the stratum's name decide, so that no stratum depends on the
 * others. Clusters stay whole, so that where a suite has some, there may be a few items less. RC_ARG: fewer
 * items than that, or a suite would be left without one. */
MUST_USE int sample_draw(const struct probe_set *const *sets, size_t n, size_t items, uint64_t seed,
                         struct sample *out, struct status *st);
void sample_release(struct sample *s);

/* The taken items as the file of a suite `id`, in order of suites and items. Their ids get "SUITE/" in front,
 * and their tags the suite's id. Suites of one kind keep it; pairs among choices become choices of an empty
 * context, with the same scores unless contexts go through a chat template. RC_UNSUPPORTED: kinds, metrics or
 * delimiters that cannot stand in one suite. */
MUST_USE int sample_write(const struct sample *s, const struct probe_set *const *sets, const char *id,
                          uint64_t seed, struct str *out, struct status *st);
/* Suite k without what was taken: its header with another version, and its other items. */
MUST_USE int sample_rest_write(const struct sample *s, const struct probe_set *const *sets, size_t k,
                               const char *id, struct str *out, struct status *st);

#endif
