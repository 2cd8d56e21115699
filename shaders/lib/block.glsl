// A product through shared memory, as lib/tile.glsl with the same hooks and the same order of sums, for wide
// outputs: a workgroup of 16 x 16 makes blocks of 64 x 64, an invocation 4 x 4 of it with a stride of 16, so
// that a value from shared memory serves four products.
const uint SIDE = 64, DEEP = 16;
shared float left_part[DEEP * SIDE];
shared float right_part[DEEP * SIDE];

void block(uint row, uint col, uint rows, uint cols, uint inner)
{
    uint t = gl_LocalInvocationID.x, y = t / 16, x = t % 16;
    vec4 sum[4], total[4];
    [[unroll]] for (uint i = 0; i < 4; i++)
        total[i] = sum[i] = vec4(0.0);
    for (uint first = 0; first < inner; first += DEEP) {
        uint n = min(DEEP, inner - first);
        for (uint e = t; e < DEEP * SIDE; e += 256) {
            uint l = e % DEEP, r = e / DEEP, c = e % SIDE, k = e / SIDE;
            left_part[l * SIDE + r] = row + r < rows && l < n ? left(row + r, first + l) : 0.0;
            right_part[k * SIDE + c] = col + c < cols && k < n ? right(first + k, col + c) : 0.0;
        }
        barrier();
        for (uint l = 0; l < n; l++) {
            vec4 a, b;
            [[unroll]] for (uint i = 0; i < 4; i++) {
                a[i] = left_part[l * SIDE + y + 16 * i];
                b[i] = right_part[l * SIDE + x + 16 * i];
            }
            [[unroll]] for (uint i = 0; i < 4; i++)
                sum[i] = fma(vec4(a[i]), b, sum[i]);
        }
        barrier();
        if (first % TERMS == TERMS - DEEP)
            [[unroll]] for (uint i = 0; i < 4; i++) {
                total[i] += sum[i];
                sum[i] = vec4(0.0);
            }
    }
    [[unroll]] for (uint i = 0; i < 4; i++)
        [[unroll]] for (uint j = 0; j < 4; j++)
            if (row + y + 16 * i < rows && col + x + 16 * j < cols)
                store(row + y + 16 * i, col + x + 16 * j, total[i][j] + sum[i][j]);
}

void product(uint rows, uint cols, uint inner)
{
    for (uint col = gl_WorkGroupID.y * SIDE; col < cols; col += arg.groups.y * SIDE)
        for (uint row = gl_WorkGroupID.x * SIDE; row < rows; row += arg.groups.x * SIDE)
            block(row, col, rows, cols, inner);
}
