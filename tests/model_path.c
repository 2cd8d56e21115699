#include "tests/model_path.h"

#include <stdio.h>
#include <stdlib.h>

const char *model_path_from(const char *tests)
{
    static char place[1024];
    const char *path = getenv("LETHE_MODEL");
    snprintf(place, sizeof place, "%s/../.deps/model/SmolLM2-135M-Instruct.Q4_1.gguf", tests);
    return path ? path : place;
}
