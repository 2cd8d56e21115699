/* What the files kind_<x>.c share; nobody else includes this. */
#ifndef LETHE_PROBES_KIND_PRIVATE_H
#define LETHE_PROBES_KIND_PRIVATE_H

#include "probes/kind.h"

#define KIND(x) extern const struct probe_kind_ops kind_##x;
#include "probes/kinds.def"
#undef KIND

/* Copies a text of an item into the pool. */
MUST_USE int item_text(const struct json *object, const char *key, bool may_be_empty, struct pool *pool,
                       const char **out, struct status *st);
/* Reads `min` to PROBE_CHOICES_MAX texts, none empty, as the item's parts. */
MUST_USE int item_texts(const struct json *object, const char *key, size_t min, bool different,
                        struct pool *pool, struct probe_item *item, struct status *st);
/* Appends an ask for delimiter + part after context, the rest as in `like`. */
MUST_USE int kind_ask(struct probe_asks *out, const char *context, const char *delimiter, const char *part,
                      const struct lm_ask *like, struct status *st);
/* 1 when the largest of scores[n], the first on ties, is gold. */
int kind_right_at(const struct probe_numbers *numbers, const double *scores);

#endif
