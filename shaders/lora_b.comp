#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y += s u B^T      du = s dy B      dB += s dy^T u      u [m, r], B [n, r], y [m, n]
// p: u, B, y | 0, B, dy, du | u, 0, dy, dB      d: m, n, r, floats a row of y and dy      f: s
#if PASS == FWD
float left(uint i, uint l) { return F32(arg.p[0]).v[i * arg.d[2] + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[j * arg.d[2] + l]; }
void store(uint i, uint j, float sum) { F32(arg.p[2]).v[i * arg.d[3] + j] += arg.f[0] * sum; }
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * arg.d[3] + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[l * arg.d[2] + j]; }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * arg.d[2] + j] = arg.f[0] * sum; }
#else
float left(uint i, uint l) { return F32(arg.p[2]).v[l * arg.d[3] + i]; }
float right(uint l, uint j) { return F32(arg.p[0]).v[l * arg.d[2] + j]; }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * arg.d[2] + j] += arg.f[0] * sum; }
#endif
#include "lib/tile.glsl"

void main()
{
    uint m = arg.d[0], n = arg.d[1], r = arg.d[2];
#if PASS == FWD
    product(m, n, r);
#elif PASS == BWD0
    product(m, r, n);
#else
    product(n, r, m);
#endif
}
