#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0
// rmsnorm.comp without barriers, which a software driver pays dearly: a lane owns a row. The
// weight, which all rows share, is spread over the lanes and broadcast. Sums run in ascending order by blocks
// of 16 columns. The min() of addresses that all lanes share: lib/lane.glsl.
const uint HELD = (8 + WG - 1) / WG; // pairs of 16 columns that a lane holds

vec2 weight_pair(vec2 held[HELD], uint i)
{
    return subgroupBroadcast(held[i / WG], i % WG);
}

#define HOLD(held, first)                                                                       \
    vec2 held[HELD];                                                                            \
    [[unroll]] for (uint h = 0; h < HELD; h++)                                                  \
        held[h] = pair_at(Pairs(arg.p[1]), (first) / 2 + min(h * WG + gl_LocalInvocationID.x, 7));

void block(uint row, bool inside)
{
    uint width = arg.d[1], at = row * width, c;
    uint paired = width % 2 == 0 ? width / 16 * 16 : 0; // what follows goes one by one
    Pairs x = Pairs(arg.p[0]);
    F32 xs = F32(arg.p[0]), g = F32(arg.p[1]);
    float squares = 0.0;
    for (c = 0; c < paired; c += 16) {
        float part = 0.0;
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = pair_at(x, (at + c) / 2 + i);
            part = fma(a.y, a.y, fma(a.x, a.x, part));
        }
        squares += part;
    }
    for (; c < width; c++)
        squares = fma(xs.v[at + c], xs.v[at + c], squares);
    float r = 1.0 / sqrt(squares / float(width) + arg.f[0]);
#if PASS == FWD
    for (c = 0; c < paired; c += 16) {
        HOLD(held, c)
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = weight_pair(held, i) * (r * pair_at(x, (at + c) / 2 + i));
            if (inside)
                pair_put(PairsOut(arg.p[2]), (at + c) / 2 + i, a);
        }
    }
    for (; c < width && inside; c++)
        F32(arg.p[2]).v[at + c] = g.v[min(c, width - 1)] * (r * xs.v[at + c]);
    if (inside && arg.p[3] != uvec2(0))
        F32(arg.p[3]).v[at / width] = r;
#else
    Pairs dy = Pairs(arg.p[2]);
    F32 dys = F32(arg.p[2]), dx = F32(arg.p[3]);
    float along = 0.0;
    for (c = 0; c < paired; c += 16) {
        HOLD(held, c)
        float part = 0.0;
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = pair_at(x, (at + c) / 2 + i);
            vec2 b = weight_pair(held, i) * pair_at(dy, (at + c) / 2 + i);
            part = fma(a.y, b.y, fma(a.x, b.x, part));
        }
        along += part;
    }
    for (; c < width; c++)
        along = fma(xs.v[at + c], g.v[min(c, width - 1)] * dys.v[at + c], along);
    float pull = r * r * (along / float(width));
    for (c = 0; c < paired; c += 16) {
        HOLD(held, c)
        [[unroll]] for (uint i = 0; i < 8; i++) {
            uint p = (at + c) / 2 + i;
            vec2 a = r * (weight_pair(held, i) * pair_at(dy, p) - pair_at(x, p) * pull);
            a += pair_at(Pairs(arg.p[3]), p);
            if (inside)
                pair_put(PairsOut(arg.p[3]), p, a);
        }
    }
    for (; c < width && inside; c++)
        dx.v[at + c] += r * (g.v[min(c, width - 1)] * dys.v[at + c] - xs.v[at + c] * pull);
#endif
}

void main()
{
    uint rows = arg.d[0];
    for (uint first = gl_WorkGroupID.x * WG; first < rows; first += arg.groups.x * WG) {
        uint row = first + gl_LocalInvocationID.x;
        block(min(row, rows - 1), row < rows);
    }
}
