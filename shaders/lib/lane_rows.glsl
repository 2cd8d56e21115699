// A product with few columns: out[i, j] = sum over l of left[i, l] right[l, j]. A lane owns a row and 8
// columns; the right factor is spread over the lanes 16 steps at a time. Sums run in ascending order. Before
// this file stand
//   vec2 left_pair(uint i, uint l)    l is even and inside
//   float left(uint i, uint l), right(uint l, uint j)
//   void store(uint i, uint j, float sum)
float row_right[32]; // subgroups of 4 lanes take the most loads

void row_block(uint first, uint col, uint rows, uint cols, uint inner)
{
    uint lane = gl_LocalInvocationID.x, row = min(first + lane, rows - 1), l = 0;
    float sum[8];
    [[unroll]] for (uint j = 0; j < 8; j++)
        sum[j] = 0.0;
    for (; l + 16 <= inner; l += 16) {
        [[unroll]] for (uint z = 0; z < 32; z++)
            if (z * WG < 128) {
                uint at = z * WG + lane;
                row_right[z] = right(l + at % 16, min(col + at / 16, cols - 1));
            }
        [[unroll]] for (uint s = 0; s < 16; s += 2) {
            vec2 x = left_pair(row, l + s);
            [[unroll]] for (uint t = 0; t < 2; t++)
                [[unroll]] for (uint j = 0; j < 8; j++) {
                    uint from = j * 16 + s + t;
                    sum[j] = fma(x[t], subgroupBroadcast(row_right[from / WG], from % WG), sum[j]);
                }
        }
    }
    for (; l < inner; l++) {
        uint at = min(l, inner - 1); // lane.glsl says why
        float x = left(row, at);
        [[unroll]] for (uint j = 0; j < 8; j++)
            sum[j] = fma(x, right(at, min(col + j, cols - 1)), sum[j]);
    }
    [[unroll]] for (uint j = 0; j < 8; j++)
        if (first + lane < rows && col + j < cols)
            store(row, col + j, sum[j]);
}

void product(uint rows, uint cols, uint inner)
{
    for (uint col = gl_WorkGroupID.y * 8; col < cols; col += arg.groups.y * 8)
        for (uint row = gl_WorkGroupID.x * WG; row < rows; row += arg.groups.x * WG)
            row_block(row, col, rows, cols, inner);
}
