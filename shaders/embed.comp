#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE2
#include "lib/weight.glsl"
// y[i] = W[ids[i]]      W packed
// dW[t] += sum over the rows i of token t, in ascending order, of dy[i]      dW [V, width] row after row
// p: ids, W, y, groups of W | ids and links, 0, dy, dW      d: rows * width, width, format of W
// bwd0: behind the ids stands a link for each row: the next row of its token, 0 when there is none, and LATER
// where there is an earlier one. So each token has one invocation a column, which walks its rows.
#if PASS == BWD0
const uint LATER = 0x80000000u; // keep equal to EMBED_LATER of gpu/op.h
#endif

void main()
{
#if PASS == FWD
    EACH_ELEMENT(e, arg.d[0])
        F32(arg.p[2]).v[e] = weight_at(arg.p[1], arg.p[3], U32(arg.p[0]).v[e / SIZE1], e % SIZE1, SIZE1);
#else
    uint rows = arg.d[0] / SIZE1;
    U32 ids = U32(arg.p[0]);
    F32 dy = F32(arg.p[2]), dw = F32(arg.p[3]);
    EACH_ELEMENT(e, arg.d[0]) {
        uint row = e / SIZE1, column = e % SIZE1, link = ids.v[rows + row];
        if (link < LATER) {
            float sum = dy.v[e];
            while (link != 0) {
                sum += dy.v[link * SIZE1 + column];
                link = ids.v[rows + link] & ~LATER;
            }
            dw.v[ids.v[row] * SIZE1 + column] += sum;
        }
    }
#endif
}
