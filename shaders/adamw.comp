#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// g' = clip g      t <- t - lr wd t      m <- b1 m + (1 - b1) g'      v <- b2 v + (1 - b2) g'^2
// t <- t - lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
// p: t, m, v, g, block {lr, b1, b2, eps, wd, 1 - b1^step, 1 - b2^step, clip}      d: elements
// The block is in device memory, so that a recorded step serves every step.
// Source: Loshchilov and Hutter 2017, arXiv 1711.05101.
void main()
{
    F32 theta = F32(arg.p[0]), mean = F32(arg.p[1]), square = F32(arg.p[2]), block = F32(arg.p[4]);
    float lr = block.v[0], b1 = block.v[1], b2 = block.v[2], eps = block.v[3], wd = block.v[4];
    float grown1 = block.v[5], grown2 = block.v[6], clip = block.v[7];
    EACH_ELEMENT(i, arg.d[0]) {
        float g = clip * F32(arg.p[3]).v[i], t = theta.v[i];
        float m = b1 * mean.v[i] + (1.0 - b1) * g;
        float v = b2 * square.v[i] + (1.0 - b2) * (g * g);
        t -= lr * wd * t;
        t -= lr * (m / grown1) / (sqrt(v / grown2) + eps);
        mean.v[i] = m;
        square.v[i] = v;
        theta.v[i] = t;
    }
}
