#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0 bwd1
// attention.comp for narrow subgroups, with its bits. A workgroup is one subgroup, WG
// neighbouring queries (bwd1: keys) of one head; a lane owns a row. Rows of the other side come BLOCK at a
// time, spread over the lanes by pairs, and are broadcast. Lanes of several sequences share a workgroup: each
// keeps its own cursor into its own keys, the subgroup takes the lowest, and who does not see a key keeps
// what it has, whatever that key holds. The width of a head is even.
const float LEAST = -3.0e38, SLACK = 8.0; // keep equal to attention.comp
const uint BLOCK = PASS == BWD1 ? 2 : 4;
const uint HELD = (SIZE3 / 2 + WG - 1) / WG; // pairs of a row that a lane holds

#define ROW_OF(name) vec2 name[BLOCK][HELD]
#define LOAD(name, base, row, rows_apart, head)                                                     \
    [[unroll]] for (uint h = 0; h < HELD; h++)                                                      \
        name[b][h] = pair_at(Pairs(base), ((row) * (rows_apart) + (head)) * (SIZE3 / 2) +              \
                                           min(h * WG + gl_LocalInvocationID.x, SIZE3 / 2 - 1));
#define TAKE(name, b, d) subgroupBroadcast(name[b][(d) / 2 / WG][(d) % 2], (d) / 2 % WG)
#define EACH(d) [[unroll]] for (uint d = 0; d < SIZE3; d++)
#define EACH_BLOCK(b) [[unroll]] for (uint b = 0; b < BLOCK; b++)

#if PASS != BWD1
struct Cursor {
    uint next, end, own; // keys from next to end, then from own to the row, once
    bool more;
};

Cursor cursor_at(uint row, bool inside)
{
    U32 span = U32(arg.p[5]);
    Cursor c = Cursor(0, 0, 0, false);
    if (inside) {
        c = Cursor(span.v[row * 4], span.v[row * 4] + span.v[row * 4 + 1], span.v[row * 4 + 2], true);
    }
    return c;
}

// The lowest key that any lane wants next; false when none does.
bool cursor_block(inout Cursor c, uint row, out uint key)
{
    if (c.next == c.end && c.more)
        c = Cursor(c.own, row + 1, 0, false);
    key = subgroupMin(c.next < c.end ? c.next : 0xffffffffu);
    return key != 0xffffffffu;
}

void block(uint first, uint head)
{
    uint heads = arg.d[1], kv_heads = arg.d[2], kv = head / (heads / kv_heads), rows = arg.d[0] / heads;
    uint row = min(first + gl_LocalInvocationID.x, rows - 1), at = (row * heads + head) * SIZE3, key;
    bool inside = first + gl_LocalInvocationID.x < rows;
    float q[SIZE3];
    EACH(d) q[d] = F32(arg.p[0]).v[at + d];
#if PASS == FWD
    float o[SIZE3], top = LEAST, sum = 0.0;
    EACH(d) o[d] = 0.0;
#else
    float grad[SIZE3], dq[SIZE3], lse = F32(arg.p[4]).v[row * heads + head], own = 0.0;
    EACH(d) grad[d] = F32(arg.p[6]).v[at + d];
    EACH(d) own = fma(grad[d], F32(arg.p[3]).v[at + d], own);
    EACH(d) dq[d] = 0.0;
#endif
    Cursor c = cursor_at(row, inside);
    while (cursor_block(c, row, key)) {
        uint last = subgroupMax(c.end) - 1;
        ROW_OF(k);
        ROW_OF(v);
        float s[BLOCK], dp[BLOCK];
        EACH_BLOCK(b) {
            LOAD(k, arg.p[1], min(key + b, last), kv_heads, kv)
            LOAD(v, arg.p[2], min(key + b, last), kv_heads, kv)
            s[b] = dp[b] = 0.0;
        }
        EACH(d) EACH_BLOCK(b) s[b] = fma(q[d], TAKE(k, b, d), s[b]);
#if PASS == BWD0
        EACH(d) EACH_BLOCK(b) dp[b] = fma(grad[d], TAKE(v, b, d), dp[b]);
#endif
        EACH_BLOCK(b) {
            bool sees = c.next <= key + b && key + b < c.end;
            float score = arg.f[0] * s[b];
#if PASS == FWD
            bool higher = sees && score > top + SLACK;
            if (subgroupBallot(higher) != uvec4(0)) {
                float shrink = higher ? exp(top - score) : 1.0;
                top = higher ? score : top;
                sum *= shrink;
                EACH(d) o[d] *= shrink;
            }
            float p = exp(score - top);
            sum = sees ? sum + p : sum;
            EACH(d) o[d] = sees ? fma(p, TAKE(v, b, d), o[d]) : o[d];
#else
            float ds = exp(score - lse) * (dp[b] - own) * arg.f[0];
            EACH(d) dq[d] = sees ? fma(ds, TAKE(k, b, d), dq[d]) : dq[d];
#endif
        }
        if (c.next < key + BLOCK)
            c.next = min(c.end, key + BLOCK);
    }
    if (inside) {
#if PASS == FWD
        EACH(d) F32(arg.p[3]).v[at + d] = o[d] / sum;
        F32(arg.p[4]).v[row * heads + head] = top + log(sum);
#else
        EACH(d) F32(arg.p[7]).v[at + d] = dq[d];
#endif
    }
}
#else
void block(uint first, uint kv)
{
    uint heads = arg.d[1], kv_heads = arg.d[2], group = heads / kv_heads, rows = arg.d[0] / kv_heads;
    Addresses p = Addresses(arg.p[0]);
    uint row = min(first + gl_LocalInvocationID.x, rows - 1), at = (row * kv_heads + kv) * SIZE3;
    bool inside = first + gl_LocalInvocationID.x < rows;
    uint end = U32(p.v[5]).v[row * 4 + 3], stop = subgroupMax(end);
    float k[SIZE3], v[SIZE3], dk[SIZE3], dv[SIZE3];
    EACH(d) {
        k[d] = F32(p.v[1]).v[at + d];
        v[d] = F32(p.v[2]).v[at + d];
        dk[d] = dv[d] = 0.0;
    }
    for (uint head = kv * group; head < (kv + 1) * group; head++) {
        for (uint i = first; i < stop; i += BLOCK) {
            ROW_OF(q);
            ROW_OF(o);
            ROW_OF(grad);
            float s[BLOCK], dp[BLOCK], own[BLOCK];
            EACH_BLOCK(b) {
                LOAD(q, p.v[0], min(i + b, stop - 1), heads, head)
                LOAD(o, p.v[3], min(i + b, stop - 1), heads, head)
                LOAD(grad, p.v[6], min(i + b, stop - 1), heads, head)
                s[b] = dp[b] = own[b] = 0.0;
            }
            EACH(d) EACH_BLOCK(b) s[b] = fma(k[d], TAKE(q, b, d), s[b]);
            EACH(d) EACH_BLOCK(b) own[b] = fma(TAKE(grad, b, d), TAKE(o, b, d), own[b]);
            EACH(d) EACH_BLOCK(b) dp[b] = fma(v[d], TAKE(grad, b, d), dp[b]);
            EACH_BLOCK(b) {
                bool seen = row <= i + b && i + b < end;
                uint at_lse = min(i + b, rows - 1) * heads + min(head, heads - 1); // lib/lane.glsl
                float w = exp(arg.f[0] * s[b] - F32(p.v[4]).v[at_lse]);
                float ds = w * (dp[b] - own[b]) * arg.f[0];
                EACH(d) {
                    dv[d] = seen ? fma(w, TAKE(grad, b, d), dv[d]) : dv[d];
                    dk[d] = seen ? fma(ds, TAKE(q, b, d), dk[d]) : dk[d];
                }
            }
        }
    }
    if (inside)
        EACH(d) {
            F32(p.v[7]).v[at + d] = dk[d];
            F32(p.v[8]).v[at + d] = dv[d];
        }
}
#endif

void main()
{
    uint heads = PASS == BWD1 ? arg.d[2] : arg.d[1], rows = arg.d[0] / heads;
    uint tiles = (rows - 1) / WG + 1;
    for (uint t = gl_WorkGroupID.x; t < tiles * heads; t += arg.groups.x)
        block(min(t / heads, tiles - 1) * WG, t % heads);
}
