// What every operator sees: the block of arguments of gpu/op.h, the constants of its pipeline, and its pass.
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_control_flow_attributes : require

#define FWD 0
#define BWD0 1
#define BWD1 2

// Keep equal to the constants of gpu/op.c. SIZEi is d[i], where gpu/ops.def makes it a constant.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint TILE = 16;
layout(constant_id = 9) const uint SIZE1 = 1;
layout(constant_id = 10) const uint SIZE2 = 1;
layout(constant_id = 11) const uint SIZE3 = 64;
layout(constant_id = 12) const uint SIZE4 = 1;
layout(constant_id = 13) const uint SIZE5 = 1;
layout(constant_id = 14) const uint SIZE6 = 1;
layout(constant_id = 15) const uint SIZE7 = 1;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32 { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer U32 { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Addresses { uvec2 v[]; };

// Keep equal to struct op_push: eight addresses, eight sizes, four scalars, workgroups of the grid. An
// address is a uvec2, since not every device has 64-bit integers. A dispatch may be a part of the grid:
// gl_WorkGroupID counts in the whole, but gl_NumWorkGroups would be the part's.
layout(push_constant, scalar) uniform Args { uvec2 p[8]; uint d[8]; vec4 f; uvec2 groups; } arg;

// A product sums TERMS terms one after the other, and then these sums: rounding grows with the two counts,
// not with their product. A gradient over tokens is one sum.
const uint TERMS = PASS == BWD1 ? 0x80000000 : 64;

// A dispatch is at most 65535 workgroups wide, so a workgroup may own several runs of WG elements, which are
// neighbours, or several rows. A row stays inside, also after the last round: lib/lane.glsl says why.
#define EACH_ELEMENT(i, n)                                                                          \
    for (uint each_run = (((n) - 1) / (arg.groups.x * WG) + 1) * WG,                          \
              i = gl_WorkGroupID.x * each_run + gl_LocalInvocationID.x,                             \
              each_end = min((n), (gl_WorkGroupID.x + 1) * each_run);                               \
         i < each_end; i += WG)
#define EACH_ROW(row, n)                                                                            \
    for (uint each_row = gl_WorkGroupID.x, row = min(each_row, (n) - 1); each_row < (n);            \
         each_row += arg.groups.x, row = min(each_row, (n) - 1))
#define EACH_COLUMN(c, n) for (uint c = gl_LocalInvocationID.x; c < (n); c += WG)
