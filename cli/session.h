/* A model on a device as commands use it: base, adapter, and a scorer that stops when the user asks to. */
#ifndef LETHE_CLI_SESSION_H
#define LETHE_CLI_SESSION_H

#include "base/lm.h"
#include "cli/cli.h"
#include "model/adapter.h"
#include "model/lm.h"
#include "model/lora.h"
#include "model/model.h"

#include <stdbool.h>

struct session {
    struct gpu *gpu;
    struct model *model;
    /* The tuned model: an adapter on `model`, or weights of its own. */
    bool has_adapter;
    struct adapter adapter;
    struct lora lora;
    struct model *weights; /* NULL: none */
};

/* Opens the device and the model. variants: the run's table of kernels (gpu_variants_load), used when it is
 * there; may be NULL. Zero-initialised *out. */
MUST_USE int session_open(const struct common *c, const char *path, const struct model_options *options,
                          const char *variants, struct session *out, struct status *st);
/* Loads a PEFT folder onto the device. */
MUST_USE int session_adapter(struct session *s, const char *folder, struct status *st);
/* Opens the model once more, in f32, with the weights that full tuning left in a folder. */
MUST_USE int session_weights(struct session *s, const char *folder, struct event_sink *sink,
                             struct status *st);
void session_tuned_close(struct session *s);
void session_close(struct session *s);

/* A scorer whose calls end with RC_INTERRUPTED once cli_stop is raised. It must stay where it is. */
struct session_lm {
    struct lm lm; /* for eval */
    struct lm inner;
    bool open;
};
MUST_USE int session_lm_open(struct session *s, bool tuned, const struct lm_options *options,
                             struct session_lm *out, struct status *st);
void session_lm_close(struct session_lm *lm);

#endif
