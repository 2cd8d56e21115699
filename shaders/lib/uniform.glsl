// For kernels whose lanes own neighbouring columns and read everything else at addresses that are equal for
// all of them: some drivers make one load or a broadcast operand of it. No subgroup operation, so any width
// of subgroup is right. Addresses run ahead as pointers: one that held a loop counter would be a vector to
// such a driver.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Quad { vec4 v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Pair { vec2 v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer One { float v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Word { uint64_t v; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer OneOut { float v; };
layout(buffer_reference, scalar, buffer_reference_align = 8) buffer WordOut { uint64_t v; };

// Where one load serves all lanes, a round of an inner loop costs each sum a store and a load: such kernels
// do without. Elsewhere the same in a loop keeps the code, and the time to compile it, small. A constant of
// gpu/op.c.
layout(constant_id = 2) const bool STRAIGHT = false;

uint64_t pointer(uvec2 address) { return packUint2x32(address); }

// The tiles of a workgroup, which has one at least. Loops of these kernels run at least once and ask at their
// end: such a driver goes through a loop once more when it has ended, and then an address means nothing.
#define EACH_TILE(down, across)                                                                       \
    uint tile_row = gl_WorkGroupID.x;                                                                 \
    do {                                                                                              \
        uint tile_col = gl_WorkGroupID.y, tiles_down = (down), tiles_across = (across);               \
        do {
#define EACH_TILE_END                                                                                 \
            tile_col += arg.groups.y;                                                           \
        } while (tile_col < tiles_across);                                                            \
        tile_row += arg.groups.x;                                                               \
        if (tile_row >= tiles_down)                                                                   \
            break;                                                                                    \
    } while (true);
