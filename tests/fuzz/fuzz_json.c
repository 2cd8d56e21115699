/* JSON from outside: what the parser takes, it must write and read again as the same tree. */
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *tree = NULL, *again = NULL;
    struct str text = { 0 };
    struct status st = { 0 };
    if (json_parse((const char *)data, size, &tree, &st)) {
        must(st.rc != 0 && st.msg[0] != 0 && !tree);
        return 0;
    }
    if (json_write_canonical(tree, &text, NULL) == 0) {
        must(json_parse_canonical(str_text(&text), text.size, &again, NULL) == 0);
        must(json_equal(tree, again) && json_equal(again, tree));
    }
    json_free(tree);
    json_free(again);
    str_release(&text);
    return 0;
}
