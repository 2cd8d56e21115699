#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
// fwd folds a chunk of a row of logits x into its state
//   {max M, sum S of exp(x - M), top logit, top id, target logit, E = sum of exp(x - M) (x - M), 0, 0}:
//   M' = max(M, chunk)   S' = S exp(M - M') + chunk   E' = exp(M - M') (E + (M - M') S) + chunk
// Entropy = log S - E / S. Ties of the top: the lowest id.
// bwd0, in place: x <- w (exp(x - M - log S) - [column is the target])
// p: logits [rows, ld], target [rows], state [rows][8], w [rows] (bwd0)
// d: rows, columns of this chunk, ld, first column, 1 to start a new state
// The order of a row's sum depends on the chunks and the workgroup, so both are constant.
const float LEAST = -3.4e38;

void main()
{
    uint rows = arg.d[0], cols = arg.d[1], ld = arg.d[2], first = arg.d[3];
    F32 x = F32(arg.p[0]), state = F32(arg.p[2]);
    EACH_ROW(row, rows) {
        uint at = row * ld, s = row * 8, target = U32(arg.p[1]).v[row];
#if PASS == FWD
        float top = LEAST;
        EACH_COLUMN(c, cols)
            top = max(top, x.v[at + c]);
        top = reduce_max(top);
        bool fresh = arg.d[4] != 0;
        float before = fresh ? LEAST : state.v[s], whole = max(before, top), sum = 0.0, spread = 0.0;
        float id = 16777216.0; // a column of a chunk is exact in a float
        EACH_COLUMN(c, cols) {
            float d = x.v[at + c] - whole, e = exp(d);
            sum += e;
            spread = fma(e, d, spread);
            if (x.v[at + c] == top)
                id = min(id, float(c));
        }
        sum = reduce_sum(sum);
        spread = reduce_sum(spread);
        id = -reduce_max(-id);
        if (gl_LocalInvocationID.x == 0) {
            float shift = before - whole, shrink = exp(shift);
            if (!fresh) {
                spread += shrink * fma(shift, state.v[s + 1], state.v[s + 5]);
                sum = fma(shrink, state.v[s + 1], sum);
            }
            state.v[s] = whole;
            state.v[s + 1] = sum;
            if (fresh || top > state.v[s + 2]) {
                state.v[s + 2] = top;
                state.v[s + 3] = uintBitsToFloat(first + uint(id));
            }
            if (target >= first && target - first < cols)
                state.v[s + 4] = x.v[at + clamp(target, first, first + cols - 1) - first];
            else if (fresh)
                state.v[s + 4] = 0.0;
            state.v[s + 5] = spread;
            state.v[s + 6] = state.v[s + 7] = 0.0;
        }
#else
        float lse = state.v[s] + log(state.v[s + 1]), w = F32(arg.p[3]).v[row];
        EACH_COLUMN(c, cols)
            x.v[at + c] = w * (exp(x.v[at + c] - lse) - (first + c == target ? 1.0 : 0.0));
#endif
    }
}
