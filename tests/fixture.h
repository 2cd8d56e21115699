/* The models of the tests and what transformers and peft say of them: tests/golden/make_tiny.py,
 * make_real.py. */
#ifndef LETHE_TESTS_FIXTURE_H
#define LETHE_TESTS_FIXTURE_H

#include "model/adapter.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "train/data.h"

/* Two blocks, random weights, a tokenizer of 384 tokens. */
#define FIXTURE_MODEL  TESTS_DIR "/golden/tiny/tiny.gguf"
#define FIXTURE_GOLDEN TESTS_DIR "/golden/tiny/golden.safetensors"

/* A golden tensor as floats or ids: mem_free when done. Fails the test when it is not there. */
float *golden_f32(const struct safetensors *g, const char *name, size_t *n);
int32_t *golden_ids(const struct safetensors *g, const char *name, size_t *n);

/* The golden file's three sequences, as training data without files: golden_batch_release. */
void golden_batch(const struct safetensors *g, struct data *out);
void golden_batch_release(struct data *d);

/* The adapter that reference.py draws: A as training does, B from a counter of its own. */
void golden_adapter(const struct model_hyper *h, uint32_t r, double alpha, uint64_t seed,
                    struct adapter *out);

/* Relative L2 distance of a part's gradient to the golden one, of A and of B; false when the file has
 * none. */
bool golden_gradient(const struct safetensors *g, const struct model_hyper *h, const struct adapter_part *p,
                     double out[2]);

/* Losses of `steps` updates from the golden adapter by AdamW, constant rate, weight decay 0.01, no
 * clipping. */
void golden_train(struct model *m, const struct safetensors *g, uint32_t r, const char *lr, uint32_t steps,
                  double *losses);
/* Gradient of the golden batch at the golden adapter, and the loss. */
void golden_backward(struct model *m, const struct safetensors *g, uint32_t r, struct adapter *out,
                     double *loss);

#endif
