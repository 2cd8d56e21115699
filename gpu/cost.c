/* One line of arithmetic an operator and pass; shaders/<op>.comp says what each size is. */
#include "gpu/cost.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { F = sizeof(float) };

/* Hundredths of a byte that a weight takes in a format (shaders/lib/weight.glsl), scales included. */
static const uint32_t WEIGHT_BYTES[] = { 400, 200, 200, 75, 125 };
static const char *const WEIGHT_NAMES[] = { "f32", "f16", "bf16", "q4", "q8" };
enum { FORMATS = sizeof WEIGHT_BYTES / sizeof *WEIGHT_BYTES };

__attribute__((format(printf, 4, 5))) static struct op_cost cost(uint64_t flops, uint64_t floats,
                                                                 uint64_t bytes, const char *shape, ...)
{
    struct op_cost c = { .flops = flops, .bytes = floats * F + bytes };
    va_list args;
    c.work = c.bytes * FLOPS_A_BYTE > flops ? c.bytes * FLOPS_A_BYTE : flops;
    va_start(args, shape);
    vsnprintf(c.shape, sizeof c.shape, shape, args);
    va_end(args);
    return c;
}

static struct op_cost cost_embed(enum pass pass, const uint32_t *d)
{
    const bool adds = pass == PASS_bwd0;
    return cost(adds ? d[0] : 0, (uint64_t)(adds ? 3 : 2) * d[0], 0, "%" PRIu32 "x%" PRIu32,
                d[1] ? d[0] / d[1] : 0, d[1]);
}

static struct op_cost cost_rmsnorm(enum pass pass, const uint32_t *d)
{
    static const uint32_t FLOPS[PASS_COUNT] = { 4, 9, 3 }, FLOATS[PASS_COUNT] = { 2, 4, 2 };
    const uint64_t n = (uint64_t)d[0] * d[1];
    return cost(FLOPS[pass] * n, FLOATS[pass] * n, 0, "%" PRIu32 "x%" PRIu32, d[0], d[1]);
}

static struct op_cost cost_rope(enum pass pass, const uint32_t *d)
{
    (void)pass;
    return cost((uint64_t)6 * d[0], (uint64_t)4 * d[0], 0, "%" PRIu32 " pairs, heads %" PRIu32 "x%" PRIu32,
                d[0], d[1], d[2]);
}

/* Products of one query and one key: scores and values forward; scores, dP and dq; scores, dP, dk and dv. */
static struct op_cost cost_attention(enum pass pass, const uint32_t *d)
{
    static const uint32_t PRODUCTS[PASS_COUNT] = { 2, 3, 4 }, QUERIES[PASS_COUNT] = { 2, 4, 3 },
                          KEYS[PASS_COUNT] = { 2, 2, 4 };
    const uint32_t each = pass == PASS_bwd1 ? d[2] : d[1];
    const uint64_t rows = each ? d[0] / each : 0, pairs = rows * (rows + 1) / 2;
    return cost(2 * PRODUCTS[pass] * pairs * d[1] * d[3],
                rows * d[3] * ((uint64_t)QUERIES[pass] * d[1] + (uint64_t)KEYS[pass] * d[2]), 0,
                "%" PRIu64 " rows, %" PRIu32 "/%" PRIu32 " heads x%" PRIu32, rows, d[1], d[2], d[3]);
}

static struct op_cost cost_swiglu(enum pass pass, const uint32_t *d)
{
    const bool fwd = pass == PASS_fwd;
    return cost((uint64_t)(fwd ? 5 : 9) * d[0], (uint64_t)(fwd ? 3 : 4) * d[0], 0, "%" PRIu32, d[0]);
}

static struct op_cost cost_matmul(enum pass pass, const uint32_t *d)
{
    const uint64_t m = d[0], n = d[1], k = d[2], r = d[7], out = pass == PASS_fwd ? n : k;
    const uint32_t format = d[6] < FORMATS ? d[6] : 0;
    const bool weight = pass != PASS_bwd1; /* bwd1 adds to its gradient in f32 */
    char adapter[16] = "";
    if (weight && r)
        snprintf(adapter, sizeof adapter, " +r%" PRIu64, r);
    return cost(2 * m * n * k + (weight ? 2 * m * r * out : 0),
                m * n + m * k + (weight ? r * (m + out) : 2 * n * k),
                weight ? n * k * WEIGHT_BYTES[format] / 100 : 0, "%" PRIu64 "x%" PRIu64 "x%" PRIu64 " %s%s",
                m, n, k, WEIGHT_NAMES[weight ? format : 0], adapter);
}

static struct op_cost cost_skinny(enum pass pass, const uint32_t *d, uint64_t m, uint64_t r, uint64_t wide,
                                  bool adds)
{
    const uint64_t rows = m * wide * (adds ? 2 : 1), small = m * r + r * wide * (pass == PASS_bwd1 ? 2 : 1);
    return cost(2 * m * r * wide, rows + small, 0, "%" PRIu32 "x%" PRIu32 "x%" PRIu32, d[0], d[1], d[2]);
}

static struct op_cost cost_lora(enum pass pass, const uint32_t *d)
{
    return cost_skinny(pass, d, d[0], d[1], d[2], pass == PASS_bwd0);
}

static struct op_cost cost_gather(enum pass pass, const uint32_t *d)
{
    (void)pass;
    return cost_embed(PASS_fwd, d);
}

static struct op_cost cost_xent(enum pass pass, const uint32_t *d)
{
    const uint64_t n = (uint64_t)d[0] * d[1];
    const bool fwd = pass == PASS_fwd;
    return cost((fwd ? 6 : 4) * n, (fwd ? 1 : 2) * n, 0, "%" PRIu32 "x%" PRIu32, d[0], d[1]);
}

static struct op_cost cost_kl(enum pass pass, const uint32_t *d)
{
    const uint64_t n = (uint64_t)d[0] * d[1];
    (void)pass;
    return cost(32 * n, 2 * n, 0, "%" PRIu32 "x%" PRIu32, d[0], d[1]);
}

static struct op_cost cost_sumsq(enum pass pass, const uint32_t *d)
{
    (void)pass;
    return cost((uint64_t)2 * d[2], d[2], 0, "%" PRIu32, d[2]);
}

static struct op_cost cost_adamw(enum pass pass, const uint32_t *d)
{
    (void)pass;
    return cost((uint64_t)16 * d[0], (uint64_t)(d[3] ? 8 : 7) * d[0], 0, "%" PRIu32, d[0]);
}

static struct op_cost cost_peak(enum pass pass, const uint32_t *d)
{
    (void)pass;
    return cost((uint64_t)2 * PEAK_CHAINS * d[0] * d[1], (uint64_t)2 * d[0], 0, "%" PRIu32 "x%" PRIu32, d[0],
                d[1]);
}

struct op_cost op_cost(const struct op_call *call)
{
    static struct op_cost (*const COSTS[OP_COUNT])(enum pass pass, const uint32_t *d) = {
#define OP(name, grid, workgroup, constants, passes) [OP_##name] = cost_##name,
#include "gpu/ops.def"
#undef OP
    };
    return COSTS[call->op](call->pass, call->args.d);
}
