/* What is unwise by popular advice (methods 3.9): said once, and the run goes on. */
#include "train/recipe.h"

#include <inttypes.h>

enum { EPOCHS_ADVISED = 7 };
#define BILLION 1e9

static int batch_advise(const struct recipe *r, double parameters, struct event_sink *sink, struct status *st)
{
    int rc = 0;
    if (parameters < 7 * BILLION && (r->batch < 8 || r->batch > 32))
        TRY(event_warn(sink, st, "batch", "batch %" PRIu32 ": popular advice is 8 to 32 below 7B parameters",
                       r->batch));
    if (parameters >= 13 * BILLION && (r->batch < 64 || r->batch > 128))
        TRY(event_warn(sink, st, "batch",
                       "batch %" PRIu32 ": popular advice is 64 to 128 from 13B parameters", r->batch));
out:
    return rc;
}

int recipe_advise(const struct recipe *r, const struct model_hyper *h, const struct recipe_shape *shape,
                  bool has_retention, struct event_sink *sink, struct status *st)
{
    int rc = 0;
    const double epochs = (double)shape->steps / shape->epoch_steps;
    if (epochs > EPOCHS_ADVISED)
        TRY(event_warn(sink, st, "epochs", "%.3g epochs: popular advice is 3 to 5, and not above %d", epochs,
                       EPOCHS_ADVISED));
    if (shape->warmup_steps > shape->steps / 2)
        TRY(event_warn(sink, st, "warmup", "the warm-up of %" PRIu32 " updates is more than half of %" PRIu32,
                       shape->warmup_steps, shape->steps));
    if (!has_retention)
        TRY(event_warn(sink, st, "retention", "no retention suite: what is forgotten will not be seen"));
    TRY(batch_advise(r, (double)hyper_parameters(h), sink, st));
    TRY(r->method->advise(r, h, sink, st));
out:
    return rc;
}
