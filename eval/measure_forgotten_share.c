/* Of the items that the base had right, the share that the tuned model has wrong. */
#include "eval/measure.h"

bool measure_forgotten_share(const struct measure_counts *counts, struct measure *out)
{
    return counts->accuracy && measure_share(counts->forgot, counts->base, out);
}
