#include "base/alloc.h"
#include "train/train_own.h"

int micro_batch_init(struct micro_batch *b, uint32_t rows_max, struct status *st)
{
    int rc = 0;
    struct micro_batch new = { .rows_max = rows_max };
    new.ids = mem_calloc(rows_max, sizeof *new.ids);
    new.positions = mem_calloc(rows_max, sizeof *new.positions);
    new.spans = mem_calloc(rows_max, sizeof *new.spans);
    new.pick_rows = mem_calloc(rows_max, sizeof *new.pick_rows);
    new.targets = mem_calloc(rows_max, sizeof *new.targets);
    if (!new.ids || !new.positions || !new.spans || !new.pick_rows || !new.targets)
        FAIL(st, RC_NOMEM, "no memory for a batch");
    *b = new;
    new = (struct micro_batch){ 0 };
out:
    micro_batch_release(&new);
    return rc;
}

void micro_batch_release(struct micro_batch *b)
{
    mem_free(b->ids);
    mem_free(b->positions);
    mem_free(b->spans);
    mem_free(b->pick_rows);
    mem_free(b->targets);
    *b = (struct micro_batch){ 0 };
}

void micro_batch_clear(struct micro_batch *b)
{
    b->rows = b->picks = 0;
}

void micro_batch_add(struct micro_batch *b, const struct data_sequence *s)
{
    const uint32_t first = b->rows, end = first + s->n - 1;
    for (uint32_t t = 0; t < s->n - 1; t++, b->rows++) {
        b->ids[b->rows] = s->ids[t];
        b->positions[b->rows] = t;
        b->spans[b->rows] = (struct graph_span){ .self_first = first, .end = end };
        if (!s->mask[t + 1])
            continue;
        b->pick_rows[b->picks] = b->rows;
        b->targets[b->picks++] = s->ids[t + 1];
    }
}

struct graph_batch micro_batch_view(const struct micro_batch *b)
{
    return (struct graph_batch){
        .rows = b->rows,
        .ids = b->ids,
        .positions = b->positions,
        .spans = b->spans,
        .picks = b->picks,
        .pick_rows = b->pick_rows,
        .targets = b->targets,
    };
}

uint32_t pack_next(const struct recipe *r, const struct data *d, const uint32_t *order, uint32_t n,
                   uint32_t *tokens)
{
    uint32_t taken = 0, rows = 1, fill = 0;
    *tokens = 0;
    for (; taken < n; taken++) {
        const uint32_t size = d->sequences[order[taken]].n - 1;
        if (fill > 0 && fill + size > r->length) {
            if (rows == r->micro_batch)
                break;
            rows++;
            fill = 0;
        }
        fill += size;
        *tokens += size;
    }
    return taken;
}
