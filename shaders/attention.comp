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
// itself; end is one past the last row of the sequence. bwd1 knows no prefix. The width of a head is even.
//
// One workgroup a query (bwd1: a key) and head. Rows of the other side come WG at a time: first an invocation
// has a row, and sums its whole products; then it has columns of the result, and adds the rows to them one
// after the other. What keeps exp in range is the first score, and moves only to a score that exceeds it by
// SLACK: seldom, and by what a query sees alone, so no bit depends on where rows lie, what lies beside them,
// or how many keys a workgroup or a variant takes at a time.
// Source: Milakov and Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135.
const float LEAST = -3.0e38, SLACK = 8.0;
const uint COLUMNS = (SIZE3 + WG - 1) / WG; // that an invocation has
const uint STEP = SIZE3 % 16 == 0 ? 16 : 2; // elements that are loaded together
const uint ROWS = 4;                        // rows that are added together

shared float own0[SIZE3], own1[SIZE3]; // q, and do | k, v
shared vec2 weight[WG];                // of a row: p and what shrinks the sum before it | ds | p, ds
shared uint start[WG];                 // of a row, in its tensor

#define EACH_COLUMN_OF(c, d)                                                                        \
    [[unroll]] for (uint c = 0, d = gl_LocalInvocationID.x; c < COLUMNS; c++, d += WG)

// Adds a b of each element i, one after the other. Unrolled as a whole it spills. The min() keeps an address
// that all share inside, as lib/lane.glsl says.
#define DOT(sum, a, b)                                                                              \
    [[dont_unroll]] for (uint from = 0; from < SIZE3; from += STEP)                                 \
        [[unroll]] for (uint c = 0, i = min(from, SIZE3 - STEP); c < STEP; c++, i++)                \
            sum = fma(a, b, sum);

#define LOAD(own, x, at) EACH_COLUMN(d, SIZE3) own[d] = x.v[(at) + d];

// add(b) for the first n rows, in order.
#define ADD_ROWS(n)                                                                                 \
    for (uint done = 0; done < (n);)                                                                \
        if (done + ROWS <= (n)) {                                                                   \
            [[unroll]] for (uint b = 0; b < ROWS; b++)                                              \
                add(done + b);                                                                      \
            done += ROWS;                                                                           \
        } else {                                                                                    \
            add(done++);                                                                            \
        }

float column[COLUMNS]; // of o | dq | dk

#if PASS != BWD1
uint row_at(uvec3 span, uint i, uint kv)
{
    return ((i < span.y ? span.x + i : span.z + i - span.y) * SIZE2 + kv) * SIZE3;
}
#endif

#if PASS == FWD
shared float score[WG];
shared uint rise; // the first row of the latest block with a score that exceeds the top
float top, sum;

// Score by score, with the keys' weights on the way.
void top_move(uint n)
{
    for (uint b = 0; b < n; b++) {
        bool rises = score[b] > top + SLACK;
        float shrink = rises ? exp(top - score[b]) : 1.0;
        top = rises ? score[b] : top;
        if (b == gl_LocalInvocationID.x)
            weight[b] = vec2(exp(score[b] - top), shrink);
    }
}

void add(uint b)
{
    F32 v = F32(arg.p[2]);
    vec2 w = weight[b];
    sum *= w.y;
    sum += w.x;
    EACH_COLUMN_OF(c, d)
        column[c] = fma(w.x, v.v[start[b] + min(d, SIZE3 - 1)], column[c] * w.y);
}

void main()
{
    uint lane = gl_LocalInvocationID.x;
    F32 q = F32(arg.p[0]), k = F32(arg.p[1]);
    EACH_ROW(e, arg.d[0]) {
        uint row = e / SIZE1, kv = e % SIZE1 / (SIZE1 / SIZE2);
        U32 spans = U32(arg.p[5]);
        uvec3 span = uvec3(spans.v[row * 4], spans.v[row * 4 + 1], spans.v[row * 4 + 2]);
        uint keys = span.y + row + 1 - span.z;
        if (lane == 0)
            rise = keys; // none
        LOAD(own0, q, e * SIZE3)
        barrier();
        EACH_COLUMN_OF(c, d)
            column[c] = 0.0;
        top = LEAST;
        sum = 0.0;
        for (uint first = 0; first < keys; first += WG) {
            uint at = row_at(span, min(first + lane, keys - 1), kv), n = min(WG, keys - first);
            float s = 0.0;
            DOT(s, own0[i], k.v[at + i])
            s *= arg.f[0];
            score[lane] = s;
            if (s > top + SLACK)
                atomicExchange(rise, first);
            barrier();
            if (rise == first)
                top_move(n);
            else
                weight[lane] = vec2(exp(s - top), 1.0);
            start[lane] = at;
            barrier();
            ADD_ROWS(n)
        }
        EACH_COLUMN_OF(c, d)
            if (d < SIZE3)
                F32(arg.p[3]).v[e * SIZE3 + d] = column[c] / sum;
        if (lane == 0)
            F32(arg.p[4]).v[e] = top + log(sum);
    }
}
#elif PASS == BWD0
void add(uint b)
{
    F32 k = F32(arg.p[1]);
    EACH_COLUMN_OF(c, d)
        column[c] = fma(weight[b].x, k.v[start[b] + min(d, SIZE3 - 1)], column[c]);
}

void main()
{
    uint lane = gl_LocalInvocationID.x;
    F32 k = F32(arg.p[1]), v = F32(arg.p[2]), o = F32(arg.p[3]);
    EACH_ROW(e, arg.d[0]) {
        uint row = e / SIZE1, kv = e % SIZE1 / (SIZE1 / SIZE2);
        U32 spans = U32(arg.p[5]);
        uvec3 span = uvec3(spans.v[row * 4], spans.v[row * 4 + 1], spans.v[row * 4 + 2]);
        uint keys = span.y + row + 1 - span.z;
        float lse = F32(arg.p[4]).v[e], own = 0.0;
        LOAD(own0, F32(arg.p[0]), e * SIZE3)
        LOAD(own1, F32(arg.p[6]), e * SIZE3)
        barrier();
        DOT(own, own1[i], o.v[e * SIZE3 + i])
        EACH_COLUMN_OF(c, d)
            column[c] = 0.0;
        for (uint first = 0; first < keys; first += WG) {
            uint at = row_at(span, min(first + lane, keys - 1), kv);
            float s = 0.0, dp = 0.0;
            DOT(s, own0[i], k.v[at + i])
            DOT(dp, own1[i], v.v[at + i])
            weight[lane].x = exp(arg.f[0] * s - lse) * (dp - own) * arg.f[0];
            start[lane] = at;
            barrier();
            ADD_ROWS(min(WG, keys - first))
            barrier();
        }
        EACH_COLUMN_OF(c, d)
            if (d < SIZE3)
                F32(arg.p[7]).v[e * SIZE3 + d] = column[c];
    }
}
#else
float dv[COLUMNS];

void add(uint b)
{
    Addresses p = Addresses(arg.p[0]);
    F32 q = F32(p.v[0]), grad = F32(p.v[6]);
    vec2 w = weight[b];
    EACH_COLUMN_OF(c, d) {
        uint at = start[b] + min(d, SIZE3 - 1);
        dv[c] = fma(w.x, grad.v[at], dv[c]);
        column[c] = fma(w.y, q.v[at], column[c]);
    }
}

void main()
{
    uint lane = gl_LocalInvocationID.x, group = SIZE1 / SIZE2;
    Addresses p = Addresses(arg.p[0]);
    F32 q = F32(p.v[0]), o = F32(p.v[3]), grad = F32(p.v[6]);
    EACH_ROW(e, arg.d[0]) {
        uint row = e / SIZE2, kv = e % SIZE2;
        uint queries = max(U32(p.v[5]).v[row * 4 + 3], row) - row; // of each head, one head after the other
        LOAD(own0, F32(p.v[1]), e * SIZE3)
        LOAD(own1, F32(p.v[2]), e * SIZE3)
        barrier();
        EACH_COLUMN_OF(c, d)
            column[c] = dv[c] = 0.0;
        for (uint first = 0; first < queries * group; first += WG) {
            uint j = min(first + lane, queries * group - 1);
            uint query = (row + j % queries) * SIZE1 + kv * group + j / queries, at = query * SIZE3;
            float s = 0.0, dp = 0.0, own = 0.0;
            DOT(s, own0[i], q.v[at + i])
            DOT(own, grad.v[at + i], o.v[at + i])
            DOT(dp, own1[i], grad.v[at + i])
            float w = exp(arg.f[0] * s - F32(p.v[4]).v[query]);
            weight[lane] = vec2(w, w * (dp - own) * arg.f[0]);
            start[lane] = at;
            barrier();
            ADD_ROWS(min(WG, queries * group - first))
            barrier();
        }
        EACH_COLUMN_OF(c, d)
            if (d < SIZE3) {
                F32(p.v[7]).v[e * SIZE3 + d] = column[c];
                F32(p.v[8]).v[e * SIZE3 + d] = dv[c];
            }
    }
}
#endif
