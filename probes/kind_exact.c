/* A generated answer that must equal an accepted one after normalisation. */
#include "base/utf8.h"
#include "probes/kind_private.h"

#include <string.h>

static int exact_parse(const struct json *object, struct pool *pool, struct probe_item *item,
                       struct status *st)
{
    int rc = 0;
    TRY(item_text(object, "context", false, pool, &item->context, st));
    TRY(item_texts(object, "answers", 1, false, pool, item, st));
out:
    return rc;
}

static bool same(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && (n == 0 || memcmp(a, b, n) == 0);
}

int probe_output_judge(const struct probe_item *item, const char *output, size_t n,
                       enum probe_normalise normalise, bool *right, struct status *st)
{
    int rc = 0;
    bool found = false;
    struct str said = { 0 }, wanted = { 0 };
    if (normalise == NORMALISE_text)
        TRY(utf8_normalise_text(output, n, &said, st));
    for (size_t k = 0; !found && k < item->n_parts; k++) {
        const char *answer = item->parts[k];
        if (normalise == NORMALISE_none) {
            found = same(output, n, answer, strlen(answer));
            continue;
        }
        str_clear(&wanted);
        TRY(utf8_normalise_text(answer, strlen(answer), &wanted, st));
        TRY(str_check(&wanted, st));
        found = same(str_text(&said), said.size, str_text(&wanted), wanted.size);
    }
    TRY(str_check(&said, st));
    *right = found;
out:
    str_release(&said);
    str_release(&wanted);
    return rc;
}

static const char *const keys[] = { "context", "answers", NULL };

const struct probe_kind_ops kind_exact = {
    .name = "exact",
    .metrics = { METRIC_acc },
    .n_metrics = 1,
    .accuracy = true,
    .keys = keys,
    .parse = exact_parse,
};
