#include "eval/measure.h"

#include "eval/exact.h"

#include <string.h>

static const struct measure_ops measures[] = {
#define MEASURE(x, v) { .name = #x, .version = v, .compute = measure_##x },
#include "eval/measures.def"
#undef MEASURE
};

const struct measure_ops *measure_find(const char *name)
{
    for (size_t k = 0; k < sizeof(measures) / sizeof(measures[0]); k++)
        if (strcmp(measures[k].name, name) == 0)
            return &measures[k];
    return NULL;
}

bool measure_share(uint64_t k, uint64_t n, struct measure *out)
{
    if (n == 0)
        return false;
    *out = (struct measure){ .value = (double)k / (double)n, .has_bounds = true, .n = n };
    exact_wilson(k, n, &out->lower, &out->upper);
    return true;
}
