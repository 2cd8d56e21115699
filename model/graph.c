#include "model/graph.h"

#include "base/alloc.h"
#include "model/graph_own.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 256, ARGUMENTS = 10 };

/* ---- layout ---- */

static uint64_t carve(uint64_t *total, uint64_t rows, uint64_t width, uint64_t size)
{
    const uint64_t at = *total;
    *total += (rows * width * size + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

/* Products read whole tiles of 48 rows, and a little more where a loop runs on:
 * shaders/matmul.uniform.comp. */
static uint32_t with_room(uint32_t rows)
{
    return (rows + 47) / 48 * 48 + 16;
}

/* Rows that a product reads side by side fall into few sets of a cache when their distance is a multiple of 2
 * KiB. */
static uint32_t spread(uint32_t width)
{
    return width % 512 == 0 ? width + 16 : width;
}

static void inputs_layout(struct graph *g, uint32_t rows, uint32_t picks)
{
    uint64_t *n = &g->inputs_bytes;
    g->ids = carve(n, rows, 2, 4); /* and links behind them, with `full`: shaders/embed.comp */
    g->positions = carve(n, rows, 1, 4);
    g->spans = carve(n, rows, 1, sizeof(struct graph_span));
    g->pick_rows = carve(n, picks, 1, 4);
    g->targets = carve(n, picks, 1, 4);
    g->weights = carve(n, picks, 1, 4);
    g->table = carve(n, g->options.positions_max, g->h->head_size, 4);
    g->arguments = carve(n, g->h->blocks, ARGUMENTS, 8);
    g->draw = carve(n, 1, 4, 4);
}

static void block_layout(const struct graph *g, struct block_rows *r, uint64_t *n)
{
    const struct model_hyper *h = g->h;
    const uint32_t rows = g->rows_room, q = h->heads * h->head_size, kv = h->kv_heads * h->head_size;
    r->q = carve(n, rows, q, 4);
    r->k = carve(n, rows, kv, 4);
    r->v = carve(n, rows, kv, 4);
    r->o = carve(n, rows, q, 4);
    r->lse = carve(n, rows, h->heads, 4);
    r->gate = carve(n, rows, g->mlp_stride, 4);
    r->up = carve(n, rows, g->mlp_stride, 4);
    for (int role = 0; role < ROLES; role++)
        if (ROLE_BITS_LINEAR & ROLE_BIT(role))
            r->u[role] = carve(n, rows, g->options.rank_max, 4);
}

static void gradients_layout(struct graph *g, uint32_t picks)
{
    const struct model_hyper *h = g->h;
    const uint32_t rows = g->rows_room, q = h->heads * h->head_size, kv = h->kv_heads * h->head_size;
    uint64_t *n = &g->scratch_bytes;
    g->dx = carve(n, rows, h->width, 4);
    g->dnormed = carve(n, rows, h->width, 4);
    g->dq = carve(n, rows, q, 4);
    g->dk = carve(n, rows, kv, 4);
    g->dv = carve(n, rows, kv, 4);
    g->do_ = carve(n, rows, q, 4);
    g->dgate = carve(n, rows, g->mlp_stride, 4);
    g->dup = carve(n, rows, g->mlp_stride, 4);
    g->dact = carve(n, rows, g->mlp_stride, 4);
    g->du = carve(n, rows, g->options.rank_max, 4);
    g->dpicked = carve(n, picks, h->width, 4);
    g->dpicked_normed = carve(n, picks, h->width, 4);
}

int graph_layout(struct graph *g, struct status *st)
{
    int rc = 0;
    struct graph_options *o = &g->options;
    o->picks_max = o->picks_max ? o->picks_max : o->rows_max;
    o->positions_max = o->positions_max ? o->positions_max : o->rows_max;
    o->frozen = !o->train ? 0 : o->frozen < g->h->blocks ? o->frozen : g->h->blocks - 1;
    const uint32_t again_most = g->h->blocks - o->frozen - 1;
    o->again = !o->train ? 0 : o->again < again_most ? o->again : again_most;
    g->rows_room = with_room(o->rows_max);
    g->mlp_stride = spread(g->h->mlp);
    const uint32_t picks = with_room(o->picks_max * (o->compare ? 2 : 1)), rows = g->rows_room;
    g->rows = mem_calloc(g->h->blocks, sizeof *g->rows);
    if (!g->rows)
        FAIL(st, RC_NOMEM, "no memory for a graph");
    inputs_layout(g, rows, picks);
    g->x = carve(&g->scratch_bytes, rows, g->h->width, 4);
    g->normed = carve(&g->scratch_bytes, rows, g->h->width, 4);
    if (o->full)
        g->roots = carve(&g->scratch_bytes, rows > picks ? rows : picks, 1, 4);
    g->act = carve(&g->scratch_bytes, rows, g->mlp_stride, 4);
    g->picked = carve(&g->scratch_bytes, picks, g->h->width, 4);
    g->picked_normed = carve(&g->scratch_bytes, picks, g->h->width, 4);
    g->logits = carve(&g->scratch_bytes, picks, LOGITS_STRIDE, 4);
    g->state = carve(&g->scratch_bytes, picks, 8, 4);
    if (o->compare) {
        g->fork = carve(&g->scratch_bytes, rows, g->h->width, 4);
        g->kl = carve(&g->scratch_bytes, o->picks_max, 8, 4);
    }
    if (o->train)
        gradients_layout(g, picks);
    struct block_rows shared = { .in = &g->scratch, .buffer = &g->scratch, .x = g->x, .mid = g->x };
    if (!o->train)
        block_layout(g, &shared, &g->scratch_bytes);
    for (uint32_t i = 0; i < g->h->blocks; i++) {
        g->rows[i] = shared;
        if (!o->train)
            continue;
        uint64_t n = 0;
        g->rows[i].x = carve(&n, rows, g->h->width, 4);
        g->x_bytes = n;
        g->rows[i].mid = carve(&n, rows, g->h->width, 4);
        block_layout(g, &g->rows[i], &n);
        g->kept_bytes = n;
    }
out:
    return rc;
}

bool graph_is_again(const struct graph *g, uint32_t block)
{
    return block < g->options.frozen + g->options.again;
}

static uint64_t bytes_of(const struct graph *g)
{
    const uint64_t again = g->options.again, kept = g->h->blocks - g->options.frozen - again;
    return g->inputs_bytes + g->scratch_bytes + again * g->x_bytes + kept * g->kept_bytes;
}

uint64_t graph_plan(const struct model_hyper *h, const struct graph_options *options)
{
    struct graph g = { .h = h, .options = *options };
    const int rc = graph_layout(&g, NULL);
    const uint64_t bytes = bytes_of(&g);
    mem_free(g.rows);
    return rc == 0 ? bytes : 0;
}

/* ---- open, close ---- */

/* cos and sin of position * base^(-2i/size), in double, rounded once. */
static int table_write(struct graph *g, struct status *st)
{
    int rc = 0;
    const uint32_t half = g->h->head_size / 2;
    const uint64_t n = (uint64_t)g->options.positions_max * half * 2;
    float *table = mem_calloc(n, sizeof *table);
    if (!table)
        FAIL(st, RC_NOMEM, "no memory for a table of positions");
    for (uint32_t i = 0; i < half; i++) {
        const double turn = pow((double)g->h->rope_base, -2.0 * i / g->h->head_size);
        for (uint32_t p = 0; p < g->options.positions_max; p++) {
            float *to = table + ((uint64_t)p * half + i) * 2;
            to[0] = (float)cos(p * turn);
            to[1] = (float)sin(p * turn);
        }
    }
    TRY(gpu_write(g->g, &g->inputs, g->table, table, n * sizeof *table, st));
out:
    mem_free(table);
    return rc;
}

/* attention's bwd1 has more buffers than addresses: they stand in memory, and never change. */
static int arguments_write(struct graph *g, struct status *st)
{
    int rc = 0;
    for (uint32_t i = 0; i < g->h->blocks; i++) {
        const struct block_rows *r = &g->rows[i];
        const uint64_t base = r->buffer->addr, to = g->scratch.addr;
        const uint64_t block[ARGUMENTS] = { base + r->q, base + r->k,   base + r->v,
                                            base + r->o, base + r->lse, g->inputs.addr + g->spans,
                                            to + g->do_, to + g->dk,    to + g->dv };
        TRY(gpu_write(g->g, &g->inputs, g->arguments + (uint64_t)i * sizeof block, block, sizeof block, st));
    }
out:
    return rc;
}

static int memory_take(struct graph *g, struct status *st)
{
    int rc = 0;
    const struct gpu_info *info = gpu_get_info(g->g);
    const uint64_t free = gpu_bytes_free(g->g), needed = bytes_of(g);
    const uint32_t frozen = g->options.frozen,
                   kept = frozen + g->options.again; /* the lowest that is whole */
    if (needed > free)
        FAIL(st, RC_NOMEM, "a batch of %" PRIu32 " rows needs %.2f GiB on %s, which has %.2f GiB free",
             g->options.rows_max, (double)needed / 0x1p30, info->name, (double)free / 0x1p30);
    TRY(gpu_alloc(g->g, g->inputs_bytes, "batch", &g->inputs, st));
    TRY(gpu_alloc(g->g, g->scratch_bytes, "activations", &g->scratch, st));
    for (uint32_t i = 0; g->options.train && i < g->h->blocks; i++) {
        if (i >= frozen)
            TRY(gpu_alloc(g->g, i < kept ? g->x_bytes : g->kept_bytes, "activations", &g->kept[i], st));
        g->rows[i].in = &g->kept[i < frozen ? frozen : i];
        g->rows[i].buffer = &g->kept[i < kept ? kept : i];
    }
out:
    return rc;
}

int graph_open(struct model *m, const struct graph_options *options, struct graph **out, struct status *st)
{
    int rc = 0;
    struct graph *g = mem_calloc(1, sizeof *g);
    if (!g)
        FAIL(st, RC_NOMEM, "no memory for a graph");
    g->m = m;
    g->g = model_get_gpu(m);
    g->h = model_get_hyper(m);
    g->options = *options;
    TRY(graph_layout(g, st));
    g->kept = mem_calloc(g->h->blocks, sizeof *g->kept);
    g->host_state =
        mem_calloc((size_t)g->options.picks_max * (g->options.compare ? 24 : 8), sizeof *g->host_state);
    g->links = g->options.full ? mem_calloc(g->rows_room, sizeof *g->links) : NULL;
    g->last_rows = g->options.full ? mem_calloc(g->h->vocab, sizeof *g->last_rows) : NULL;
    if (!g->kept || !g->host_state || (g->options.full && (!g->links || !g->last_rows)))
        FAIL(st, RC_NOMEM, "no memory for a graph");
    TRY(memory_take(g, st));
    TRY(table_write(g, st));
    if (g->options.train) {
        TRY(arguments_write(g, st));
        TRY(gpu_recordings_open(g->g, &g->forward, st));
        TRY(gpu_recordings_open(g->g, &g->backward, st));
    }
    *out = g;
    g = NULL;
out:
    graph_close(g);
    return rc;
}

void graph_close(struct graph *g)
{
    if (!g)
        return;
    gpu_recordings_close(g->forward);
    gpu_recordings_close(g->backward);
    for (uint32_t i = 0; g->kept && i < g->h->blocks; i++)
        if (g->kept[i].addr)
            gpu_free(g->g, &g->kept[i]);
    if (g->scratch.addr)
        gpu_free(g->g, &g->scratch);
    if (g->inputs.addr)
        gpu_free(g->g, &g->inputs);
    mem_free(g->kept);
    mem_free(g->rows);
    mem_free(g->host_state);
    mem_free(g->links);
    mem_free(g->last_rows);
    mem_free(g);
}

int graph_begin(const struct graph_pass *p, struct gpu_recordings *r, bool *again, struct status *st)
{
    const struct graph_batch *b = p->batch;
    uint64_t key[RECORDING_KEY] = { b->rows, b->picks, b->lora ? b->lora->values.addr : 0,
                                    p->gradient ? p->gradient->addr : 0 };
    if (p->full)
        key[3] = full_address(&p->full->parts[0], FULL_GRADIENT);
    memcpy(&key[4], &b->dropout, sizeof b->dropout);
    *again = false;
    return r ? gpu_recording_begin(r, key, again, st) : 0;
}

int graph_end(const struct graph_pass *p, struct gpu_recordings *r, struct status *st)
{
    return r ? gpu_recording_end(r, st) : gpu_submit(p->g->g, st);
}

int graph_settle(struct graph *g, int rc)
{
    if (rc != 0)
        (void)!gpu_submit(g->g, NULL); /* the first failure is what counts */
    return rc;
}

uint64_t graph_tokens(const struct graph *g)
{
    return g->tokens;
}

/* ---- operators ---- */

struct graph_pass graph_pass(struct graph *g, const struct graph_batch *batch)
{
    struct graph_pass p = { .g = g, .batch = batch };
    if (batch->lora && batch->dropout > 0)
        p.threshold = (uint32_t)floor(batch->dropout * 0x1p32); /* docs/formats 0.7 */
    return p;
}

int graph_run(struct graph *g, enum op op, enum pass pass, const struct op_args *args, struct status *st)
{
    return op_run_chosen(g->g, op, pass, args, st);
}

int graph_rmsnorm(struct graph *g, uint64_t x, uint64_t weight, uint64_t y, uint32_t rows, struct status *st)
{
    return graph_run(g, OP_rmsnorm, PASS_fwd,
                     &(struct op_args){
                         .p = { x, weight, y, g->options.full ? g->scratch.addr + g->roots : 0 },
                         .d = { rows, g->h->width },
                         .f = { g->h->norm_eps },
                     },
                     st);
}

int graph_rope(struct graph *g, enum pass pass, uint64_t x, uint32_t rows, uint32_t heads, struct status *st)
{
    const uint32_t size = g->h->head_size;
    return graph_run(g, OP_rope, pass,
                     &(struct op_args){
                         .p = { x, g->inputs.addr + g->positions, g->inputs.addr + g->table },
                         .d = { rows * heads * (size / 2), heads, size, heads * size,
                                g->h->rope_pairing == ROPE_NEIGHBOURS ? 0 : 1 },
                     },
                     st);
}

uint32_t graph_in_stride(const struct graph *g, enum tensor_role role)
{
    return role == ROLE_DOWN ? g->mlp_stride : role_shape(g->h, role).columns;
}

uint32_t graph_out_stride(const struct graph *g, enum tensor_role role)
{
    return role == ROLE_GATE || role == ROLE_UP ? g->mlp_stride : role_shape(g->h, role).rows;
}

int graph_swiglu(struct graph *g, uint64_t gate, uint64_t up, uint64_t y, uint32_t rows, struct status *st)
{
    return graph_run(g, OP_swiglu, PASS_fwd,
                     &(struct op_args){ .p = { gate, up, y }, .d = { rows * g->mlp_stride } }, st);
}

uint32_t graph_head_columns(const struct graph *g, uint32_t column)
{
    const uint32_t left = g->h->vocab - column;
    return left < GRAPH_CHUNK ? left : GRAPH_CHUNK;
}

struct model_weight graph_head_weight(const struct graph *g, uint32_t column)
{
    struct model_weight w = *model_weight(g->m, ROLE_HEAD, 0);
    const uint64_t units = weight_units_at(w.format, column, g->h->width);
    w.units += units;
    w.groups += weight_groups_at(w.format, column, g->h->width);
    w.turned += w.turned ? units : 0;
    return w;
}

int graph_head_chunk(struct graph *g, uint32_t first, uint32_t n, uint32_t column, struct status *st)
{
    const uint32_t width = g->h->width;
    const struct model_weight w = graph_head_weight(g, column);
    return graph_run(g, OP_matmul, PASS_fwd,
                     &(struct op_args){
                         .p = { g->scratch.addr + g->picked_normed + (uint64_t)first * width * sizeof(float),
                                w.units, g->scratch.addr + g->logits, 0, 0, 0, 0, w.groups },
                         .d = { n, graph_head_columns(g, column), width, width, LOGITS_STRIDE, 0, w.format },
                     },
                     st);
}

struct op_args graph_lora_a(const struct graph_pass *p, enum tensor_role role, const struct lora_part *part)
{
    struct op_args args = {
        .d = { p->batch->rows, part->r, part->in, graph_in_stride(p->g, role), p->threshold, part->tensor },
        .f = { 1, 1 },
    };
    if (p->threshold)
        args.f[0] = (float)(1.0 / (1.0 - p->batch->dropout));
    return args;
}
