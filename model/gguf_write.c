#include "model/gguf_write.h"

#include <string.h>

static void u32_add(struct str *s, uint32_t x)
{
    str_add(s, &x, sizeof x);
}

static void u64_add(struct str *s, uint64_t x)
{
    str_add(s, &x, sizeof x);
}

static void text_add(struct str *s, const char *text, size_t n)
{
    u64_add(s, n);
    str_add(s, text, n);
}

static void key_add(struct gguf_keys *k, const char *key, size_t n, enum gguf_kind kind)
{
    text_add(&k->bytes, key, n);
    u32_add(&k->bytes, kind);
    k->n++;
}

void gguf_put_u32(struct gguf_keys *k, const char *key, uint32_t x)
{
    key_add(k, key, strlen(key), GGUF_U32);
    u32_add(&k->bytes, x);
}

void gguf_put_f32(struct gguf_keys *k, const char *key, float x)
{
    key_add(k, key, strlen(key), GGUF_F32);
    str_add(&k->bytes, &x, sizeof x);
}

void gguf_put_bool(struct gguf_keys *k, const char *key, bool x)
{
    key_add(k, key, strlen(key), GGUF_BOOL);
    str_putc(&k->bytes, x ? 1 : 0);
}

void gguf_put_text(struct gguf_keys *k, const char *key, const char *s, size_t n)
{
    key_add(k, key, strlen(key), GGUF_STRING);
    text_add(&k->bytes, s, n);
}

static void array_add(struct gguf_keys *k, const char *key, enum gguf_kind element, size_t n)
{
    key_add(k, key, strlen(key), GGUF_ARRAY);
    u32_add(&k->bytes, element);
    u64_add(&k->bytes, n);
}

void gguf_put_texts(struct gguf_keys *k, const char *key, size_t n)
{
    array_add(k, key, GGUF_STRING, n);
}

void gguf_put_item(struct gguf_keys *k, const char *s, size_t n)
{
    text_add(&k->bytes, s, n);
}

void gguf_put_i32s(struct gguf_keys *k, const char *key, const int32_t *x, size_t n)
{
    array_add(k, key, GGUF_I32, n);
    str_add(&k->bytes, x, n * sizeof *x);
}

void gguf_put_entry(struct gguf_keys *k, const struct gguf_entry *e)
{
    key_add(k, e->key.s, e->key.n, e->kind);
    if (e->kind == GGUF_ARRAY) {
        u32_add(&k->bytes, e->element);
        u64_add(&k->bytes, e->n);
    }
    str_add(&k->bytes, e->data, e->size);
}

int gguf_header_write(const struct gguf_keys *k, const struct gguf_place *places, size_t n,
                      uint32_t alignment, struct str *out, struct status *st)
{
    int rc = 0;
    TRY(str_check(&k->bytes, st));
    str_puts(out, "GGUF");
    u32_add(out, 3);
    u64_add(out, n);
    u64_add(out, k->n);
    str_add(out, k->bytes.data, k->bytes.size);
    for (size_t i = 0; i < n; i++) {
        const struct gguf_place *p = &places[i];
        text_add(out, p->name, strlen(p->name));
        u32_add(out, p->vector ? 1 : 2);
        u64_add(out, p->columns);
        if (!p->vector)
            u64_add(out, p->rows);
        u32_add(out, p->type);
        u64_add(out, p->at);
    }
    while (out->size % alignment && !out->failed)
        str_putc(out, 0);
    TRY(str_check(out, st));
out:
    return rc;
}
