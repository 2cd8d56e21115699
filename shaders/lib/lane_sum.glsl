// Sums over tokens of a small factor times a wide one: out[j, c] = sum over l of small[l, j] wide[l, c]. A
// lane owns SUM_PAIRS pairs of columns of SUM_ROWS rows; the small factor is spread over the lanes 8 tokens
// at a time. One workgroup takes all tokens, in ascending order. Before this file stand SUM_ROWS, SUM_PAIRS
// and
//   float small_at(uint l, uint j)    j may pass the last row
//   vec2 wide_at(uint l, uint c)      c is even and inside
//   void store(uint j, uint c, float sum)
vec2 sum_part[SUM_ROWS][SUM_PAIRS];
float sum_small[SUM_ROWS * 8 / 4]; // subgroups of 4 lanes take the most loads

void sum_step(uint l, uint at, uint col[SUM_PAIRS])
{
    vec2 x[SUM_PAIRS];
    [[unroll]] for (uint c = 0; c < SUM_PAIRS; c++)
        x[c] = wide_at(l, col[c]);
    [[unroll]] for (uint j = 0; j < SUM_ROWS; j++) {
        uint from = at * SUM_ROWS + j;
        float a = subgroupBroadcast(sum_small[from / WG], from % WG);
        [[unroll]] for (uint c = 0; c < SUM_PAIRS; c++)
            sum_part[j][c] = fma(vec2(a), x[c], sum_part[j][c]);
    }
}

void sum_block(uint row, uint first_col, uint rows, uint cols, uint tokens)
{
    uint lane = gl_LocalInvocationID.x, col[SUM_PAIRS], l = 0;
    [[unroll]] for (uint c = 0; c < SUM_PAIRS; c++)
        col[c] = min(first_col + (c * WG + lane) * 2, (cols - 1) / 2 * 2);
    [[unroll]] for (uint j = 0; j < SUM_ROWS; j++)
        [[unroll]] for (uint c = 0; c < SUM_PAIRS; c++)
            sum_part[j][c] = vec2(0.0);
    for (; l < tokens; l += 8) {
        [[unroll]] for (uint z = 0; z < SUM_ROWS * 2; z++)
            if (z * WG < SUM_ROWS * 8) {
                uint at = z * WG + lane;
                sum_small[z] = small_at(min(l + at / SUM_ROWS, tokens - 1), row + at % SUM_ROWS);
            }
        if (l + 8 <= tokens) {
            [[unroll]] for (uint s = 0; s < 8; s++)
                sum_step(l + s, s, col);
        } else {
            for (uint s = 0; l + s < tokens; s++)
                sum_step(l + s, s, col);
        }
    }
    [[unroll]] for (uint j = 0; j < SUM_ROWS; j++)
        [[unroll]] for (uint c = 0; c < 2 * SUM_PAIRS; c++) {
            uint to = first_col + (c / 2 * WG + lane) * 2 + c % 2;
            if (row + j < rows && to < cols)
                store(row + j, to, sum_part[j][c / 2][c % 2]);
        }
}

void sum_tokens(uint rows, uint cols, uint tokens)
{
    uint wide = (cols - 1) / (2 * SUM_PAIRS * WG) + 1, tall = (rows - 1) / SUM_ROWS + 1;
    uint step = arg.groups.x * arg.groups.y;
    for (uint b = gl_WorkGroupID.y * arg.groups.x + gl_WorkGroupID.x; b < wide * tall; b += step)
        sum_block(b % tall * SUM_ROWS, b / tall * 2 * SUM_PAIRS * WG, rows, cols, tokens);
}
