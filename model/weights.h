/* Private to model/: where each tensor of a model lies on the device, packed as gpu/weight.h says and in the
 * format that its type in the file calls for.
 */
#ifndef LETHE_MODEL_WEIGHTS_H
#define LETHE_MODEL_WEIGHTS_H

#include "base/event.h"
#include "model/model.h"
#include "model/source.h"

struct weights {
    struct gpu *g;
    struct gpu_buffer *buffers; /* one a block, then the embedding, then the rest */
    size_t buffers_n;
    struct model_weight *places; /* [blocks][ROLES]; what stands once is kept in block 0 */
};

/* RC_UNSUPPORTED: widths that no format holds, or a type that is not read. Fills `out` but for its
 * parameters. */
MUST_USE int weights_plan(const struct model_hyper *h, const struct source *file, struct model_plan *out,
                          struct status *st);
/* Takes memory and uploads; `turned`: with the copies for gradients. */
MUST_USE int weights_open(struct gpu *g, const struct model_hyper *h, const struct source *file, bool turned,
                          struct event_sink *sink, struct weights *out, struct status *st);
void weights_close(struct weights *w);

#endif
