/* Recipes: bytes from anywhere. What parses is written, and parses again to the same bytes. */
#include "base/json.h"
#include "train/recipe.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct recipe *r, struct str *out)
{
    struct json *tree = recipe_write(r);
    int rc = json_check(tree, NULL);
    assert(rc == 0);
    rc = json_write_canonical(tree, out, NULL);
    assert(rc == 0);
    json_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *tree = NULL, *second = NULL;
    struct str a = { 0 }, b = { 0 };
    struct recipe r;
    struct recipe_shape shape;
    if (json_parse((const char *)data, size, &tree, NULL) == 0 && recipe_parse(tree, &r, NULL) == 0) {
        again(&r, &a);
        int rc = json_parse(a.data, a.size, &second, NULL);
        assert(rc == 0);
        rc = recipe_parse(second, &r, NULL);
        assert(rc == 0);
        again(&r, &b);
        assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
        if (recipe_shape(&r, 100, &shape, NULL) == 0)
            assert(schedule_rate(&r, &shape, shape.steps - 1) <= r.lr.value);
    }
    json_free(tree);
    json_free(second);
    str_release(&a);
    str_release(&b);
    return 0;
}
