#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
// y = x W^T + s u B      dx = dy W + du A      dW += dy^T x
// x [m, k], W [n, k] packed, y [m, n], dW [n, k] row after row; u [m, r] and B [r, n], du [m, r] and A [r, k]
// are an adapter's part
// p: x, W, y, 0, u, B, 0, groups of W | 0, W, dy, dx, du, A, W turned, groups of W | x, 0, dy, dW
// d: m, n, k, floats a row of x (bwd0: of dy), of y (bwd0: of dx; bwd1: of dy), 1 to add to what y (dx)
// holds,
//    format of W, r (0: no adapter)
// f: s
// "turned" is W^T, packed likewise with the groups of W: bwd0 reads it where a kernel says so, and 0
// elsewhere. A sum is added when it is whole: begun from y it would be rounded at every step to the digits of
// y, and a gradient would depend on those before it.
#if PASS == FWD
float left(uint i, uint l) { return F32(arg.p[0]).v[i * SIZE3 + l]; }
float right(uint l, uint j) { return weight_at(arg.p[1], arg.p[7], j, l, SIZE2); }
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * SIZE3 + l]; }
float right(uint l, uint j) { return weight_at(arg.p[1], arg.p[7], l, j, SIZE2); }
#else
float left(uint i, uint l) { return F32(arg.p[2]).v[l * SIZE4 + i]; }
float right(uint l, uint j) { return F32(arg.p[0]).v[l * SIZE3 + j]; }
#endif
#if PASS == BWD1
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * SIZE2 + j] += sum; }
#else
void store(uint i, uint j, float sum)
{
    F32 out_rows = F32(arg.p[PASS == FWD ? 2 : 3]);
    uint at = i * SIZE4 + j;
    if (SIZE7 > 0) {
        const uint cols = PASS == FWD ? SIZE1 : SIZE2;
        float part = 0.0;
        for (uint l = 0; l < SIZE7; l++)
            part = fma(F32(arg.p[4]).v[i * SIZE7 + l], F32(arg.p[5]).v[l * cols + j], part);
        sum += PASS == FWD ? arg.f[0] * part : part;
    }
    out_rows.v[at] = SIZE5 == 0 ? sum : out_rows.v[at] + sum;
}
#endif
#include "lib/block.glsl"

void main()
{
#if PASS == FWD
    product(arg.d[0], SIZE1, SIZE2);
#elif PASS == BWD0
    product(arg.d[0], SIZE2, SIZE1);
#else
    product(SIZE1, SIZE2, arg.d[0]);
#endif
}
