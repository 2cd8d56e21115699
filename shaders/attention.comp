#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// Causal attention of a query row on the rows that its span names, H query heads on KV key heads:
//   s_j = scale q k_j      o = sum_j exp(s_j) v_j / sum_j exp(s_j)      lse = log sum_j exp(s_j)
//   D = do o      p_j = exp(s_j - lse)      ds_j = p_j (do v_j - D) scale
//   dq = sum_j ds_j k_j      dk_j = sum_q ds_j q      dv_j = sum_q p_j do
// p: q, k, v, o, lse, span | q, k, v, o, lse, span, do, dq | block of q, k, v, o, lse, span, do, dk, dv
// d: rows * H (bwd1: rows * KV), H, KV, width of a head (SIZE3)      f: scale
// span: {first row of the prefix, its length, first row of its own, end}: the prefix, then own rows up to
// itself; end is one past the last row of the sequence. bwd1 knows no prefix. One invocation a query (bwd1: a
// key) and head. Keys come one after the other. What keeps exp in range is the first score, and moves only to
// a score that exceeds it by SLACK: seldom, and by what a query sees alone, so no bit depends on where rows
// lie, what lies beside them, or how many keys a variant takes at a time.
// Source: Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135.
const float LEAST = -3.0e38, SLACK = 8.0;

float dot_at(float own[SIZE3], F32 x, uint at)
{
    float sum = 0.0;
    [[unroll]] for (uint d = 0; d < SIZE3; d++)
        sum = fma(own[d], x.v[at + d], sum);
    return sum;
}

#define EACH_KEY(j, span)                                                            \
    for (uint part = 0; part < 2; part++)                                            \
        for (uint j = U32(arg.p[5]).v[(span) + 2 * part],                            \
                  key_end = part == 0 ? j + U32(arg.p[5]).v[(span) + 1] : row + 1;   \
             j < key_end; j++)

#if PASS == FWD
void main()
{
    uint heads = arg.d[1], kv_heads = arg.d[2];
    EACH_ELEMENT(e, arg.d[0]) {
        uint row = e / heads, head = e % heads, kv = head / (heads / kv_heads);
        F32 k = F32(arg.p[1]), v = F32(arg.p[2]);
        float q[SIZE3], o[SIZE3], top = LEAST, sum = 0.0;
        [[unroll]] for (uint d = 0; d < SIZE3; d++) {
            q[d] = F32(arg.p[0]).v[e * SIZE3 + d];
            o[d] = 0.0;
        }
        EACH_KEY(j, row * 4) {
            uint at = (j * kv_heads + kv) * SIZE3;
            float s = arg.f[0] * dot_at(q, k, at);
            if (s > top + SLACK) {
                float shrink = exp(top - s);
                top = s;
                sum *= shrink;
                [[unroll]] for (uint d = 0; d < SIZE3; d++)
                    o[d] *= shrink;
            }
            float p = exp(s - top);
            sum += p;
            [[unroll]] for (uint d = 0; d < SIZE3; d++)
                o[d] = fma(p, v.v[at + d], o[d]);
        }
        [[unroll]] for (uint d = 0; d < SIZE3; d++)
            F32(arg.p[3]).v[e * SIZE3 + d] = o[d] / sum;
        F32(arg.p[4]).v[e] = top + log(sum);
    }
}
#elif PASS == BWD0
void main()
{
    uint heads = arg.d[1], kv_heads = arg.d[2];
    EACH_ELEMENT(e, arg.d[0]) {
        uint row = e / heads, head = e % heads, kv = head / (heads / kv_heads);
        F32 k = F32(arg.p[1]), v = F32(arg.p[2]);
        float q[SIZE3], grad[SIZE3], dq[SIZE3], lse = F32(arg.p[4]).v[e];
        [[unroll]] for (uint d = 0; d < SIZE3; d++) {
            q[d] = F32(arg.p[0]).v[e * SIZE3 + d];
            grad[d] = F32(arg.p[6]).v[e * SIZE3 + d];
            dq[d] = 0.0;
        }
        float own = dot_at(grad, F32(arg.p[3]), e * SIZE3);
        EACH_KEY(j, row * 4) {
            uint at = (j * kv_heads + kv) * SIZE3;
            float p = exp(arg.f[0] * dot_at(q, k, at) - lse);
            float ds = p * (dot_at(grad, v, at) - own) * arg.f[0];
            [[unroll]] for (uint d = 0; d < SIZE3; d++)
                dq[d] = fma(ds, k.v[at + d], dq[d]);
        }
        [[unroll]] for (uint d = 0; d < SIZE3; d++)
            F32(arg.p[7]).v[e * SIZE3 + d] = dq[d];
    }
}
#else
void main()
{
    uint heads = arg.d[1], kv_heads = arg.d[2], group = heads / kv_heads;
    Addresses p = Addresses(arg.p[0]);
    F32 q = F32(p.v[0]), o = F32(p.v[3]), grad = F32(p.v[6]);
    EACH_ELEMENT(e, arg.d[0]) {
        uint row = e / kv_heads, kv = e % kv_heads, end = U32(p.v[5]).v[row * 4 + 3];
        float k[SIZE3], v[SIZE3], dk[SIZE3], dv[SIZE3];
        [[unroll]] for (uint d = 0; d < SIZE3; d++) {
            k[d] = F32(p.v[1]).v[e * SIZE3 + d];
            v[d] = F32(p.v[2]).v[e * SIZE3 + d];
            dk[d] = dv[d] = 0.0;
        }
        for (uint head = kv * group; head < (kv + 1) * group; head++) {
            for (uint i = row; i < end; i++) {
                uint at = (i * heads + head) * SIZE3;
                float w = exp(arg.f[0] * dot_at(k, q, at) - F32(p.v[4]).v[i * heads + head]), own = 0.0;
                [[unroll]] for (uint d = 0; d < SIZE3; d++)
                    own = fma(grad.v[at + d], o.v[at + d], own);
                float ds = w * (dot_at(v, grad, at) - own) * arg.f[0];
                [[unroll]] for (uint d = 0; d < SIZE3; d++) {
                    dv[d] = fma(w, grad.v[at + d], dv[d]);
                    dk[d] = fma(ds, q.v[at + d], dk[d]);
                }
            }
        }
        [[unroll]] for (uint d = 0; d < SIZE3; d++) {
            F32(p.v[7]).v[e * SIZE3 + d] = dk[d];
            F32(p.v[8]).v[e * SIZE3 + d] = dv[d];
        }
    }
}
#endif
