#include "model/gguf.h"

#include "base/alloc.h"
#include "model/quant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "values are copied as they lie in the file");
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF files are read in place: little-endian hosts only"
#endif

enum { ENTRY_BYTES_MIN = 8 + 1 + 4 + 1, TENSOR_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8 };
static const uint32_t gguf_magic = 0x46554747; /* "GGUF" */

static const struct {
    const char *name;
    size_t size; /* 0: not fixed */
} kinds[GGUF_KINDS] = {
    [GGUF_U8] = { "u8", 1 },       [GGUF_I8] = { "i8", 1 },     [GGUF_U16] = { "u16", 2 },
    [GGUF_I16] = { "i16", 2 },     [GGUF_U32] = { "u32", 4 },   [GGUF_I32] = { "i32", 4 },
    [GGUF_F32] = { "f32", 4 },     [GGUF_BOOL] = { "bool", 1 }, [GGUF_STRING] = { "string", 0 },
    [GGUF_ARRAY] = { "array", 0 }, [GGUF_U64] = { "u64", 8 },   [GGUF_I64] = { "i64", 8 },
    [GGUF_F64] = { "f64", 8 },
};

struct reader {
    const uint8_t *data;
    size_t size, at;
    struct status *st;
};

static size_t left(const struct reader *r)
{
    return r->size - r->at;
}

static int take(struct reader *r, void *out, size_t n, const char *what)
{
    if (n > left(r))
        return status_fail(r->st, RC_FORMAT, "byte %zu: the file ends, %s of %zu bytes was wanted", r->at,
                           what, n);
    memcpy(out, r->data + r->at, n);
    r->at += n;
    return 0;
}

/* A string of 1 … max bytes; `plain` ones are printable ASCII, so that messages can show them. */
static int take_text(struct reader *r, const char *what, uint64_t max, bool plain, struct gguf_text *out)
{
    int rc = 0;
    size_t start = r->at;
    uint64_t n = 0;
    TRY(take(r, &n, sizeof n, what));
    if (n > max)
        FAIL(r->st, RC_LIMIT, "byte %zu: %s of %" PRIu64 " bytes, over %" PRIu64, start, what, n, max);
    if (n > left(r))
        FAIL(r->st, RC_FORMAT, "byte %zu: %s of %" PRIu64 " bytes, and the file has %zu more", start, what, n,
             left(r));
    struct gguf_text text = { (const char *)r->data + r->at, (size_t)n };
    if (plain && n == 0)
        FAIL(r->st, RC_FORMAT, "byte %zu: %s is empty", start, what);
    for (size_t i = 0; plain && i < n; i++)
        if (text.s[i] < 0x20 || text.s[i] > 0x7e)
            FAIL(r->st, RC_FORMAT, "byte %zu: %s holds the byte 0x%02x", start, what,
                 (unsigned char)text.s[i]);
    r->at += text.n;
    *out = text;
out:
    return rc;
}

/* ---- metadata ---- */

static int take_kind(struct reader *r, enum gguf_kind *out)
{
    int rc = 0;
    size_t start = r->at;
    uint32_t kind = 0;
    TRY(take(r, &kind, sizeof kind, "a type of value"));
    if (kind >= GGUF_KINDS)
        FAIL(r->st, RC_UNSUPPORTED, "byte %zu: the type of value %" PRIu32 " is unknown", start, kind);
    *out = (enum gguf_kind)kind;
out:
    return rc;
}

static int check_bools(struct reader *r, const uint8_t *data, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (data[i] > 1)
            return status_fail(r->st, RC_FORMAT, "byte %zu: a bool is %u", (size_t)(data + i - r->data),
                               data[i]);
    return 0;
}

/* e->n elements of one kind. */
static int take_elements(struct reader *r, enum gguf_kind kind, const struct gguf_entry *e)
{
    int rc = 0;
    size_t size = kinds[kind].size;
    const uint8_t *start = r->data + r->at;
    if (kind == GGUF_STRING) {
        struct gguf_text text;
        for (uint64_t i = 0; i < e->n; i++)
            TRY(take_text(r, "a string", GGUF_STRING_BYTES_MAX, false, &text));
        goto out;
    }
    if (e->n > left(r) / size)
        FAIL(r->st, RC_FORMAT, "byte %zu: %" PRIu64 " values of type %s, and the file has %zu bytes more",
             r->at, e->n, kinds[kind].name, left(r));
    r->at += (size_t)e->n * size;
    if (kind == GGUF_BOOL)
        TRY(check_bools(r, start, e->n));
out:
    return rc;
}

static int take_entry(struct reader *r, struct gguf_entry *e)
{
    int rc = 0;
    TRY(take_text(r, "a key", GGUF_KEY_BYTES_MAX, true, &e->key));
    TRY(take_kind(r, &e->kind));
    enum gguf_kind element = e->kind;
    e->n = 1;
    if (e->kind == GGUF_ARRAY) {
        TRY(take_kind(r, &e->element));
        element = e->element;
        if (element == GGUF_ARRAY)
            FAIL(r->st, RC_UNSUPPORTED, "byte %zu: an array of arrays", r->at - 4);
        size_t start = r->at;
        TRY(take(r, &e->n, sizeof e->n, "a length"));
        if (e->n > GGUF_ELEMENTS_MAX)
            FAIL(r->st, RC_LIMIT, "byte %zu: %" PRIu64 " elements, over %d", start, e->n, GGUF_ELEMENTS_MAX);
    }
    e->data = r->data + r->at;
    TRY(take_elements(r, element, e));
    e->size = (size_t)(r->data + r->at - e->data);
out:
    if (rc && e->key.n)
        status_prefix(r->st, "metadata '%.*s'", (int)(e->key.n < 100 ? e->key.n : 100), e->key.s);
    return rc;
}

static int text_compare(struct gguf_text a, struct gguf_text b)
{
    int order = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int entry_compare(const void *a, const void *b, void *entries)
{
    const struct gguf_entry *e = entries;
    return text_compare(e[*(const uint32_t *)a].key, e[*(const uint32_t *)b].key);
}

static int tensor_compare(const void *a, const void *b, void *tensors)
{
    const struct gguf_tensor *t = tensors;
    return text_compare(t[*(const uint32_t *)a].name, t[*(const uint32_t *)b].name);
}

/* Numbers 0 … n-1 in the order that `compare` gives. */
static int sorted(size_t n, int (*compare)(const void *, const void *, void *), void *items, uint32_t **out,
                  struct status *st)
{
    uint32_t *order = mem_calloc(n, sizeof *order);
    if (!order)
        return status_fail(st, RC_NOMEM, "no memory for %zu names", n);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, n, sizeof *order, compare, items);
    *out = order;
    return 0;
}

static int take_entries(struct reader *r, uint64_t n, struct gguf *g)
{
    int rc = 0;
    uint32_t *order = NULL;
    if (n > left(r) / ENTRY_BYTES_MIN)
        FAIL(r->st, RC_FORMAT, "byte 16: %" PRIu64 " metadata entries do not fit into %zu bytes", n, left(r));
    g->entries = mem_calloc((size_t)n, sizeof *g->entries);
    if (!g->entries)
        FAIL(r->st, RC_NOMEM, "no memory for %" PRIu64 " metadata entries", n);
    g->entries_n = (size_t)n;
    for (size_t i = 0; i < n; i++)
        TRY(take_entry(r, &g->entries[i]));
    TRY(sorted(g->entries_n, entry_compare, g->entries, &order, r->st));
    for (size_t i = 1; i < n; i++) {
        struct gguf_text a = g->entries[order[i - 1]].key, b = g->entries[order[i]].key;
        if (text_compare(a, b) == 0)
            FAIL(r->st, RC_FORMAT, "metadata '%.*s' stands twice", (int)(b.n < 100 ? b.n : 100), b.s);
    }
out:
    mem_free(order);
    return rc;
}

/* ---- tensors ---- */

static int take_shape(struct reader *r, struct gguf_tensor *t)
{
    int rc = 0;
    size_t start = r->at;
    TRY(take(r, &t->dims, sizeof t->dims, "a number of dimensions"));
    if (t->dims < 1 || t->dims > GGUF_DIMS_MAX)
        FAIL(r->st, RC_LIMIT, "byte %zu: %" PRIu32 " dimensions, 1 to %d are read", start, t->dims,
             GGUF_DIMS_MAX);
    t->rows = 1;
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
        t->shape[i] = 1;
        if (i >= t->dims)
            continue;
        TRY(take(r, &t->shape[i], sizeof t->shape[i], "a dimension"));
        if (t->shape[i] == 0 || t->shape[i] > (uint64_t)1 << 40)
            FAIL(r->st, RC_FORMAT, "byte %zu: dimension %" PRIu32 " is %" PRIu64, r->at - 8, i, t->shape[i]);
        if (i > 0 && __builtin_mul_overflow(t->rows, t->shape[i], &t->rows))
            FAIL(r->st, RC_FORMAT, "byte %zu: the product of the dimensions overflows", start);
    }
out:
    return rc;
}

/* Bytes of the data, from type and shape. */
static int tensor_size(struct reader *r, size_t at, struct gguf_tensor *t)
{
    int rc = 0;
    const struct quant_type *type = quant_find(t->type);
    if (!type)
        FAIL(r->st, RC_UNSUPPORTED,
             "byte %zu: type %" PRIu32
             " (%s), this reads F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K",
             at, t->type, quant_name(t->type));
    if (t->shape[0] % type->block)
        FAIL(r->st, RC_FORMAT, "byte %zu: rows of %" PRIu64 " values, %s has blocks of %" PRIu32, at,
             t->shape[0], type->name, type->block);
    size_t row = (size_t)(t->shape[0] / type->block) * type->bytes;
    if (__builtin_mul_overflow(row, t->rows, &t->size))
        FAIL(r->st, RC_FORMAT, "byte %zu: the size overflows", at);
out:
    return rc;
}

/* Leaves the offset, from the start of the data section, in *offset. */
static int take_tensor(struct reader *r, struct gguf_tensor *t, uint64_t *offset)
{
    int rc = 0;
    TRY(take_text(r, "a tensor's name", GGUF_NAME_BYTES_MAX, true, &t->name));
    TRY(take_shape(r, t));
    TRY(take(r, &t->type, sizeof t->type, "a tensor's type"));
    TRY(tensor_size(r, r->at - 4, t));
    TRY(take(r, offset, sizeof *offset, "a tensor's offset"));
out:
    if (rc && t->name.n)
        status_prefix(r->st, "tensor '%.*s'", (int)t->name.n, t->name.s);
    return rc;
}

static int place_tensors(struct reader *r, struct gguf *g, const uint64_t *offsets)
{
    int rc = 0;
    size_t start = (r->at + g->alignment - 1) / g->alignment * g->alignment;
    for (size_t i = 0; i < g->tensors_n; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        if (offsets[i] % g->alignment)
            FAIL(r->st, RC_FORMAT, "tensor '%.*s': offset %" PRIu64 " is not a multiple of %" PRIu32,
                 (int)t->name.n, t->name.s, offsets[i], g->alignment);
        if (start > r->size || offsets[i] > r->size - start || t->size > r->size - start - offsets[i])
            FAIL(r->st, RC_FORMAT,
                 "byte %zu: the file ends, tensor '%.*s' has %zu bytes from byte %zu + %" PRIu64, r->size,
                 (int)t->name.n, t->name.s, t->size, start, offsets[i]);
        t->data = r->data + start + offsets[i];
    }
out:
    return rc;
}

/* Names in order, each once. */
static int name_tensors(struct gguf *g, struct status *st)
{
    int rc = 0;
    TRY(sorted(g->tensors_n, tensor_compare, g->tensors, &g->by_name, st));
    for (size_t i = 1; i < g->tensors_n; i++) {
        struct gguf_text a = g->tensors[g->by_name[i - 1]].name, b = g->tensors[g->by_name[i]].name;
        if (text_compare(a, b) == 0)
            FAIL(st, RC_FORMAT, "tensor '%.*s' stands twice", (int)b.n, b.s);
    }
out:
    return rc;
}

static int take_tensors(struct reader *r, uint64_t n, struct gguf *g)
{
    int rc = 0;
    uint64_t *offsets = NULL;
    if (n > left(r) / TENSOR_BYTES_MIN)
        FAIL(r->st, RC_FORMAT, "byte 8: %" PRIu64 " tensors do not fit into %zu bytes", n, left(r));
    g->tensors = mem_calloc((size_t)n, sizeof *g->tensors);
    offsets = mem_calloc((size_t)n, sizeof *offsets);
    if (!g->tensors || !offsets)
        FAIL(r->st, RC_NOMEM, "no memory for %" PRIu64 " tensors", n);
    g->tensors_n = (size_t)n;
    for (size_t i = 0; i < n; i++)
        TRY(take_tensor(r, &g->tensors[i], &offsets[i]));
    TRY(name_tensors(g, r->st));
    TRY(place_tensors(r, g, offsets));
out:
    mem_free(offsets);
    return rc;
}

static int take_header(struct reader *r, uint64_t *tensors, uint64_t *entries)
{
    int rc = 0;
    uint32_t magic = 0, version = 0;
    TRY(take(r, &magic, sizeof magic, "the magic"));
    if (magic != gguf_magic)
        FAIL(r->st, RC_FORMAT, "byte 0: not a GGUF file");
    TRY(take(r, &version, sizeof version, "the version"));
    if (version && (version & 0xffff) == 0)
        FAIL(r->st, RC_UNSUPPORTED, "byte 4: a big-endian file, this reads little-endian ones");
    if (version != 3)
        FAIL(r->st, RC_UNSUPPORTED, "byte 4: version %" PRIu32 ", this reads 3", version);
    TRY(take(r, tensors, sizeof *tensors, "the number of tensors"));
    if (*tensors > GGUF_TENSORS_MAX)
        FAIL(r->st, RC_LIMIT, "byte 8: %" PRIu64 " tensors, over %d", *tensors, GGUF_TENSORS_MAX);
    TRY(take(r, entries, sizeof *entries, "the number of metadata entries"));
    if (*entries > GGUF_ENTRIES_MAX)
        FAIL(r->st, RC_LIMIT, "byte 16: %" PRIu64 " metadata entries, over %d", *entries, GGUF_ENTRIES_MAX);
out:
    return rc;
}

int gguf_parse(const uint8_t *data, size_t size, struct gguf *out, struct status *st)
{
    int rc = 0;
    struct gguf g = { .alignment = 32 };
    struct reader r = { data, size, 0, st };
    uint64_t tensors = 0, entries = 0;
    TRY(take_header(&r, &tensors, &entries));
    TRY(take_entries(&r, entries, &g));
    TRY(gguf_opt_u32(&g, "general.alignment", &g.alignment, st));
    if (g.alignment == 0 || g.alignment > GGUF_ALIGNMENT_MAX || (g.alignment & (g.alignment - 1)))
        FAIL(st, RC_FORMAT, "metadata 'general.alignment' is %" PRIu32 ", a power of two up to %d was wanted",
             g.alignment, GGUF_ALIGNMENT_MAX);
    TRY(take_tensors(&r, tensors, &g));
    *out = g;
    g = (struct gguf){ 0 };
out:
    gguf_close(&g);
    return rc;
}

int gguf_open(const char *path, struct gguf *out, struct status *st)
{
    int rc = 0;
    struct gguf g = { 0 };
    struct file_map map = { 0 };
    TRY(file_map_open(path, &map, st));
    rc = gguf_parse(map.data, map.size, &g, st);
    if (rc) {
        status_prefix(st, "%s", path);
        goto out;
    }
    g.map = map;
    map = (struct file_map){ 0 };
    *out = g;
out:
    file_map_close(&map);
    return rc;
}

int gguf_tensors_set(struct gguf *g, struct gguf_tensor *tensors, size_t n, struct status *st)
{
    assert(g->tensors_n == 0);
    mem_free(g->tensors);
    mem_free(g->by_name);
    g->by_name = NULL;
    g->tensors = tensors;
    g->tensors_n = n;
    return name_tensors(g, st);
}

void gguf_close(struct gguf *g)
{
    mem_free(g->entries);
    mem_free(g->tensors);
    mem_free(g->by_name);
    file_map_close(&g->map);
    *g = (struct gguf){ 0 };
}

/* ---- what callers ask ---- */

bool gguf_text_is(struct gguf_text t, const char *text)
{
    return t.n == strlen(text) && memcmp(t.s, text, t.n) == 0;
}

const struct gguf_entry *gguf_find(const struct gguf *g, const char *key)
{
    for (size_t i = 0; i < g->entries_n; i++)
        if (gguf_text_is(g->entries[i].key, key))
            return &g->entries[i];
    return NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *g, const char *name)
{
    struct gguf_text wanted = { name, strlen(name) };
    size_t low = 0, high = g->tensors_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct gguf_tensor *t = &g->tensors[g->by_name[middle]];
        int order = text_compare(wanted, t->name);
        if (order == 0)
            return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int wrong_kind(const char *key, const struct gguf_entry *e, const char *wanted, struct status *st)
{
    if (!e)
        return status_fail(st, RC_FORMAT, "metadata '%s' is missing", key);
    return status_fail(st, RC_FORMAT, "metadata '%s' is of type %s, %s was wanted", key, kinds[e->kind].name,
                       wanted);
}

/* Element `i` of an integer kind, where it fits into i64. */
static bool int_at(enum gguf_kind kind, const uint8_t *data, uint64_t i, int64_t *out)
{
    uint64_t bits = 0;
    size_t size = kinds[kind].size;
    bool is_signed = kind == GGUF_I8 || kind == GGUF_I16 || kind == GGUF_I32 || kind == GGUF_I64;
    if (!is_signed && kind != GGUF_U8 && kind != GGUF_U16 && kind != GGUF_U32 && kind != GGUF_U64)
        return false;
    memcpy(&bits, data + i * size, size);
    if (is_signed && size < 8 && bits >> (8 * size - 1))
        bits |= ~UINT64_C(0) << (8 * size);
    if (!is_signed && bits > INT64_MAX)
        return false;
    memcpy(out, &bits, sizeof *out);
    return true;
}

int gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out, struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    int64_t value;
    if (!e || !int_at(e->kind, e->data, 0, &value))
        return wrong_kind(key, e, "an integer", st);
    if (value < 0 || value > UINT32_MAX)
        return status_fail(st, RC_FORMAT, "metadata '%s' is %" PRId64, key, value);
    *out = (uint32_t)value;
    return 0;
}

int gguf_get_f32(const struct gguf *g, const char *key, float *out, struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    double wide;
    if (e && e->kind == GGUF_F32) {
        memcpy(out, e->data, sizeof *out);
    } else if (e && e->kind == GGUF_F64) {
        memcpy(&wide, e->data, sizeof wide);
        *out = (float)wide;
    } else {
        return wrong_kind(key, e, "f32", st);
    }
    return 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    if (!e || e->kind != GGUF_BOOL)
        return wrong_kind(key, e, "bool", st);
    *out = e->data[0] == 1;
    return 0;
}

static struct gguf_text text_at(const uint8_t *data)
{
    uint64_t n = 0;
    memcpy(&n, data, sizeof n);
    return (struct gguf_text){ (const char *)data + sizeof n, (size_t)n };
}

int gguf_get_text(const struct gguf *g, const char *key, struct gguf_text *out, struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    if (!e || e->kind != GGUF_STRING)
        return wrong_kind(key, e, "string", st);
    *out = text_at(e->data);
    return 0;
}

int gguf_opt_u32(const struct gguf *g, const char *key, uint32_t *out, struct status *st)
{
    return gguf_find(g, key) ? gguf_get_u32(g, key, out, st) : 0;
}

int gguf_opt_f32(const struct gguf *g, const char *key, float *out, struct status *st)
{
    return gguf_find(g, key) ? gguf_get_f32(g, key, out, st) : 0;
}

int gguf_opt_bool(const struct gguf *g, const char *key, bool *out, struct status *st)
{
    return gguf_find(g, key) ? gguf_get_bool(g, key, out, st) : 0;
}

int gguf_get_texts(const struct gguf *g, const char *key, struct gguf_text **out, size_t *n,
                   struct status *st)
{
    const struct gguf_entry *e = gguf_find(g, key);
    if (!e || e->kind != GGUF_ARRAY || e->element != GGUF_STRING)
        return wrong_kind(key, e, "an array of strings", st);
    struct gguf_text *texts = mem_calloc((size_t)e->n, sizeof *texts);
    if (!texts)
        return status_fail(st, RC_NOMEM, "metadata '%s': no memory for %" PRIu64 " strings", key, e->n);
    const uint8_t *at = e->data;
    for (uint64_t i = 0; i < e->n; i++) {
        texts[i] = text_at(at);
        at += sizeof(uint64_t) + texts[i].n;
    }
    assert(at == e->data + e->size);
    *out = texts;
    *n = (size_t)e->n;
    return 0;
}

int gguf_get_ints(const struct gguf *g, const char *key, int32_t **out, size_t *n, struct status *st)
{
    int rc = 0;
    int32_t *values = NULL;
    const struct gguf_entry *e = gguf_find(g, key);
    int64_t value = 0;
    if (!e || e->kind != GGUF_ARRAY || e->element == GGUF_STRING)
        return wrong_kind(key, e, "an array of integers", st);
    values = mem_calloc((size_t)e->n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "metadata '%s': no memory for %" PRIu64 " values", key, e->n);
    for (uint64_t i = 0; i < e->n; i++) {
        if (!int_at(e->element, e->data, i, &value) || value < INT32_MIN || value > INT32_MAX)
            FAIL(st, RC_FORMAT, "metadata '%s': element %" PRIu64 " is not an integer of 32 bits", key, i);
        values[i] = (int32_t)value;
    }
    *out = values;
    *n = (size_t)e->n;
    values = NULL;
out:
    mem_free(values);
    return rc;
}
