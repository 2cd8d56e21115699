// A product through shared memory. One workgroup makes blocks of TILE x TILE, one invocation an element; both
// factors pass a TILE of the inner index at a time, and each sum runs along that index in ascending order.
// Before this file stand
//   float left(uint i, uint l), right(uint l, uint j)   the factors
//   void store(uint i, uint j, float sum)
shared float left_part[TILE * TILE];
shared float right_part[TILE * TILE];

void block(uint i, uint j, uint rows, uint cols, uint inner)
{
    uint y = gl_LocalInvocationID.x / TILE, x = gl_LocalInvocationID.x % TILE;
    bool inside = i < rows && j < cols;
    float sum = 0.0;
    for (uint first = 0; first < inner; first += TILE) {
        uint n = min(TILE, inner - first);
        left_part[y * TILE + x] = i < rows && x < n ? left(i, first + x) : 0.0;
        right_part[y * TILE + x] = j < cols && y < n ? right(first + y, j) : 0.0;
        barrier();
        for (uint l = 0; l < n; l++)
            sum = fma(left_part[y * TILE + l], right_part[l * TILE + x], sum);
        barrier();
    }
    if (inside)
        store(i, j, sum);
}

void product(uint rows, uint cols, uint inner)
{
    uint y = gl_LocalInvocationID.x / TILE, x = gl_LocalInvocationID.x % TILE;
    for (uint col = gl_WorkGroupID.y * TILE; col < cols; col += arg.groups.y * TILE)
        for (uint row = gl_WorkGroupID.x * TILE; row < rows; row += arg.groups.x * TILE)
            block(row + y, col + x, rows, cols, inner);
}
