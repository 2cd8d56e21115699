/* Private to model/: the workspace of graph.c, and the operators as forward.c and backward.c call them. */
#ifndef LETHE_MODEL_GRAPH_OWN_H
#define LETHE_MODEL_GRAPH_OWN_H

#include "gpu/op.h"
#include "gpu/recording.h"
#include "model/graph.h"

enum { LOGITS_STRIDE = GRAPH_CHUNK + 16 }; /* floats: a multiple of 2 KiB is a bad distance between rows */

/* Rows of a block; all f32. Without `train` every block has the same, and x, mid and out are one place.
 * Blocks that are computed again have an x of their own; the rest they share with the lowest block that is
 * not: forward needs it before that one, backward after. Frozen blocks share x, too, with the lowest that is
 * not. */
struct block_rows {
    struct gpu_buffer *in, *buffer;
    uint64_t x;          /* [R, D] input: byte in `in` */
    uint64_t mid;        /* [R, D] after attention: byte in `buffer`, as all that follow */
    uint64_t q, k, v, o; /* [R, H hd], [R, KV hd] twice, [R, H hd] */
    uint64_t lse;        /* [R, H] */
    uint64_t gate, up;   /* [R, mlp_stride] */
    uint64_t u[ROLES];   /* [R, rank_max], of each linear */
};

struct graph {
    struct model *m;
    struct gpu *g;
    const struct model_hyper *h;
    struct graph_options options;
    uint32_t rows_room;  /* R */
    uint32_t mlp_stride; /* floats from row to row of the MLP's inner rows */
    uint64_t tokens;
    uint32_t picks; /* of the last forward */

    struct gpu_buffer inputs, scratch;
    struct gpu_buffer *kept; /* [blocks] with train */
    struct block_rows *rows; /* [blocks] */
    /* bytes in `inputs` */
    uint64_t ids, positions, spans, pick_rows, targets, weights, table, arguments;
    uint64_t draw; /* of dropout: seed, step, first token */
    /* bytes in `scratch` */
    uint64_t x;      /* [R, D] the last block's output, and without `train` the stream itself */
    uint64_t normed; /* [R, D] */
    uint64_t roots;  /* with `full`: [R] what the last rmsnorm multiplied its rows by */
    uint64_t act;    /* [R, mlp_stride] */
    uint64_t picked, picked_normed; /* [P, D] */
    uint64_t logits;                /* [P, LOGITS_STRIDE] */
    uint64_t state;                 /* [P, 8] */
    uint64_t fork, kl;              /* with `compare`: [R, D] where two models part, [P / 2, 8] */
    uint64_t dx, dnormed;           /* [R, D] */
    uint64_t dq, dk, dv, do_, dgate, dup, dact, du;
    uint64_t dpicked, dpicked_normed; /* [P, D] */
    uint64_t inputs_bytes, scratch_bytes;
    uint64_t x_bytes, kept_bytes;              /* of a block that is computed again, and of one that is not */
    float *host_state;                         /* [P, 8], and with `compare` kl behind it */
    uint32_t *links, *last_rows;               /* with `full`: [R], [vocab] */
    struct gpu_recordings *forward, *backward; /* with train */
};

/* Whether the backward pass computes the block's rows again. */
bool graph_is_again(const struct graph *g, uint32_t block);
/* Sizes and places for the options; takes no memory but g->rows. */
MUST_USE int graph_layout(struct graph *g, struct status *st);

/* What one pass over a batch knows. */
struct graph_pass {
    struct graph *g;
    const struct graph_batch *batch;
    uint32_t threshold;                /* of dropout; 0: none */
    const struct gpu_buffer *gradient; /* of the adapter, in a backward pass */
    const struct full *full;           /* in a backward pass */
};
struct graph_pass graph_pass(struct graph *g, const struct graph_batch *batch);

/* ---- the steps of a forward pass: ids to device memory, and from there recorded ---- */
MUST_USE int graph_inputs_write(struct graph *g, const struct graph_batch *b, struct status *st);
MUST_USE int graph_embed(struct graph *g, const struct graph_batch *b, struct status *st);
MUST_USE int graph_blocks(const struct graph_pass *p, uint32_t first, uint32_t end, struct status *st);
/* The rows that block i reads, or that leave the last one. */
const struct gpu_buffer *graph_stream(const struct graph *g, uint32_t i, uint64_t *at);
/* Picked rows, normed, to place `to` and after of picked_normed. */
MUST_USE int graph_pick_rows(struct graph *g, uint32_t picks, uint32_t to, struct status *st);
/* Logits of a chunk for places 0 … n - 1, folded into their states. */
MUST_USE int graph_head_fold(struct graph *g, uint32_t n, uint32_t column, struct status *st);
struct graph_pick graph_pick_of(const float state[8]);

/* ---- operators: addresses of rows; sizes from the pass's model ---- */
MUST_USE int graph_run(struct graph *g, enum op op, enum pass pass, const struct op_args *args,
                       struct status *st);
MUST_USE int graph_rmsnorm(struct graph *g, uint64_t x, uint64_t weight, uint64_t y, uint32_t rows,
                           struct status *st);
MUST_USE int graph_rope(struct graph *g, enum pass pass, uint64_t x, uint32_t rows, uint32_t heads,
                        struct status *st);
/* Floats from row to row of what a linear reads and of what it writes. */
uint32_t graph_in_stride(const struct graph *g, enum tensor_role role);
uint32_t graph_out_stride(const struct graph *g, enum tensor_role role);
MUST_USE int graph_swiglu(struct graph *g, uint64_t gate, uint64_t up, uint64_t y, uint32_t rows,
                          struct status *st);
/* Logits of a chunk of columns for `n` picks from `first`, into g->logits. */
MUST_USE int graph_head_chunk(struct graph *g, uint32_t first, uint32_t n, uint32_t column,
                              struct status *st);
uint32_t graph_head_columns(const struct graph *g, uint32_t column); /* of the chunk that starts there */
struct model_weight graph_head_weight(const struct graph *g, uint32_t column);
/* Arguments of lora for a pass over A: everything but addresses. */
struct op_args graph_lora_a(const struct graph_pass *p, enum tensor_role role, const struct lora_part *part);

/* Computes from a block's input all that its backward pass reads: its rows, and in `scratch` act and what the
 * MLP reads as normed. */
MUST_USE int graph_block_rows(const struct graph_pass *p, uint32_t block, struct status *st);

/* Around the operators of a pass. They depend on sizes and addresses alone, so a pass that was recorded
 * before runs as it was (*again), and nothing is to be recorded. `r` NULL: all are recorded anew. */
MUST_USE int graph_begin(const struct graph_pass *p, struct gpu_recordings *r, bool *again,
                         struct status *st);
MUST_USE int graph_end(const struct graph_pass *p, struct gpu_recordings *r, struct status *st);

/* After a failure: runs what was recorded before it, so that memory can be freed and written again.
 * Returns rc. */
int graph_settle(struct graph *g, int rc);
MUST_USE int graph_check(const struct graph *g, const struct graph_batch *batch, struct status *st);

#endif
