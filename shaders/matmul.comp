#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y = x W^T      dx = dy W      dW += dy^T x
// x [m, k], W [n, k] packed, y [m, n], dW [n, k] row after row
// p: x, W, y | 0, W, dy, dx | x, 0, dy, dW
// d: m, n, k, floats a row of x (bwd0: of dy), of y (bwd0: of dx; bwd1: of dy), 1 to add to what y (dx) holds
// A sum is added when it is whole: begun from y it would be rounded at every step to the digits of y, and a
// gradient would depend on those before it.
#if PASS == FWD
float left(uint i, uint l) { return F32(arg.p[0]).v[i * arg.d[3] + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[packed_at(j, l, arg.d[2])]; }
void store(uint i, uint j, float sum)
{
    uint at = i * arg.d[4] + j;
    F32(arg.p[2]).v[at] = arg.d[5] == 0 ? sum : F32(arg.p[2]).v[at] + sum;
}
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * arg.d[3] + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[packed_at(l, j, arg.d[2])]; }
void store(uint i, uint j, float sum)
{
    uint at = i * arg.d[4] + j;
    F32(arg.p[3]).v[at] = arg.d[5] == 0 ? sum : F32(arg.p[3]).v[at] + sum;
}
#else
float left(uint i, uint l) { return F32(arg.p[2]).v[l * arg.d[4] + i]; }
float right(uint l, uint j) { return F32(arg.p[0]).v[l * arg.d[3] + j]; }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * arg.d[2] + j] += sum; }
#endif
#include "lib/block.glsl"

void main()
{
    uint m = arg.d[0], n = arg.d[1], k = arg.d[2];
#if PASS == FWD
    product(m, n, k);
#elif PASS == BWD0
    product(m, k, n);
#else
    product(n, k, m);
#endif
}
