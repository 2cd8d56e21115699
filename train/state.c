/* A checkpoint in one file: a header, weights, moments, and the digest of all before it. Little-endian,
 * as every machine that this runs on. */
#include "base/alloc.h"
#include "base/file.h"
#include "train/train_own.h"

#include <inttypes.h>
#include <string.h>

#define STATE_MAGIC "lethe-state-v1\n"

struct state_header {
    char magic[16];
    struct hash config;
    uint64_t values; /* a third of all */
    uint32_t step, above;
    double loss_first, loss_last;
};
_Static_assert(sizeof(struct state_header) == 80, "the file holds it as it is");
enum { PARTS = 3, CHUNK = 4 << 20 /* bytes on the host at a time */ };

/* Values, first moments and second moments are equally many. */
static uint64_t values_of(const struct train *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->n.stored; i++)
        n += t->stored[i].floats;
    return n / PARTS;
}

static size_t state_bytes(const struct train *t)
{
    return sizeof(struct state_header) + PARTS * (size_t)values_of(t) * sizeof(float) + sizeof(struct hash);
}

static int part_put(struct file_writer *file, struct sha256 *sum, const void *data, size_t n,
                    struct status *st)
{
    sha256_add(sum, data, n);
    return file_writer_put(file, data, n, st);
}

static int stretch_put(struct train *t, const struct train_stretch *s, uint8_t *chunk,
                       struct file_writer *file, struct sha256 *sum, struct status *st)
{
    int rc = 0;
    const uint64_t bytes = s->floats * sizeof(float);
    for (uint64_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < CHUNK ? bytes - at : CHUNK;
        TRY(gpu_read(model_get_gpu(t->m), s->buffer, s->at + at, chunk, n, st));
        TRY(part_put(file, sum, chunk, (size_t)n, st));
    }
out:
    return rc;
}

int state_save(struct train *t, struct hash *out, struct status *st)
{
    int rc = 0;
    struct state_header h = { .magic = STATE_MAGIC,
                              .config = t->config,
                              .values = values_of(t),
                              .step = t->step,
                              .above = t->above,
                              .loss_first = t->loss_first,
                              .loss_last = t->loss_last };
    struct sha256 *sum = NULL;
    struct file_writer *file = NULL;
    uint8_t *chunk = mem_calloc(CHUNK, 1);
    if (!chunk)
        FAIL(st, RC_NOMEM, "no memory for a checkpoint");
    TRY(sha256_open(&sum, st));
    TRY(file_writer_open(str_text(&t->state_path), &file, st));
    TRY(part_put(file, sum, &h, sizeof h, st));
    for (size_t i = 0; i < t->n.stored; i++)
        TRY(stretch_put(t, &t->stored[i], chunk, file, sum, st));
    const struct hash digest = sha256_end(sum);
    sum = NULL;
    TRY(file_writer_put(file, &digest, sizeof digest, st));
    TRY(file_writer_finish(file, 0644, st));
    *out = digest;
out:
    sha256_close(sum);
    file_writer_close(file);
    mem_free(chunk);
    return rc;
}

static int state_check(const struct train *t, const struct file_map *file, struct state_header *h,
                       struct hash *sum, struct status *st)
{
    int rc = 0;
    if (file->size < sizeof *h + sizeof *sum || memcmp(file->data, STATE_MAGIC, sizeof h->magic) != 0)
        FAIL(st, RC_FORMAT, "not a checkpoint of version 1");
    memcpy(h, file->data, sizeof *h);
    memcpy(sum, file->data + file->size - sizeof *sum, sizeof *sum);
    const struct hash is = sha256_of(file->data, file->size - sizeof *sum);
    if (!hash_equal(&is, sum))
        FAIL(st, RC_FORMAT, "the checkpoint is damaged");
    if (!hash_equal(&h->config, &t->config) || h->values != values_of(t) || file->size != state_bytes(t) ||
        h->step > t->shape.steps)
        FAIL(st, RC_ARG, "the checkpoint is of another recipe, data or model");
out:
    return rc;
}

int state_load(struct train *t, bool *found, struct hash *out, struct status *st)
{
    int rc = 0;
    const char *path = str_text(&t->state_path);
    struct file_map file = { 0 };
    struct state_header h;
    *found = path_exists(path);
    if (!*found)
        goto out;
    TRY(file_map_open(path, &file, st));
    rc = state_check(t, &file, &h, out, st);
    if (rc != 0) {
        status_prefix(st, "%s", path);
        goto out;
    }
    const uint8_t *from = file.data + sizeof h;
    for (size_t i = 0; i < t->n.stored; i++) {
        const struct train_stretch *s = &t->stored[i];
        const size_t bytes = (size_t)s->floats * sizeof(float);
        TRY(gpu_write(model_get_gpu(t->m), s->buffer, s->at, from, bytes, st));
        from += bytes;
    }
    t->step = h.step;
    t->above = h.above;
    t->loss_first = h.loss_first;
    t->loss_last = h.loss_last;
out:
    file_map_close(&file);
    return rc;
}
