/* Two sentences, one of them good: scored as two continuations of nothing. */
#include "probes/kind_private.h"

#include <string.h>

static int pair_parse(const struct json *object, struct pool *pool, struct probe_item *item,
                      struct status *st)
{
    int rc = 0;
    item->parts = pool_take(pool, 2, sizeof(*item->parts));
    item->gold = pool_take(pool, 1, sizeof(*item->gold)); /* the good one stands first */
    if (!item->parts || !item->gold)
        FAIL(st, RC_NOMEM, "no memory for a pair");
    TRY(item_text(object, "good", false, pool, &item->parts[0], st));
    TRY(item_text(object, "bad", false, pool, &item->parts[1], st));
    if (strcmp(item->parts[0], item->parts[1]) == 0)
        FAIL(st, RC_FORMAT, "good and bad are the same sentence");
    item->n_parts = 2;
    item->n_gold = 1;
out:
    return rc;
}

static int pair_asks(const struct probe_item *item, const struct probe_asking *how, uint32_t number,
                     struct probe_asks *out, struct status *st)
{
    int rc = 0;
    const struct lm_ask like = { .item = number, .plain = true };
    for (size_t k = 0; k < 2; k++)
        TRY(kind_ask(out, "", how->delimiter, item->parts[k], &like, st));
out:
    return rc;
}

static void pair_judge(const struct probe_numbers *in, struct probe_right *out)
{
    out->acc = in->ll[0] > in->ll[1]; /* a tie is wrong */
}

static const char *const keys[] = { "good", "bad", NULL };

const struct probe_kind_ops kind_pair = {
    .name = "pair",
    .metrics = { METRIC_acc },
    .n_metrics = 1,
    .accuracy = true,
    .keys = keys,
    .parse = pair_parse,
    .asks = pair_asks,
    .judge = pair_judge,
};
