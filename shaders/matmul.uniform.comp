#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
#include "lib/uniform.glsl"
// passes: fwd bwd0 bwd1
// matmul.comp with its bits. The inner index counts in rounds (bwd1: there is a round at least), and rows of
// the left factor start at multiples of 16 bytes, of bwd1's right one of 8: op_fits of gpu/op.c. Rows up to a
// whole tile are read and not stored. Of 32 vector registers 24 hold sums without a spill.
#if PASS == BWD1
// A lane owns two neighbouring columns of ROWS rows, GROUP of them at a time. A load of neighbours costs some
// drivers, element by element, what many products do, so all groups take their part of a span from it.
// Keep equal to UNIFORM_MATMUL, UNIFORM_SPAN and UNIFORM_TOKENS of gpu/op.c.
const uint ROWS = 48, GROUP = 12, SPAN = 64, TOKENS = 8;

vec2 sum[ROWS], right[SPAN];

// Products of one group of rows, with constants of the caller.
void group_add(uint64_t small, uint tokens, uint first)
{
    [[unroll]] for (uint l = 0; l < tokens; l++)
        [[unroll]] for (uint i = first; i < first + GROUP; i += 4) {
            vec4 a = Quad(small + (l * SIZE4 + i) * 4).v;
            [[unroll]] for (uint j = 0; j < 4; j++)
                sum[i + j] = fma(vec2(a[j]), right[l], sum[i + j]);
        }
}

void tokens_add(uint64_t small, uint64_t wide, uint tokens)
{
    [[unroll]] for (uint l = 0; l < tokens; l++)
        right[l] = uintBitsToFloat(unpack32(Word(wide + l * SIZE3 * 4).v));
    group_add(small, tokens, 0);
    group_add(small, tokens, GROUP);
    group_add(small, tokens, 2 * GROUP);
    group_add(small, tokens, 3 * GROUP);
}

void store(uint row, uint column)
{
    uint64_t to = pointer(arg.p[3]) + (uint64_t(row) * SIZE2 + column) * 4;
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        if (row + i < SIZE1 && SIZE2 % 2 == 0) {
            uvec2 words = floatBitsToUint(uintBitsToFloat(unpack32(WordOut(to).v)) + sum[i]);
            WordOut(to).v = uint64_t(words.x) | uint64_t(words.y) << 32; // packUint2x32: lib/lane.glsl
        } else if (row + i < SIZE1) {
            OneOut(to).v += sum[i].x;
            if (column + 1 < SIZE2)
                OneOut(to + 4).v += sum[i].y;
        }
        to += SIZE2 * 4;
    }
}

// `rounds` times so many tokens, a constant of the caller, from one that is there even for no round.
void rounds_add(uint64_t small, uint64_t wide, uint tokens, uint rounds)
{
    bool more;
    do {
        more = --rounds > 0;
        tokens_add(small, wide, tokens);
        small += tokens * SIZE4 * 4;
        wide += tokens * SIZE3 * 4;
    } while (more);
}

void tile(uint row, uint col)
{
    uint column = col + 2 * gl_LocalInvocationID.x, n = arg.d[0], at = STRAIGHT ? n / SPAN * SPAN : 0;
    uint64_t dy = pointer(arg.p[2]) + row * 4, x = pointer(arg.p[0]) + min(column, (SIZE2 - 1) / 2 * 2) * 4;
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = vec2(0.0);
    if (STRAIGHT)
        rounds_add(dy, x, SPAN, n / SPAN);
    uint from = min(at, n - TOKENS), rounds = (n - at) / TOKENS;
    if (rounds > 0)
        rounds_add(dy + uint64_t(from) * SIZE4 * 4, x + uint64_t(from) * SIZE3 * 4, TOKENS, rounds);
    at = n / TOKENS * TOKENS;
    from = min(at, n - 1);
    if (at < n)
        rounds_add(dy + uint64_t(from) * SIZE4 * 4, x + uint64_t(from) * SIZE3 * 4, 1, n - at);
    if (column < SIZE2)
        store(row, column);
}
#else
// A lane owns a column of ROWS rows. Rows of the left factor come at uniform addresses, the weight by units,
// one for each lane: of W in fwd, of W turned in bwd0. Keep equal to UNIFORM_MATMUL of gpu/op.c.
const uint ROWS = 48, GROUP = 24;

float sum[ROWS], value[TERMS];

const uint INNER = PASS == FWD ? SIZE2 : SIZE1, COLS = PASS == FWD ? SIZE1 : SIZE2;
// steps of the inner index between loads of the left factor
const uint ROUND = 16;
const uint GROUP_STEP = SIZE2 / 32 * 16 * 8;            // bytes from a panel's groups to the next one's

uint64_t left, units, groups;

// Groups of a round: in fwd the lane's own, in bwd0 one for each step, which the lanes share.
struct Groups { vec4 v[8]; };

Groups groups_load()
{
    Groups g;
    if (GROUPED && PASS == FWD)
        g.v[0] = vec4(uintBitsToFloat(unpack32(Word(groups).v)), 0.0, 0.0);
    else if (GROUPED)
        [[unroll]] for (uint i = 0; i < 8; i++)
            g.v[i] = Quad(groups + i * 16).v;
    return g;
}

vec2 group_of(Groups g, uint l)
{
    if (PASS == FWD)
        return g.v[0].xy;
    return l % 2 == 0 ? g.v[l / 2].xy : g.v[l / 2].zw;
}

// The values of a round, from `at` on.
void round_load(Groups g, uint at, bool second)
{
    uvec2 unit[8]; // f32 needs all of them
    [[unroll]] for (uint z = 0; z < ROUND / UNIT; z++)
        unit[z] = unpack32(Word(units + z * 128).v);
    units += ROUND / UNIT * 128;
    [[unroll]] for (uint l = 0; l < ROUND; l++)
        value[at + l] = unit_value(unit[l / UNIT], l % UNIT, group_of(g, l), second);
}

// Adds the products of the first values, of one group of rows.
void group_add(uint first, uint steps)
{
    [[unroll]] for (uint l = 0; l < steps; l += 4) {
        vec4 a[GROUP];
        [[unroll]] for (uint i = 0; i < GROUP; i++)
            a[i] = Quad(left + (first + i) * SIZE3 * 4 + l * 4).v;
        [[unroll]] for (uint z = 0; z < 4; z++)
            [[unroll]] for (uint i = 0; i < GROUP; i++)
                sum[first + i] = fma(a[i][z], value[l + z], sum[first + i]);
    }
}

void products_add(uint steps)
{
    group_add(0, steps);
    group_add(GROUP, steps);
    left += steps * 4;
}

// Adds the sum over `rounds`, a constant of the caller. Two rounds of fwd share their groups.
void span_add(uint rounds, bool odd_panel, inout float total[ROWS])
{
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = 0.0;
    if (STRAIGHT) {
        Groups g;
        [[unroll]] for (uint r = 0; r < rounds; r++) {
            if (!GROUPED || PASS == BWD0 || r % 2 == 0) {
                g = groups_load();
                groups += PASS == BWD0 ? GROUP_STEP : 128;
            }
            round_load(g, r * ROUND, PASS == FWD ? r % 2 == 1 : odd_panel);
        }
        products_add(rounds * ROUND);
    } else {
        uint r = 0;
        [[dont_unroll]] do {
            Groups g = groups_load();
            groups += PASS == BWD0 ? GROUP_STEP : r % 2 == 1 ? 128 : 0;
            round_load(g, 0, PASS == FWD ? r % 2 == 1 : odd_panel);
            products_add(ROUND);
        } while (++r < rounds);
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] += sum[i];
}

// `some` steps of an adapter, a constant of the caller: u of its rows, v of the lane's column.
void adapter_steps(uint64_t u, uint64_t v, uint some)
{
    vec4 a[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        a[i] = some == 4 ? Quad(u + i * SIZE7 * 4).v : vec4(One(u + i * SIZE7 * 4).v);
    [[unroll]] for (uint l = 0; l < some; l++) {
        float b = One(v + l * COLS * 4).v;
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(a[i][l], b, sum[i]);
    }
}

// The adapter's part of a column: s u B or du A.
void adapter_add(uint row, uint column, inout float total[ROWS])
{
    const uint SOME = SIZE7 % 4 == 0 ? 4 : 1;
    uint64_t next_u = pointer(arg.p[4]) + uint64_t(row) * SIZE7 * 4, next_v = pointer(arg.p[5]) + column * 4;
    uint steps = SIZE7 / SOME;
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = 0.0;
    do {
        uint64_t u = next_u, v = next_v;
        steps--;
        next_u += SOME * 4;
        next_v += SOME * COLS * 4;
        if (SOME == 4)
            adapter_steps(u, v, 4);
        else
            adapter_steps(u, v, 1);
    } while (steps > 0);
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] += PASS == FWD ? arg.f[0] * sum[i] : sum[i];
}

void tile(uint row, uint col)
{
    uint lane = gl_LocalInvocationID.x, column = min(col + lane, COLS - 1), panel = col / 16;
    float total[ROWS];
    left = pointer(arg.p[PASS == FWD ? 0 : 2]) + uint64_t(row) * SIZE3 * 4;
    units = pointer(arg.p[PASS == FWD ? 1 : 6]) + uint64_t(panel) * (INNER / UNIT) * 128 + lane * 8;
    groups = pointer(arg.p[7]) + (PASS == FWD ? uint64_t(panel) * GROUP_STEP + lane * 8 : panel / 2 * 128);
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] = 0.0;
    uint spans = INNER / TERMS;
    if (INNER >= TERMS)
        do
            span_add(TERMS / ROUND, panel % 2 == 1, total);
        while (--spans > 0);
    if (INNER % TERMS > 0)
        span_add(INNER % TERMS / ROUND, panel % 2 == 1, total);
    if (SIZE7 > 0)
        adapter_add(row, column, total);
    F32 to = F32(arg.p[PASS == FWD ? 2 : 3]);
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i < arg.d[0] && col + lane < COLS) {
            uint at = (row + i) * SIZE4 + column;
            to.v[at] = SIZE5 == 0 ? total[i] : to.v[at] + total[i];
        }
}
#endif

void main()
{
#if PASS == BWD1
    EACH_TILE((SIZE2 - 1) / (2 * WG) + 1, (SIZE1 - 1) / ROWS + 1)
        tile(tile_col * ROWS, tile_row * 2 * WG);
    EACH_TILE_END
#else
    EACH_TILE((arg.d[0] - 1) / ROWS + 1, (COLS - 1) / WG + 1)
        tile(tile_row * ROWS, tile_col * WG);
    EACH_TILE_END
#endif
}
