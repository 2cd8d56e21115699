#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y = g s(g) u      dg = dy u s(g) (1 + g (1 - s(g)))      du = dy g s(g)      s(g) = 1 / (1 + exp(-g))
// p: g, u, y | g, u, dy, dg | g, u, dy, du      d: elements
// Source: Shazeer 2020, arXiv 2002.05202.
void main()
{
    EACH_ELEMENT(i, arg.d[0]) {
        float g = F32(arg.p[0]).v[i];
        float s = 1.0 / (1.0 + exp(-g));
#if PASS == FWD
        F32(arg.p[2]).v[i] = g * s * F32(arg.p[1]).v[i];
#elif PASS == BWD0
        F32(arg.p[3]).v[i] = F32(arg.p[2]).v[i] * F32(arg.p[1]).v[i] * (s * (1.0 + g * (1.0 - s)));
#else
        F32(arg.p[3]).v[i] = F32(arg.p[2]).v[i] * (g * s);
#endif
    }
}
