#include "model/lora.h"

#include "base/alloc.h"
#include "model/model.h"

#include <inttypes.h>
#include <string.h>

static uint64_t aligned(uint64_t n)
{
    return (n + LORA_ALIGN - 1) / LORA_ALIGN * LORA_ALIGN;
}

static uint64_t part_values(const struct adapter_part *p)
{
    return aligned((uint64_t)p->r * p->in) + aligned((uint64_t)p->r * p->out);
}

uint64_t lora_bytes(const struct adapter *x)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        n += part_values(&x->parts[i]);
    return n * sizeof(float);
}

static int parts_place(const struct model_hyper *h, const struct adapter *x, struct lora *l,
                       struct status *st)
{
    int rc = 0;
    l->first_block = h->blocks;
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        const struct tensor_shape s = role_shape(h, p->role);
        if (!(ROLE_BITS_LINEAR & ROLE_BIT(p->role)) || p->block >= h->blocks || p->in != s.columns ||
            p->out != s.rows || p->r == 0)
            FAIL(st, RC_ARG,
                 "the model has no [%" PRIu32 ", %" PRIu32 "] for the adapter's %s of block %" PRIu32, p->out,
                 p->in, role_name(p->role), p->block);
        l->parts[(size_t)p->block * ROLES + (size_t)p->role] = (struct lora_part){
            .a_at = l->n,
            .b_at = l->n + aligned((uint64_t)p->r * p->in),
            .r = p->r,
            .in = p->in,
            .out = p->out,
            .tensor = p->tensor,
            .scale = p->scale,
        };
        l->n += part_values(p);
        l->r_max = p->r > l->r_max ? p->r : l->r_max;
        l->first_block = p->block < l->first_block ? p->block : l->first_block;
    }
out:
    return rc;
}

/* out [columns, rows] of x [rows, columns]. */
static void turn(const float *x, uint32_t rows, uint32_t columns, float *out)
{
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++)
            out[(size_t)j * rows + i] = x[(size_t)i * columns + j];
}

int lora_open(const struct model *m, const struct adapter *x, struct lora *out, struct status *st)
{
    int rc = 0;
    const struct model_hyper *h = model_get_hyper(m);
    struct lora l = { .g = model_get_gpu(m), .blocks = h->blocks };
    float *values = NULL;
    if (x->dora)
        FAIL(st, RC_UNSUPPORTED,
             "the adapter has magnitudes (DoRA), which are honoured by merging: lethe merge MODEL ADAPTER "
             "OUT");
    l.parts = mem_calloc((size_t)h->blocks * ROLES, sizeof *l.parts);
    if (!l.parts)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    TRY(parts_place(h, x, &l, st));
    values = mem_calloc(l.n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        const struct lora_part *to = lora_part(&l, p->role, p->block);
        memcpy(values + to->a_at, p->a, (size_t)p->r * p->in * sizeof *values);
        turn(p->b, p->out, p->r, values + to->b_at);
    }
    TRY(gpu_alloc(l.g, l.n * sizeof *values, "adapter", &l.values, st));
    TRY(gpu_write(l.g, &l.values, 0, values, l.n * sizeof *values, st));
    *out = l;
    l = (struct lora){ 0 };
out:
    mem_free(values);
    lora_close(&l);
    return rc;
}

void lora_close(struct lora *l)
{
    if (l->values.addr)
        gpu_free(l->g, &l->values);
    mem_free(l->parts);
    *l = (struct lora){ 0 };
}

const struct lora_part *lora_part(const struct lora *l, enum tensor_role role, uint32_t block)
{
    const struct lora_part *p = &l->parts[(size_t)block * ROLES + (size_t)role];
    return p->r > 0 ? p : NULL;
}

int lora_copy_out(const struct lora *l, const float *values, struct adapter *x, struct status *st)
{
    int rc = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct adapter_part *p = &x->parts[i];
        const struct lora_part *from = p->block < l->blocks ? lora_part(l, p->role, p->block) : NULL;
        if (!from || from->r != p->r || from->in != p->in || from->out != p->out)
            FAIL(st, RC_ARG, "the adapter on the device has another shape");
        memcpy(p->a, values + from->a_at, (size_t)p->r * p->in * sizeof *values);
        turn(values + from->b_at, p->r, p->out, p->b);
    }
out:
    return rc;
}

int lora_read(const struct lora *l, struct adapter *x, struct status *st)
{
    int rc = 0;
    float *values = mem_calloc(l->n, sizeof *values);
    if (!values)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    TRY(gpu_read(l->g, &l->values, 0, values, l->n * sizeof *values, st));
    TRY(lora_copy_out(l, values, x, st));
out:
    mem_free(values);
    return rc;
}
