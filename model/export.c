#include "model/export.h"

#include "base/alloc.h"
#include "base/file.h"
#include "model/gguf_write.h"
#include "model/hf_own.h"
#include "model/hf_write.h"
#include "model/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A tensor that is written: what it is, and how. */
struct item {
    enum tensor_role role;
    uint32_t block;
    char name[ROLE_PATH_MAX + 8];
    const struct quant_type *type;
    struct tensor_shape shape;
};

static uint64_t item_bytes(const struct item *it)
{
    return (uint64_t)it->shape.rows * it->shape.columns / it->type->block * it->type->bytes;
}

/* ---- values ---- */

struct work {
    float *rows;
    uint8_t *bytes; /* of a GGUF file */
};

static void work_free(struct work *w)
{
    mem_free(w->rows);
    mem_free(w->bytes);
}

static uint32_t rows_at_once(const struct item *it)
{
    const uint32_t n = EXPORT_VALUES_MAX / it->shape.columns;
    return n > 0 ? n : 1;
}

static int work_open(const struct item *items, size_t n, struct work *w, struct status *st)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t values = (size_t)rows_at_once(&items[i]) * items[i].shape.columns;
        most = values > most ? values : most;
    }
    w->rows = mem_calloc(most, sizeof *w->rows);
    w->bytes = mem_calloc(most, sizeof(float));
    if (!w->rows || !w->bytes)
        return status_fail(st, RC_NOMEM, "no memory to write weights");
    return 0;
}

static int values_check(const struct item *it, const float *x, size_t n, struct status *st)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return status_fail(st, RC_FORMAT, "tensor '%s' holds a value that is not finite", it->name);
        if (it->type->id == QUANT_F16 && (f16_of_f32(x[i]) & 0x7c00) == 0x7c00)
            return status_fail(st, RC_FORMAT, "tensor '%s' holds %g, over what f16 holds", it->name,
                               (double)x[i]);
    }
    return 0;
}

/* Values of a type as they lie in a file; returns their bytes. */
static size_t values_pack(const struct quant_type *type, const float *x, size_t n, uint8_t *out)
{
    if (type->id == QUANT_Q8_0) {
        quant_q8_0(x, n / type->block, out);
    } else if (type->id == QUANT_F16) {
        for (size_t i = 0; i < n; i++) {
            const uint16_t half = f16_of_f32(x[i]);
            memcpy(out + i * sizeof half, &half, sizeof half);
        }
    } else {
        memcpy(out, x, n * sizeof *x);
    }
    return n / type->block * type->bytes;
}

/* Every tensor of the model, in model order. */
static int items_make(const struct export *e, bool hf, struct item **out, size_t *n, struct status *st)
{
    int rc = 0;
    struct item *items = mem_calloc(hyper_tensors(e->hyper), sizeof *items);
    const struct quant_type *type = quant_find(e->type);
    if (!items)
        FAIL(st, RC_NOMEM, "no memory for %" PRIu32 " tensors", hyper_tensors(e->hyper));
    for (int r = 0; r < ROLES; r++) {
        const enum tensor_role role = (enum tensor_role)r;
        if (role == ROLE_HEAD && e->hyper->tied_head)
            continue;
        for (uint32_t block = 0; block < (role_is_block(role) ? e->hyper->blocks : 1); block++) {
            struct item *it = &items[role_index(e->hyper, role, block)];
            char path[ROLE_PATH_MAX];
            it->role = role;
            it->block = block;
            it->shape = role_shape(e->hyper, role);
            it->type = role_is_norm(role) && !hf ? quant_find(QUANT_F32) : type;
            role_path(role, block, path);
            if (hf)
                snprintf(it->name, sizeof it->name, "%s.weight", path);
            else
                role_tensor_name(role, block, it->name);
            if (it->shape.columns % it->type->block)
                FAIL(st, RC_UNSUPPORTED,
                     "tensor '%s' has rows of %" PRIu32 ", and blocks of %s have %" PRIu32, it->name,
                     it->shape.columns, it->type->name, it->type->block);
        }
    }
    *out = items;
    *n = hyper_tensors(e->hyper);
    items = NULL;
out:
    mem_free(items);
    return rc;
}

/* ---- a GGUF file ---- */

/* Metadata of the source, but for what says how weights are stored. */
static void keys_copy(const struct export *e, struct gguf_keys *out)
{
    static const char *const OWN[] = { "general.file_type", "general.alignment",
                                       "general.quantization_version" };
    static const uint32_t FILE_TYPES[] = { [QUANT_F32] = 0, [QUANT_F16] = 1, [QUANT_Q8_0] = 7 };
    for (size_t i = 0; i < e->from->gguf.entries_n; i++) {
        const struct gguf_entry *entry = &e->from->gguf.entries[i];
        bool own = false;
        for (size_t k = 0; k < sizeof OWN / sizeof *OWN; k++)
            own = own || gguf_text_is(entry->key, OWN[k]);
        if (!own)
            gguf_put_entry(out, entry);
    }
    gguf_put_u32(out, "general.file_type", FILE_TYPES[e->type]);
    if (e->type == QUANT_Q8_0)
        gguf_put_u32(out, "general.quantization_version", 2);
}

static int header_make(const struct export *e, const struct item *items, size_t n, struct str *out,
                       struct status *st)
{
    int rc = 0;
    struct gguf_keys keys = { 0 };
    struct gguf_place *places = mem_calloc(n, sizeof *places);
    if (!places)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", n);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        places[i] = (struct gguf_place){ .name = items[i].name,
                                         .type = items[i].type->id,
                                         .rows = items[i].shape.rows,
                                         .columns = items[i].shape.columns,
                                         .vector = role_is_norm(items[i].role),
                                         .at = at };
        at += (item_bytes(&items[i]) + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
    }
    keys_copy(e, &keys);
    TRY(gguf_header_write(&keys, places, n, GGUF_ALIGNMENT, out, st));
out:
    mem_free(places);
    str_release(&keys.bytes);
    return rc;
}

static int item_write(const struct export *e, const struct item *it, struct work *w, struct file_writer *to,
                      struct status *st)
{
    int rc = 0;
    const uint32_t step = rows_at_once(it), columns = it->shape.columns;
    for (uint32_t first = 0; first < it->shape.rows; first += step) {
        const uint32_t n = it->shape.rows - first < step ? it->shape.rows - first : step;
        const size_t values = (size_t)n * columns;
        TRY(e->rows(e->self, it->role, it->block, first, n, w->rows, st));
        TRY(values_check(it, w->rows, values, st));
        TRY(file_writer_put(to, w->bytes, values_pack(it->type, w->rows, values, w->bytes), st));
    }
out:
    return rc;
}

int export_gguf(const struct export *e, const char *path, struct status *st)
{
    int rc = 0;
    static const uint8_t ZEROS[GGUF_ALIGNMENT];
    struct item *items = NULL;
    size_t n = 0;
    struct work w = { 0 };
    struct str header = { 0 };
    struct file_writer *to = NULL;
    if (path_exists(path))
        FAIL(st, RC_IO, "%s: is there already", path);
    TRY(items_make(e, false, &items, &n, st));
    TRY(work_open(items, n, &w, st));
    TRY(header_make(e, items, n, &header, st));
    TRY(file_writer_open(path, &to, st));
    TRY(file_writer_put(to, header.data, header.size, st));
    for (size_t i = 0; i < n; i++) {
        const uint64_t over = item_bytes(&items[i]) % GGUF_ALIGNMENT;
        TRY(item_write(e, &items[i], &w, to, st));
        TRY(file_writer_put(to, ZEROS, over ? GGUF_ALIGNMENT - (size_t)over : 0, st));
        event_progress(e->sink, "write", i + 1, n);
    }
    TRY(file_writer_finish(to, 0644, st));
out:
    file_writer_close(to);
    str_release(&header);
    work_free(&w);
    mem_free(items);
    return rc;
}

/* ---- a Hugging Face directory ---- */

struct weights_out {
    const struct export *e;
    struct item *items; /* [n] */
    size_t n, done;
    struct work work;
};

/* Values of a part, rows of q and k in Hugging Face's order. */
static int part_get(void *self, size_t part, float *out, struct status *st)
{
    int rc = 0;
    struct weights_out *o = self;
    const struct export *e = o->e;
    const struct item *it = &o->items[part];
    const uint32_t step = rows_at_once(it), columns = it->shape.columns;
    for (uint32_t first = 0; first < it->shape.rows; first += step) {
        const uint32_t n = it->shape.rows - first < step ? it->shape.rows - first : step;
        TRY(e->rows(e->self, it->role, it->block, first, n, o->work.rows, st));
        TRY(values_check(it, o->work.rows, (size_t)n * columns, st));
        for (uint32_t r = 0; r < n; r++)
            memcpy(out + (size_t)role_row_hf(e->hyper, it->role, first + r) * columns,
                   o->work.rows + (size_t)r * columns, columns * sizeof *out);
    }
    event_progress(e->sink, "write", ++o->done, o->n);
out:
    return rc;
}

static int weights_save(const struct export *e, const char *folder, struct status *st)
{
    int rc = 0;
    struct weights_out o = { .e = e };
    struct str path = { 0 };
    struct safetensors_part *parts = NULL;
    TRY(items_make(e, true, &o.items, &o.n, st));
    TRY(work_open(o.items, o.n, &o.work, st));
    parts = mem_calloc(o.n, sizeof *parts);
    if (!parts)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", o.n);
    for (size_t i = 0; i < o.n; i++) {
        const struct tensor_shape s = o.items[i].shape;
        const bool vector = role_is_norm(o.items[i].role);
        parts[i].name = o.items[i].name;
        parts[i].shape[0] = vector ? s.columns : s.rows;
        parts[i].shape[1] = vector ? SAFETENSORS_VECTOR : s.columns;
    }
    TRY(path_join(folder, HF_WEIGHTS, &path, st));
    const struct safetensors_source source = {
        .type = e->type == QUANT_F16 ? SAFETENSORS_F16 : SAFETENSORS_F32, .self = &o, .get = part_get
    };
    TRY(safetensors_save(path.data, parts, o.n, &source, st));
out:
    mem_free(parts);
    str_release(&path);
    work_free(&o.work);
    mem_free(o.items);
    return rc;
}

int export_hf_documents(const struct export *e, const char *folder, struct status *st)
{
    int rc = hf_config_save(&e->from->gguf, e->hyper, e->type == QUANT_F16, folder, st);
    if (rc)
        return rc;
    return e->from->folder ? hf_files_copy(e->from_path, folder, st)
                           : hf_tokenizer_save(&e->from->gguf, folder, st);
}

int export_hf(const struct export *e, const char *folder, struct status *st)
{
    int rc = 0;
    struct folder_out to = { 0 };
    if (e->type != QUANT_F32 && e->type != QUANT_F16)
        FAIL(st, RC_UNSUPPORTED, "a Hugging Face directory holds f32 or f16, %s is of GGUF files",
             quant_name(e->type));
    TRY(folder_out_open(folder, &to, st));
    TRY(export_hf_documents(e, to.temporary.data, st));
    TRY(weights_save(e, to.temporary.data, st));
    TRY(folder_out_commit(&to, st));
out:
    folder_out_close(&to);
    return rc;
}
