// The factors and the output of matmul.comp, which says what the arguments are, for kernels that make the
// product in blocks. Behind this file stands one: void product(uint rows, uint cols, uint inner)
#if PASS == FWD
float left(uint i, uint l) { return F32(arg.p[0]).v[i * SIZE3 + l]; }
float right(uint l, uint j) { return weight_at(arg.p[1], arg.p[7], j, l, SIZE2); }
#elif PASS == BWD0
float left(uint i, uint l) { return F32(arg.p[2]).v[i * SIZE3 + l]; }
float right(uint l, uint j) { return weight_at(arg.p[1], arg.p[7], l, j, SIZE2); }
#else
float left(uint i, uint l) { return F32(arg.p[2]).v[l * SIZE4 + i]; }
float right(uint l, uint j) { return F32(arg.p[0]).v[l * SIZE3 + j]; }
#endif
#if PASS == BWD1
void store(uint i, uint j, float sum) { F32(arg.p[3]).v[i * SIZE2 + j] += sum; }
#else
void store(uint i, uint j, float sum)
{
    F32 out_rows = F32(arg.p[PASS == FWD ? 2 : 3]);
    uint at = i * SIZE4 + j;
    if (SIZE7 > 0) {
        const uint cols = PASS == FWD ? SIZE1 : SIZE2;
        float part = 0.0;
        for (uint l = 0; l < SIZE7; l++)
            part = fma(F32(arg.p[4]).v[i * SIZE7 + l], F32(arg.p[5]).v[l * cols + j], part);
        sum += PASS == FWD ? arg.f[0] * part : part;
    }
    out_rows.v[at] = SIZE5 == 0 ? sum : out_rows.v[at] + sum;
}
#endif

void product(uint rows, uint cols, uint inner);

void main()
{
#if PASS == FWD
    product(arg.d[0], SIZE1, SIZE2);
#elif PASS == BWD0
    product(arg.d[0], SIZE2, SIZE1);
#else
    product(SIZE1, SIZE2, arg.d[0]);
#endif
}
