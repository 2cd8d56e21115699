// Packed weights. W [N, K] lies in panels of 16 rows. A panel is K / UNIT steps; a step holds a unit of 8
// bytes for each of the 16 rows, so that neighbouring lanes read neighbouring units. A unit holds UNIT values
// along K:
//   f32 2 floats    f16, bf16 4 halves    q8 8 signed bytes    q4 16 nibbles, lowest bits first
// Codes come with groups [N / 16][K / 32][16], a pair of floats for each 32 values of a row:
//   q4 scale and minimum, code * scale + minimum      q8 the scales of the first and of the last 16
// Before this file stands FORMAT, a constant: enum weight of gpu/op.h.
#define FORMAT_F32 0
#define FORMAT_F16 1
#define FORMAT_BF16 2
#define FORMAT_Q4 3
#define FORMAT_Q8 4
const uint UNIT = FORMAT == FORMAT_F32 ? 2 : FORMAT == FORMAT_Q4 ? 16 : FORMAT == FORMAT_Q8 ? 8 : 4;
const bool GROUPED = FORMAT == FORMAT_Q4 || FORMAT == FORMAT_Q8;

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Units { uvec2 v[]; };

// Value i of a unit; `second`: the unit lies in the last 16 of its group.
float unit_value(uvec2 unit, uint i, vec2 group, bool second)
{
    if (FORMAT == FORMAT_F32)
        return uintBitsToFloat(i == 0 ? unit.x : unit.y);
    if (FORMAT == FORMAT_F16) {
        vec2 halves = unpackHalf2x16(i < 2 ? unit.x : unit.y);
        return i % 2 == 0 ? halves.x : halves.y;
    }
    if (FORMAT == FORMAT_BF16) {
        uint halves = i < 2 ? unit.x : unit.y;
        return uintBitsToFloat(i % 2 == 0 ? halves << 16 : halves & 0xffff0000u);
    }
    if (FORMAT == FORMAT_Q4)
        return float((i < 8 ? unit.x : unit.y) >> 4 * (i % 8) & 15u) * group.x + group.y;
    int code = int(i < 4 ? unit.x : unit.y) << 24 - 8 * (i % 4) >> 24;
    return float(code) * (second ? group.y : group.x);
}

uint unit_at(uint n, uint k, uint width) { return (n / 16 * (width / UNIT) + k / UNIT) * 16 + n % 16; }
uint group_at(uint n, uint k, uint width) { return (n / 16 * (width / 32) + k / 32) * 16 + n % 16; }

// Element (n, k) of a weight with rows of `width`.
float weight_at(uvec2 units, uvec2 groups, uint n, uint k, uint width)
{
    vec2 group = GROUPED ? uintBitsToFloat(Units(groups).v[group_at(n, k, width)]) : vec2(0.0);
    return unit_value(Units(units).v[unit_at(n, k, width)], k % UNIT, group, k % 32 >= 16);
}
