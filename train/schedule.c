#include "train/recipe.h"

#include <inttypes.h>
#include <math.h>

enum { WARMUP_MOST = 500, WARMUP_LEAST_STEPS = 10 };

static uint32_t warmup_of(const struct recipe *r, uint32_t steps)
{
    switch (r->warmup) {
    case WARMUP_STEPS:
        return r->warmup_steps;
    case WARMUP_RATIO:
        return (uint32_t)share_up(r->warmup_ratio.text, steps);
    case WARMUP_DEFAULT:
        break;
    }
    if (steps < WARMUP_LEAST_STEPS)
        return 0;
    const uint64_t tenth = share_of("0.1", steps);
    return tenth < WARMUP_MOST ? (uint32_t)tenth : WARMUP_MOST;
}

int recipe_shape(const struct recipe *r, uint32_t examples, struct recipe_shape *out, struct status *st)
{
    int rc = 0;
    struct recipe_shape s = { 0 };
    if (examples == 0)
        FAIL(st, RC_ARG, "there is nothing to train on");
    s.epoch_steps = examples / r->batch + (examples % r->batch != 0);
    const uint64_t steps = r->steps ? r->steps : (uint64_t)r->epochs * s.epoch_steps;
    if (steps > UINT32_MAX)
        FAIL(st, RC_LIMIT, "%" PRIu64 " updates", steps);
    s.steps = (uint32_t)steps;
    s.warmup_steps = warmup_of(r, s.steps);
    if (s.warmup_steps >= s.steps)
        FAIL(st, RC_ARG, "a warm-up of %" PRIu32 " updates, but there are %" PRIu32, s.warmup_steps, s.steps);
    *out = s;
out:
    return rc;
}

void recipe_settle(struct recipe *r, const struct recipe_shape *shape)
{
    r->warmup = WARMUP_STEPS;
    r->warmup_steps = shape->warmup_steps;
}

double schedule_rate(const struct recipe *r, const struct recipe_shape *shape, uint32_t s)
{
    const double lr = r->lr.value, warm = shape->warmup_steps, all = shape->steps;
    if (s < shape->warmup_steps)
        return lr * s / warm;
    switch (r->schedule) {
    case SCHEDULE_linear:
        return lr * fmax(0.0, (all - s) / (all - warm));
    case SCHEDULE_cosine:
        return lr * fmax(0.0, 0.5 * (1.0 + cos(3.14159265358979323846 * (s - warm) / (all - warm))));
    case SCHEDULE_constant:
    case SCHEDULES:
        break;
    }
    return lr;
}
