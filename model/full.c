#include "model/full.h"

#include "base/alloc.h"
#include "base/file.h"
#include "model/export.h"
#include "model/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 256, NAME_BYTES = ROLE_PATH_MAX + 8 };

/* ---- what is trained ---- */

static bool is_trained(const struct full_choice *c, enum tensor_role role, uint32_t block)
{
    return role == ROLE_EMBEDDING ? c->embedding : !role_is_block(role) || block >= c->first_block;
}

/* Floats of a tensor as it is packed. */
static uint64_t floats_of(const struct model_hyper *h, enum tensor_role role)
{
    const struct tensor_shape s = role_shape(h, role);
    const uint64_t rows =
        role_is_norm(role) ? s.rows : (s.rows + WEIGHT_PANEL - 1) / WEIGHT_PANEL * WEIGHT_PANEL;
    return rows * s.columns;
}

static uint64_t bytes_of(uint64_t floats)
{
    return (floats * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t group_of(const struct model_hyper *h, enum tensor_role role, uint32_t block)
{
    return role_is_block(role) ? block : h->blocks + (role == ROLE_EMBEDDING ? 0 : 1);
}

uint64_t full_parameters(const struct model_hyper *h, const struct full_choice *choice)
{
    uint64_t sum = 0;
    enum tensor_role role;
    uint32_t block;
    for (uint32_t i = 0; i < hyper_tensors(h); i++) {
        role_at(h, i, &role, &block);
        const struct tensor_shape s = role_shape(h, role);
        sum += is_trained(choice, role, block) ? (uint64_t)s.rows * s.columns : 0;
    }
    return sum;
}

uint64_t full_bytes(const struct model_hyper *h, const struct full_choice *choice)
{
    uint64_t sum = 0;
    enum tensor_role role;
    uint32_t block;
    for (uint32_t i = 0; i < hyper_tensors(h); i++) {
        role_at(h, i, &role, &block);
        sum += is_trained(choice, role, block) ? FULL_BUFFERS * bytes_of(floats_of(h, role)) : 0;
    }
    return sum;
}

/* ---- open, close ---- */

/* Parts with their places; *sizes gets the bytes of each group. */
static void parts_place(struct full *f, uint64_t *sizes)
{
    const struct model_hyper *h = model_get_hyper(f->m);
    enum tensor_role role;
    uint32_t block;
    for (uint32_t i = 0; i < hyper_tensors(h); i++) {
        role_at(h, i, &role, &block);
        if (!is_trained(&f->choice, role, block))
            continue;
        const size_t group = group_of(h, role, block);
        struct full_part *p = &f->parts[f->n++];
        *p = (struct full_part){
            .role = role,
            .block = block,
            .shape = role_shape(h, role),
            .weight = model_weight(f->m, role, block),
            .at = sizes[group],
            .floats = floats_of(h, role),
            .norm = role_is_norm(role),
        };
        for (int k = 0; k < FULL_BUFFERS; k++)
            p->buffers[k] = &f->buffers[k][group];
        sizes[group] += bytes_of(p->floats);
        f->places[(size_t)block * ROLES + (size_t)role] = f->n;
    }
}

int full_open(struct model *m, const struct full_choice *choice, struct full *out, struct status *st)
{
    static const char *const WHAT[FULL_BUFFERS] = { "gradient", "moments", "moments" };
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    struct full f = { .m = m, .choice = *choice, .groups = (size_t)h->blocks + 2 };
    uint64_t *sizes = mem_calloc(f.groups, sizeof *sizes);
    f.lowest = choice->embedding ? 0 : choice->first_block;
    f.parts = mem_calloc(hyper_tensors(h), sizeof *f.parts);
    f.places = mem_calloc((size_t)h->blocks * ROLES, sizeof *f.places);
    bool whole = sizes && f.parts && f.places;
    for (int k = 0; k < FULL_BUFFERS; k++)
        whole = (f.buffers[k] = mem_calloc(f.groups, sizeof **f.buffers)) != NULL && whole;
    if (!whole)
        FAIL(st, RC_NOMEM, "no memory for a table of tensors");
    for (uint32_t i = 0; i < hyper_tensors(h); i++) {
        enum tensor_role role;
        uint32_t block;
        role_at(h, i, &role, &block);
        if (model_weight(m, role, block)->format != WEIGHT_f32)
            FAIL(st, RC_ARG, "the weights are not in f32");
    }
    parts_place(&f, sizes);
    for (int k = 0; k < FULL_BUFFERS; k++)
        for (size_t i = 0; i < f.groups; i++)
            if (sizes[i] > 0)
                TRY(gpu_alloc(model_get_gpu(m), sizes[i], WHAT[k], &f.buffers[k][i], st));
    *out = f;
    f = (struct full){ 0 };
out:
    mem_free(sizes);
    full_close(&f);
    return rc;
}

void full_close(struct full *f)
{
    for (int k = 0; k < FULL_BUFFERS; k++) {
        for (size_t i = 0; f->buffers[k] && i < f->groups; i++)
            if (f->buffers[k][i].addr)
                gpu_free(model_get_gpu(f->m), &f->buffers[k][i]);
        mem_free(f->buffers[k]);
    }
    mem_free(f->parts);
    mem_free(f->places);
    *f = (struct full){ 0 };
}

const struct full_part *full_part(const struct full *f, enum tensor_role role, uint32_t block)
{
    const enum tensor_role own =
        role == ROLE_HEAD && model_get_hyper(f->m)->tied_head ? ROLE_EMBEDDING : role;
    const size_t place = f->places[(size_t)block * ROLES + (size_t)own];
    return place > 0 ? &f->parts[place - 1] : NULL;
}

uint64_t full_address(const struct full_part *p, enum full_buffer which)
{
    return p->buffers[which]->addr + p->at;
}

/* ---- the file ---- */

struct weights_file {
    const struct model *m;
    char (*names)[NAME_BYTES];      /* [tensors] in model order */
    struct safetensors_part *parts; /* [tensors] */
    float *rows;                    /* [most], in the model's order of rows */
    size_t n;
    uint64_t most; /* values of the largest tensor */
};

static void weights_file_release(struct weights_file *f)
{
    mem_free(f->names);
    mem_free(f->parts);
    mem_free(f->rows);
    *f = (struct weights_file){ 0 };
}

static int weights_file_init(const struct model *m, struct weights_file *f, struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    *f = (struct weights_file){ .m = m, .n = hyper_tensors(h) };
    f->names = mem_calloc(f->n, sizeof *f->names);
    f->parts = mem_calloc(f->n, sizeof *f->parts);
    if (!f->names || !f->parts)
        FAIL(st, RC_NOMEM, "no memory for a table of tensors");
    for (uint32_t i = 0; i < f->n; i++) {
        enum tensor_role role;
        uint32_t block;
        char path[ROLE_PATH_MAX];
        role_at(h, i, &role, &block);
        const struct tensor_shape s = role_shape(h, role);
        role_path(role, block, path);
        snprintf(f->names[i], NAME_BYTES, "%s.weight", path);
        f->parts[i].name = f->names[i];
        f->parts[i].shape[0] = role_is_norm(role) ? s.columns : s.rows;
        f->parts[i].shape[1] = role_is_norm(role) ? SAFETENSORS_VECTOR : s.columns;
        f->most = (uint64_t)s.rows * s.columns > f->most ? (uint64_t)s.rows * s.columns : f->most;
    }
    f->rows = mem_calloc(f->most, sizeof *f->rows);
    if (!f->rows)
        FAIL(st, RC_NOMEM, "no memory for the largest tensor");
out:
    if (rc != 0)
        weights_file_release(f);
    return rc;
}

/* Values of a tensor in Hugging Face's order of rows. */
static int values_get(void *self, size_t part, float *out, struct status *st)
{
    int rc = 0;
    struct weights_file *f = self;
    const struct model_hyper *h = model_get_hyper(f->m);
    enum tensor_role role;
    uint32_t block;
    role_at(h, (uint32_t)part, &role, &block);
    const struct tensor_shape s = role_shape(h, role);
    TRY(model_values_read(f->m, role, block, f->rows, st));
    for (uint32_t row = 0; row < s.rows; row++)
        memcpy(out + (size_t)role_row_hf(h, role, row) * s.columns, f->rows + (size_t)row * s.columns,
               s.columns * sizeof *out);
out:
    return rc;
}

/* The rest of the directory, from the model's own files. */
static int documents_save(const struct model *m, const char *folder, struct status *st)
{
    int rc = 0;
    struct source from = { 0 };
    TRY(source_open(model_get_path(m), &from, st));
    TRY(export_hf_documents(
        &(struct export){
            .from = &from, .from_path = model_get_path(m), .hyper = model_get_hyper(m), .type = QUANT_F32 },
        folder, st));
out:
    source_close(&from);
    return rc;
}

int full_save(const struct model *m, const char *folder, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    struct weights_file f = { 0 };
    TRY(weights_file_init(m, &f, st));
    TRY(path_join(folder, FULL_WEIGHTS_NAME, &path, st));
    TRY(safetensors_save(str_text(&path), f.parts, f.n,
                         &(struct safetensors_source){ .self = &f, .get = values_get }, st));
    TRY(documents_save(m, folder, st));
out:
    weights_file_release(&f);
    str_release(&path);
    return rc;
}

static int tensor_load(struct model *m, const struct safetensors *file, const struct weights_file *f,
                       size_t i, float *values, struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    enum tensor_role role;
    uint32_t block;
    role_at(h, (uint32_t)i, &role, &block);
    const struct tensor_shape s = role_shape(h, role);
    const struct safetensors_tensor *t = safetensors_find(file, f->names[i]);
    if (!t)
        FAIL(st, RC_FORMAT, "tensor '%s' is missing", f->names[i]);
    if (role_is_norm(role) ? t->dims != 1 || t->shape[0] != s.columns
                           : t->dims != 2 || t->shape[0] != s.rows || t->shape[1] != s.columns)
        FAIL(st, RC_FORMAT,
             "tensor '%s' has %" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64 "; the model wants %" PRIu32
             " x %" PRIu32,
             f->names[i], t->dims, t->shape[0], t->shape[1], s.rows, s.columns);
    TRY(safetensors_f32(t, values, st));
    for (uint64_t k = 0; k < t->n; k++)
        if (!isfinite(values[k]))
            FAIL(st, RC_FORMAT, "tensor '%s': value %" PRIu64 " is not finite", f->names[i], k);
    for (uint32_t row = 0; row < s.rows; row++)
        memcpy(f->rows + (size_t)row * s.columns, values + (size_t)role_row_hf(h, role, row) * s.columns,
               s.columns * sizeof *values);
    TRY(model_values_write(m, role, block, f->rows, st));
out:
    return rc;
}

int full_load(struct model *m, const char *folder, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    struct safetensors file = { 0 };
    struct weights_file f = { 0 };
    float *values = NULL;
    TRY(path_join(folder, FULL_WEIGHTS_NAME, &path, st));
    TRY(safetensors_open(str_text(&path), &file, st));
    TRY(weights_file_init(m, &f, st));
    values = mem_calloc(f.most, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for the largest tensor");
    for (size_t i = 0; i < f.n && rc == 0; i++)
        rc = tensor_load(m, &file, &f, i, values, st);
    for (size_t i = 0; rc == 0 && file.n != f.n && i < file.n; i++) {
        size_t k = 0;
        while (k < f.n && strcmp(f.names[k], file.tensors[i].name) != 0)
            k++;
        if (k == f.n)
            rc = status_fail(st, RC_FORMAT, "tensor '%s' is no part of the model", file.tensors[i].name);
    }
    if (rc != 0)
        status_prefix(st, "%s", str_text(&path));
out:
    mem_free(values);
    weights_file_release(&f);
    safetensors_close(&file);
    str_release(&path);
    return rc;
}
