#include "probes/pool.h"

#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

struct pool_block {
    struct pool_block *before;
    size_t used, size;
    max_align_t bytes[];
};

enum { BLOCK_MIN = 1024, BLOCK_MAX = 1 << 20 };

void *pool_take(struct pool *p, size_t n, size_t size)
{
    const size_t unit = sizeof(max_align_t);
    if (size && n > (SIZE_MAX / 4) / size)
        return NULL;
    size_t want = (n * size + unit - 1) / unit * unit;
    if (want == 0)
        want = unit;
    struct pool_block *last = p->last;
    if (!last || last->size - last->used < want) {
        size_t room = last ? last->size * 2 : BLOCK_MIN;
        if (room > BLOCK_MAX)
            room = BLOCK_MAX;
        if (room < want)
            room = want;
        struct pool_block *block = mem_calloc(1, sizeof(*block) + room);
        if (!block)
            return NULL;
        block->before = last;
        block->size = room;
        p->last = last = block;
    }
    void *out = (char *)last->bytes + last->used;
    last->used += want;
    return out;
}

char *pool_text(struct pool *p, const char *bytes, size_t n)
{
    char *out = pool_take(p, n + 1, 1);
    if (out && n)
        memcpy(out, bytes, n);
    return out;
}

void pool_release(struct pool *p)
{
    while (p->last) {
        struct pool_block *before = p->last->before;
        mem_free(p->last);
        p->last = before;
    }
}
