#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// g' = clip g      t <- t - lr wd t      m <- b1 m + (1 - b1) g'      v <- b2 v + (1 - b2) g'^2
// t <- t - lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps)
// p: t, m, v, g, block {lr, b1, b2, eps, wd, 1 - b1^step, 1 - b2^step, clip}, t turned
// d: elements, width, rows, rows of a piece of t turned (0: there is none)
// Width 0: elements in any order, equal in all. Else t is a weight of f32, packed as lib/weight.glsl says; m
// and v lie like t, g row after row. t turned: pieces of t, transposed and packed. Elements count the last
// panel whole, of which the rows that are not there stay as they are.
// The block is in device memory, so that a recorded step serves every step.
// Source: Loshchilov and Hutter 2017, arXiv 1711.05101.
const uint PANEL = 16, WIDTH = SIZE1 == 0 ? 1 : SIZE1, PIECE = SIZE3 == 0 ? PANEL : SIZE3;

void main()
{
    F32 theta = F32(arg.p[0]), mean = F32(arg.p[1]), square = F32(arg.p[2]), block = F32(arg.p[4]);
    float lr = block.v[0], b1 = block.v[1], b2 = block.v[2], eps = block.v[3], wd = block.v[4];
    float grown1 = block.v[5], grown2 = block.v[6], clip = block.v[7];
    EACH_ELEMENT(i, arg.d[0]) {
        uint at = i % (PANEL * WIDTH), row = i / (PANEL * WIDTH) * PANEL + at / 2 % PANEL;
        uint column = at / (2 * PANEL) * 2 + i % 2;
        if (SIZE1 != 0 && row >= SIZE2)
            continue;
        float g = clip * F32(arg.p[3]).v[SIZE1 == 0 ? i : row * WIDTH + column], t = theta.v[i];
        float m = b1 * mean.v[i] + (1.0 - b1) * g;
        float v = b2 * square.v[i] + (1.0 - b2) * (g * g);
        t -= lr * wd * t;
        t -= lr * (m / grown1) / (sqrt(v / grown2) + eps);
        mean.v[i] = m;
        square.v[i] = v;
        theta.v[i] = t;
        if (SIZE3 != 0) {
            uint first = row / PIECE * PIECE;
            uint steps = (min(PIECE, SIZE2 - first) + PANEL - 1) / PANEL * (PANEL / 2);
            uint unit = (column / PANEL * steps + (row - first) / 2) * PANEL + column % PANEL;
            F32(arg.p[5]).v[first * WIDTH + 2 * unit + row % 2] = t;
        }
    }
}
