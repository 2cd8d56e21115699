/* Many small things with one lifetime: the texts of a suite, the rows of a side. Taken one by one, given back
 * together. Zero-initialise, then use. Nothing taken ever moves. */
#ifndef LETHE_PROBES_POOL_H
#define LETHE_PROBES_POOL_H

#include <stddef.h>

struct pool_block;
struct pool {
    struct pool_block *last;
};

/* n elements of `size` bytes, zeroed, aligned for any type. NULL: no memory. */
void *pool_take(struct pool *p, size_t n, size_t size);
/* A copy with a zero byte behind. NULL: no memory. */
char *pool_text(struct pool *p, const char *bytes, size_t n);
void pool_release(struct pool *p);

#endif
