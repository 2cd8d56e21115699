#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/lane.glsl"
// passes: fwd bwd0 bwd1
// matmul.comp for narrow subgroups. A workgroup is one subgroup and makes ROWS x (COLS
// WG) of the output; a lane owns COLS columns of all the rows. The left factor comes 16 steps of the inner
// index at a time, 8 pairs a row spread over the lanes; the packed weight comes by pairs, along k in fwd and
// across it in bwd0. Sums run as there, so the bits are those of the plain kernel. Rows of x, y and
// their gradients start at even floats. Rows past the last repeat it, and are not stored.
#if PASS == BWD1
float small_at(uint l, uint j) { return F32(arg.p[2]).v[l * arg.d[4] + min(j, arg.d[1] - 1)]; }
vec2 wide_at(uint l, uint c) { return pair_at(Pairs(arg.p[0]), (l * arg.d[3] + c) / 2); }
void store(uint j, uint c, float sum) { F32(arg.p[3]).v[j * arg.d[2] + c] += sum; }
#define SUM_ROWS 16
#define SUM_PAIRS 2
#include "lib/lane_sum.glsl"

void main()
{
    sum_tokens(arg.d[1], arg.d[2], arg.d[0]);
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
    return PASS == FWD ? first + j * WG + lane : first + j / 2 * 2 * WG + 2 * lane + j % 2;
}

// The 16 steps of the inner index from `first` on.
void steps(uint first, uint weight[COLS], uint width)
{
    Pairs w = Pairs(arg.p[1]);
#if PASS == FWD
    [[unroll]] for (uint l = 0; l < 16; l += 2) {
        vec2 b[COLS];
        [[unroll]] for (uint j = 0; j < COLS; j++)
            b[j] = pair_at(w, weight[j] + (first + l) * 8);
        [[unroll]] for (uint s = 0; s < 2; s++)
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                float a = left(i, l + s);
                [[unroll]] for (uint j = 0; j < COLS; j++)
                    sum[i][j] = fma(a, b[j][s], sum[i][j]);
            }
    }
#else
    [[unroll]] for (uint l = 0; l < 16; l++) {
        vec2 b[COLS / 2];
        [[unroll]] for (uint j = 0; j < COLS / 2; j++)
            b[j] = pair_at(w, weight[2 * j] + first / 2 * width + l);
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float a = left(i, l);
            [[unroll]] for (uint j = 0; j < COLS; j++)
                sum[i][j] = fma(a, b[j / 2][j % 2], sum[i][j]);
        }
    }
#endif
}

void tile(uint row, uint col, uint rows, uint cols, uint inner)
{
    uint ld = arg.d[3], width = arg.d[2], lane = gl_LocalInvocationID.x;
    F32 x = F32(arg.p[LEFT]), w = F32(arg.p[1]), y = F32(arg.p[OUT]);
    uint from[PAIRS / 4], weight[COLS];
    [[unroll]] for (uint z = 0; z < PAIRS / 4; z++)
        from[z] = min(row + (z * WG + lane) / 8, rows - 1) * (ld / 2) + (z * WG + lane) % 8;
    [[unroll]] for (uint j = 0; j < COLS; j++) {
        uint c = min(column(col, j), cols - 1);
        weight[j] = PASS == FWD ? c / 16 * (width / 2) * 16 + c % 16 : c / 2 * 16;
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        total[i] = sum[i] = vec4(0.0);
    uint first = 0;
    for (; first + 16 <= inner; first += 16) {
        [[unroll]] for (uint z = 0; z < PAIRS / 4; z++)
            if (z * WG < PAIRS)
                part[z] = pair_at(Pairs(arg.p[LEFT]), from[z] + first / 2);
        steps(first, weight, width);
        if (first % TERMS == TERMS - 16)
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                total[i] += sum[i];
                sum[i] = vec4(0.0);
            }
    }
    for (; first < inner; first++)
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            float a = x.v[min(row + i, rows - 1) * ld + min(first, inner - 1)];
            [[unroll]] for (uint j = 0; j < COLS; j++) {
                uint c = min(column(col, j), cols - 1);
                uint at = PASS == FWD ? packed_at(c, first, width) : packed_at(first, c, width);
                sum[i][j] = fma(a, w.v[at], sum[i][j]);
            }
        }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        [[unroll]] for (uint j = 0; j < COLS; j++)
            if (row + i < rows && column(col, j) < cols) {
                uint at = (row + i) * arg.d[4] + column(col, j);
                float whole = total[i][j] + sum[i][j];
                y.v[at] = arg.d[5] == 0 ? whole : y.v[at] + whole;
            }
}

void main()
{
    uint rows = arg.d[0], cols = arg.d[PASS == FWD ? 1 : 2], inner = arg.d[PASS == FWD ? 2 : 1];
    for (uint col = gl_WorkGroupID.y * COLS * WG; col < cols; col += gl_NumWorkGroups.y * COLS * WG)
        for (uint row = gl_WorkGroupID.x * ROWS; row < rows; row += gl_NumWorkGroups.x * ROWS)
            tile(row, col, rows, cols, inner);
}
#endif
