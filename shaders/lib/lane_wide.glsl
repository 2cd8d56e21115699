// A product with a short inner index: out[i, c] = sum over l of left[i, l] right[l, c]. A lane owns two
// columns of 16 rows; the left factor is spread over the lanes 8 steps at a time. Sums run in ascending
// order. Before this file stand
//   float left(uint i, uint l)
//   vec2 right_pair(uint l, uint c)    columns c and c + 1; c is even, only c need be inside
//   void store(uint i, uint c, vec2 sum, bool both)
float wide_left[32]; // subgroups of 4 lanes take the most loads

void wide_block(uint row, uint first, uint rows, uint cols, uint inner)
{
    uint lane = gl_LocalInvocationID.x, col = min(first + 2 * lane, (cols - 1) / 2 * 2), l = 0;
    vec2 sum[16];
    [[unroll]] for (uint i = 0; i < 16; i++)
        sum[i] = vec2(0.0);
    for (; l + 8 <= inner; l += 8) {
        [[unroll]] for (uint z = 0; z < 32; z++)
            if (z * WG < 128) {
                uint at = z * WG + lane;
                wide_left[z] = left(min(row + at / 8, rows - 1), l + at % 8);
            }
        [[unroll]] for (uint s = 0; s < 8; s++) {
            vec2 b = right_pair(l + s, col);
            [[unroll]] for (uint i = 0; i < 16; i++) {
                uint from = i * 8 + s;
                sum[i] = fma(vec2(subgroupBroadcast(wide_left[from / WG], from % WG)), b, sum[i]);
            }
        }
    }
    for (; l < inner; l++) {
        uint at = min(l, inner - 1); // lane.glsl says why
        vec2 b = right_pair(at, col);
        [[unroll]] for (uint i = 0; i < 16; i++)
            sum[i] = fma(vec2(left(min(row + i, rows - 1), at)), b, sum[i]);
    }
    [[unroll]] for (uint i = 0; i < 16; i++)
        if (row + i < rows && first + 2 * lane < cols)
            store(row + i, col, sum[i], col + 1 < cols);
}

void product(uint rows, uint cols, uint inner)
{
    for (uint col = gl_WorkGroupID.y * 2 * WG; col < cols; col += arg.groups.y * 2 * WG)
        for (uint row = gl_WorkGroupID.x * 16; row < rows; row += arg.groups.x * 16)
            wide_block(row, col, rows, cols, inner);
}
