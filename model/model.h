/* A language model on a device: the file's weights packed and uploaded once, as they are quantised; its
 * tokenizer and its chat template. Weights never change but in a model that was opened for it (`f32`);
 * adapters (model/lora.h) lie beside them.
 */
#ifndef LETHE_MODEL_MODEL_H
#define LETHE_MODEL_MODEL_H

#include "base/event.h"
#include "base/hash.h"
#include "gpu/device.h"
#include "gpu/weight.h"
#include "model/hyper.h"
#include "model/template.h"
#include "model/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

struct model;

/* What a file would take, found from its header alone. */
struct model_plan {
    uint64_t parameters;
    uint64_t weight_bytes;  /* on the device */
    uint64_t turned_bytes;  /* more, where a device wants turned copies for gradients */
    uint64_t largest_bytes; /* of one buffer, turned copies included */
    uint64_t host_bytes;    /* while loading, beside the mapped file */
};
/* Parses the file, or the directory's (model/source.h), and nothing else. Errors name file and tensor or
 * key. */
MUST_USE int model_plan(const char *path, struct model_plan *out, struct status *st);

struct model_options {
    uint64_t room_bytes; /* that the caller will want on the device beside the weights */
    bool train; /* gradients will be wanted: with turned copies where the device has a use for them */
    bool f32;   /* weights in f32 whatever the file's types are, to the same results: they can change */
    struct event_sink *sink; /* progress of the load; may be NULL */
};
/* Maps, checks, then takes memory and uploads. RC_NOMEM: weights and room do not fit the device, found before
 * anything is allocated. RC_FORMAT, RC_UNSUPPORTED, RC_LIMIT: the file, with path and tensor. */
MUST_USE int model_open(const char *path, struct gpu *g, const struct model_options *options,
                        struct model **out, struct status *st);
void model_close(struct model *m);

const struct model_hyper *model_get_hyper(const struct model *m);
const struct tokenizer *model_get_tokenizer(const struct model *m);
/* NULL: the file has none, or (with *why set to a sentence) one that this build does not read. */
const struct template *model_get_template(const struct model *m, const char **why);
/* Text of the chat template as it stands in the file; NULL: none. */
const char *model_get_template_text(const struct model *m);
const struct model_plan *model_get_plan(const struct model *m);
struct gpu *model_get_gpu(const struct model *m);
const char *model_get_path(const struct model *m);

/* ---- for model/ and train/: where things lie on the device ---- */

/* A tensor as gpu/weight.h packs it: a linear, the embedding, the head. Of a norm `units` is its f32 values.
 * */
struct model_weight {
    enum weight format;
    const struct gpu_buffer *buffer; /* where all of it lies */
    uint64_t units, groups;          /* addresses */
    uint64_t turned;                 /* of the head, chunk by chunk of GRAPH_CHUNK rows; 0: there is none */
};
const struct model_weight *model_weight(const struct model *m, enum tensor_role role, uint32_t block);

/* Rows of the pieces in which the turned copy of a weight stands. */
uint32_t model_turned_piece(const struct model *m, enum tensor_role role);
/* A tensor of a model that was opened with `f32`: [rows, columns], rows in the file's order. */
MUST_USE int model_values_read(const struct model *m, enum tensor_role role, uint32_t block, float *out,
                               struct status *st);
MUST_USE int model_values_write(struct model *m, enum tensor_role role, uint32_t block, const float *values,
                                struct status *st);

#endif
