/* Host memory. Everything comes through here, so that a test can let the Nth allocation fail. */
#ifndef LETHE_BASE_ALLOC_H
#define LETHE_BASE_ALLOC_H

#include "base/status.h"

#include <stddef.h>

/* n elements of `size` bytes, zeroed. NULL: no memory, or n * size overflows. n or size 0 gives a pointer
 * that can be freed. */
void *mem_calloc(size_t n, size_t size);
/* As realloc, for n elements of `size` bytes; the new part is not zeroed. NULL leaves `old` as it was. */
void *mem_realloc(void *old, size_t n, size_t size);
void mem_free(void *p);

/* Makes room for one element more in a growing array: doubles *cap when *n has reached it. RC_NOMEM: *items
 * as before. `*items` is a pointer to elements of `size` bytes. */
MUST_USE int mem_grow(void *items, size_t n, size_t *cap, size_t size, struct status *st);

/* For tests: allocations since the start of the program. */
size_t mem_count(void);
/* For tests: allocation number `nth` from now (1 is the next) fails, once. 0: none does. */
void mem_fail_at(size_t nth);

#endif
