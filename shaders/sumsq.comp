#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
// out[i] = sum of x^2 over piece i of a tensor. One workgroup a piece, whatever its size: runs of RUN
// elements in each invocation, then their sums, then a tree.
// p: x, out [pieces]      d: pieces, elements of a piece, elements: the last piece may be short
const uint RUN = 32;

void main()
{
    F32 x = F32(arg.p[0]);
    EACH_ROW(piece, arg.d[0]) {
        uint begin = piece * arg.d[1], n = min(arg.d[1], arg.d[2] - begin);
        float sum = 0.0;
        for (uint first = gl_LocalInvocationID.x; first < n; first += WG * RUN) {
            float part = 0.0;
            for (uint i = 0; i < RUN; i++) {
                uint at = first + i * WG;
                if (at < n)
                    part = fma(x.v[begin + at], x.v[begin + at], part);
            }
            sum += part;
        }
        sum = reduce_sum(sum);
        if (gl_LocalInvocationID.x == 0)
            F32(arg.p[1]).v[piece] = sum;
    }
}
