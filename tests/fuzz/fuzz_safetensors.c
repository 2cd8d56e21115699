/* safetensors: bytes from anywhere. Every value of what parses can be read, and what is written parses again
 * to the same bytes. */
#include "base/alloc.h"
#include "model/safetensors.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void written(const struct safetensors_tensor *t, const float *values)
{
    const struct safetensors_part part = { t->name,
                                           { t->shape[0], t->n && t->shape[0] ? t->n / t->shape[0] : 0 },
                                           values };
    struct str a = { 0 }, b = { 0 };
    struct safetensors again = { 0 };
    int rc = safetensors_write(&part, 1, &a, NULL);
    assert(rc == 0);
    rc = safetensors_parse((const uint8_t *)a.data, a.size, &again, NULL);
    assert(rc == 0 && again.n == 1 && again.tensors[0].n == t->n);
    rc = safetensors_write(&part, 1, &b, NULL);
    assert(rc == 0 && a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    safetensors_close(&again);
    str_release(&a);
    str_release(&b);
}

static void values_read(const struct safetensors_tensor *t)
{
    float *real = mem_calloc(t->n, sizeof *real);
    int32_t *whole = mem_calloc(t->n, sizeof *whole);
    assert(real && whole);
    if (safetensors_f32(t, real, NULL) == 0)
        written(t, real);
    else
        (void)!safetensors_i32(t, whole, NULL);
    mem_free(real);
    mem_free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors file = { 0 };
    if (safetensors_parse(data, size, &file, NULL) == 0)
        for (size_t i = 0; i < file.n; i++) {
            assert(safetensors_find(&file, file.tensors[i].name) == &file.tensors[i]);
            values_read(&file.tensors[i]);
        }
    safetensors_close(&file);
    return 0;
}
