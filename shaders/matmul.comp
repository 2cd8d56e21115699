#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
// y = x W^T + s u B      dx = dy W + du A      dW += dy^T x
// x [m, k], W [n, k] packed, y [m, n], dW [n, k] row after row; u [m, r] and B [r, n], du [m, r] and A [r, k]
// are an adapter's part
// p: x, W, y, 0, u, B, 0, groups of W | 0, W, dy, dx, du, A, W turned, groups of W | x, 0, dy, dW
// d: m, n, k, floats a row of x (bwd0: of dy), of y (bwd0: of dx; bwd1: of dy), 1 to add to what y (dx)
// holds,
//    format of W, r (0: no adapter)
// f: s
// "turned" is W^T, packed likewise with the groups of W: bwd0 reads it where a kernel says so, and 0
// elsewhere. A sum is added when it is whole: begun from y it would be rounded at every step to the digits of
// y, and a gradient would depend on those before it.
#include "lib/matmul.glsl"
#include "lib/block.glsl"
