#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE2
#include "lib/weight.glsl"
// y[i] = W[ids[i]]      W packed
// p: ids, W, y, groups of W      d: rows * width, width, format of W
void main()
{
    EACH_ELEMENT(e, arg.d[0])
        F32(arg.p[2]).v[e] = weight_at(arg.p[1], arg.p[3], U32(arg.p[0]).v[e / SIZE1], e % SIZE1, SIZE1);
}
