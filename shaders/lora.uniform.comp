#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/philox.glsl"
#include "lib/uniform.glsl"
// passes: fwd bwd0 bwd1
// lora.comp with its bits; k is even, and rows of x start at even floats. fwd: a lane owns an adapter row of
// ROWS tokens. bwd0: a column of dx of ROWS tokens. bwd1: two columns of dA of 8 adapter rows, over all
// tokens.
const uint ROWS = 32; // keep equal to UNIFORM_ROWS of gpu/op.c

bool keeps(uint row, uint feature)
{
    uvec2 seed = arg.p[PASS == FWD ? 3 : 4];
    return dropout_keeps(arg.d[7] + row, SIZE2, feature, arg.d[5], arg.d[6], SIZE4, seed);
}

float drop(float x, uint row, uint feature)
{
    if (SIZE4 == 0)
        return x;
    return keeps(row, feature) ? x * arg.f[0] : 0.0;
}

#if PASS == FWD
// Rows past the last repeat it, so that nothing behind x is read.
void tile(uint row, uint col)
{
    uint r = col + gl_LocalInvocationID.x, last = arg.d[0] - 1;
    uint64_t x = pointer(arg.p[0]), a = pointer(arg.p[1]) + uint64_t(min(r, SIZE1 - 1)) * SIZE2 * 4;
    uint at[ROWS];
    float sum[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        at[i] = min(row + i, last);
        sum[i] = 0.0;
    }
    for (uint k = 0; k < SIZE2; k += 2) {
        uint inside = min(k, SIZE2 - 2); // lib/lane.glsl says why
        vec2 b = Pair(a + inside * 4).v;
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            vec2 left = Pair(x + uint64_t(at[i]) * SIZE3 * 4 + inside * 4).v;
            sum[i] = fma(drop(left.x, row + i, inside), b.x, sum[i]);
            sum[i] = fma(drop(left.y, row + i, inside + 1), b.y, sum[i]);
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i <= last && r < SIZE1)
            F32(arg.p[2]).v[(row + i) * SIZE1 + r] = arg.f[1] * sum[i];
}
#elif PASS == BWD0
void tile(uint row, uint col)
{
    uint c = min(col + gl_LocalInvocationID.x, SIZE2 - 1), last = arg.d[0] - 1;
    float sum[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = 0.0;
    for (uint l = 0; l < SIZE1; l++) {
        uint inside = min(l, SIZE1 - 1);
        float b = F32(arg.p[1]).v[inside * SIZE2 + c];
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(F32(arg.p[2]).v[min(row + i, last) * SIZE1 + inside], b, sum[i]);
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i <= last && col + gl_LocalInvocationID.x < SIZE2)
            F32(arg.p[3]).v[(row + i) * SIZE3 + c] += drop(sum[i], row + i, c);
}
#else
const uint DEEP = 8;

void tile(uint row, uint col)
{
    uint lane = gl_LocalInvocationID.x, c = min(col + 2 * lane, SIZE2 - 2);
    uint64_t wide = pointer(arg.p[0]) + c * 4, small = pointer(arg.p[2]);
    vec2 sum[DEEP];
    [[unroll]] for (uint j = 0; j < DEEP; j++)
        sum[j] = vec2(0.0);
    for (uint l = 0; l < arg.d[0]; l++) {
        uint token = min(l, arg.d[0] - 1), at = token * SIZE1;
        vec2 x = Pair(wide + uint64_t(token) * SIZE3 * 4).v;
        x = vec2(drop(x.x, token, c), drop(x.y, token, c + 1));
        [[unroll]] for (uint j = 0; j < DEEP; j++)
            sum[j] = fma(vec2(One(small + uint64_t(at + min(row + j, SIZE1 - 1)) * 4).v), x, sum[j]);
    }
    [[unroll]] for (uint j = 0; j < DEEP; j++)
        if (row + j < SIZE1 && col + 2 * lane < SIZE2) {
            F32 to = F32(arg.p[3]);
            to.v[(row + j) * SIZE2 + c] += arg.f[1] * sum[j].x;
            to.v[(row + j) * SIZE2 + c + 1] += arg.f[1] * sum[j].y;
        }
}
#endif

void main()
{
    const uint rows = PASS == BWD1 ? SIZE1 : arg.d[0], cols = PASS == FWD ? SIZE1 : SIZE2;
    const uint tall = PASS == BWD1 ? 8 : ROWS, wide = PASS == BWD1 ? 2 * WG : WG;
    uint down = (rows - 1) / tall + 1, across = (cols - 1) / wide + 1;
    uint step = gl_NumWorkGroups.x * gl_NumWorkGroups.y;
    for (uint b = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; b < down * across; b += step)
        tile(min(b % down, down - 1) * tall, b / down * wide);
}
