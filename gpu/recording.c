#include "gpu/recording.h"

#include "base/alloc.h"
#include "gpu/vk.h"

#include <assert.h>
#include <string.h>

enum { RECORDINGS = 4 };

struct gpu_recordings {
    struct gpu *g;
    uint64_t uses; /* of all */
    struct recording all[RECORDINGS];
};

int gpu_recordings_open(struct gpu *g, struct gpu_recordings **out, struct status *st)
{
    int rc = 0;
    struct gpu_recordings *r = mem_calloc(1, sizeof *r);
    if (!r)
        FAIL(st, RC_NOMEM, "no memory for recordings");
    r->g = g;
    for (size_t i = 0; i < RECORDINGS; i++)
        for (size_t k = 0; k < RECORDING_SLOTS; k++)
            r->all[i].slots[k].again = true;
    *out = r;
out:
    return rc;
}

void gpu_recordings_close(struct gpu_recordings *r)
{
    if (!r)
        return;
    struct gpu *g = r->g;
    for (size_t i = 0; i < RECORDINGS; i++) {
        if (g->recording == &r->all[i])
            g->recording = NULL;
        for (size_t k = 0; k < RECORDING_SLOTS; k++) {
            (void)!slot_wait(g, &r->all[i].slots[k], NULL);
            if (!g->hung)
                slot_close(g, &r->all[i].slots[k]);
        }
    }
    mem_free(r);
}

/* That of the key, else the one to record over. */
static struct recording *recording_of(struct gpu_recordings *r, const uint64_t key[RECORDING_KEY])
{
    struct recording *oldest = &r->all[0];
    for (size_t i = 0; i < RECORDINGS; i++) {
        struct recording *x = &r->all[i];
        if (x->used && x->changes == r->g->changes && memcmp(x->key, key, sizeof x->key) == 0)
            return x;
        if (x->used < oldest->used)
            oldest = x;
    }
    oldest->used = 0;
    return oldest;
}

int gpu_recording_begin(struct gpu_recordings *r, const uint64_t key[RECORDING_KEY], bool *again,
                        struct status *st)
{
    int rc = 0;
    struct gpu *g = r->g;
    assert(g->lost || record_pending(g) == 0);
    *again = false;
    TRY(device_check(g, st));
    if (g->timer) /* its stamps belong to one run */
        goto out;
    struct recording *x = recording_of(r, key);
    g->recording = x;
    if (x->used) {
        for (size_t i = 0; i < x->n; i++)
            TRY(slot_start(g, &x->slots[i], st));
        *again = true;
        goto out;
    }
    memcpy(x->key, key, sizeof x->key);
    x->changes = g->changes;
    x->n = 0;
out:
    return rc;
}

int gpu_recording_end(struct gpu_recordings *r, struct status *st)
{
    int rc = 0;
    struct recording *x = r->g->recording;
    TRY(gpu_submit(r->g, st));
    if (x && x->n < RECORDING_SLOTS)
        x->used = ++r->uses;
out:
    return rc;
}
