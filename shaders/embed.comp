#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y[i] = W[ids[i]]      W packed
// p: ids, W, y      d: rows * width, width
void main()
{
    uint width = arg.d[1];
    EACH_ELEMENT(e, arg.d[0])
        F32(arg.p[2]).v[e] = F32(arg.p[1]).v[packed_at(U32(arg.p[0]).v[e / width], e % width, width)];
}
