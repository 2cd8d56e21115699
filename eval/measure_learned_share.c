/* Of the items that the base had wrong, the share that the tuned model has right. */
#include "eval/measure.h"

bool measure_learned_share(const struct measure_counts *counts, struct measure *out)
{
    return counts->accuracy && measure_share(counts->learned, counts->items - counts->base, out);
}
