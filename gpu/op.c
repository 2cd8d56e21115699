#include "gpu/vk.h"

#include "base/alloc.h"
#include "gpu/time_own.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum grid { GRID_ELEMS, GRID_ROWS, GRID_HEADS, GRID_TILES, GRID_BLOCKS };
enum { GROUPS_MAX = 65535, CPU_GROUPS = 256 };
/* A workgroup has up to so many times the mean work: the last rows of a causal sequence, or the first
 * workgroups where the last have no element left. */
enum { UNEVEN = 2 };
enum { SIZE_CONSTANTS = 8 /* number of SIZE0 in shaders/lib/op.glsl */, CONSTANTS_MAX = SIZE_CONSTANTS + 8 };

/* Sides of the part of an output that one workgroup makes: TILES, BLOCKS, and rows and columns of a lane
 * kernel, the latter for each invocation. Keep equal to shaders/lib/tile.glsl, shaders/lib/block.glsl,
 * shaders/matmul.lane.comp. */
enum {
    TILE = 16,
    BLOCK = 64,
    LANE_ROWS = 16,
    LANE_COLS = 4,
    UNIFORM_LANES = 16,
    UNIFORM_ROUND = 16,
    UNIFORM_TOKENS = 8,
    UNIFORM_SPAN = 64
};
/* Of uniform kernels for each pass: rows, columns of a lane. Keep equal to shaders/lora.uniform.comp and
 * shaders/matmul.uniform.comp. */
static const uint8_t UNIFORM_LORA[PASS_COUNT][2] = { { 32, 1 }, { 32, 1 }, { 8, 4 } },
                     UNIFORM_MATMUL[PASS_COUNT][2] = { { 48, 1 }, { 48, 1 }, { 48, 2 } };
_Static_assert((int)COOP_SIDE == (int)BLOCK, "coop shares the grid of the plain product");

static const struct {
    const char *name;
    enum grid grid;
    uint32_t workgroup;
    const char *constants; /* "c36" */
} OPS[] = {
#define OP(name, grid, workgroup, constants, passes)                                                         \
    [OP_##name] = { #name, GRID_##grid, workgroup, #constants },
#include "gpu/ops.def"
#undef OP
};

static const char *const PASSES[PASS_COUNT] = { "fwd", "bwd0", "bwd1" };
static const char *const VARIANTS[VARIANT_COUNT] = { "plain", "lane", "uniform", "coop" };

/* Built from shaders/: an array of words for each operator, variant and pass with a file, and the list of
 * them. */
#include "spv.h"

static const struct {
    const uint32_t *words;
    size_t bytes;
} CODE[OP_COUNT][VARIANT_COUNT][PASS_COUNT] = {
#define SPV(op, variant, pass)                                                                               \
    [OP_##op][VARIANT_##variant][PASS_##pass] = { SPV_##op##_##variant##_##pass,                             \
                                                  sizeof SPV_##op##_##variant##_##pass },
    SPV_LIST
#undef SPV
};

const char *op_name(enum op op)
{
    return OPS[op].name;
}

const char *variant_name(enum variant v)
{
    return VARIANTS[v];
}

const char *pass_name(enum pass p)
{
    return PASSES[p];
}

struct hash op_digest(enum op op, enum pass pass, enum variant variant)
{
    return sha256_of(CODE[op][variant][pass].words, CODE[op][variant][pass].bytes);
}

struct hash ops_digest(void)
{
    struct hash all[1 + OP_COUNT * VARIANT_COUNT * PASS_COUNT] = { 0 };
    size_t n = 0;
    for (int op = 0; op < OP_COUNT; op++)
        for (int v = 0; v < VARIANT_COUNT; v++)
            for (int p = 0; p < PASS_COUNT; p++)
                if (CODE[op][v][p].words)
                    all[n++] = op_digest((enum op)op, (enum pass)p, (enum variant)v);
    return sha256_of(all, n * sizeof *all);
}

/* ---- which variant ---- */

bool op_serves(const struct gpu *g, enum op op, enum pass pass, enum variant variant)
{
    if (!CODE[op][variant][pass].words)
        return false;
    switch (variant) {
    case VARIANT_plain:
        return true;
    case VARIANT_lane: /* one subgroup a workgroup, loads of 64 bits */
        return g->info.int64 && g->info.lanes_min == g->info.lanes_max && g->info.lanes_max >= 4 &&
               g->info.lanes_max <= 16;
    case VARIANT_uniform: /* right everywhere, and fast where equal addresses become one load */
        return g->info.int64;
    case VARIANT_coop:
        return g->info.coop;
    case VARIANT_COUNT:
        break;
    }
    return false;
}

bool op_fits(const struct op_call *call)
{
    const uint32_t *d = call->args.d;
    if (call->variant != VARIANT_uniform)
        return true;
    if (call->op == OP_lora && call->pass == PASS_bwd1)
        return d[0] >= UNIFORM_TOKENS && d[1] % 4 == 0;
    if (call->op != OP_matmul)
        return true;
    if (call->pass == PASS_bwd1)
        return d[0] >= UNIFORM_SPAN && d[3] % 2 == 0 && d[4] % 4 == 0;
    const uint32_t inner = d[call->pass == PASS_fwd ? 2 : 1];
    return inner >= UNIFORM_ROUND && inner % UNIFORM_ROUND == 0 && d[3] % 4 == 0 &&
           (call->pass == PASS_fwd || call->args.p[6]);
}

enum variant op_choose(const struct gpu *g, enum op op, enum pass pass)
{
    return g->variants[op][pass];
}

/* ---- pipelines ---- */

/* Whether a few workgroups of one subgroup share all elements: each workgroup costs a software driver what
 * 1000 elements do, and each subgroup of one runs through its loops alone. */
static bool on_few(const struct gpu *g, const struct op_call *call)
{
    const enum grid grid = OPS[call->op].grid;
    const bool plain = call->variant == VARIANT_plain;
    const bool elements = grid == GRID_ELEMS && (plain || call->variant == VARIANT_lane);
    return (elements || (grid == GRID_HEADS && plain)) && strcmp(g->info.type, "cpu") == 0;
}

/* Invocations of a workgroup. */
static uint32_t group_size(const struct gpu *g, const struct op_call *call)
{
    if (call->variant == VARIANT_lane || on_few(g, call))
        return g->info.lanes_max;
    return call->variant == VARIANT_uniform ? UNIFORM_LANES : OPS[call->op].workgroup;
}

int ops_open(struct gpu *g, struct status *st)
{
    int rc = 0;
    VkPushConstantRange push = { .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = sizeof(struct op_push) };
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };
    VK(vkCreatePipelineLayout(g->device, &layout, NULL, &g->layout));
    cache_open(g);
out:
    return rc;
}

void ops_forget(struct gpu *g)
{
    struct pipeline **first = &g->pipelines[0][0][0];
    for (size_t i = 0; i < sizeof g->pipelines / sizeof *first; i++) {
        while (first[i]) {
            struct pipeline *p = first[i];
            first[i] = p->next;
            vkDestroyPipeline(g->device, p->handle, NULL);
            mem_free(p);
        }
    }
    g->used_n = 0;
    g->changes++;
}

void ops_close(struct gpu *g)
{
    ops_forget(g);
    cache_close(g);
    vkDestroyPipelineLayout(g->device, g->layout, NULL);
}

/* Adds the shader to the list of those used, in order of name. */
static int used_add(struct gpu *g, const struct op_call *call, struct status *st)
{
    int rc = 0;
    struct op_used new = { 0 };
    size_t at = 0;
    snprintf(new.name, sizeof new.name, "%s.%s.%s", OPS[call->op].name, VARIANTS[call->variant],
             PASSES[call->pass]);
    while (at < g->used_n && strcmp(g->used[at].name, new.name) < 0)
        at++;
    if (at < g->used_n && strcmp(g->used[at].name, new.name) == 0)
        goto out;
    new.sha256 = op_digest(call->op, call->pass, call->variant);
    TRY(mem_grow(&g->used, g->used_n, &g->used_cap, sizeof *g->used, st));
    memmove(&g->used[at + 1], &g->used[at], (g->used_n - at) * sizeof *g->used);
    g->used[at] = new;
    g->used_n++;
out:
    return rc;
}

size_t op_used(const struct gpu *g, const struct op_used **out)
{
    *out = g->used;
    return g->used_n;
}

/* Workgroup, tile, straight, of coop its matrices and lanes; then the sizes. */
static uint32_t constants_get(const struct gpu *g, const struct op_call *call, const uint32_t sizes[8],
                              uint32_t values[CONSTANTS_MAX], VkSpecializationMapEntry entries[CONSTANTS_MAX])
{
    uint32_t n = 0;
    values[n] = group_size(g, call);
    entries[n++].constantID = 0;
    values[n] = TILE;
    entries[n++].constantID = 1;
    values[n] = g->straight;
    entries[n++].constantID = 2;
    for (uint32_t i = 0; call->variant == VARIANT_coop && i < 4; i++) {
        values[n] = i < 3 ? g->info.coop_sides[i] : g->info.lanes_max;
        entries[n++].constantID = 3 + i;
    }
    for (const char *c = OPS[call->op].constants + 1; *c; c++) {
        values[n] = sizes[*c - '0'];
        entries[n++].constantID = SIZE_CONSTANTS + (uint32_t)(*c - '0');
    }
    for (uint32_t i = 0; i < n; i++) {
        entries[i].offset = i * (uint32_t)sizeof *values;
        entries[i].size = sizeof *values;
    }
    return n;
}

static int pipeline_make(struct gpu *g, const struct op_call *call, const uint32_t sizes[8], VkPipeline *out,
                         struct status *st)
{
    int rc = 0;
    VkShaderModule module = VK_NULL_HANDLE;
    VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = CODE[call->op][call->variant][call->pass].bytes,
        .pCode = CODE[call->op][call->variant][call->pass].words,
    };
    VK(vkCreateShaderModule(g->device, &code, NULL, &module));
    const bool full = call->variant == VARIANT_lane || call->variant == VARIANT_coop;
    uint32_t values[CONSTANTS_MAX];
    VkSpecializationMapEntry entries[CONSTANTS_MAX];
    VkSpecializationInfo special = {
        .mapEntryCount = constants_get(g, call, sizes, values, entries),
        .pMapEntries = entries,
        .dataSize = sizeof values,
        .pData = values,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = g->pipeline_flags | VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
        .layout = g->layout,
        .stage = {
            .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
            .flags = full && g->full_subgroups
                         ? (VkPipelineShaderStageCreateFlags)
                               VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT
                         : 0,
            .stage = VK_SHADER_STAGE_COMPUTE_BIT,
            .module = module,
            .pName = "main",
            .pSpecializationInfo = &special,
        },
    };
    VK(vkCreateComputePipelines(g->device, g->cache, 1, &info, NULL, out));
    g->cache_grew = true;
out:
    vkDestroyShaderModule(g->device, module, NULL);
    return rc;
}

static void call_text(const struct op_call *call, char out[160])
{
    const uint32_t *d = call->args.d;
    snprintf(out, 160, "%s.%s.%s, sizes %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32,
             OPS[call->op].name, VARIANTS[call->variant], PASSES[call->pass], d[0], d[1], d[2], d[3], d[4],
             d[5]);
}

int op_pipeline(struct gpu *g, const struct op_call *call, VkPipeline *out, struct status *st)
{
    int rc = 0;
    uint32_t sizes[8] = { 0 };
    for (const char *c = OPS[call->op].constants + 1; *c; c++)
        sizes[*c - '0'] = call->args.d[*c - '0'];
    struct pipeline *made = NULL, **list = &g->pipelines[call->op][call->variant][call->pass];
    struct pipeline *p = *list;
    while (p && memcmp(p->sizes, sizes, sizeof sizes) != 0)
        p = p->next;
    if (!p) {
        made = mem_calloc(1, sizeof *made);
        if (!made)
            FAIL(st, RC_NOMEM, "no memory for a pipeline");
        TRY(used_add(g, call, st));
        TRY(pipeline_make(g, call, sizes, &made->handle, st));
        memcpy(made->sizes, sizes, sizeof sizes);
        made->next = *list;
        *list = p = made;
        made = NULL;
    }
    *out = p->handle;
out:
    if (rc != 0) {
        char text[160];
        call_text(call, text);
        status_prefix(st, "%s", text);
    }
    mem_free(made);
    return rc;
}

/* ---- running ---- */

static uint32_t blocks(uint32_t n, uint32_t size)
{
    return n / size + (n % size != 0);
}

/* Rows and columns of the output that a workgroup makes. */
static void tile_sides(const struct gpu *g, const struct op_call *call, uint32_t sides[2])
{
    const uint32_t lanes = group_size(g, call);
    sides[0] = sides[1] = OPS[call->op].grid == GRID_TILES ? TILE : BLOCK;
    if (call->variant == VARIANT_lane) {
        sides[0] = LANE_ROWS;
        sides[1] = LANE_COLS * lanes;
    } else if (call->variant == VARIANT_uniform) {
        const uint8_t *tile = (call->op == OP_lora ? UNIFORM_LORA : UNIFORM_MATMUL)[call->pass];
        sides[0] = tile[0];
        sides[1] = tile[1] * lanes;
    }
}

/* Whether neighbouring workgroups make neighbouring columns: they share what is spread over more memory. */
static bool columns_first(const struct op_call *call)
{
    return call->variant == VARIANT_uniform && call->op == OP_matmul && call->pass == PASS_bwd1;
}

/* Workgroups along x and y. Every device takes 65535 a side; the shaders' loops make up for the rest. */
static void grid_size(const struct gpu *g, const struct op_call *call, uint32_t xy[2])
{
    const uint32_t *d = call->args.d;
    const uint32_t lanes = group_size(g, call);
    xy[0] = xy[1] = 1;
    switch (OPS[call->op].grid) {
    case GRID_ELEMS:
        xy[0] = blocks(d[0], lanes);
        break;
    case GRID_ROWS: /* in a lane kernel a lane owns a row */
        xy[0] = call->variant == VARIANT_lane ? blocks(d[0], lanes) : d[0];
        if (call->pass == PASS_bwd1)
            xy[0] = blocks(d[1], lanes);
        break;
    case GRID_HEADS:
        xy[0] = call->variant == VARIANT_plain ? d[0] : blocks(d[0], lanes);
        break;
    case GRID_TILES:
    case GRID_BLOCKS: { /* the output is m x n, its gradients m x k and n x k */
        const uint32_t rows = call->pass == PASS_bwd1 ? d[1] : d[0],
                       cols = call->pass == PASS_fwd ? d[1] : d[2];
        uint32_t sides[2];
        tile_sides(g, call, sides);
        xy[0] = blocks(rows, sides[0]);
        xy[1] = blocks(cols, sides[1]);
        if (columns_first(call)) {
            xy[0] = blocks(cols, sides[1]);
            xy[1] = blocks(rows, sides[0]);
        }
        break;
    }
    }
    const uint32_t most = on_few(g, call) ? CPU_GROUPS : GROUPS_MAX;
    for (int i = 0; i < 2; i++)
        if (xy[i] > most)
            xy[i] = most;
}

void op_grid(const struct gpu *g, const struct op_call *call, uint32_t groups[2], uint32_t part[2])
{
    const uint64_t work = op_cost(call).work;
    grid_size(g, call, groups);
    part[0] = groups[0];
    part[1] = groups[1];
    const double all = (double)groups[0] * groups[1];
    if (work <= g->flops_max || all <= 1)
        return;
    const uint64_t most = (uint64_t)(all * (double)g->flops_max / (double)work / UNEVEN);
    if (most < groups[0]) {
        part[0] = most > 0 ? (uint32_t)most : 1;
        part[1] = 1;
    } else {
        part[1] = (uint32_t)(most / groups[0]);
    }
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct dispatch {
    VkPipeline pipeline;
    const char *text, *name; /* for messages, for times */
    struct op_cost cost;
    struct op_push push;
    uint32_t part[2];
};

/* The part of the grid that starts at workgroup x, y: whole, or in a submission of its own. */
static int dispatch_part(struct gpu *g, const struct dispatch *d, uint32_t x, uint32_t y, struct status *st)
{
    int rc = 0;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    const uint32_t *all = d->push.groups, *part = d->part;
    const bool whole = part[0] == all[0] && part[1] == all[1];
    TRY(timer_room(g, st));
    TRY(record_begin(g, d->text, whole ? d->cost.work : g->flops_max, &commands, st));
    TRY(timer_start(g, commands, d->name, &d->cost, x == 0 && y == 0, st));
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, d->pipeline);
    vkCmdPushConstants(commands, g->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof d->push, &d->push);
    vkCmdDispatchBase(commands, x, y, 0, least(part[0], all[0] - x), least(part[1], all[1] - y), 1);
    timer_stop(g, commands);
    TRY(record_end(g, st));
out:
    return rc;
}

int op_run(struct gpu *g, const struct op_call *call, struct status *st)
{
    int rc = 0;
    char text[160], name[40];
    struct dispatch d = { .text = text, .name = name, .cost = op_cost(call), .push = { .args = call->args } };
    call_text(call, text);
    if (!op_serves(g, call->op, call->pass, call->variant) || !op_fits(call))
        FAIL(st, RC_UNSUPPORTED, "%s: does not run on %s", text, g->info.name);
    TRY(op_pipeline(g, call, &d.pipeline, st));
    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, ","), text);
    op_grid(g, call, d.push.groups, d.part);
    for (uint32_t y = 0; y < d.push.groups[1]; y += d.part[1])
        for (uint32_t x = 0; x < d.push.groups[0]; x += d.part[0])
            TRY(dispatch_part(g, &d, x, y, st));
out:
    return rc;
}

int op_run_chosen(struct gpu *g, enum op op, enum pass pass, const struct op_args *args, struct status *st)
{
    int rc = 0;
    VkPipeline unused;
    struct op_call call = { .op = op, .pass = pass, .variant = op_choose(g, op, pass), .args = *args };
    struct op_call other = call;
    other.variant = op_serves(g, op, pass, VARIANT_lane) ? VARIANT_lane : VARIANT_plain;
    if (call.variant == VARIANT_uniform && pass == PASS_bwd1) { /* it counts rows */
        TRY(op_pipeline(g, &call, &unused, st));
        TRY(op_pipeline(g, &other, &unused, st));
    }
    TRY(op_run(g, op_fits(&call) ? &call : &other, st));
out:
    return rc;
}
