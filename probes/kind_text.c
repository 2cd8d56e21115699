/* A passage: its log-likelihood, counted in bits per byte. */
#include "probes/kind_private.h"

static int text_parse(const struct json *object, struct pool *pool, struct probe_item *item,
                      struct status *st)
{
    int rc = 0;
    item->parts = pool_take(pool, 1, sizeof(*item->parts));
    if (!item->parts)
        FAIL(st, RC_NOMEM, "no memory for a text");
    TRY(item_text(object, "text", false, pool, &item->parts[0], st));
    item->n_parts = 1;
out:
    return rc;
}

static int text_asks(const struct probe_item *item, const struct probe_asking *how, uint32_t number,
                     struct probe_asks *out, struct status *st)
{
    (void)how;
    const struct lm_ask like = { .item = number, .rolling = true, .plain = true };
    return kind_ask(out, "", "", item->parts[0], &like, st);
}

static const char *const keys[] = { "text", NULL };

const struct probe_kind_ops kind_text = {
    .name = "text",
    .metrics = { METRIC_bits_per_byte },
    .n_metrics = 1,
    .accuracy = false,
    .keys = keys,
    .parse = text_parse,
    .asks = text_asks,
};
