#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
#include "lib/philox.glsl"
#include "lib/uniform.glsl"
// passes: fwd bwd0 bwd1
// lora.comp with its bits; k is even, and rows of x start at even floats. fwd: a lane owns an adapter row of
// ROWS tokens. bwd0: a column of dx of ROWS tokens. bwd1: two columns of dA of 8 adapter rows, over all
// tokens.
// Keep equal to UNIFORM_LORA and UNIFORM_TOKENS of gpu/op.c.
const uint ROWS = 32, DEEP = 8, TOKENS = 8, PAIRS = 2;

float drop(float x, uint row, uint feature)
{
    if (SIZE4 == 0)
        return x;
    return dropout_keeps(row, SIZE2, feature, arg.d[5], SIZE4) ? x * arg.f[0] : 0.0;
}

#if PASS == FWD
// Rows past the last repeat it, so that nothing behind x is read.
void tile(uint row, uint col)
{
    uint r = col + gl_LocalInvocationID.x, last = arg.d[0] - 1;
    uint64_t x = pointer(arg.p[0]), a = pointer(arg.p[1]) + uint64_t(min(r, SIZE1 - 1)) * SIZE2 * 4;
    uint at[ROWS];
    float sum[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        at[i] = min(row + i, last);
        sum[i] = 0.0;
    }
    for (uint k = 0; k < SIZE2; k += 2) {
        uint inside = min(k, SIZE2 - 2); // lib/lane.glsl says why
        vec2 b = Pair(a + inside * 4).v;
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            vec2 left = Pair(x + uint64_t(at[i]) * SIZE3 * 4 + inside * 4).v;
            sum[i] = fma(drop(left.x, row + i, inside), b.x, sum[i]);
            sum[i] = fma(drop(left.y, row + i, inside + 1), b.y, sum[i]);
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i <= last && r < SIZE1)
            F32(arg.p[2]).v[(row + i) * SIZE1 + r] = arg.f[1] * sum[i];
}
#elif PASS == BWD0
void tile(uint row, uint col)
{
    uint c = min(col + gl_LocalInvocationID.x, SIZE2 - 1), last = arg.d[0] - 1;
    float sum[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        sum[i] = 0.0;
    for (uint l = 0; l < SIZE1; l++) {
        uint inside = min(l, SIZE1 - 1);
        float b = F32(arg.p[1]).v[inside * SIZE2 + c];
        [[unroll]] for (uint i = 0; i < ROWS; i++)
            sum[i] = fma(F32(arg.p[2]).v[min(row + i, last) * SIZE1 + inside], b, sum[i]);
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++)
        if (row + i <= last && col + gl_LocalInvocationID.x < SIZE2)
            F32(arg.p[3]).v[(row + i) * SIZE3 + c] += drop(sum[i], row + i, c);
}
#else
vec2 sum[DEEP][PAIRS];

void token_add(float small[DEEP], uint64_t wide[PAIRS], uint token, uint column[PAIRS], bool counts)
{
    vec2 x[PAIRS];
    [[unroll]] for (uint p = 0; p < PAIRS; p++) {
        x[p] = counts ? uintBitsToFloat(unpack32(Word(wide[p]).v)) : vec2(0.0);
        x[p] = vec2(drop(x[p].x, token, column[p]), drop(x[p].y, token, column[p] + 1));
    }
    [[unroll]] for (uint j = 0; j < DEEP; j++)
        [[unroll]] for (uint p = 0; p < PAIRS; p++)
            sum[j][p] = fma(vec2(small[j]), x[p], sum[j][p]);
}

// Adapter rows past the last four that are there repeat them, and are not stored.
void small_get(uint64_t at, uint other, out float small[DEEP])
{
    vec4 a = Quad(at).v, b = Quad(at + other).v;
    [[unroll]] for (uint j = 0; j < 4; j++) {
        small[j] = a[j];
        small[j + 4] = b[j];
    }
}

void tile(uint row, uint col)
{
    uint lane = gl_LocalInvocationID.x, rounds = arg.d[0] / TOKENS, last = arg.d[0] - 1, column[PAIRS];
    uint other = min(row + 4, SIZE1 - 4) * 4 - row * 4, token = 0;
    uint64_t x = pointer(arg.p[0]), u = pointer(arg.p[2]) + row * 4, next_u = u, next_x = x;
    [[unroll]] for (uint p = 0; p < PAIRS; p++)
        column[p] = min(col + (p * WG + lane) * 2, SIZE2 - 2);
    [[unroll]] for (uint j = 0; j < DEEP; j++)
        [[unroll]] for (uint p = 0; p < PAIRS; p++)
            sum[j][p] = vec2(0.0);
    uint left = rounds * TOKENS;
    bool more;
    do {
        uint64_t from_u = next_u, from_x = next_x;
        uint first = token;
        more = --rounds > 0;
        token += TOKENS;
        next_u += TOKENS * SIZE1 * 4;
        next_x += TOKENS * SIZE3 * 4;
        [[unroll]] for (uint l = 0; l < TOKENS; l++) {
            float small[DEEP];
            uint64_t wide[PAIRS];
            small_get(from_u + l * SIZE1 * 4, other, small);
            [[unroll]] for (uint p = 0; p < PAIRS; p++)
                wide[p] = from_x + l * SIZE3 * 4 + column[p] * 4;
            token_add(small, wide, first + l, column, true);
        }
    } while (more);
    do { // the tokens that are left; none is one that counts for nothing
        uint at = min(left, last);
        float small[DEEP];
        uint64_t wide[PAIRS];
        small_get(u + uint64_t(at) * SIZE1 * 4, other, small);
        [[unroll]] for (uint p = 0; p < PAIRS; p++)
            wide[p] = x + (uint64_t(at) * SIZE3 + column[p]) * 4;
        token_add(small, wide, at, column, left <= last);
    } while (++left <= last);
    [[unroll]] for (uint j = 0; j < DEEP; j++)
        [[unroll]] for (uint p = 0; p < PAIRS; p++)
            if (row + j < SIZE1 && col + (p * WG + lane) * 2 < SIZE2) {
                F32 to = F32(arg.p[3]);
                to.v[(row + j) * SIZE2 + column[p]] += arg.f[1] * sum[j][p].x;
                to.v[(row + j) * SIZE2 + column[p] + 1] += arg.f[1] * sum[j][p].y;
            }
}
#endif

void main()
{
    const uint rows = PASS == BWD1 ? SIZE1 : arg.d[0], cols = PASS == FWD ? SIZE1 : SIZE2;
    const uint tall = PASS == BWD1 ? DEEP : ROWS, wide = PASS == BWD1 ? 2 * PAIRS * WG : WG;
    if (SIZE4 != 0)
        draw = Draw(arg.p[PASS == FWD ? 3 : 4]).v;
    EACH_TILE((rows - 1) / tall + 1, (cols - 1) / wide + 1)
        tile(tile_row * tall, tile_col * wide);
    EACH_TILE_END
}
