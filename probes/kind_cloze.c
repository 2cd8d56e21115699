/* A context that greedy decoding must go on with one of the accepted answers. */
#include "probes/kind_private.h"

static int cloze_parse(const struct json *object, struct pool *pool, struct probe_item *item,
                       struct status *st)
{
    int rc = 0;
    TRY(item_text(object, "context", false, pool, &item->context, st));
    TRY(item_texts(object, "answers", 1, false, pool, item, st));
out:
    return rc;
}

static int cloze_asks(const struct probe_item *item, const struct probe_asking *how, uint32_t number,
                      struct probe_asks *out, struct status *st)
{
    int rc = 0;
    const struct lm_ask like = { .item = number };
    for (size_t k = 0; k < item->n_parts; k++)
        TRY(kind_ask(out, item->context, how->rendered ? "" : how->delimiter, item->parts[k], &like, st));
out:
    return rc;
}

static void cloze_judge(const struct probe_numbers *in, struct probe_right *out)
{
    out->acc = 0;
    for (size_t k = 0; k < in->n; k++)
        if (in->greedy[k])
            out->acc = 1;
}

static const char *const keys[] = { "context", "answers", NULL };

const struct probe_kind_ops kind_cloze = {
    .name = "cloze",
    .metrics = { METRIC_acc },
    .n_metrics = 1,
    .accuracy = true,
    .keys = keys,
    .parse = cloze_parse,
    .asks = cloze_asks,
    .judge = cloze_judge,
};
