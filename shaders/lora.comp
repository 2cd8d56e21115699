#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/philox.glsl"
// u = s drop(x) A^T      dx += drop(du A)      dA += s du^T drop(x)      x [m, k], A [r, k], u [m, r]
// drop(x) = x / (1 - p) where the mask keeps, else 0; the mask is drawn again in each pass. Threshold 0: no
// dropout. An adapter's B [r, n] goes through the same products: du = s dy B^T, and dB += s u^T dy.
// p: x, A, u, draw | 0, A, du, dx, draw | x, 0, du, dA, draw      draw: lib/philox.glsl
// d: m, r, k, floats a row of x and dx, threshold, tensor      f: 1 / (1 - p), s
float drop(float x, uint row, uint feature)
{
    if (SIZE4 == 0)
        return x;
    return dropout_keeps(row, SIZE2, feature, arg.d[5], SIZE4) ? x * arg.f[0] : 0.0;
}

#if PASS == FWD
float left(uint i, uint l) { return drop(F32(arg.p[0]).v[i * SIZE3 + l], i, l); }
float right(uint l, uint j) { return F32(arg.p[1]).v[j * SIZE2 + l]; }
void store(uint i, uint j, float sum) { F32(arg.p[2]).v[i * SIZE1 + j] = arg.f[1] * sum; }
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * SIZE1 + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[l * SIZE2 + j]; }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * SIZE3 + j] += drop(sum, i, j); }
#else
float left(uint i, uint l) { return F32(arg.p[2]).v[l * SIZE1 + i]; }
float right(uint l, uint j) { return drop(F32(arg.p[0]).v[l * SIZE3 + j], l, j); }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * SIZE2 + j] += arg.f[1] * sum; }
#endif
#include "lib/tile.glsl"

void main()
{
    const uint r = SIZE1, k = SIZE2;
    uint m = arg.d[0];
    if (SIZE4 != 0)
        draw = Draw(arg.p[PASS == FWD ? 3 : 4]).v;
#if PASS == FWD
    product(m, r, k);
#elif PASS == BWD0
    product(m, k, r);
#else
    product(r, k, m);
#endif
}
