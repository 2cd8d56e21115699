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
    uint64_t values; /* of each of the three parts */
    uint32_t step, above;
    double loss_first, loss_last;
};
_Static_assert(sizeof(struct state_header) == 80, "the file holds it as it is");
enum { PARTS = 3 };

static size_t state_bytes(const struct train *t)
{
    return sizeof(struct state_header) + PARTS * (size_t)t->lora.n * sizeof(float) + sizeof(struct hash);
}

int state_save(struct train *t, struct hash *out, struct status *st)
{
    int rc = 0;
    const size_t bytes = state_bytes(t), part = (size_t)t->lora.n * sizeof(float);
    const struct gpu_buffer *parts[PARTS] = { &t->lora.values, &t->first, &t->second };
    struct state_header h = { .magic = STATE_MAGIC,
                              .config = t->config,
                              .values = t->lora.n,
                              .step = t->step,
                              .above = t->above,
                              .loss_first = t->loss_first,
                              .loss_last = t->loss_last };
    uint8_t *file = mem_calloc(bytes, 1), *at = file;
    if (!file)
        FAIL(st, RC_NOMEM, "no memory for a checkpoint");
    memcpy(at, &h, sizeof h);
    at += sizeof h;
    for (int i = 0; i < PARTS; i++, at += part)
        TRY(gpu_read(model_get_gpu(t->m), parts[i], 0, at, part, st));
    *out = sha256_of(file, (size_t)(at - file));
    memcpy(at, out, sizeof *out);
    TRY(file_write(str_text(&t->state_path), file, bytes, 0644, st));
out:
    mem_free(file);
    return rc;
}

static int state_check(const struct train *t, const struct str *file, struct state_header *h,
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
    if (!hash_equal(&h->config, &t->config) || h->values != t->lora.n || file->size != state_bytes(t) ||
        h->step > t->shape.steps)
        FAIL(st, RC_ARG, "the checkpoint is of another recipe, data or model");
out:
    return rc;
}

int state_load(struct train *t, bool *found, struct hash *out, struct status *st)
{
    int rc = 0;
    const char *path = str_text(&t->state_path);
    const size_t part = (size_t)t->lora.n * sizeof(float);
    const struct gpu_buffer *parts[PARTS] = { &t->lora.values, &t->first, &t->second };
    struct str file = { 0 };
    struct state_header h;
    *found = path_exists(path);
    if (!*found)
        goto out;
    TRY(file_read(path, state_bytes(t), &file, st));
    rc = state_check(t, &file, &h, out, st);
    if (rc != 0) {
        status_prefix(st, "%s", path);
        goto out;
    }
    for (int i = 0; i < PARTS; i++)
        TRY(gpu_write(model_get_gpu(t->m), parts[i], 0, file.data + sizeof h + (size_t)i * part, part, st));
    t->step = h.step;
    t->above = h.above;
    t->loss_first = h.loss_first;
    t->loss_last = h.loss_last;
out:
    str_release(&file);
    return rc;
}
