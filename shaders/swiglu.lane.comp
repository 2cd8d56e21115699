#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0 bwd1
// swiglu.comp, two elements at a time; one that is left over at the end goes alone.

vec2 gated(vec2 g, vec2 u, vec2 dy)
{
    vec2 s = 1.0 / (1.0 + exp(-g));
#if PASS == FWD
    return g * s * u;
#elif PASS == BWD0
    return dy * u * (s * (1.0 + g * (1.0 - s)));
#else
    return dy * (g * s);
#endif
}

void main()
{
    const uint OUT = PASS == FWD ? 2 : 3;
    uint pairs = arg.d[0] / 2;
    EACH_ELEMENT(i, pairs)
        pair_put(PairsOut(arg.p[OUT]), i, gated(pair_at(Pairs(arg.p[0]), i), pair_at(Pairs(arg.p[1]), i),
                 PASS == FWD ? vec2(0.0) : pair_at(Pairs(arg.p[2]), i)));
    uint last = arg.d[0] - 1;
    if (arg.d[0] % 2 == 1 && gl_GlobalInvocationID.x == 0)
        F32(arg.p[OUT]).v[last] = gated(vec2(F32(arg.p[0]).v[last]), vec2(F32(arg.p[1]).v[last]),
                                     PASS == FWD ? vec2(0.0) : vec2(F32(arg.p[2]).v[last])).x;
}
