#version 460
#extension GL_GOOGLE_include_directive : require
#include "lib/op.glsl"
// y = sum over i < CHAINS of c_i, each begun from x + i and then `rounds` times c <- c / 2 + x: what the
// device does with products and sums alone, without a load between them. 2 CHAINS operations a round.
// p: x, y      d: elements, rounds
// Rounds of a loop: enough that its own cost is small, few enough for the cache of decoded instructions.
const uint AT_ONCE = 16;
const uint CHAINS = 10; // keep equal to PEAK_CHAINS of gpu/op.h

void main()
{
    EACH_ELEMENT(e, arg.d[0]) {
        float x = F32(arg.p[0]).v[e], chain[CHAINS], sum = 0.0;
        [[unroll]] for (uint i = 0; i < CHAINS; i++)
            chain[i] = x + float(i);
        for (uint r = arg.d[1] / AT_ONCE; r > 0; r--)
            [[unroll]] for (uint at = 0; at < AT_ONCE; at++)
                [[unroll]] for (uint i = 0; i < CHAINS; i++)
                    chain[i] = fma(chain[i], 0.5, x);
        for (uint r = arg.d[1] % AT_ONCE; r > 0; r--)
            [[unroll]] for (uint i = 0; i < CHAINS; i++)
                chain[i] = fma(chain[i], 0.5, x);
        [[unroll]] for (uint i = 0; i < CHAINS; i++)
            sum += chain[i];
        F32(arg.p[1]).v[e] = sum;
    }
}
