/* Models written: a GGUF file, or a Hugging Face directory with all that transformers needs of it. Either is
 * whole or not there. Metadata, tokenizer and chat template are those of a source; values come row by row
 * from whoever has them. Equal values give equal bytes. */
#ifndef LETHE_MODEL_EXPORT_H
#define LETHE_MODEL_EXPORT_H

#include "base/event.h"
#include "model/adapter.h"
#include "model/quant.h"
#include "model/source.h"

#include <stdint.h>

/* Rows first … first + n - 1 of a tensor to out[n, columns], in the order of a GGUF file. Tensors are asked
 * for in no fixed order, the rows of one in ascending order and once. */
typedef int (*export_rows)(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n,
                           float *out, struct status *st);
#define EXPORT_VALUES_MAX ((uint32_t)1 << 20)

struct export
{
    const struct source *from;
    const char *from_path; /* where `from` was opened: a directory's own files are copied */
    const struct model_hyper *hyper;
    enum quant_type_id
        type; /* of linears, embedding and head: F32, F16; of a GGUF file also Q8_0. Norms are F32
                              * in a GGUF file */
    export_rows rows;
    void *self;
    struct event_sink *sink; /* progress in tensors; may be NULL */
};
/* RC_IO: the disk, or something has this name already. RC_UNSUPPORTED: a width that blocks of the type do not
 * divide, a type that the form does not hold. RC_FORMAT: a value that is not finite, or over what the type
 * holds; a vocabulary that JSON cannot say. */
MUST_USE int export_gguf(const struct export *e, const char *path, struct status *st);
MUST_USE int export_hf(const struct export *e, const char *folder, struct status *st);
/* What belongs beside model.safetensors in a folder that is there: config.json, generation_config.json and
 * the tokenizer's files, each replaced where it was. Whoever writes the weights then has a whole
 * directory. */
MUST_USE int export_hf_documents(const struct export *e, const char *folder, struct status *st);

/* The values of a source, with or without an adapter merged into them, as an export_rows; self is a struct
 * merge. W + scale B A is summed in double, column by column in ascending rank, and rounded to f32 once; with
 * magnitudes (DoRA) each row is scaled to its magnitude before, its length taken in double too. */
struct merge {
    const struct source *from;
    const struct model_hyper *hyper;
    const struct adapter *adapter; /* NULL: the values as they are */
};
int merge_rows(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n, float *out,
               struct status *st);

#endif
