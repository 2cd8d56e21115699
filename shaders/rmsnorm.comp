#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
// y = g r x      dx += r (g dy - x r^2 mean(x g dy))      r = 1 / sqrt(mean(x^2) + eps)      g the weight
// p: x, g, y | x, g, dy, dx      d: rows, width      f: eps
// Source: Zhang and Sennrich 2019, arXiv 1910.07467.
void main()
{
    uint rows = arg.d[0], width = arg.d[1];
    F32 x = F32(arg.p[0]), g = F32(arg.p[1]);
    EACH_ROW(row, rows) {
        uint at = row * width;
        float squares = 0.0;
        EACH_COLUMN(c, width)
            squares = fma(x.v[at + c], x.v[at + c], squares);
        float r = 1.0 / sqrt(reduce_sum(squares) / float(width) + arg.f[0]);
#if PASS == FWD
        F32 y = F32(arg.p[2]);
        EACH_COLUMN(c, width)
            y.v[at + c] = g.v[c] * (r * x.v[at + c]);
#else
        F32 dy = F32(arg.p[2]), dx = F32(arg.p[3]);
        float along = 0.0;
        EACH_COLUMN(c, width)
            along = fma(x.v[at + c], g.v[c] * dy.v[at + c], along);
        float pull = r * r * (reduce_sum(along) / float(width));
        EACH_COLUMN(c, width)
            dx.v[at + c] += r * (g.v[c] * dy.v[at + c] - x.v[at + c] * pull);
#endif
    }
}
