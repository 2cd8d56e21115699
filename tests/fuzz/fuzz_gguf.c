/* GGUF files: bytes from anywhere. What parses lies inside the file whole, and every value can be read. */
#include "base/alloc.h"
#include "model/hyper.h"
#include "model/quant.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY_MAX = 200, ROW_VALUES_MAX = 1 << 16 };

static void entry_read(const struct gguf *g, const struct gguf_entry *e)
{
    char key[KEY_MAX];
    uint32_t whole;
    float real;
    bool yes;
    struct gguf_text text, *texts = NULL;
    int32_t *ints = NULL;
    size_t n = 0;
    if (e->key.n >= sizeof key)
        return;
    memcpy(key, e->key.s, e->key.n);
    key[e->key.n] = 0;
    assert(gguf_find(g, key) == e);
    (void)!gguf_get_u32(g, key, &whole, NULL);
    (void)!gguf_get_f32(g, key, &real, NULL);
    (void)!gguf_get_bool(g, key, &yes, NULL);
    (void)!gguf_get_text(g, key, &text, NULL);
    if (gguf_get_texts(g, key, &texts, &n, NULL) == 0 && n > 0)
        assert((const uint8_t *)texts[n - 1].s + texts[n - 1].n == e->data + e->size);
    (void)!gguf_get_ints(g, key, &ints, &n, NULL);
    mem_free(texts);
    mem_free(ints);
}

static void tensor_read(const struct gguf *g, const struct gguf_tensor *t, const uint8_t *data, size_t size)
{
    char name[GGUF_NAME_BYTES_MAX + 1];
    memcpy(name, t->name.s, t->name.n);
    name[t->name.n] = 0;
    assert(gguf_tensor_find(g, name) == t);
    assert(t->data >= data && t->size <= size && (size_t)(t->data - data) <= size - t->size);
    if (t->shape[0] > ROW_VALUES_MAX)
        return;
    float *row = mem_calloc((size_t)t->shape[0], sizeof *row);
    assert(row);
    quant_rows(quant_find(t->type), t->data, t->shape[0], t->rows - 1, 1, row);
    mem_free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf g = { 0 };
    struct model_hyper h;
    if (gguf_parse(data, size, &g, NULL) == 0) {
        for (size_t i = 0; i < g.entries_n; i++)
            entry_read(&g, &g.entries[i]);
        for (size_t i = 0; i < g.tensors_n; i++)
            tensor_read(&g, &g.tensors[i], data, size);
        if (hyper_parse(&g, &h, NULL) == 0)
            assert(hyper_tensors(&h) == g.tensors_n);
    }
    gguf_close(&g);
    return 0;
}
