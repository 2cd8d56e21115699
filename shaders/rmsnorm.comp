#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/reduce.glsl"
// y = g r x      dx += r (g dy - x r^2 mean(x g dy))      r = 1 / sqrt(mean(x^2) + eps)      g the weight
// dg += sum over rows of r x dy
// p: x, g, y, r (0: not wanted) | x, g, dy, dx | x, r, dy, dg      d: rows, width      f: eps
// In bwd1 an invocation owns a column and adds the rows in ascending order.
// Source: Zhang and Sennrich 2019, arXiv 1910.07467.
#if PASS == BWD1
void main()
{
    uint rows = arg.d[0], width = arg.d[1];
    F32 x = F32(arg.p[0]), r = F32(arg.p[1]), dy = F32(arg.p[2]);
    for (uint c = gl_WorkGroupID.x * WG + gl_LocalInvocationID.x; c < width; c += arg.groups.x * WG) {
        float sum = 0.0;
        for (uint row = 0; row < rows; row++)
            sum = fma(r.v[min(row, rows - 1)] * x.v[row * width + c], dy.v[row * width + c], sum);
        F32(arg.p[3]).v[c] += sum;
    }
}
#else
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
        if (gl_LocalInvocationID.x == 0 && arg.p[3] != uvec2(0))
            F32(arg.p[3]).v[row] = r;
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
#endif
