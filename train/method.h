/* Private to train/: the methods of methods.def, and what reads their keys. */
#ifndef LETHE_TRAIN_METHOD_H
#define LETHE_TRAIN_METHOD_H

#include "train/recipe.h"

#define METHOD(x) extern const struct method method_##x;
#include "train/methods.def"
#undef METHOD

/* A key that is missing leaves *out as it is. `range` is how a message calls min to max. */
MUST_USE int decimal_read(const struct json *object, const char *key, const char *range, double min,
                          double max, struct decimal *out, struct status *st);
MUST_USE int count_read(const struct json *object, const char *key, uint32_t min, uint32_t max, uint32_t *out,
                        struct status *st);
struct decimal decimal_default(const char *text);
/* method_full.c: factor of the schedule's rate for a tensor (methods 3.5). */
double full_rate(const struct recipe *r, const struct model_hyper *h, enum tensor_role role, uint32_t block);

#endif
