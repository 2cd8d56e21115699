/* The shapes that every operator is checked at. */
#include "selftest/scene.h"

// clang-format off
/* Beside each row: the worst errors on lavapipe (Mesa 25.0.7) over LETHE_SEEDS=100, of a full row over
 * one. A tolerance is at most ten times that, or 1e-6 where that is less, since other devices may round exp
 * otherwise. */
const struct row ROWS[] = {
    /* rows, vocabulary, width */
    { OP_embed, { 1, 1, 2 },                  .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 7, 37, 48 },                .fwd = 1e-6, .bwd = 1e-6, .widths = true }, /* 0.0e+00 */
    { OP_embed, { 65, 16, 64 },               .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 48, WEIGHT_f16 },    .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 48, WEIGHT_bf16 },   .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 64, WEIGHT_q4 },     .fwd = 1e-6, .bwd = 1e-6, .widths = true }, /* 0.0e+00 */
    { OP_embed, { 9, 37, 96, WEIGHT_q8 },     .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 */
    /* rows, width */
    { OP_rmsnorm, { 1, 1 },                   .fwd = 1e-6, .bwd = 2e-5 }, /* 7.4e-08 2.2e-06 */
    { OP_rmsnorm, { 5, 127 }, .fwd = 2e-6, .bwd = 5e-6, .widths = true }, /* 2.6e-07 5.4e-07 */
    { OP_rmsnorm, { 3, 129 },                 .fwd = 2e-6, .bwd = 3e-6 }, /* 2.8e-07 3.7e-07 */
    { OP_rmsnorm, { 9, 576 },                 .fwd = 2e-6, .bwd = 2e-6 }, /* 2.2e-07 2.2e-07 */
    { OP_rmsnorm, { 65537, 1 },               .fwd = 1e-6, .bwd = 1e-6, .full = true }, /* 8.7e-09 1.4e-08 */
    /* rows, heads, width of a head, pairing, room behind a row */
    { OP_rope, { 1, 1, 2, 0, 0 },             .fwd = 1e-6, .bwd = 1e-6 }, /* 1.5e-07 1.9e-07 */
    { OP_rope, { 5, 3, 64, 1, 0 },            .fwd = 2e-6, .bwd = 1e-6 }, /* 2.0e-07 1.5e-07 */
    { OP_rope, { 7, 2, 32, 0, 5 }, .fwd = 2e-6, .bwd = 1e-6, .widths = true }, /* 2.1e-07 1.4e-07 */
    { OP_rope, { 13, 9, 64, 1, 16 },          .fwd = 2e-6, .bwd = 1e-6 }, /* 2.3e-07 9.7e-08 */
    /* rows, H, KV, width of a head, prefix, longest sequence, factor of the scores */
    { OP_attention, { 1, 1, 1, 32, 0, 1 },    .fwd = 1e-6, .bwd = 1e-6 }, /* 1.5e-07 4.4e-12 */
    { OP_attention, { 17, 3, 1, 64, 0, 17 },  .fwd = 8e-6, .bwd = 1e-5 }, /* 8.3e-07 1.7e-06 */
    { OP_attention, { 37, 4, 2, 32, 0, 9 }, .fwd = 8e-6, .bwd = 1e-5, .widths = true }, /* 8.2e-07 1.2e-06 */
    { OP_attention, { 33, 2, 2, 64, 5, 7 },   .fwd = 1e-5, .bwd = 6e-6 }, /* 1.2e-06 6.6e-07 */
    { OP_attention, { 65, 6, 3, 64, 0, 65 },  .fwd = 1e-5, .bwd = 9e-6 }, /* 1.3e-06 9.8e-07 */
    { OP_attention, { 19, 2, 1, 80, 0, 19 },  .fwd = 1e-5, .bwd = 1e-5 }, /* 1.1e-06 1.5e-06 */
    { OP_attention, { 75, 2, 1, 32, 41, 9 }, .fwd = 9e-6, .bwd = 6e-6, .widths = true }, /* 9.2e-07 6.3e-07 */
    { OP_attention, { 11, 2, 1, 256, 3, 4 },  .fwd = 5e-6, .bwd = 1e-5, .full = true }, /* 5.1e-07 1.0e-06 */
    { OP_attention, { 70, 3, 1, 64, 0, 70, 8 }, .fwd = 5e-5, .bwd = 2e-4 }, /* 1.0e-05 2.5e-05 */
    /* elements */
    { OP_swiglu, { 1 },                       .fwd = 1e-6, .bwd = 1e-6 }, /* 1.0e-07 7.2e-08 */
    { OP_swiglu, { 63 },                      .fwd = 1e-6, .bwd = 1e-6 }, /* 9.9e-08 1.3e-07 */
    { OP_swiglu, { 65 }, .fwd = 1e-6, .bwd = 1e-6, .widths = true }, /* 1.1e-07 1.3e-07 */
    { OP_swiglu, { 65537 },                   .fwd = 1e-6, .bwd = 1e-6 }, /* 1.4e-07 1.0e-07 */
    /* m, n, k, room behind a row of x, of y, 1 to add, format, rank of an adapter */
    { OP_matmul, { 1, 2, 16, 0, 0, 0 },       .fwd = 4e-6, .bwd = 1e-6 }, /* 7.2e-07 1.5e-07 */
    { OP_matmul, { 12, 64, 48, 0, 0, 1 },     .fwd = 3e-5, .bwd = 3e-5 }, /* 3.8e-06 3.8e-06 */
    { OP_matmul, { 13, 65, 32, 16, 3, 0 },    .fwd = 2e-5, .bwd = 2e-5 }, /* 2.8e-06 2.9e-06 */
    { OP_matmul, { 31, 63, 38, 2, 1, 1 }, .fwd = 3e-5, .bwd = 2e-5, .widths = true }, /* 3.3e-06 2.8e-06 */
    { OP_matmul, { 37, 192, 64, 0, 16, 0 },   .fwd = 5e-5, .bwd = 6e-5 }, /* 5.0e-06 6.8e-06 */
    { OP_matmul, { 2, 17, 576, 0, 1, 1 },     .fwd = 8e-5, .bwd = 8e-6 }, /* 8.7e-06 1.0e-06 */
    { OP_matmul, { 100, 300, 160, 8, 4, 0 },  .fwd = 1e-4, .bwd = 1e-5, .full = true }, /* 1.0e-05 1.0e-06 */
    { OP_matmul, { 33, 80, 96, 0, 0, 1, WEIGHT_f32, 8 }, .fwd = 6e-5, .bwd = 1e-5,
      .widths = true }, /* 8.0e-06 1.5e-06 */
    { OP_matmul, { 37, 65, 64, 0, 1, 0, WEIGHT_f16, 3 },  .fwd = 5e-5, .bwd = 2e-5 }, /* 5.1e-06 2.9e-06 */
    { OP_matmul, { 12, 48, 80, 8, 0, 0, WEIGHT_bf16 },    .fwd = 4e-5, .bwd = 2e-5 }, /* 4.6e-06 2.9e-06 */
    { OP_matmul, { 45, 96, 160, 0, 8, 1, WEIGHT_q4, 8 }, .fwd = 1e-4, .bwd = 4e-5,
      .widths = true }, /* 1.5e-05 4.5e-06 */
    { OP_matmul, { 31, 33, 96, 0, 1, 0, WEIGHT_q4 },      .fwd = 1e-4, .bwd = 3e-5 }, /* 1.0e-05 3.4e-06 */
    { OP_matmul, { 70, 128, 96, 4, 4, 1, WEIGHT_q8, 16 }, .fwd = 1e-4, .bwd = 5e-5,
      .widths = true }, /* 1.6e-05 5.3e-06; a span of uniform.bwd1 */
    { OP_matmul, { 5, 17, 576, 0, 1, 0, WEIGHT_q8 },      .fwd = 1e-4, .bwd = 1e-5 }, /* 1.7e-05 1.1e-06 */
    /* m, r, k, room behind a row of x, dropout in 1/1000, first token */
    { OP_lora, { 1, 1, 16, 0, 0, 0 },       .fwd = 3e-6, .bwd = 1e-6 }, /* 1.2e-06 1.3e-07 */
    { OP_lora, { 17, 8, 64, 16, 0, 0 },     .fwd = 4e-5, .bwd = 9e-6, .widths = true }, /* 6.7e-06 2.0e-06 */
    { OP_lora, { 37, 8, 48, 0, 100, 5 },    .fwd = 4e-5, .bwd = 1e-5, .widths = true }, /* 5.5e-06 3.2e-06 */
    { OP_lora, { 13, 17, 96, 0, 500, 0x7ffffff }, .fwd = 5e-5, .bwd = 1e-5 }, /* 7.1e-06 1.3e-06 */
    /* rows taken, rows there, width */
    { OP_gather, { 1, 1, 1 },                 .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 4.3e-12 */
    { OP_gather, { 5, 23, 65 }, .fwd = 1e-6, .bwd = 1e-6, .widths = true }, /* 0.0e+00 4.4e-12 */
    /* rows, columns, room behind a row, columns of a chunk */
    { OP_xent, { 1, 1, 0, 1 },                .fwd = 1e-6, .bwd = 1e-6 }, /* 0.0e+00 1.0e-11 */
    { OP_xent, { 3, 127, 1, 127 },            .fwd = 3e-6, .bwd = 1e-6 }, /* 3.3e-07 3.0e-08 */
    { OP_xent, { 19, 300, 16, 128 }, .fwd = 3e-6, .bwd = 1e-6, .widths = true }, /* 3.6e-07 1.5e-08 */
    { OP_xent, { 2, 5000, 0, 2048 },          .fwd = 3e-6, .bwd = 1e-6 }, /* 3.9e-07 1.2e-09 */
    { OP_xent, { 65537, 1, 1, 1 },            .fwd = 1e-6, .bwd = 1e-6, .full = true }, /* 0.0e+00 8.4e-12 */
    { OP_kl, { 1, 1, 0, 1 },                  .fwd = 1e-6 }, /* 0.0e+00 */
    { OP_kl, { 3, 127, 1, 127 },              .fwd = 2e-6 }, /* 2.7e-07 */
    { OP_kl, { 19, 300, 16, 128 },            .fwd = 3e-6, .widths = true }, /* 3.7e-07 */
    { OP_kl, { 2, 5000, 0, 2048 },            .fwd = 4e-6 }, /* 4.3e-07 */
    { OP_kl, { 65537, 1, 1, 1 },              .fwd = 1e-6, .full = true }, /* 0.0e+00 */
    /* elements, pieces */
    { OP_sumsq, { 1, 1 },                     .fwd = 1e-6 }, /* 3.8e-08 */
    { OP_sumsq, { 257, 1 },                   .fwd = 1e-6, .widths = true }, /* 9.1e-08 */
    { OP_sumsq, { 100003, 1 },                .fwd = 1e-6 }, /* 1.4e-07 */
    { OP_sumsq, { 1000, 7 },                  .fwd = 1e-6, .widths = true },
    /* rows, width, 1: packed, rows of a piece of the turned copy */
    { OP_adamw, { 1, 1 },                     .fwd = 1e-6 }, /* 4.6e-08 */
    { OP_adamw, { 1, 67 },                    .fwd = 1e-6, .widths = true }, /* 5.9e-08 */
    { OP_adamw, { 37, 48, 1 },                .fwd = 1e-6 },
    { OP_adamw, { 37, 48, 1, 48 },            .fwd = 1e-6, .widths = true },
    { OP_adamw, { 83, 16, 1, 32 },            .fwd = 1e-6 },
    /* elements, rounds */
    { OP_peak, { 67, 5 },                     .fwd = 1e-6, .widths = true }, /* 0 */
};
// clang-format on
const size_t ROWS_N = sizeof ROWS / sizeof *ROWS;
