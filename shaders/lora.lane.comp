#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
#include "lib/philox.glsl"
// passes: fwd bwd0 bwd1
// lora.comp for narrow subgroups, with its bits. k is even, and rows of x and dx start at even floats.
float drop(float x, uint row, uint feature)
{
    if (SIZE4 == 0)
        return x;
    return dropout_keeps(row, SIZE2, feature, arg.d[5], SIZE4) ? x * arg.f[0] : 0.0;
}

vec2 drop_pair(vec2 x, uint row, uint feature)
{
    return vec2(drop(x.x, row, feature), drop(x.y, row, feature + 1));
}

#if PASS == FWD
vec2 left_pair(uint i, uint l) { return drop_pair(pair_at(Pairs(arg.p[0]), (i * SIZE3 + l) / 2), i, l); }
float left(uint i, uint l) { return drop(F32(arg.p[0]).v[i * SIZE3 + l], i, l); }
float right(uint l, uint j) { return F32(arg.p[1]).v[j * SIZE2 + l]; }
void store(uint i, uint j, float sum) { F32(arg.p[2]).v[i * SIZE1 + j] = arg.f[1] * sum; }
#include "lib/lane_rows.glsl"
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * SIZE1 + l]; }
vec2 right_pair(uint l, uint c) { return pair_at(Pairs(arg.p[1]), (l * SIZE2 + c) / 2); }
void store(uint i, uint c, vec2 sum, bool both)
{
    uint at = i * SIZE3 + c;
    vec2 x = pair_at(Pairs(arg.p[3]), at / 2) + drop_pair(sum, i, c);
    F32(arg.p[3]).v[at] = x.x;
    F32(arg.p[3]).v[at + 1] = x.y;
}
#include "lib/lane_wide.glsl"
#else
float small_at(uint l, uint j) { return F32(arg.p[2]).v[l * SIZE1 + min(j, SIZE1 - 1)]; }
vec2 wide_at(uint l, uint c) { return drop_pair(pair_at(Pairs(arg.p[0]), (l * SIZE3 + c) / 2), l, c); }
void store(uint j, uint c, float sum) { F32(arg.p[3]).v[j * SIZE2 + c] += arg.f[1] * sum; }
#define SUM_ROWS 8
#define SUM_PAIRS 1
#include "lib/lane_sum.glsl"
#endif

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
    sum_tokens(r, k, m);
#endif
}
