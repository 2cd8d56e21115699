#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// Turns each pair of a head by its position's angle, in place: (a, b) <- (a c - b s, a s + b c). The gradient
// is turned back: s is negated.
// p: x [rows, stride], pos [rows], table [maxpos][head/2][2] of cos, sin
// d: rows * heads * head/2, heads, head, stride, pairing (0: elements 2i and 2i+1, 1: i and i + head/2); all
// but the first are SIZEs
// Source: Su et al. 2021, arXiv 2104.09864.
void main()
{
    const uint pairs = SIZE2 / 2;
    F32 x = F32(arg.p[0]), table = F32(arg.p[2]);
    EACH_ELEMENT(e, arg.d[0]) {
        uint i = e % pairs, at = e / pairs % SIZE1 * SIZE2, row = e / pairs / SIZE1;
        uint angle = (U32(arg.p[1]).v[row] * pairs + i) * 2;
        float c = table.v[angle], s = table.v[angle + 1];
#if PASS == BWD0
        s = -s;
#endif
        at += row * SIZE3 + (SIZE4 == 0 ? 2 * i : i);
        uint other = at + (SIZE4 == 0 ? 1 : pairs);
        float a = x.v[at], b = x.v[other];
        x.v[at] = fma(a, c, -(b * s));
        x.v[other] = fma(a, s, b * c);
    }
}
