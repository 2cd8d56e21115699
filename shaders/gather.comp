#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y[i] = x[index[i]]      dx[index[i]] = dy[i]      of rows; no index twice, rows of dx without an index stay
// p: x, index, y | 0, index, dy, dx      d: n * width, width (SIZE1)
void main()
{
    EACH_ELEMENT(e, arg.d[0]) {
        uint far = U32(arg.p[1]).v[e / SIZE1] * SIZE1 + e % SIZE1;
#if PASS == FWD
        F32(arg.p[2]).v[e] = F32(arg.p[0]).v[far];
#else
        F32(arg.p[3]).v[far] = F32(arg.p[2]).v[e];
#endif
    }
}
