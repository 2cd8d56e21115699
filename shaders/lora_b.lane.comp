#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0 bwd1
// lora_b.comp for narrow subgroups, with its bits. Rows of y and dy start at even floats.
#if PASS == FWD
float left(uint i, uint l) { return F32(arg.p[0]).v[i * arg.d[2] + l]; }
vec2 right_pair(uint l, uint c)
{
    F32 b = F32(arg.p[1]);
    return vec2(b.v[c * arg.d[2] + l], b.v[min(c + 1, arg.d[1] - 1) * arg.d[2] + l]);
}
void store(uint i, uint c, vec2 sum, bool both)
{
    uint at = i * arg.d[3] + c;
    F32(arg.p[2]).v[at] += arg.f[0] * sum.x;
    if (both)
        F32(arg.p[2]).v[at + 1] += arg.f[0] * sum.y;
}
#include "lib/lane_wide.glsl"
#elif PASS == BWD0
vec2 left_pair(uint i, uint l) { return pair_at(Pairs(arg.p[2]), (i * arg.d[3] + l) / 2); }
float left(uint i, uint l) { return F32(arg.p[2]).v[i * arg.d[3] + l]; }
float right(uint l, uint j) { return F32(arg.p[1]).v[l * arg.d[2] + j]; }
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * arg.d[2] + j] = arg.f[0] * sum; }
#include "lib/lane_rows.glsl"
#else
float small_at(uint l, uint j) { return F32(arg.p[0]).v[l * arg.d[2] + min(j, arg.d[2] - 1)]; }
vec2 wide_at(uint l, uint c)
{
    uint at = l * arg.d[3] + c;
    return c + 1 < arg.d[1] ? pair_at(Pairs(arg.p[2]), at / 2) : vec2(F32(arg.p[2]).v[at], 0.0);
}
void store(uint j, uint c, float sum) { F32(arg.p[3]).v[c * arg.d[2] + j] += arg.f[0] * sum; }
#define SUM_ROWS 8
#define SUM_PAIRS 1
#include "lib/lane_sum.glsl"
#endif

void main()
{
    uint m = arg.d[0], n = arg.d[1], r = arg.d[2];
#if PASS == FWD
    product(m, n, r);
#elif PASS == BWD0
    product(m, r, n);
#else
    sum_tokens(r, n, m);
#endif
}
