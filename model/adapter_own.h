/* PEFT's configuration of an adapter, between adapter.c and adapter_config.c. Private to model. */
#ifndef LETHE_MODEL_ADAPTER_OWN_H
#define LETHE_MODEL_ADAPTER_OWN_H

#include "base/json.h"
#include "model/adapter.h"

#define ADAPTER_CONFIG_NAME  "adapter_config.json"
#define ADAPTER_WEIGHTS_NAME "adapter_model.safetensors"

/* Objects from pattern to value; NULL: none. */
struct adapter_patterns {
    const struct json *rank, *alpha;
};
struct adapter_peft {
    struct json *tree;
    struct adapter_config config;
    struct adapter_patterns patterns; /* inside tree */
};

/* RC_UNSUPPORTED names the key that changes the mathematics. */
MUST_USE int adapter_peft_parse(const char *data, size_t size, struct adapter_peft *out, struct status *st);
void adapter_peft_release(struct adapter_peft *p);
/* Rank and alpha of the part from the first pattern that its path matches, where one does. */
MUST_USE int adapter_patterns_apply(const struct adapter_patterns *patterns, struct adapter_part *p,
                                    struct status *st);
/* Appends adapter_config.json. RC_ARG: base_name is not UTF-8. */
MUST_USE int adapter_peft_write(const struct adapter *x, const char *base_name, struct str *out,
                                struct status *st);

#endif
