#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t count;
static size_t fail_in; /* 0: never */

size_t mem_count(void)
{
    return count;
}

void mem_fail_at(size_t nth)
{
    fail_in = nth;
}

/* Called once by each allocation. */
static int must_fail(void)
{
    count++;
    return fail_in > 0 && --fail_in == 0;
}

void *mem_calloc(size_t n, size_t size)
{
    if (must_fail())
        return NULL;
    if (n == 0 || size == 0)
        n = size = 1;
    return calloc(n, size);
}

void *mem_realloc(void *old, size_t n, size_t size)
{
    if (must_fail() || (size && n > SIZE_MAX / size))
        return NULL;
    size_t bytes = n * size;
    return realloc(old, bytes ? bytes : 1);
}

void mem_free(void *p)
{
    free(p);
}

int mem_grow(void *items, size_t n, size_t *cap, size_t size, struct status *st)
{
    if (n < *cap)
        return 0;
    size_t more = *cap ? *cap * 2 : 8;
    void *old, *grown;
    memcpy(&old, items, sizeof old);
    grown = mem_realloc(old, more, size);
    if (!grown)
        return status_fail(st, RC_NOMEM, "no memory for %zu elements of %zu bytes", more, size);
    memcpy(items, &grown, sizeof grown);
    *cap = more;
    return 0;
}
