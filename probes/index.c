#include "probes/index.h"

#include "base/alloc.h"

#include <string.h>

/* FNV-1a, with its high bits mixed into the low ones that choose a slot. */
static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

/* Slot of the text, or the empty one where it belongs. */
static size_t slot_of(const struct text_index *t, const char *text, size_t size, uint64_t hash)
{
    size_t at = (size_t)hash & (t->n_slots - 1);
    for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
        const struct text_entry *e = &t->entries[t->slots[at] - 1];
        if (e->hash == hash && e->size == size && (size == 0 || memcmp(e->text, text, size) == 0))
            break;
    }
    return at;
}

static int grow_slots(struct text_index *t, struct status *st)
{
    size_t n = t->n_slots ? t->n_slots * 2 : 64;
    uint32_t *slots = mem_calloc(n, sizeof(*slots));
    if (!slots)
        return status_fail(st, RC_NOMEM, "no memory for an index of %zu texts", t->n);
    mem_free(t->slots);
    t->slots = slots;
    t->n_slots = n;
    for (size_t i = 0; i < t->n; i++) {
        size_t at = (size_t)t->entries[i].hash & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = (uint32_t)i + 1;
    }
    return 0;
}

int text_index_put(struct text_index *t, const char *text, size_t size, size_t *number, bool *fresh,
                   struct status *st)
{
    int rc = 0;
    if (t->n >= UINT32_MAX / 2)
        FAIL(st, RC_LIMIT, "over %zu different texts", t->n);
    if ((t->n + 1) * 2 > t->n_slots)
        TRY(grow_slots(t, st));
    uint64_t hash = hash_of(text, size);
    size_t at = slot_of(t, text, size, hash);
    *fresh = !t->slots[at];
    if (*fresh) {
        TRY(mem_grow(&t->entries, t->n, &t->cap, sizeof(*t->entries), st));
        t->entries[t->n++] = (struct text_entry){ .text = text, .size = size, .hash = hash };
        t->slots[at] = (uint32_t)t->n;
    }
    *number = t->slots[at] - 1;
out:
    return rc;
}

int64_t text_index_find(const struct text_index *t, const char *text, size_t size)
{
    if (t->n == 0)
        return TEXT_INDEX_NONE;
    size_t at = slot_of(t, text, size, hash_of(text, size));
    return t->slots[at] ? (int64_t)t->slots[at] - 1 : TEXT_INDEX_NONE;
}

void text_index_release(struct text_index *t)
{
    mem_free(t->entries);
    mem_free(t->slots);
    *t = (struct text_index){ 0 };
}
