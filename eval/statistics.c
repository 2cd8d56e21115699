/* Numbers of a plan that must fit together: docs/formats 4. */
#include "base/json.h"
#include "eval/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UNIT INT64_C(1000000000000) /* decimals have at most 12 digits behind the point */

/* alpha in units of 10^-12; between 0 and one half. */
static int alpha_units(const char *text, int64_t *out, struct status *st)
{
    int64_t value = 0, scale = UNIT;
    bool good = json_is_decimal(text) && text[0] == '0' && text[1] == '.';
    for (const char *c = text + 2; good && *c; c++) {
        scale /= 10;
        value += (*c - '0') * scale;
    }
    if (!good || value <= 0 || value >= UNIT / 2)
        return status_fail(st, RC_ARG, "alpha is '%.40s', wanted a decimal above 0 and below 0.5", text);
    *out = value;
    return 0;
}

int eval_alpha_count(const char *alpha_text, uint64_t replicates, size_t gates_and_tasks, uint64_t *out,
                     struct status *st)
{
    int rc = 0;
    int64_t alpha = 0;
    TRY(alpha_units(alpha_text, &alpha, st));
    if (replicates < 1 || replicates > EVAL_REPLICATES_MAX)
        FAIL(st, RC_LIMIT, "%" PRIu64 " replicates, wanted 1 to %d", replicates, EVAL_REPLICATES_MAX);
    const int64_t product = (int64_t)(replicates + 1) * alpha;
    if (product % UNIT != 0)
        FAIL(st, RC_ARG, "(%" PRIu64 " + 1) replicates times alpha %s is not a whole number", replicates,
             alpha_text);
    const uint64_t count = (uint64_t)(product / UNIT), least = 10 * (uint64_t)gates_and_tasks;
    if (count < least)
        FAIL(st, RC_ARG,
             "%" PRIu64 " replicates are too few for %zu gates and tasks at alpha %s: (R + 1) alpha "
             "is %" PRIu64 ", wanted %" PRIu64 " or more",
             replicates, gates_and_tasks, alpha_text, count, least);
    *out = count;
out:
    return rc;
}

int eval_replicates(const char *alpha_text, size_t gates_and_tasks, uint32_t *out, struct status *st)
{
    int rc = 0;
    int64_t alpha = 0;
    TRY(alpha_units(alpha_text, &alpha, st));
    if (gates_and_tasks > EVAL_SUITES_MAX + EVAL_GROUPS_MAX)
        FAIL(st, RC_LIMIT, "%zu gates and tasks", gates_and_tasks);
    int64_t a = UNIT, b = alpha;
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    const int64_t step = UNIT / a; /* R + 1 must be a multiple of it */
    int64_t least = (10 * (int64_t)gates_and_tasks * UNIT + alpha - 1) / alpha;
    if (least < 10000)
        least = 10000;
    const int64_t total = (least + step - 1) / step * step;
    if (total - 1 > EVAL_REPLICATES_MAX)
        FAIL(st, RC_LIMIT, "alpha %s for %zu gates and tasks wants over %d replicates", alpha_text,
             gates_and_tasks, EVAL_REPLICATES_MAX);
    *out = (uint32_t)(total - 1);
out:
    return rc;
}

struct eval_limit eval_limit_of(enum eval_use use, const char *decimal)
{
    struct eval_limit limit = { .has = true, .text = decimal, .value = strtod(decimal, NULL) };
    if (use == USE_task)
        limit.value = -limit.value;
    return limit;
}
