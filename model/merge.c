/* An adapter merged into the weights, row by row (docs/formats, 11). */
#include "base/alloc.h"
#include "model/export.h"

#include <inttypes.h>
#include <math.h>

static const struct adapter_part *part_find(const struct adapter *x, enum tensor_role role, uint32_t block)
{
    for (size_t i = 0; x && i < x->n; i++)
        if (x->parts[i].role == role && x->parts[i].block == block)
            return &x->parts[i];
    return NULL;
}

/* One row of W + scale B A, in `sums`, then in w. */
static void row_merge(const struct adapter_part *p, uint32_t row, double *sums, float *w)
{
    double square = 0;
    for (uint32_t j = 0; j < p->in; j++)
        sums[j] = 0;
    for (uint32_t k = 0; k < p->r; k++) {
        const double b = (double)p->b[(size_t)row * p->r + k];
        const float *a = p->a + (size_t)k * p->in;
        for (uint32_t j = 0; j < p->in; j++)
            sums[j] += b * (double)a[j];
    }
    for (uint32_t j = 0; j < p->in; j++) {
        sums[j] = (double)w[j] + (double)p->scale * sums[j];
        square += sums[j] * sums[j];
    }
    const double times = p->m ? (double)p->m[row] / sqrt(square) : 1;
    for (uint32_t j = 0; j < p->in; j++)
        w[j] = (float)(p->m ? times * sums[j] : sums[j]);
}

int merge_rows(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n, float *out,
               struct status *st)
{
    int rc = 0;
    double *sums = NULL;
    const struct merge *m = self;
    const struct adapter_part *p = part_find(m->adapter, role, block);
    source_f32(m->from, m->hyper, role, block, first, n, out);
    if (!p)
        goto out;
    sums = mem_calloc(p->in, sizeof *sums);
    if (!sums)
        FAIL(st, RC_NOMEM, "no memory for a row of %" PRIu32, p->in);
    for (uint32_t r = 0; r < n; r++)
        row_merge(p, first + r, sums, out + (size_t)r * p->in);
out:
    mem_free(sums);
    return rc;
}
