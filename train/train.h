/* A training run: data order, micro-batches, optimiser, checkpoints.
 *
 * Everything a step does is a function of recipe, data, model and step number, so a run that was stopped,
 * or killed at any moment, goes on from its last checkpoint to the bits of a run that was not.
 */
#ifndef LETHE_TRAIN_TRAIN_H
#define LETHE_TRAIN_TRAIN_H

#include "base/event.h"
#include "model/adapter.h"
#include "model/full.h"
#include "model/model.h"
#include "train/data.h"
#include "train/recipe.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct train;

struct train_options {
    const struct recipe *recipe; /* settled or not; must outlive the run, as data and model must */
    const struct data *data;
    /* For the adapter (adapter_config.json, adapter_model.safetensors) or the weights (model.safetensors). */
    const char *out_dir;
    /* Checkpoint file. NULL: out_dir/train.state, removed when the result is written. A path of its own
     * stays, so that a run that was finished resumes to its end at once. */
    const char *state_path;
    const char *base_name;     /* goes into adapter_config.json */
    struct hash base;          /* digest of the base model, so that a state of another is refused */
    uint32_t checkpoint_every; /* updates; 0: 10. The end of each epoch has one anyway */
    bool resume;               /* go on from the state; without one start from the beginning */
    uint32_t again;            /* blocks computed again, where memory does not want more of them */
    struct event_sink *sink;
    const volatile sig_atomic_t *stop; /* nonzero: save and stop; may be NULL */
    uint32_t stop_after; /* for tests: as if `stop` were raised after this many updates; 0: never */
};

struct train_plan {
    /* Beside the model's weights: with all activations kept, and with those of all blocks but the top one
     * computed again. */
    uint64_t device_bytes, device_bytes_least;
    uint32_t blocks, frozen; /* that have something to train, and those below them */
    uint64_t trainable, total;
    uint32_t rows_max; /* of a micro-batch over the whole run */
    uint32_t steps, epoch_steps;
    uint64_t tokens, supervised; /* of all updates */
};
MUST_USE int train_plan(const struct model_hyper *h, const struct train_options *options,
                        struct train_plan *out, struct status *st);

/* Blocks whose activations each backward pass computes again where `bytes` are free: as few as will do.
 * Memory decides this number, and it decides no bit. */
uint32_t train_plan_again(const struct train_plan *plan, uint64_t bytes);

/* Takes memory, draws or restores what is trained. A method that trains the weights wants a model that was
 * opened in f32 (recipe_wants_f32), and changes it. RC_NOMEM before anything is taken; RC_ARG: a state of
 * another recipe, data or model. */
MUST_USE int train_open(struct model *m, const struct train_options *options, struct train **out,
                        struct status *st);
void train_close(struct train *t);
uint32_t train_again(const struct train *t); /* blocks whose activations are computed again */

struct train_result {
    uint32_t steps;
    double loss_first, loss_last;
    uint64_t tokens, supervised;
    bool diverged;
};
/* To the end, then writes the result. RC_INTERRUPTED: `stop` was raised, the state is
 * saved. RC_VERIFY is never returned; a loss or gradient that is not finite, or a run that diverged
 * (above three times its first loss for 20 updates), is RC_ARG: the last good checkpoint stays. */
MUST_USE int train_run(struct train *t, struct train_result *out, struct status *st);

/* One update, for tests: loss and norm of the next step. */
struct train_step {
    uint32_t step;
    double loss, lr, grad_norm;
    uint64_t tokens, supervised;
};
MUST_USE int train_step(struct train *t, struct train_step *out, struct status *st);
/* The adapter as it is now, into one of the same shape (adapter_init with the recipe). */
MUST_USE int train_adapter(struct train *t, struct adapter *out, struct status *st);
/* Gradient of the next step before clipping, an adapter's into one of the same shape; NULL: it stays on the
 * device. Nothing is updated. For tests. */
MUST_USE int train_gradient(struct train *t, struct adapter *out, struct train_step *step, struct status *st);

#endif
