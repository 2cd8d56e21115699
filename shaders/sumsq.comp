#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
// out = sum of x^2 over a tensor. One workgroup, whatever the size: runs of RUN elements in each invocation,
// then their sums, then a tree.
// p: x, out      d: 1, elements
const uint RUN = 32;

void main()
{
    F32 x = F32(arg.p[0]);
    uint n = arg.d[1];
    float sum = 0.0;
    for (uint first = gl_LocalInvocationID.x; first < n; first += WG * RUN) {
        float part = 0.0;
        for (uint i = 0; i < RUN; i++) {
            uint at = first + i * WG;
            if (at < n)
                part = fma(x.v[at], x.v[at], part);
        }
        sum += part;
    }
    sum = reduce_sum(sum);
    if (gl_GlobalInvocationID.x == 0)
        F32(arg.p[1]).v[0] = sum;
}
