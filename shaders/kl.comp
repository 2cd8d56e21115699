#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
#include "lib/kl.glsl"
// Folds a chunk of two rows of logits, x of model P and y of model Q, into their divergences over the columns
// so far:
//   {M, log S, N, log R, KL(P || Q), KL(Q || P), 0, 0}
// M, S and N, R: maximum and sum of exp(x - M), exp(y - N), by xent with this chunk folded in. The shares
//   a = exp(x - M) / S, b = exp(y - N) / R      u = log b - log a = (y - N) - (x - M) - (log R - log S)
// sum to one on both sides, so KL(P || Q) = sum of -a u = sum of a h(u), h(u) = exp(u) - 1 - u >= 0, and
// KL(Q || P) = sum of b h(-u). Terms of first order, which would cancel between near models, are gone from
// every column. Older columns, of which P keeps the share p and Q q, come along by the chain rule:
//   KL' = p KL + p h(log q - log p) + chunk
// What all logits of one model have in common leaves with M and N, and an error e of log R - log S is one of
// e^2 / 2. tests/test_ops.c has the bounds.
// p: x [rows, ld], y [rows, ld], xent's states of x and y [rows][8], state [rows][8]
// d: rows, columns of this chunk, ld, 1 to start a new state
// The order of a row's sum depends on the chunks and the workgroup, so both are constant.

void main()
{
    uint cols = arg.d[1], ld = arg.d[2];
    F32 x = F32(arg.p[0]), y = F32(arg.p[1]);
    EACH_ROW(row, arg.d[0]) {
        vec4 centre = centre_of(row);
        vec2 sum = vec2(0.0);
        EACH_COLUMN(c, cols)
            sum += column(centre, x.v[row * ld + c], y.v[row * ld + c]);
        sum = vec2(reduce_sum(sum.x), reduce_sum(sum.y));
        if (gl_LocalInvocationID.x == 0)
            fold(row, centre, sum);
    }
}
