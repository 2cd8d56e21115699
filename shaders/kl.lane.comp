#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
#include "lib/kl.glsl"
// passes: fwd
// kl.comp without barriers: a lane owns a row, and its sums run in ascending order by blocks of 16 columns.
// Rows of logits start at even floats.

void block(uint row)
{
    uint cols = arg.d[1], at = row * arg.d[2], c;
    Pairs xs = Pairs(arg.p[0]), ys = Pairs(arg.p[1]);
    F32 x = F32(arg.p[0]), y = F32(arg.p[1]);
    vec4 centre = centre_of(row);
    vec2 sum = vec2(0.0);
    for (c = 0; c + 16 <= cols; c += 16) {
        vec2 part = vec2(0.0);
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = pair_at(xs, (at + c) / 2 + i), b = pair_at(ys, (at + c) / 2 + i);
            part += column(centre, a.x, b.x);
            part += column(centre, a.y, b.y);
        }
        sum += part;
    }
    for (; c < cols; c++)
        sum += column(centre, x.v[at + c], y.v[at + c]);
    fold(row, centre, sum);
}

void main()
{
    for (uint row = gl_GlobalInvocationID.x; row < arg.d[0]; row += arg.groups.x * WG)
        block(row);
}
