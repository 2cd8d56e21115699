/* Private to reports/plan*.c: the parts of reading a plan. */
#ifndef LETHE_REPORTS_PLAN_PRIVATE_H
#define LETHE_REPORTS_PLAN_PRIVATE_H

#include "reports/plan.h"

MUST_USE int plan_read_use(const struct json *o, enum eval_use *use, const char **limit, double *value,
                           struct status *st);
MUST_USE int plan_read_numbers(const struct json *root, struct plan *p, bool audit, struct status *st);
MUST_USE int plan_read_groups(const struct json *root, struct plan *p, bool audit, struct status *st);
MUST_USE int plan_read_measures(const struct json *root, struct plan *p, bool audit, struct status *st);
/* What several keys must say together. */
MUST_USE int plan_check(const struct plan *p, bool audit, struct status *st);

#endif
