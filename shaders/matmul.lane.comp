#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0 bwd1
// matmul.comp for narrow subgroups, with its bits. A workgroup is one subgroup and makes ROWS x (COLS WG) of
// the output; a lane owns COLS columns of all the rows, in bwd0 neighbours. The left factor comes 16 steps of
// the inner index at a time, 8 pairs a row spread over the lanes; the weight comes by units, along the inner
// index in fwd and across it in bwd0. Rows of x, y and their gradients start at even floats. Rows past the
// last repeat it, and are not stored.
#if PASS == BWD1
float small_at(uint l, uint j) { return F32(arg.p[2]).v[l * SIZE4 + min(j, SIZE1 - 1)]; }
vec2 wide_at(uint l, uint c) { return pair_at(Pairs(arg.p[0]), (l * SIZE3 + c) / 2); }
void store(uint j, uint c, float sum) { F32(arg.p[3]).v[j * SIZE2 + c] += sum; }
#define SUM_ROWS 16
#define SUM_PAIRS 2
#include "lib/lane_sum.glsl"

void main()
{
    sum_tokens(SIZE1, SIZE2, arg.d[0]);
}
#else
const uint ROWS = 16, COLS = 4, PAIRS = ROWS * 8; // keep equal to LANE_ROWS and LANE_COLS of gpu/op.c
const uint LEFT = PASS == FWD ? 0 : 2, OUT = PASS == FWD ? 2 : 3;

vec4 sum[ROWS], total[ROWS]; // COLS of them; the run of TERMS under way, and those before it
vec2 part[PAIRS / 4]; // subgroups of 4 lanes take the most loads

float left(uint row, uint step)
{
    uint at = row * 8 + step / 2;
    return subgroupBroadcast(part[at / WG][step % 2], at % WG);
}

uint column(uint first, uint j)
{
    uint lane = gl_LocalInvocationID.x;
    return PASS == FWD ? first + j * WG + lane : first + COLS * lane + j;
}

uvec2 unit_load(uint at) { return unpack32(Pairs(arg.p[1]).v[at]); }

vec2 group_load(uint at) { return GROUPED ? pair_at(Pairs(arg.p[7]), at) : vec2(0.0); }

// The 16 steps of the inner index from `first` on, a multiple of 16.
void steps(uint first, uint col[COLS])
{
#if PASS == FWD
    uvec2 unit[COLS * 8]; // f32 needs all of them
    vec2 group[COLS];
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        group[j] = group_load(group_at(col[j], first, SIZE2));
        [[unroll]] for (uint z = 0; z < 16 / UNIT; z++)
            unit[j * 8 + z] = unit_load(unit_at(col[j], first, SIZE2) + z * 16);
    }
    [[unroll]] for (uint l = 0; l < 16; l++) {
        float b[COLS];
        [[unroll]] for (uint j = 0; j < COLS; j++)
            b[j] = unit_value(unit[j * 8 + l / UNIT], l % UNIT, group[j], first % 32 >= 16);
#else
    uint from = unit_at(first, col[0], SIZE2), groups = group_at(first, col[0], SIZE2);
    [[unroll]] for (uint l = 0; l < 16; l++) {
        uvec2 unit[2];
        float b[COLS];
        unit[0] = unit_load(from + l);
        if (UNIT < COLS)
            unit[1] = unit_load(from + 16 + l);
        vec2 group = group_load(groups + l);
        [[unroll]] for (uint j = 0; j < COLS; j++)
            b[j] = unit_value(unit[j / UNIT], (col[0] + j) % UNIT, group, col[0] % 32 >= 16);
#endif
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float a = left(i, l);
            [[unroll]] for (uint j = 0; j < COLS; j++)
                sum[i][j] = fma(a, b[j], sum[i][j]);
        }
    }
}

// The adapter's part, s u B or du A.
void adapter_add(uint row, uint col[COLS], uint rows, uint cols)
{
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = vec4(0.0);
    for (uint l = 0; l < SIZE7; l++) {
        float b[COLS];
        [[unroll]] for (uint j = 0; j < COLS; j++)
            b[j] = F32(arg.p[5]).v[l * cols + col[j]];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float a = F32(arg.p[4]).v[min(row + i, rows - 1) * SIZE7 + l];
            [[unroll]] for (uint j = 0; j < COLS; j++)
                sum[i][j] = fma(a, b[j], sum[i][j]);
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] += PASS == FWD ? arg.f[0] * sum[i] : sum[i];
}

void rest_add(uint row, uint first, uint col[COLS], uint rows, uint inner)
{
    for (uint l = first; l < inner; l++)
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float a = F32(arg.p[LEFT]).v[min(row + i, rows - 1) * SIZE3 + l];
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                float b = PASS == FWD ? weight_at(arg.p[1], arg.p[7], col[j], l, SIZE2)
                                      : weight_at(arg.p[1], arg.p[7], l, col[j], SIZE2);
                sum[i][j] = fma(a, b, sum[i][j]);
            }
        }
}

void run_end()
{
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        total[i] += sum[i];
        sum[i] = vec4(0.0);
    }
}

void tile(uint row, uint first_col, uint rows, uint cols, uint inner)
{
    uint lane = gl_LocalInvocationID.x, from[PAIRS / 4], col[COLS], first = 0;
    [[unroll]] for (uint z = 0; z < PAIRS / 4; z++)
        from[z] = min(row + (z * WG + lane) / 8, rows - 1) * (SIZE3 / 2) + (z * WG + lane) % 8;
    [[unroll]] for (uint j = 0; j < COLS; j++)
        col[j] = PASS == FWD ? min(column(first_col, j), cols - 1)
                             : min(column(first_col, 0), (cols - 1) / COLS * COLS) + j;
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] = sum[i] = vec4(0.0);
    for (; first + 16 <= inner; first += 16) {
        [[unroll]] for (uint z = 0; z < PAIRS / 4; z++)
            if (z * WG < PAIRS)
                part[z] = pair_at(Pairs(arg.p[LEFT]), from[z] + first / 2);
        steps(first, col);
        if (first % TERMS == TERMS - 16)
            run_end();
    }
    rest_add(row, first, col, rows, inner);
    run_end();
    if (SIZE7 > 0)
        adapter_add(row, col, rows, cols);
    F32 y = F32(arg.p[OUT]);
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLS; j++)
            if (row + i < rows && column(first_col, j) < cols) {
                uint at = (row + i) * SIZE4 + column(first_col, j);
                y.v[at] = SIZE5 == 0 ? total[i][j] : y.v[at] + total[i][j];
            }
}

void main()
{
    uint rows = arg.d[0], cols = PASS == FWD ? SIZE1 : SIZE2, inner = PASS == FWD ? SIZE2 : SIZE1;
    for (uint col = gl_WorkGroupID.y * COLS * WG; col < cols; col += arg.groups.y * COLS * WG)
        for (uint row = gl_WorkGroupID.x * ROWS; row < rows; row += arg.groups.x * ROWS)
            tile(row, col, rows, cols, inner);
}
#endif
