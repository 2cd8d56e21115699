#include "model/safetensors.h"

#include "base/alloc.h"
#include "base/json.h"
#include "model/quant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "values are copied as they lie in the file: little-endian hosts only"
#endif
_Static_assert((int)SAFETENSORS_TENSORS_MAX <= (int)JSON_KEYS_MAX, "a header is one JSON object");

enum { LENGTH_BYTES = 8 };
static const char metadata_key[] = "__metadata__";

static const struct {
    const char *name;
    size_t size;
    bool integer;
} types[] = {
    [SAFETENSORS_F32] = { "F32", 4, false },   [SAFETENSORS_F16] = { "F16", 2, false },
    [SAFETENSORS_BF16] = { "BF16", 2, false }, [SAFETENSORS_I32] = { "I32", 4, true },
    [SAFETENSORS_I64] = { "I64", 8, true },
};
enum { TYPES = sizeof types / sizeof types[0] };

/* ---- reading ---- */

static int name_check(const char *name, struct status *st)
{
    size_t n = strlen(name);
    if (n == 0 || n > SAFETENSORS_NAME_BYTES_MAX)
        return status_fail(st, n ? RC_LIMIT : RC_FORMAT, "a tensor's name has %zu bytes, 1 to %d are read", n,
                           SAFETENSORS_NAME_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return status_fail(st, RC_FORMAT, "a tensor's name holds the byte 0x%02x",
                               (unsigned char)name[i]);
    return 0;
}

static int type_read(const struct json *entry, enum safetensors_type *out, struct status *st)
{
    const char *name = NULL;
    int rc = json_get_text(entry, "dtype", &name, st);
    if (rc)
        return rc;
    for (int i = 0; i < TYPES; i++)
        if (strcmp(types[i].name, name) == 0) {
            *out = (enum safetensors_type)i;
            return 0;
        }
    return status_fail(st, RC_UNSUPPORTED, "type '%.20s', this reads F32, F16, BF16, I32, I64", name);
}

static int count_read(const struct json *j, const char *key, uint64_t *out, struct status *st)
{
    if (json_type(j) != JSON_NUMBER || !json_is_int(j) || json_int(j) < 0)
        return status_fail(st, RC_FORMAT, "key '%s' holds something that is no count", key);
    *out = (uint64_t)json_int(j);
    return 0;
}

static int shape_read(const struct json *entry, struct safetensors_tensor *t, struct status *st)
{
    int rc = 0;
    const struct json *shape = NULL;
    TRY(json_get(entry, "shape", JSON_ARRAY, &shape, st));
    if (json_size(shape) > SAFETENSORS_DIMS_MAX)
        FAIL(st, RC_LIMIT, "%zu dimensions, over %d", json_size(shape), SAFETENSORS_DIMS_MAX);
    t->n = 1;
    for (int i = 0; i < SAFETENSORS_DIMS_MAX; i++)
        t->shape[i] = 1;
    for (const struct json *d = json_first(shape); d; d = json_next(d)) {
        uint64_t *to = &t->shape[t->dims++];
        TRY(count_read(d, "shape", to, st));
        if (*to && t->n > UINT64_MAX / *to)
            FAIL(st, RC_FORMAT, "more values than 64 bits count");
        t->n *= *to;
    }
out:
    return rc;
}

struct span {
    uint64_t begin, end;
};

static int span_read(const struct json *entry, const struct safetensors_tensor *t, uint64_t size,
                     struct span *out, struct status *st)
{
    int rc = 0;
    const struct json *offsets = NULL;
    TRY(json_get(entry, "data_offsets", JSON_ARRAY, &offsets, st));
    if (json_size(offsets) != 2)
        FAIL(st, RC_FORMAT, "key 'data_offsets' has %zu numbers, 2 are wanted", json_size(offsets));
    const struct json *first = json_first(offsets);
    TRY(count_read(first, "data_offsets", &out->begin, st));
    TRY(count_read(json_next(first), "data_offsets", &out->end, st));
    if (out->begin > out->end || out->end > size)
        FAIL(st, RC_FORMAT, "bytes %" PRIu64 " to %" PRIu64 " of data, and there are %" PRIu64, out->begin,
             out->end, size);
    size_t each = types[t->type].size;
    if (t->n > UINT64_MAX / each || t->n * each != out->end - out->begin)
        FAIL(st, RC_FORMAT, "%" PRIu64 " values of %zu bytes in %" PRIu64 " bytes of data", t->n, each,
             out->end - out->begin);
out:
    return rc;
}

static int tensor_read(const struct json *entry, uint64_t size, struct safetensors_tensor *t,
                       struct span *span, struct status *st)
{
    static const char *const keys[] = { "dtype", "shape", "data_offsets", NULL };
    int rc = 0;
    if (json_type(entry) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "an object is wanted");
    TRY(json_only(entry, keys, st));
    TRY(type_read(entry, &t->type, st));
    TRY(shape_read(entry, t, st));
    TRY(span_read(entry, t, size, span, st));
out:
    return rc;
}

static int metadata_check(const struct json *metadata, struct status *st)
{
    if (json_type(metadata) != JSON_OBJECT)
        return status_fail(st, RC_FORMAT, "key '%s': an object is wanted", metadata_key);
    for (const struct json *m = json_first(metadata); m; m = json_next(m))
        if (json_type(m) != JSON_STRING)
            return status_fail(st, RC_FORMAT, "key '%s' holds something else than texts", metadata_key);
    return 0;
}

static int spans_compare(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The data are covered once and whole: no byte belongs to two tensors, or to none. */
static int spans_check(struct span *spans, size_t n, uint64_t size, struct status *st)
{
    uint64_t at = 0;
    if (n)
        qsort(spans, n, sizeof *spans, spans_compare);
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != at)
            return status_fail(st, RC_FORMAT, "byte %" PRIu64 " of data belongs to %s",
                               spans[i].begin < at ? spans[i].begin : at,
                               spans[i].begin < at ? "two tensors" : "no tensor");
        at = spans[i].end;
    }
    if (at != size)
        return status_fail(st, RC_FORMAT, "byte %" PRIu64 " of data belongs to no tensor", at);
    return 0;
}

static int tensors_read(const struct json *header, const uint8_t *data, uint64_t size,
                        struct safetensors *out, struct status *st)
{
    int rc = 0;
    struct span *spans = mem_calloc(json_size(header), sizeof *spans);
    out->tensors = mem_calloc(json_size(header), sizeof *out->tensors);
    if (!spans || !out->tensors)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", json_size(header));
    for (const struct json *m = json_first(header); m; m = json_next(m)) {
        const char *name = json_key(m);
        if (strcmp(name, metadata_key) == 0) {
            TRY(metadata_check(m, st));
            continue;
        }
        TRY(name_check(name, st));
        struct safetensors_tensor *t = &out->tensors[out->n];
        rc = tensor_read(m, size, t, &spans[out->n], st);
        if (rc) {
            status_prefix(st, "tensor '%s'", name);
            goto out;
        }
        t->data = data + spans[out->n].begin;
        t->name = mem_calloc(strlen(name) + 1, 1);
        if (!t->name)
            FAIL(st, RC_NOMEM, "no memory for a name");
        memcpy(t->name, name, strlen(name));
        out->n++;
    }
    TRY(spans_check(spans, out->n, size, st));
out:
    mem_free(spans);
    return rc;
}

int safetensors_parse(const uint8_t *data, size_t size, struct safetensors *out, struct status *st)
{
    int rc = 0;
    struct safetensors file = { 0 };
    struct json *header = NULL;
    uint64_t length = 0;
    if (size < LENGTH_BYTES)
        FAIL(st, RC_FORMAT, "%zu bytes are no safetensors file", size);
    memcpy(&length, data, LENGTH_BYTES);
    if (length > SAFETENSORS_HEADER_BYTES_MAX)
        FAIL(st, RC_LIMIT, "byte 0: a header of %" PRIu64 " bytes, over %" PRIu64, length,
             SAFETENSORS_HEADER_BYTES_MAX);
    if (length > size - LENGTH_BYTES)
        FAIL(st, RC_FORMAT, "byte 0: a header of %" PRIu64 " bytes, and the file has %zu more", length,
             size - LENGTH_BYTES);
    if (length == 0 || data[LENGTH_BYTES] != '{')
        FAIL(st, RC_FORMAT, "byte 8: a header begins with {");
    rc = json_parse((const char *)data + LENGTH_BYTES, (size_t)length, &header, st);
    if (rc) {
        status_prefix(st, "header");
        goto out;
    }
    if (json_size(header) > SAFETENSORS_TENSORS_MAX)
        FAIL(st, RC_LIMIT, "%zu tensors, over %d", json_size(header), SAFETENSORS_TENSORS_MAX);
    TRY(tensors_read(header, data + LENGTH_BYTES + length, size - LENGTH_BYTES - length, &file, st));
    *out = file;
    file = (struct safetensors){ 0 };
out:
    json_free(header);
    safetensors_close(&file);
    return rc;
}

int safetensors_open(const char *path, struct safetensors *out, struct status *st)
{
    int rc = 0;
    struct file_map map = { 0 };
    TRY(file_map_open(path, &map, st));
    rc = safetensors_parse(map.data, map.size, out, st);
    if (rc) {
        status_prefix(st, "%s", path);
        goto out;
    }
    out->map = map;
    map = (struct file_map){ 0 };
out:
    file_map_close(&map);
    return rc;
}

void safetensors_close(struct safetensors *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->tensors[i].name);
    mem_free(s->tensors);
    file_map_close(&s->map);
    *s = (struct safetensors){ 0 };
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->tensors[i].name, name) == 0)
            return &s->tensors[i];
    return NULL;
}

int safetensors_f32(const struct safetensors_tensor *t, float *out, struct status *st)
{
    if (types[t->type].integer)
        return status_fail(st, RC_UNSUPPORTED, "tensor '%s' is %s, F32, F16 or BF16 was wanted", t->name,
                           types[t->type].name);
    for (uint64_t i = 0; i < t->n; i++) {
        uint16_t half = 0;
        if (t->type == SAFETENSORS_F32)
            memcpy(&out[i], t->data + 4 * i, 4);
        else
            memcpy(&half, t->data + 2 * i, 2);
        if (t->type != SAFETENSORS_F32)
            out[i] = t->type == SAFETENSORS_F16 ? f16_to_f32(half) : bf16_to_f32(half);
    }
    return 0;
}

int safetensors_i32(const struct safetensors_tensor *t, int32_t *out, struct status *st)
{
    if (!types[t->type].integer)
        return status_fail(st, RC_UNSUPPORTED, "tensor '%s' is %s, I32 or I64 was wanted", t->name,
                           types[t->type].name);
    for (uint64_t i = 0; i < t->n; i++) {
        int64_t wide = 0;
        int32_t narrow = 0;
        if (t->type == SAFETENSORS_I64)
            memcpy(&wide, t->data + 8 * i, 8);
        else
            memcpy(&narrow, t->data + 4 * i, 4);
        if (wide < INT32_MIN || wide > INT32_MAX)
            return status_fail(st, RC_FORMAT, "tensor '%s': %" PRId64 " does not fit 32 bits", t->name, wide);
        out[i] = t->type == SAFETENSORS_I64 ? (int32_t)wide : narrow;
    }
    return 0;
}

/* ---- writing ---- */

static bool is_vector(const struct safetensors_part *p)
{
    return p->shape[1] == SAFETENSORS_VECTOR;
}

static uint64_t columns_of(const struct safetensors_part *p)
{
    return is_vector(p) ? 1 : p->shape[1];
}

static uint64_t values_of(const struct safetensors_part *p)
{
    return p->shape[0] * columns_of(p);
}

static int parts_compare(const void *a, const void *b)
{
    const struct safetensors_part *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Pointers to the parts in byte order of their names. */
static int parts_sort(const struct safetensors_part *parts, size_t n, const struct safetensors_part ***out,
                      struct status *st)
{
    int rc = 0;
    const struct safetensors_part **sorted = mem_calloc(n, sizeof *sorted);
    if (!sorted)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &parts[i];
    if (n)
        qsort(sorted, n, sizeof *sorted, parts_compare);
    for (size_t i = 0; i < n; i++) {
        TRY(name_check(sorted[i]->name, st));
        if (strcmp(sorted[i]->name, metadata_key) == 0 ||
            (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0))
            FAIL(st, RC_ARG, "tensor '%s' is there twice, or has a name that is taken", sorted[i]->name);
    }
    *out = sorted;
    sorted = NULL;
out:
    mem_free(sorted);
    return rc;
}

static struct json *single(uint64_t a)
{
    struct json *one = json_array();
    json_push(one, json_of_int((int64_t)a));
    return one;
}

static struct json *pair(uint64_t a, uint64_t b)
{
    struct json *both = json_array();
    json_push(both, json_of_int((int64_t)a));
    json_push(both, json_of_int((int64_t)b));
    return both;
}

static int header_write(const struct safetensors_part *const *sorted, size_t n, enum safetensors_type type,
                        struct str *out, struct status *st)
{
    int rc = 0;
    uint64_t at = 0;
    const uint64_t each = types[type].size;
    struct json *header = json_object(), *metadata = json_object();
    json_put_text(metadata, "format", "pt");
    json_put(header, metadata_key, metadata);
    for (size_t i = 0; i < n; i++) {
        const struct safetensors_part *p = sorted[i];
        const uint64_t max = (uint64_t)JSON_INT_MAX - at;
        if (columns_of(p) && p->shape[0] > max / each / columns_of(p))
            FAIL(st, RC_LIMIT, "tensor '%s' is larger than an offset counts", p->name);
        uint64_t end = at + values_of(p) * each;
        struct json *entry = json_object();
        json_put_text(entry, "dtype", types[type].name);
        json_put(entry, "shape", is_vector(p) ? single(p->shape[0]) : pair(p->shape[0], p->shape[1]));
        json_put(entry, "data_offsets", pair(at, end));
        json_put(header, p->name, entry);
        at = end;
    }
    TRY(json_check(header, st));
    TRY(json_write_canonical(header, out, st));
    while (out->size % LENGTH_BYTES && !out->failed)
        str_putc(out, ' ');
    TRY(str_check(out, st));
out:
    json_free(header);
    return rc;
}

int safetensors_write(const struct safetensors_part *parts, size_t n, struct str *out, struct status *st)
{
    int rc = 0;
    struct str header = { 0 };
    const struct safetensors_part **sorted = NULL;
    if (n >= SAFETENSORS_TENSORS_MAX)
        FAIL(st, RC_LIMIT, "%zu tensors and metadata, over %d", n, SAFETENSORS_TENSORS_MAX);
    TRY(parts_sort(parts, n, &sorted, st));
    TRY(header_write(sorted, n, SAFETENSORS_F32, &header, st));
    const uint64_t length = header.size;
    str_add(out, &length, LENGTH_BYTES);
    str_add(out, header.data, header.size);
    for (size_t i = 0; i < n; i++)
        str_add(out, sorted[i]->data, (size_t)values_of(sorted[i]) * sizeof(float));
    TRY(str_check(out, st));
out:
    str_release(&header);
    mem_free(sorted);
    return rc;
}

/* n values as f16, from the start of the array on. */
static void halves_pack(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint16_t half = f16_of_f32(values[i]);
        memcpy((uint8_t *)values + i * sizeof half, &half, sizeof half);
    }
}

int safetensors_save(const char *path, const struct safetensors_part *parts, size_t n,
                     const struct safetensors_source *source, struct status *st)
{
    int rc = 0;
    struct str header = { 0 };
    struct file_writer *file = NULL;
    const struct safetensors_part **sorted = NULL;
    float *values = NULL;
    uint64_t most = 0;
    if (n >= SAFETENSORS_TENSORS_MAX)
        FAIL(st, RC_LIMIT, "%s: %zu tensors and metadata, over %d", path, n, SAFETENSORS_TENSORS_MAX);
    TRY(parts_sort(parts, n, &sorted, st));
    TRY(header_write(sorted, n, source->type, &header, st));
    for (size_t i = 0; i < n; i++)
        most = values_of(&parts[i]) > most ? values_of(&parts[i]) : most;
    values = mem_calloc(most, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "%s: no memory for its largest tensor", path);
    const uint64_t length = header.size;
    TRY(file_writer_open(path, &file, st));
    TRY(file_writer_put(file, &length, LENGTH_BYTES, st));
    TRY(file_writer_put(file, header.data, header.size, st));
    for (size_t i = 0; i < n; i++) {
        TRY(source->get(source->self, (size_t)(sorted[i] - parts), values, st));
        if (source->type == SAFETENSORS_F16)
            halves_pack(values, (size_t)values_of(sorted[i]));
        TRY(file_writer_put(file, values, (size_t)values_of(sorted[i]) * types[source->type].size, st));
    }
    TRY(file_writer_finish(file, 0644, st));
out:
    file_writer_close(file);
    str_release(&header);
    mem_free(sorted);
    mem_free(values);
    return rc;
}
