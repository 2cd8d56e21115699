/* PEFT's configuration of an adapter, between adapter.c and adapter_config.c. Private to model. */
#ifndef LETHE_MODEL_ADAPTER_OWN_H
#define LETHE_MODEL_ADAPTER_OWN_H

#include "base/json.h"
#include "model/adapter.h"

#define ADAPTER_CONFIG_NAME  "adapter_config.json"
#define ADAPTER_WEIGHTS_NAME "adapter_model.safetensors"

/* What the configuration says about single modules. */
struct adapter_rules {
    const struct json
        *targets; /* list of texts, or a text: an expression for whole paths; NULL: every linear */
    const struct json *rank, *alpha; /* objects from pattern to value; NULL: none */
};
struct adapter_peft {
    struct json *tree;
    struct adapter_config config; /* its targets: every linear, of which the rules choose */
    struct adapter_rules rules;   /* inside tree */
};

/* RC_UNSUPPORTED names the key that changes the mathematics. */
MUST_USE int adapter_peft_parse(const char *data, size_t size, struct adapter_peft *out, struct status *st);
void adapter_peft_release(struct adapter_peft *p);
/* RC_UNSUPPORTED names a target that is no linear of the model. */
MUST_USE int adapter_rules_check(const struct adapter_rules *rules, const struct model_hyper *h,
                                 struct status *st);
MUST_USE int adapter_rules_target(const struct adapter_rules *rules, enum tensor_role role, uint32_t block,
                                  bool *out, struct status *st);
/* Rank and alpha of the part from the first pattern that its path matches, where one does. */
MUST_USE int adapter_rules_apply(const struct adapter_rules *rules, struct adapter_part *p,
                                 struct status *st);
/* Appends adapter_config.json. RC_ARG: base_name is not UTF-8. */
MUST_USE int adapter_peft_write(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                                struct str *out, struct status *st);

#endif
