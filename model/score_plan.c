#include "model/score_plan.h"

#include "base/alloc.h"

#include <string.h>

int score_batch_init(struct score_batch *b, uint32_t rows_max, uint32_t picks_max, struct status *st)
{
    int rc = 0;
    struct score_batch new = { .rows_max = rows_max, .picks_max = picks_max };
    new.ids = mem_calloc(rows_max, sizeof *new.ids);
    new.positions = mem_calloc(rows_max, sizeof *new.positions);
    new.spans = mem_calloc(rows_max, sizeof *new.spans);
    new.pick_rows = mem_calloc(picks_max, sizeof *new.pick_rows);
    new.targets = mem_calloc(picks_max, sizeof *new.targets);
    if (!new.ids || !new.positions || !new.spans || !new.pick_rows || !new.targets)
        FAIL(st, RC_NOMEM, "no memory for a batch");
    *b = new;
    new = (struct score_batch){ 0 };
out:
    score_batch_release(&new);
    return rc;
}

void score_batch_release(struct score_batch *b)
{
    mem_free(b->ids);
    mem_free(b->positions);
    mem_free(b->spans);
    mem_free(b->pick_rows);
    mem_free(b->targets);
    mem_free(b->entries);
    mem_free(b->order);
    *b = (struct score_batch){ 0 };
}

void score_batch_clear(struct score_batch *b)
{
    b->rows = b->picks = 0;
    b->entries_n = b->order_n = 0;
}

uint32_t score_common(const struct score_sequence *s, size_t n)
{
    uint32_t common = n > 0 ? s[0].n - 1 : 0;
    for (size_t i = 1; i < n; i++) {
        uint32_t same = 0;
        while (same < common && same < s[i].n - 1 && s[i].ids[same] == s[0].ids[same])
            same++;
        common = same;
    }
    return common;
}

/* Rows `from` … of an input, behind a prefix of `from` rows that begins at row `prefix`. */
static void rows_add(struct score_batch *b, const int32_t *ids, uint32_t from, uint32_t to, uint32_t prefix)
{
    const uint32_t first = b->rows;
    for (uint32_t t = from; t < to; t++, b->rows++) {
        b->ids[b->rows] = ids[t];
        b->positions[b->rows] = t;
        b->spans[b->rows] = (struct graph_span){
            .prefix_first = from > 0 ? prefix : 0,
            .prefix_len = from,
            .self_first = first,
            .end = first + (to - from),
        };
    }
}

/* The pick of a row and target among those from `first` on, or a new one. */
static uint32_t pick_get(struct score_batch *b, uint32_t first, uint32_t row, int32_t target, bool shared)
{
    for (uint32_t i = first; shared && i < b->picks; i++)
        if (b->pick_rows[i] == row && b->targets[i] == target)
            return i;
    b->pick_rows[b->picks] = row;
    b->targets[b->picks] = target;
    return b->picks++;
}

static int entry_add(struct score_batch *b, const struct score_sequence *s, uint32_t common, uint32_t prefix,
                     uint32_t self, uint32_t picks_before, struct status *st)
{
    int rc = 0;
    TRY(mem_grow(&b->entries, b->entries_n, &b->entries_cap, sizeof *b->entries, st));
    b->entries[b->entries_n++] =
        (struct score_entry){ .owner = s->owner, .first = b->order_n, .n = s->scored };
    for (uint32_t t = s->n - 1 - s->scored; t < s->n - 1; t++) {
        const bool shared = t < common;
        const uint32_t row = shared ? prefix + t : self + (t - common);
        TRY(mem_grow(&b->order, b->order_n, &b->order_cap, sizeof *b->order, st));
        b->order[b->order_n++] = pick_get(b, picks_before, row, s->ids[t + 1], shared);
    }
out:
    return rc;
}

int score_batch_place(struct score_batch *b, const struct score_sequence *s, size_t n, bool share,
                      bool *placed, struct status *st)
{
    int rc = 0;
    const uint32_t common = share && n > 1 ? score_common(s, n) : 0;
    const uint32_t prefix = b->rows, picks = b->picks;
    uint64_t rows = common, scored = 0;
    *placed = false;
    for (size_t i = 0; i < n; i++) {
        rows += s[i].n - 1 - common;
        scored += s[i].scored;
    }
    if (rows > b->rows_max - b->rows || scored > b->picks_max - b->picks)
        goto out;
    if (common > 0)
        rows_add(b, s[0].ids, 0, common, 0);
    for (size_t i = 0; i < n; i++) {
        const uint32_t self = b->rows;
        rows_add(b, s[i].ids, common, s[i].n - 1, prefix);
        TRY(entry_add(b, &s[i], common, prefix, self, picks, st));
    }
    *placed = true;
out:
    return rc;
}
