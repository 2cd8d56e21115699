// For kernels of one subgroup a workgroup, on devices where a load costs by the element and not by its width:
// loads of two floats at once, each of its own lane, which the subgroup then broadcasts.
//
// Mesa 26 loads at an address that all lanes share even where no lane takes part: behind a condition, and
// once more when a loop has ended. Such an address stays inside its tensor by a min().
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Pairs { uint64_t v[]; };

vec2 pair_at(Pairs x, uint i)
{
    return uintBitsToFloat(unpack32(x.v[i]));
}

// A store, too, costs by the element. Not packUint2x32: Mesa 26 overruns its stack with one at 16 lanes.
layout(buffer_reference, scalar, buffer_reference_align = 8) writeonly buffer PairsOut { uint64_t v[]; };

void pair_put(PairsOut y, uint i, vec2 a)
{
    uvec2 words = floatBitsToUint(a);
    y.v[i] = uint64_t(words.x) | uint64_t(words.y) << 32;
}
