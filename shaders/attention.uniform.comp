#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "lib/op.glsl"
// passes: fwd bwd0 bwd1
// attention.comp where a load at an address that all invocations share is cheap, with its bits. A workgroup
// is WG neighbouring queries (bwd1: keys) of one head; an invocation owns a row and holds it. Rows of the
// other side are read at uniform addresses, MANY at a time where every invocation sees them all, else FEW at
// a time, and who does not see a row keeps what it has, whatever that row holds.
//
// What keeps loads folded into products, on Mesa 26: counters move before the loads that follow from them,
// and nothing that lives on is set between a sum and the use of all sums, since either is a store, and no
// load moves across one. The min() of a shared address keeps it inside where nobody takes part, as
// lib/lane.glsl says.
const float LEAST = -3.0e38, SLACK = 8.0; // keep equal to attention.comp
const uint MANY = PASS == FWD ? 16 : 8, FEW = 4, NONE = 0xffffffff;

// Zero, which no compiler knows: a second read of an address that differs by it is a load of its own, and no
// value that was kept, and spilled, since the first.
#define AGAIN uint64_t(arg.d[0] >> 31)

#define EACH(d) [[unroll]] for (uint d = 0; d < SIZE3; d++)
#define OF(b, n) [[unroll]] for (uint b = 0; b < n; b++)
#define AT(x, b, apart, d) F32(x).v[(b) * (apart) * SIZE3 + (d)]

// Own sums of products with N rows at x, `apart` rows of a head from each other.
#define DOTS(s, own, x, n, apart) EACH(d) OF(b, n) s[b] = fma(own[d], AT(x, b, apart, d), s[b]);

#if PASS != BWD1
float q[SIZE3];
#if PASS == FWD
float o[SIZE3], top, sum;
#else
float grad[SIZE3], dq[SIZE3], lse, own;
#endif

uint64_t row_of(uint tensor, uint key, uint kv)
{
    return pack64(arg.p[tensor]) + 4 * uint64_t((key * SIZE2 + kv) * SIZE3);
}

void few(uint key, uint last, uvec2 keys, uint kv)
{
    uint64_t k[FEW], v[FEW];
    bool sees[FEW];
    OF(b, FEW) {
        k[b] = row_of(1, min(key + b, last), kv);
        v[b] = row_of(2, min(key + b, last), kv);
        sees[b] = keys.x <= key + b && key + b < keys.y;
    }
    float s[FEW], dp[FEW];
    OF(b, FEW) s[b] = dp[b] = 0.0;
    EACH(d) OF(b, FEW) s[b] = fma(q[d], F32(k[b]).v[d], s[b]);
#if PASS == FWD
    float shrink[FEW], p[FEW];
    OF(b, FEW) {
        float score = arg.f[0] * s[b];
        bool rises = sees[b] && score > top + SLACK;
        shrink[b] = mix(1.0, exp(top - score), rises);
        top = mix(top, score, rises);
        p[b] = exp(score - top);
        sum *= shrink[b];
        sum = mix(sum, sum + p[b], sees[b]);
    }
    EACH(d) {
        float x = o[d];
        OF(b, FEW) {
            x *= shrink[b];
            x = mix(x, fma(p[b], F32(v[b]).v[d], x), sees[b]);
        }
        o[d] = x;
    }
#else
    EACH(d) OF(b, FEW) dp[b] = fma(grad[d], F32(v[b]).v[d], dp[b]);
    OF(b, FEW) s[b] = exp(arg.f[0] * s[b] - lse) * (dp[b] - own) * arg.f[0];
    EACH(d) {
        float x = dq[d];
        OF(b, FEW) x = mix(x, fma(s[b], F32(k[b] + AGAIN).v[d], x), sees[b]);
        dq[d] = x;
    }
#endif
}

// Where a score lets `top` rise, the keys are taken again with what that does.
void many(uint key, uint kv)
{
    uint64_t k = row_of(1, key, kv), v = row_of(2, key, kv), k2 = k + AGAIN;
    float s[MANY];
    OF(b, MANY) s[b] = 0.0;
    DOTS(s, q, k, MANY, SIZE2)
#if PASS == FWD
    float most = LEAST;
    OF(b, MANY) {
        s[b] *= arg.f[0];
        most = max(most, s[b]);
    }
    float total = sum;
    OF(b, MANY) {
        s[b] = exp(s[b] - top);
        total += s[b];
    }
    if (most > top + SLACK) {
        for (uint b = 0; b < MANY; b += FEW)
            few(key + b, key + MANY - 1, uvec2(0, NONE), kv);
    } else {
        sum = total;
        EACH(d) OF(b, MANY) o[d] = fma(s[b], AT(v, b, SIZE2, d), o[d]);
    }
#else
    float dp[MANY];
    OF(b, MANY) dp[b] = 0.0;
    DOTS(dp, grad, v, MANY, SIZE2)
    OF(b, MANY) s[b] = exp(arg.f[0] * s[b] - lse) * (dp[b] - own) * arg.f[0];
    EACH(d) OF(b, MANY) dq[d] = fma(s[b], AT(k2, b, SIZE2, d), dq[d]);
#endif
}

uvec2 keys_of(uint row, uint part)
{
    U32 span = U32(arg.p[5]);
    uint from = span.v[row * 4 + 2 * part];
    return uvec2(from, part == 0 ? from + span.v[row * 4 + 1] : row + 1);
}

// The keys of a part of the spans: first the prefixes, then the own rows.
void keys(uint first, uint last, uint row, uint part, uint kv)
{
    uvec2 mine = keys_of(row, part), all = uvec2(0, NONE);
    uint key = NONE, end = 1;
    for (uint i = first; i <= last; i++) {
        uvec2 k = keys_of(min(i, last), part);
        all = uvec2(max(all.x, k.x), min(all.y, k.y));
        key = k.x < k.y ? min(key, k.x) : key;
        end = max(end, k.y);
    }
    while (key < end) {
        uint here = min(key, end - 1);
        bool whole = all.x <= here && here + MANY <= all.y;
        key += whole ? MANY : FEW;
        if (part == 0 && key >= all.y && key < end) { // over what lies between two prefixes
            uint next = NONE;
            for (uint i = first; i <= last; i++) {
                uvec2 k = keys_of(min(i, last), part);
                next = max(key, k.x) < k.y ? min(next, max(key, k.x)) : next;
            }
            key = next;
        }
        if (whole)
            many(here, kv);
        else
            few(here, end - 1, mine, kv);
    }
}

void block(uint first, uint head)
{
    uint rows = arg.d[0] / SIZE1, kv = head / (SIZE1 / SIZE2), last = min(first + WG, rows) - 1;
    uint row = min(first + gl_LocalInvocationID.x, last), at = (row * SIZE1 + head) * SIZE3;
    bool inside = first + gl_LocalInvocationID.x < rows;
    EACH(d) q[d] = F32(arg.p[0]).v[at + d];
#if PASS == FWD
    EACH(d) o[d] = 0.0;
    top = LEAST;
    sum = 0.0;
#else
    lse = F32(arg.p[4]).v[row * SIZE1 + head];
    own = 0.0;
    EACH(d) grad[d] = F32(arg.p[6]).v[at + d];
    EACH(d) own = fma(grad[d], F32(arg.p[3]).v[at + d], own);
    EACH(d) dq[d] = 0.0;
#endif
    for (uint part = 0; part < 2; part++)
        keys(first, last, row, min(part, 1), kv);
    if (inside) {
#if PASS == FWD
        EACH(d) F32(arg.p[3]).v[at + d] = o[d] / sum;
        F32(arg.p[4]).v[row * SIZE1 + head] = top + log(sum);
#else
        EACH(d) F32(arg.p[7]).v[at + d] = dq[d];
#endif
    }
}
#else
float k[SIZE3], v[SIZE3], dk[SIZE3], dv[SIZE3];

uint64_t row_of(uint tensor, uint row, uint head)
{
    return pack64(Addresses(arg.p[0]).v[tensor]) + 4 * uint64_t((row * SIZE1 + head) * SIZE3);
}

float lse_of(uint row, uint head)
{
    return F32(Addresses(arg.p[0]).v[4]).v[row * SIZE1 + head];
}

void few(uint i, uint last, uvec2 queries, uint head)
{
    uint64_t q[FEW], grad[FEW], o[FEW];
    bool seen[FEW];
    float s[FEW], dp[FEW], own[FEW], lse[FEW];
    OF(b, FEW) {
        uint row = min(i + b, last);
        q[b] = row_of(0, row, head);
        o[b] = row_of(3, row, head);
        grad[b] = row_of(6, row, head);
        lse[b] = lse_of(row, head);
        seen[b] = queries.x <= i + b && i + b < queries.y;
        s[b] = dp[b] = own[b] = 0.0;
    }
    EACH(d) OF(b, FEW) s[b] = fma(k[d], F32(q[b]).v[d], s[b]);
    EACH(d) OF(b, FEW) dp[b] = fma(v[d], F32(grad[b]).v[d], dp[b]);
    EACH(d) OF(b, FEW) own[b] = fma(F32(grad[b] + AGAIN).v[d], F32(o[b]).v[d], own[b]);
    OF(b, FEW) {
        s[b] = exp(arg.f[0] * s[b] - lse[b]);
        dp[b] = s[b] * (dp[b] - own[b]) * arg.f[0];
    }
    EACH(d) {
        float x = dv[d], y = dk[d];
        OF(b, FEW) {
            x = mix(x, fma(s[b], F32(grad[b] + 2 * AGAIN).v[d], x), seen[b]);
            y = mix(y, fma(dp[b], F32(q[b] + AGAIN).v[d], y), seen[b]);
        }
        dv[d] = x;
        dk[d] = y;
    }
}

void many(uint i, uint head)
{
    uint64_t q = row_of(0, i, head), grad = row_of(6, i, head), o = row_of(3, i, head);
    uint64_t q2 = q + AGAIN, grad2 = grad + AGAIN, grad3 = grad2 + AGAIN;
    F32 lse = F32(pack64(Addresses(arg.p[0]).v[4]) + 4 * (i * SIZE1 + head));
    float s[MANY], dp[MANY], own[MANY];
    OF(b, MANY) s[b] = dp[b] = own[b] = 0.0;
    DOTS(s, k, q, MANY, SIZE1)
    DOTS(dp, v, grad, MANY, SIZE1)
    EACH(d) OF(b, MANY) own[b] = fma(AT(grad3, b, SIZE1, d), AT(o, b, SIZE1, d), own[b]);
    OF(b, MANY) {
        s[b] = exp(arg.f[0] * s[b] - lse.v[b * SIZE1]);
        dp[b] = s[b] * (dp[b] - own[b]) * arg.f[0];
    }
    EACH(d) OF(b, MANY) dv[d] = fma(s[b], AT(grad2, b, SIZE1, d), dv[d]);
    EACH(d) OF(b, MANY) dk[d] = fma(dp[b], AT(q2, b, SIZE1, d), dk[d]);
}

void block(uint first, uint kv)
{
    uint rows = arg.d[0] / SIZE2, last = min(first + WG, rows) - 1;
    uint row = min(first + gl_LocalInvocationID.x, last), at = (row * SIZE2 + kv) * SIZE3;
    bool inside = first + gl_LocalInvocationID.x < rows;
    Addresses p = Addresses(arg.p[0]);
    U32 span = U32(p.v[5]);
    EACH(d) {
        k[d] = F32(p.v[1]).v[at + d];
        v[d] = F32(p.v[2]).v[at + d];
        dk[d] = dv[d] = 0.0;
    }
    uint all = NONE, end = 0, mine = span.v[row * 4 + 3];
    for (uint i = first; i <= last; i++) {
        uint last_seen = span.v[min(i, last) * 4 + 3];
        all = min(all, last_seen);
        end = max(end, last_seen);
    }
    for (uint head = kv * (SIZE1 / SIZE2); head < (kv + 1) * (SIZE1 / SIZE2); head++)
        for (uint i = first; i < end;) {
            uint here = min(i, end - 1);
            bool whole = last <= here && here + MANY <= all;
            i += whole ? MANY : FEW;
            if (whole)
                many(here, min(head, SIZE1 - 1));
            else
                few(here, end - 1, uvec2(row, mine), min(head, SIZE1 - 1));
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
    const uint HEADS = PASS == BWD1 ? SIZE2 : SIZE1;
    uint rows = arg.d[0] / HEADS, tiles = (rows - 1) / WG + 1;
    for (uint t = gl_WorkGroupID.x; t < tiles * HEADS; t += arg.groups.x)
        block(min(t / HEADS, tiles - 1) * WG, t % HEADS);
}
