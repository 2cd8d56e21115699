/* One of several continuations of a context: the likeliest must be among the right ones. */
#include "probes/kind_private.h"

#include <inttypes.h>

static int gold_add(struct probe_item *item, const struct json *j, struct status *st)
{
    if (!json_is_int(j))
        return status_fail(st, RC_FORMAT, "gold is not an index or an array of them");
    int64_t index = json_int(j);
    if (index < 0 || (uint64_t)index >= item->n_parts)
        return status_fail(st, RC_FORMAT, "gold is %" PRId64 ", but there are %zu choices (0 to %zu)", index,
                           item->n_parts, item->n_parts - 1);
    for (size_t k = 0; k < item->n_gold; k++)
        if (item->gold[k] == (uint32_t)index)
            return status_fail(st, RC_FORMAT, "gold names choice %" PRId64 " twice", index);
    item->gold[item->n_gold++] = (uint32_t)index;
    return 0;
}

static int choice_parse(const struct json *object, struct pool *pool, struct probe_item *item,
                        struct status *st)
{
    int rc = 0;
    TRY(item_text(object, "context", true, pool, &item->context, st));
    TRY(item_texts(object, "choices", 2, true, pool, item, st));
    const struct json *gold = json_find(object, "gold");
    if (!gold)
        FAIL(st, RC_FORMAT, "key 'gold' is missing");
    bool many = json_type(gold) == JSON_ARRAY;
    if (many && json_size(gold) == 0)
        FAIL(st, RC_FORMAT, "gold is empty: no choice would be right");
    item->gold = pool_take(pool, item->n_parts, sizeof(*item->gold));
    if (!item->gold)
        FAIL(st, RC_NOMEM, "no memory for gold");
    if (!many)
        TRY(gold_add(item, gold, st));
    for (const struct json *j = many ? json_first(gold) : NULL; j; j = json_next(j))
        TRY(gold_add(item, j, st));
out:
    return rc;
}

static int choice_asks(const struct probe_item *item, const struct probe_asking *how, uint32_t number,
                       struct probe_asks *out, struct status *st)
{
    int rc = 0;
    const char *delimiter = how->rendered ? "" : how->delimiter;
    struct lm_ask like = { .item = number };
    for (size_t k = 0; k < item->n_parts; k++)
        TRY(kind_ask(out, item->context, delimiter, item->parts[k], &like, st));
    // The same continuations with nothing in front never see a template: there is no message to render.
    like = (struct lm_ask){ .item = number + 1, .plain = true };
    for (size_t k = 0; how->unconditional && k < item->n_parts; k++)
        TRY(kind_ask(out, "", delimiter, item->parts[k], &like, st));
out:
    return rc;
}

static void choice_judge(const struct probe_numbers *in, struct probe_right *out)
{
    double scores[PROBE_CHOICES_MAX];
    out->acc = kind_right_at(in, in->ll);
    for (size_t k = 0; k < in->n; k++)
        scores[k] = in->ll[k] / (double)in->chars[k];
    out->acc_norm = kind_right_at(in, scores);
    for (size_t k = 0; k < in->n; k++)
        scores[k] = in->ll[k] / (double)in->bytes[k];
    out->acc_bytes = kind_right_at(in, scores);
    if (!in->ll_uncond)
        return;
    for (size_t k = 0; k < in->n; k++)
        scores[k] = in->ll[k] - in->ll_uncond[k];
    out->acc_mutual_info = kind_right_at(in, scores);
}

static const char *const keys[] = { "context", "choices", "gold", NULL };

const struct probe_kind_ops kind_choice = {
    .name = "choice",
    .metrics = { METRIC_acc, METRIC_acc_norm, METRIC_acc_bytes, METRIC_acc_mutual_info },
    .n_metrics = 4,
    .accuracy = true,
    .keys = keys,
    .parse = choice_parse,
    .asks = choice_asks,
    .judge = choice_judge,
};
