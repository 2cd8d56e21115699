#include "gpu/weight.h"

#include <string.h>

enum { UNIT_BYTES = 8 };

static const struct {
    const char *name;
    uint32_t unit; /* values of a unit */
    bool grouped;
} WEIGHTS[WEIGHT_COUNT] = {
    [WEIGHT_f32] = { "f32", 2, false },   [WEIGHT_f16] = { "f16", 4, false },
    [WEIGHT_bf16] = { "bf16", 4, false }, [WEIGHT_q4] = { "q4", 16, true },
    [WEIGHT_q8] = { "q8", 8, true },
};

const char *weight_name(enum weight w)
{
    return WEIGHTS[w].name;
}

bool weight_grouped(enum weight w)
{
    return WEIGHTS[w].grouped;
}

uint32_t weight_step(enum weight w)
{
    return WEIGHTS[w].grouped ? WEIGHT_GROUP : WEIGHT_PANEL;
}

static uint64_t panels(uint64_t rows)
{
    return (rows + WEIGHT_PANEL - 1) / WEIGHT_PANEL;
}

uint64_t weight_units_at(enum weight w, uint64_t first, uint64_t columns)
{
    return first * (columns / WEIGHTS[w].unit) * UNIT_BYTES;
}

uint64_t weight_groups_at(enum weight w, uint64_t first, uint64_t columns)
{
    return WEIGHTS[w].grouped ? first * (columns / WEIGHT_GROUP) * 2 * sizeof(float) : 0;
}

uint64_t weight_units_bytes(enum weight w, uint64_t rows, uint64_t columns)
{
    return weight_units_at(w, panels(rows) * WEIGHT_PANEL, columns);
}

uint64_t weight_groups_bytes(enum weight w, uint64_t rows, uint64_t columns)
{
    return weight_groups_at(w, panels(rows) * WEIGHT_PANEL, columns);
}

/* A unit of the values at `at`, at + stride, …: lowest bits first. */
static uint64_t unit_of(enum weight w, const struct weight_rows *in, size_t at, size_t stride)
{
    uint64_t unit = 0;
    switch (w) {
    case WEIGHT_f32:
        for (int i = 0; i < 2; i++) {
            uint32_t bits;
            memcpy(&bits, &in->values[at + (size_t)i * stride], sizeof bits);
            unit |= (uint64_t)bits << (32 * i);
        }
        break;
    case WEIGHT_f16:
    case WEIGHT_bf16:
        for (int i = 0; i < 4; i++)
            unit |= (uint64_t)in->halves[at + (size_t)i * stride] << (16 * i);
        break;
    case WEIGHT_q4:
        for (int i = 0; i < 16; i++)
            unit |= (uint64_t)(uint8_t)in->codes[at + (size_t)i * stride] << (4 * i);
        break;
    case WEIGHT_q8:
        for (int i = 0; i < 8; i++)
            unit |= (uint64_t)(uint8_t)in->codes[at + (size_t)i * stride] << (8 * i);
        break;
    case WEIGHT_COUNT:
        break;
    }
    return unit;
}

void weight_pack(enum weight w, const struct weight_rows *in, uint32_t columns, uint8_t *units,
                 uint8_t *groups)
{
    const uint32_t values = WEIGHTS[w].unit;
    for (uint32_t r = 0; r < WEIGHT_PANEL; r++) {
        for (uint32_t k = 0; k < columns; k += values) {
            const uint64_t unit = unit_of(w, in, (size_t)r * columns + k, 1);
            memcpy(units + ((size_t)k / values * WEIGHT_PANEL + r) * UNIT_BYTES, &unit, UNIT_BYTES);
        }
        for (uint32_t g = 0; WEIGHTS[w].grouped && g < columns / WEIGHT_GROUP; g++)
            memcpy(groups + ((size_t)g * WEIGHT_PANEL + r) * 2 * sizeof(float),
                   in->groups + ((size_t)r * (columns / WEIGHT_GROUP) + g) * 2, 2 * sizeof(float));
    }
}

void weight_turn(enum weight w, const struct weight_rows *in, uint32_t columns, uint32_t first, uint32_t rows,
                 uint8_t *units)
{
    const uint32_t values = WEIGHTS[w].unit;
    const size_t steps = (rows + WEIGHT_PANEL - 1) / WEIGHT_PANEL * WEIGHT_PANEL / values;
    for (uint32_t k = 0; k < columns; k++)
        for (uint32_t r = 0; r < WEIGHT_PANEL; r += values) {
            const uint64_t unit = unit_of(w, in, (size_t)r * columns + k, columns);
            const size_t step = (first + r) / values;
            memcpy(units + ((k / WEIGHT_PANEL * steps + step) * WEIGHT_PANEL + k % WEIGHT_PANEL) * UNIT_BYTES,
                   &unit, UNIT_BYTES);
        }
}
