// For kernels whose lanes own neighbouring columns and read everything else at addresses that are equal for
// all of them: some drivers make one load or a broadcast operand of it. No subgroup operation, so any width
// of subgroup is right. Addresses run ahead as pointers: one that held a loop counter would be a vector to
// such a driver.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Quad { vec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Pair { vec2 v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer One { float v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Word { uint64_t v; };

uint64_t pointer(uvec2 address) { return packUint2x32(address); }

// Four neighbours in rows of `stride` floats, a constant: one load where every row starts at a multiple of 16
// bytes.
vec4 quad_at(uint64_t at, uint stride)
{
    if (stride % 4 == 0)
        return Quad(at).v;
    return vec4(One(at).v, One(at + 4).v, One(at + 8).v, One(at + 12).v);
}
