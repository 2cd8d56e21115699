#include "tests/model_path.h"

#include <stdlib.h>

const char *model_path(void)
{
    const char *path = getenv("LETHE_MODEL");
    return path ? path : ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
}
