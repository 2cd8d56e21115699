/* Measures: further numbers of a suite or group, by name and version (docs/formats 8.3). */
#ifndef LETHE_EVAL_MEASURE_H
#define LETHE_EVAL_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a measure is made of: counts over the items of a suite with an accuracy metric, or of a group. */
struct measure_counts {
    bool accuracy; /* false: a text suite */
    uint64_t items, base, tuned, forgot, learned;
};
struct measure {
    double value, lower, upper;
    bool has_bounds;
    uint64_t n; /* what the share is of */
};
struct measure_ops {
    const char *name;
    int64_t version;
    bool (*compute)(const struct measure_counts *counts, struct measure *out); /* false: does not apply */
};
#define MEASURE(x, version) bool measure_##x(const struct measure_counts *counts, struct measure *out);
#include "eval/measures.def"
#undef MEASURE

const struct measure_ops *measure_find(const char *name); /* NULL: unknown here */
/* k of n with Wilson's bounds; false when n is 0. */
bool measure_share(uint64_t k, uint64_t n, struct measure *out);

#endif
