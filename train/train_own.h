/* Private to train/: a run, its micro-batches and its state file. */
#ifndef LETHE_TRAIN_TRAIN_OWN_H
#define LETHE_TRAIN_TRAIN_OWN_H

#include "gpu/op.h"
#include "gpu/recording.h"
#include "model/graph.h"
#include "train/train.h"

/* Sequences of one pass, packed row behind row; the last token of each is only a target. */
struct micro_batch {
    uint32_t rows_max;
    uint32_t rows, picks;
    int32_t *ids;             /* [rows_max] */
    uint32_t *positions;      /* [rows_max] */
    struct graph_span *spans; /* [rows_max] */
    uint32_t *pick_rows;      /* [rows_max] */
    int32_t *targets;         /* [rows_max] */
};
MUST_USE int micro_batch_init(struct micro_batch *b, uint32_t rows_max, struct status *st);
void micro_batch_release(struct micro_batch *b);
void micro_batch_clear(struct micro_batch *b);
/* Adds a sequence; the caller knows that there is room. */
void micro_batch_add(struct micro_batch *b, const struct data_sequence *s);
struct graph_batch micro_batch_view(const struct micro_batch *b);

/* Sequences that one pass takes, from order[first] on: whole ones in `micro_batch` rows of `length`
 * tokens. At least 1; *tokens gets the sum. */
uint32_t pack_next(const struct recipe *r, const struct data *d, const uint32_t *order, uint32_t n,
                   uint32_t *tokens);

/* A stretch of f32 on the device. */
struct train_stretch {
    const struct gpu_buffer *buffer;
    uint64_t at, floats; /* byte, and floats from there */
};

/* What one dispatch of AdamW changes. */
struct train_update {
    struct op_args args; /* but for the block */
    double rate;         /* factor of the schedule's */
    bool decays;
};

enum { UPDATE_BLOCK = 8 }; /* floats of adamw's block */
/* Pieces of a gradient whose squares are summed on the device, one by one. */
uint64_t train_pieces(uint64_t floats);

/* How a method trains. `open` fills what stands behind "what is trained" in struct train. */
struct method_run {
    /* Sets trainable, blocks and frozen of the plan; *bytes gets what lies beside the graph, with the
     * gradient and all that is read in an update. */
    int (*plan)(const struct model_hyper *h, const struct recipe *r, struct train_plan *plan, uint64_t *bytes,
                struct status *st);
    int (*open)(struct train *t, struct status *st);
    int (*resumed)(struct train *t, struct status *st); /* after values were restored; may be NULL */
    int (*save)(struct train *t, struct status *st);    /* the result, into out_dir */
    void (*close)(struct train *t);
};

/* Lengths of the tables of what is trained. */
struct train_sizes {
    size_t zeroed, gradients, updates, stored;
};
/* The tables, for a method's open, which fills them. */
MUST_USE int train_room(struct train *t, const struct train_sizes *n, struct status *st);

struct train {
    struct model *m;
    struct train_options options;
    struct recipe recipe; /* settled */
    struct recipe_shape shape;
    struct train_plan plan;
    struct hash config; /* of everything that decides the bits */
    struct str state_path;
    uint32_t again; /* blocks whose activations are computed again */

    struct graph *graph;
    struct gpu_buffer norms, blocks;   /* f32 for each piece of a gradient; f32[8] of adamw for each update */
    struct gpu_recordings *recordings; /* of norm and update */

    /* what is trained */
    struct train_sizes n;
    struct train_stretch *zeroed;    /* at the start of an update */
    struct train_stretch *gradients; /* tensor by tensor in model order, for the norm */
    struct train_update *updates;
    struct train_stretch *stored; /* in a checkpoint */
    size_t norms_n;
    /* method_lora.c */
    struct adapter adapter; /* shape, and values at open and close */
    struct lora lora;
    struct gpu_buffer gradient, first, second; /* first and second moments */
    /* method_full.c */
    struct full full;

    struct micro_batch batch;
    struct graph_pick *picks; /* [rows_max] */
    float *weights;           /* [rows_max] */
    float *host_norms;        /* [norms_n] */
    float *host_blocks;       /* [updates][8] */
    uint32_t *order;          /* [sequences] of epoch order_epoch */
    uint32_t order_epoch;
    bool order_valid;

    uint32_t step; /* updates done */
    double loss_first, loss_last;
    uint32_t above; /* updates in a row above three times the first loss */
};

/* The state file: all of it, or an error that names it. */
MUST_USE int state_save(struct train *t, struct hash *out, struct status *st);
/* *found false: there is none. RC_FORMAT: damaged; RC_ARG: of another recipe, data or model. */
MUST_USE int state_load(struct train *t, bool *found, struct hash *out, struct status *st);

/* Raised: the step under way is given up, what was before it is whole. */
bool train_stopped(const struct train *t);

#endif
