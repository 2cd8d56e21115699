#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "lib/op.glsl"
#define FORMAT SIZE6
#include "lib/weight.glsl"
#include "lib/matmul.glsl"
// passes: fwd bwd0 bwd1
// matmul.comp by the matrix units of a device: both factors are rounded to f16, products and their sums are
// f32, and what is added to them (the adapter's part, what y holds) never leaves f32. A workgroup makes
// blocks of SIDE x SIDE, and its subgroups share the matrices of a block. Elements past an edge count as zero
// and are not stored.
layout(constant_id = 3) const uint M = 16; // the matrices of the device: A is M x K, B is K x N
layout(constant_id = 4) const uint N = 16;
layout(constant_id = 5) const uint K = 16;
layout(constant_id = 6) const uint LANES = 32; // of the widest subgroup

// Keep equal to COOP_SIDE and COOP_DEEP of gpu/vk.h: M, N and K divide them.
const uint SIDE = 64, DEEP = 32;
const uint ACROSS = SIDE / N, MATRICES = SIDE / M * ACROSS;
const uint EACH = (MATRICES * LANES - 1) / WG + 1; // matrices of a subgroup, at most

shared float16_t left_part[SIDE * DEEP];
shared float16_t right_part[DEEP * SIDE];
shared float out_part[SIDE * SIDE];

void parts_load(uint row, uint col, uint first, uint rows, uint cols, uint inner)
{
    for (uint e = gl_LocalInvocationID.x; e < SIDE * DEEP; e += WG) {
        uint r = e / DEEP, l = first + e % DEEP, k = first + e / SIDE, c = e % SIDE;
        left_part[e] = float16_t(row + r < rows && l < inner ? left(row + r, l) : 0.0);
        right_part[e] = float16_t(col + c < cols && k < inner ? right(k, col + c) : 0.0);
    }
}

void block(uint row, uint col, uint rows, uint cols, uint inner)
{
    coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum[EACH];
    [[unroll]] for (uint e = 0; e < EACH; e++)
        sum[e] = coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0.0);
    for (uint first = 0; first < inner; first += DEEP) {
        parts_load(row, col, first, rows, cols, inner);
        barrier();
        [[unroll]] for (uint e = 0; e < EACH; e++) {
            uint at = e * gl_NumSubgroups + gl_SubgroupID, y = at / ACROSS * M, x = at % ACROSS * N;
            if (at < MATRICES)
                [[unroll]] for (uint l = 0; l < DEEP; l += K) {
                    coopmat<float16_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a;
                    coopmat<float16_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b;
                    coopMatLoad(a, left_part, y * DEEP + l, DEEP, gl_CooperativeMatrixLayoutRowMajor);
                    coopMatLoad(b, right_part, l * SIDE + x, SIDE, gl_CooperativeMatrixLayoutRowMajor);
                    sum[e] = coopMatMulAdd(a, b, sum[e]);
                }
        }
        barrier();
    }
    [[unroll]] for (uint e = 0; e < EACH; e++) {
        uint at = e * gl_NumSubgroups + gl_SubgroupID;
        if (at < MATRICES)
            coopMatStore(sum[e], out_part, at / ACROSS * M * SIDE + at % ACROSS * N, SIDE,
                         gl_CooperativeMatrixLayoutRowMajor);
    }
    barrier();
    for (uint e = gl_LocalInvocationID.x; e < SIDE * SIDE; e += WG)
        if (row + e / SIDE < rows && col + e % SIDE < cols)
            store(row + e / SIDE, col + e % SIDE, out_part[e]);
    barrier();
}

void product(uint rows, uint cols, uint inner)
{
    for (uint col = gl_WorkGroupID.y * SIDE; col < cols; col += arg.groups.y * SIDE)
        for (uint row = gl_WorkGroupID.x * SIDE; row < rows; row += arg.groups.x * SIDE)
            block(row, col, rows, cols, inner);
}
