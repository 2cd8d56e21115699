#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
#include "lib/uniform.glsl"
// passes: fwd bwd0 bwd1
// matmul.comp with its bits: a lane owns a column of ROWS rows. Rows of the left factor come at uniform
// addresses, the weight by units, one for each lane: of W in fwd, of W turned in bwd0. Rows up to a whole
// tile are read and not stored. The inner index counts in rounds (bwd1: there is a round at least), and rows
// of the left factor start at multiples of 16 bytes: op_fits of gpu/op.c.
// Keep equal to UNIFORM_ROWS (bwd1) and UNIFORM_PRODUCT_ROWS of gpu/op.c. Of 32 vector registers 24 hold sums
// without a spill.
const uint ROWS = PASS == BWD1 ? 32 : 24;

float sum[ROWS];

#if PASS == BWD1
const uint TOKENS = 8; // keep equal to UNIFORM_TOKENS of gpu/op.c

void tokens_add(uint64_t small, uint64_t wide)
{
    vec4 a[TOKENS][ROWS / 4];
    [[unroll]] for (uint l = 0; l < TOKENS; l++)
        [[unroll]] for (uint i = 0; i < ROWS / 4; i++)
            a[l][i] = Quad(small + l * SIZE4 * 4 + i * 16).v;
    [[unroll]] for (uint l = 0; l < TOKENS; l++) {
        float b = One(wide + l * SIZE3 * 4).v;
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(a[l][i / 4][i % 4], b, sum[i]);
    }
}

void tile(uint row, uint col)
{
    uint lane = min(col + gl_LocalInvocationID.x, SIZE2 - 1), rounds = arg.d[0] / TOKENS, last = arg.d[0] - 1;
    uint64_t dy = pointer(arg.p[2]) + row * 4, x = pointer(arg.p[0]) + lane * 4, small = dy, wide = x;
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = 0.0;
    uint l = rounds * TOKENS;
    bool more;
    do {
        more = --rounds > 0;
        tokens_add(small, wide);
        small += TOKENS * SIZE4 * 4;
        wide += TOKENS * SIZE3 * 4;
    } while (more);
    do { // the tokens that are left; none is one that counts for nothing
        uint at = min(l, last);
        float b = l <= last ? One(x + uint64_t(at) * SIZE3 * 4).v : 0.0;
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(One(dy + uint64_t(at) * SIZE4 * 4 + i * 4).v, b, sum[i]);
    } while (++l <= last);
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i < SIZE1 && col + gl_LocalInvocationID.x < SIZE2)
            F32(arg.p[3]).v[(row + i) * SIZE2 + lane] += sum[i];
}
#else
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

void round_add(Groups g, bool second)
{
    uvec2 unit[8]; // f32 needs all of them
    [[unroll]] for (uint z = 0; z < ROUND / UNIT; z++)
        unit[z] = unpack32(Word(units + z * 128).v);
    units += ROUND / UNIT * 128;
    vec4 a[ROWS][ROUND / 4];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint z = 0; z < ROUND / 4; z++)
            a[i][z] = Quad(left + i * SIZE3 * 4 + z * 16).v;
    left += ROUND * 4;
    [[unroll]] for (uint l = 0; l < ROUND; l++) {
        float b = unit_value(unit[l / UNIT], l % UNIT, group_of(g, l), second);
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(a[i][l / 4][l % 4], b, sum[i]);
    }
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
            round_add(g, PASS == FWD ? r % 2 == 1 : odd_panel);
        }
    } else {
        uint r = 0;
        [[dont_unroll]] do {
            Groups g = groups_load();
            groups += PASS == BWD0 ? GROUP_STEP : r % 2 == 1 ? 128 : 0;
            round_add(g, PASS == FWD ? r % 2 == 1 : odd_panel);
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
    const uint cols = PASS == FWD ? SIZE1 : SIZE2;
    EACH_TILE(((PASS == BWD1 ? SIZE1 : arg.d[0]) - 1) / ROWS + 1, (cols - 1) / WG + 1)
        tile(tile_row * ROWS, tile_col * WG);
    EACH_TILE_END
}
