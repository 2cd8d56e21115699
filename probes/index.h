/* Texts numbered by first appearance: ids that must be unique, clusters, words. Zero-initialise. */
#ifndef LETHE_PROBES_INDEX_H
#define LETHE_PROBES_INDEX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_INDEX_NONE = -1 };

struct text_entry {
    const char *text; /* lent by the caller */
    size_t size;
    uint64_t hash;
};
struct text_index {
    struct text_entry *entries; /* [n] in order of appearance */
    size_t n, cap;
    uint32_t *slots; /* number + 1, or 0 */
    size_t n_slots;  /* a power of two */
};

/* The number of `text`: its old one, or n for a new one (*fresh). The text must outlive the index. */
MUST_USE int text_index_put(struct text_index *t, const char *text, size_t size, size_t *number, bool *fresh,
                            struct status *st);
/* TEXT_INDEX_NONE: it never appeared. */
int64_t text_index_find(const struct text_index *t, const char *text, size_t size);
void text_index_release(struct text_index *t);

#endif
