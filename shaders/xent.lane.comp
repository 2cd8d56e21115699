#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0
// xent.comp without barriers: a lane owns a row, and its sums run in ascending order by
// blocks of 16 columns. Rows of logits start at even floats.
const float LEAST = -3.4e38;

#if PASS == FWD
// Adds exp(x - M) and exp(x - M) (x - M).
void add(float x, float whole, inout vec2 sums)
{
    float d = x - whole, e = exp(d);
    sums += vec2(e, e * d);
}

void block(uint row)
{
    uint cols = arg.d[1], at = row * arg.d[2], first = arg.d[3], s = row * 8, c;
    Pairs x = Pairs(arg.p[0]);
    F32 xs = F32(arg.p[0]), state = F32(arg.p[2]);
    uint target = U32(arg.p[1]).v[row], id = 0;
    float top = LEAST;
    for (c = 0; c + 16 <= cols; c += 16)
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = pair_at(x, (at + c) / 2 + i);
            id = a.x > top ? c + 2 * i : id;
            top = max(top, a.x);
            id = a.y > top ? c + 2 * i + 1 : id;
            top = max(top, a.y);
        }
    for (; c < cols; c++) {
        id = xs.v[at + c] > top ? c : id;
        top = max(top, xs.v[at + c]);
    }
    bool fresh = arg.d[4] != 0;
    float before = fresh ? LEAST : state.v[s], whole = max(before, top);
    vec2 sums = vec2(0.0);
    for (c = 0; c + 16 <= cols; c += 16) {
        vec2 part = vec2(0.0);
        [[unroll]] for (uint i = 0; i < 8; i++) {
            vec2 a = pair_at(x, (at + c) / 2 + i);
            add(a.x, whole, part);
            add(a.y, whole, part);
        }
        sums += part;
    }
    for (; c < cols; c++)
        add(xs.v[at + c], whole, sums);
    if (!fresh) {
        float shift = before - whole, shrink = exp(shift), old = state.v[s + 1];
        sums.y += shrink * fma(shift, old, state.v[s + 5]);
        sums.x = fma(shrink, old, sums.x);
    }
    if (fresh || top > state.v[s + 2]) {
        state.v[s + 2] = top;
        state.v[s + 3] = uintBitsToFloat(first + id);
    }
    if (target >= first && target - first < cols)
        state.v[s + 4] = xs.v[at + target - first];
    else if (fresh)
        state.v[s + 4] = 0.0;
    state.v[s] = whole;
    state.v[s + 1] = sums.x;
    state.v[s + 5] = sums.y;
    state.v[s + 6] = state.v[s + 7] = 0.0;
}
#else
void block(uint row)
{
    uint cols = arg.d[1], at = row * arg.d[2], hit = U32(arg.p[1]).v[row] - arg.d[3], c;
    Pairs x = Pairs(arg.p[0]);
    F32 xs = F32(arg.p[0]), state = F32(arg.p[2]);
    float lse = state.v[row * 8] + log(state.v[row * 8 + 1]), w = F32(arg.p[3]).v[row];
    for (c = 0; c + 16 <= cols; c += 16)
        [[unroll]] for (uint i = 0; i < 8; i++) {
            uint first = c + 2 * i;
            vec2 a = exp(pair_at(x, (at + first) / 2) - lse);
            pair_put(PairsOut(arg.p[0]), (at + first) / 2,
                     w * (a - vec2(first == hit ? 1.0 : 0.0, first + 1 == hit ? 1.0 : 0.0)));
        }
    for (; c < cols; c++)
        xs.v[at + c] = w * (exp(xs.v[at + c] - lse) - (c == hit ? 1.0 : 0.0));
}
#endif

void main()
{
    for (uint row = gl_GlobalInvocationID.x; row < arg.d[0]; row += arg.groups.x * WG)
        block(row);
}
