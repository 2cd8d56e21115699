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
MUST_USE int weights_plan(const struct model_hyper *h, const struct source *file, bool f32,
                          struct model_plan *out, struct status *st);

struct weights_options {
    bool turned; /* with the copies for gradients */
    bool f32;    /* whatever the file's types are */
    struct event_sink *sink;
};
/* Takes memory and uploads. */
MUST_USE int weights_open(struct gpu *g, const struct model_hyper *h, const struct source *file,
                          const struct weights_options *options, struct weights *out, struct status *st);
void weights_close(struct weights *w);

/* One tensor in f32, [rows, columns] row after row: all its copies, and back from the first. */
MUST_USE int weights_write(struct gpu *g, const struct model_hyper *h, enum tensor_role role,
                           const struct model_weight *to, const float *values, struct status *st);
MUST_USE int weights_read(struct gpu *g, const struct model_hyper *h, enum tensor_role role,
                          const struct model_weight *from, float *out, struct status *st);
/* Rows of the pieces in which the turned copy of a tensor stands. */
uint32_t weights_piece(const struct model_hyper *h, enum tensor_role role);

#endif
