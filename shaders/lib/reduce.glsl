// Trees over the workgroup. Their shape is fixed by WG, a power of two, and not by the width of subgroups:
// every device adds in the same order. All invocations call, all get the result.
shared float reduce_part[WG];

#define REDUCE(name, combine)                                                 \
    float name(float mine)                                                    \
    {                                                                         \
        uint at = gl_LocalInvocationID.x;                                     \
        reduce_part[at] = mine;                                               \
        barrier();                                                            \
        for (uint half_way = WG / 2; half_way > 0; half_way /= 2) {           \
            if (at < half_way)                                                \
                reduce_part[at] = combine(reduce_part[at], reduce_part[at + half_way]); \
            barrier();                                                        \
        }                                                                     \
        float all = reduce_part[0];                                           \
        barrier();                                                            \
        return all;                                                           \
    }

float combine_sum(float a, float b) { return a + b; }
float combine_max(float a, float b) { return max(a, b); }
float combine_min(float a, float b) { return min(a, b); }

REDUCE(reduce_sum, combine_sum)
REDUCE(reduce_max, combine_max)
