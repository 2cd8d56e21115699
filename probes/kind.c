#include "probes/kind.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "probes/kind_private.h"

#include <assert.h>
#include <string.h>

static const struct probe_kind_ops *const kinds[PROBE_KINDS] = {
#define KIND(x) [PROBE_##x] = &kind_##x,
#include "probes/kinds.def"
#undef KIND
};

static const char *const metric_names[] = {
    [METRIC_acc] = "acc",
    [METRIC_acc_norm] = "acc_norm",
    [METRIC_acc_bytes] = "acc_bytes",
    [METRIC_acc_mutual_info] = "acc_mutual_info",
    [METRIC_bits_per_byte] = "bits_per_byte",
};

const struct probe_kind_ops *probe_kind_ops(enum probe_kind kind)
{
    assert(kind < PROBE_KINDS);
    return kinds[kind];
}

const char *probe_kind_name(enum probe_kind kind)
{
    return probe_kind_ops(kind)->name;
}

bool probe_kind_find(const char *name, enum probe_kind *out)
{
    for (size_t i = 0; i < PROBE_KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0) {
            *out = (enum probe_kind)i;
            return true;
        }
    return false;
}

bool probe_kind_has_metric(enum probe_kind kind, enum probe_metric metric)
{
    const struct probe_kind_ops *ops = probe_kind_ops(kind);
    for (size_t i = 0; i < ops->n_metrics; i++)
        if (ops->metrics[i] == metric)
            return true;
    return false;
}

const char *probe_metric_name(enum probe_metric metric)
{
    return metric_names[metric];
}

bool probe_metric_find(const char *name, enum probe_metric *out)
{
    for (size_t i = 0; i < sizeof(metric_names) / sizeof(metric_names[0]); i++)
        if (strcmp(metric_names[i], name) == 0) {
            *out = (enum probe_metric)i;
            return true;
        }
    return false;
}

/* ---- reading an item ---- */

bool probe_item_id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n < 1 || n > PROBE_ID_BYTES_MAX)
        return false;
    for (size_t at = 0; at < n;) {
        int32_t cp = 0;
        at += utf8_next(id + at, n - at, &cp);
        if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            return false;
    }
    return true;
}

bool probe_suite_id_valid(const char *id)
{
    size_t n = strlen(id);
    if (n < 1 || n > PROBE_SUITE_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];
        bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!first && (i == 0 || (c != '_' && c != '-')))
            return false;
    }
    return true;
}

int item_text(const struct json *object, const char *key, bool may_be_empty, struct pool *pool,
              const char **out, struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    TRY(json_get_text(object, key, &text, st));
    if (!may_be_empty && !*text)
        FAIL(st, RC_FORMAT, "'%s' is empty", key);
    *out = pool_text(pool, text, strlen(text));
    if (!*out)
        FAIL(st, RC_NOMEM, "no memory for '%s'", key);
out:
    return rc;
}

int item_texts(const struct json *object, const char *key, size_t min, bool different, struct pool *pool,
               struct probe_item *item, struct status *st)
{
    int rc = 0;
    const struct json *array = NULL;
    TRY(json_get(object, key, JSON_ARRAY, &array, st));
    size_t n = json_size(array);
    if (n < min)
        FAIL(st, RC_FORMAT, "'%s' has %zu entries, wanted %zu or more", key, n, min);
    if (n > PROBE_CHOICES_MAX)
        FAIL(st, RC_LIMIT, "'%s' has %zu entries, over %d", key, n, PROBE_CHOICES_MAX);
    item->parts = pool_take(pool, n, sizeof(*item->parts));
    if (!item->parts)
        FAIL(st, RC_NOMEM, "no memory for '%s'", key);
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        const char *text = json_text(j);
        if (!text || !*text)
            FAIL(st, RC_FORMAT, "'%s' entry %zu is %s, wanted a text", key, item->n_parts,
                 text ? "empty" : "not a string");
        for (size_t k = 0; different && k < item->n_parts; k++)
            if (strcmp(item->parts[k], text) == 0)
                FAIL(st, RC_FORMAT, "'%s' entries %zu and %zu are the same", key, k, item->n_parts);
        char *copy = pool_text(pool, text, strlen(text));
        if (!copy)
            FAIL(st, RC_NOMEM, "no memory for '%s'", key);
        item->parts[item->n_parts++] = copy;
    }
out:
    return rc;
}

static int read_tags(const struct json *object, struct pool *pool, struct probe_item *item, struct status *st)
{
    int rc = 0;
    if (!json_find(object, "tags"))
        return 0;
    const struct json *array = NULL;
    TRY(json_get(object, "tags", JSON_ARRAY, &array, st));
    item->tags = pool_take(pool, json_size(array), sizeof(*item->tags));
    if (!item->tags)
        FAIL(st, RC_NOMEM, "no memory for tags");
    for (const struct json *j = json_first(array); j; j = json_next(j)) {
        const char *text = json_text(j);
        if (!text)
            FAIL(st, RC_FORMAT, "tag %zu is not a string", item->n_tags);
        for (size_t k = 0; k < item->n_tags; k++)
            if (strcmp(item->tags[k], text) == 0)
                FAIL(st, RC_FORMAT, "tag '%.60s' stands there twice", text);
        char *copy = pool_text(pool, text, strlen(text));
        if (!copy)
            FAIL(st, RC_NOMEM, "no memory for tags");
        item->tags[item->n_tags++] = copy;
    }
out:
    return rc;
}

static int check_keys(const struct json *object, const struct probe_kind_ops *ops, struct status *st)
{
    static const char *const common[] = { "id", "cluster", "tags", "meta", NULL };
    const char *keys[16];
    size_t n = 0;
    for (const char *const *k = common; *k; k++)
        keys[n++] = *k;
    for (const char *const *k = ops->keys; *k; k++)
        keys[n++] = *k;
    assert(n < 16);
    keys[n] = NULL;
    return json_only(object, keys, st);
}

int probe_item_parse(const struct json *object, enum probe_kind kind, struct pool *pool,
                     struct probe_item *item, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct probe_item new = { 0 };
    const struct probe_kind_ops *ops = probe_kind_ops(kind);
    if (json_type(object) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an object");
    TRY(item_text(object, "id", false, pool, &new.id, st));
    if (!probe_item_id_valid(new.id))
        FAIL(st, RC_FORMAT, "an id is 1 to %d bytes without control characters", PROBE_ID_BYTES_MAX);
    TRY(check_keys(object, ops, st));
    if (json_find(object, "cluster"))
        TRY(item_text(object, "cluster", true, pool, &new.cluster, st));
    TRY(read_tags(object, pool, &new, st));
    TRY(ops->parse(object, pool, &new, st));
    TRY(json_write_canonical(object, &text, st));
    new.canonical = pool_text(pool, text.data, text.size);
    if (!new.canonical)
        FAIL(st, RC_NOMEM, "no memory for the item");
    *item = new;
out:
    str_release(&text);
    return rc;
}

/* ---- asking and judging ---- */

void probe_asks_clear(struct probe_asks *a)
{
    a->n = 0;
    pool_release(&a->texts);
}

void probe_asks_release(struct probe_asks *a)
{
    mem_free(a->asks);
    pool_release(&a->texts);
    *a = (struct probe_asks){ 0 };
}

int kind_ask(struct probe_asks *out, const char *context, const char *delimiter, const char *part,
             const struct lm_ask *like, struct status *st)
{
    int rc = 0;
    size_t before = strlen(delimiter), after = strlen(part);
    TRY(mem_grow(&out->asks, out->n, &out->cap, sizeof(*out->asks), st));
    char *target = pool_take(&out->texts, before + after + 1, 1);
    if (!target)
        FAIL(st, RC_NOMEM, "no memory for a question");
    memcpy(target, delimiter, before);
    memcpy(target + before, part, after);
    struct lm_ask *ask = &out->asks[out->n++];
    *ask = *like;
    ask->context = context;
    ask->context_size = strlen(context);
    ask->target = target;
    ask->target_size = before + after;
out:
    return rc;
}

int probe_item_asks(enum probe_kind kind, const struct probe_item *item, const struct probe_asking *how,
                    uint32_t number, struct probe_asks *out, struct status *st)
{
    const struct probe_kind_ops *ops = probe_kind_ops(kind);
    if (!ops->asks)
        return status_fail(st, RC_UNSUPPORTED, "scoring of kind '%s' with a model comes later", ops->name);
    return ops->asks(item, how, number, out, st);
}

int kind_right_at(const struct probe_numbers *numbers, const double *scores)
{
    size_t best = 0;
    for (size_t k = 1; k < numbers->n; k++)
        if (scores[k] > scores[best])
            best = k;
    for (size_t k = 0; k < numbers->n_gold; k++)
        if (numbers->gold[k] == best)
            return 1;
    return 0;
}
