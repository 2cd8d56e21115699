/* The parts of a Hugging Face directory, between source.c and the hf_ files. Private to model. */
#ifndef LETHE_MODEL_HF_OWN_H
#define LETHE_MODEL_HF_OWN_H

#include "base/json.h"
#include "model/gguf_write.h"
#include "model/hyper.h"
#include "model/safetensors.h"

#define HF_CONFIG           "config.json"
#define HF_GENERATION       "generation_config.json"
#define HF_TOKENIZER        "tokenizer.json"
#define HF_TOKENIZER_CONFIG "tokenizer_config.json"
#define HF_TEMPLATE         "chat_template.jinja"
#define HF_WEIGHTS          "model.safetensors"
#define HF_INDEX            "model.safetensors.index.json"

enum { HF_DOCUMENT_BYTES_MAX = 1 << 20, HF_SHARDS_MAX = 512, HF_ENDS_MAX = 16 };

/* What config.json and generation_config.json say. */
struct hf_config {
    struct model_hyper hyper;
    int64_t bos;              /* -1: none */
    int64_t eos[HF_ENDS_MAX]; /* each once, those of config.json first */
    size_t eos_n;
};
/* RC_UNSUPPORTED names the key that is not honoured. generation may be NULL. */
MUST_USE int hf_config_parse(const struct json *config, const struct json *generation, struct hf_config *out,
                             struct status *st);

/* tokenizer.json and tokenizer_config.json (NULL: there is none), as metadata of a GGUF file. The vocabulary
 * is filled up to the model's, as converters do. */
MUST_USE int hf_tokenizer_keys(const struct json *tokenizer, const struct json *config,
                               const struct hf_config *model, struct gguf_keys *out, struct status *st);
/* The name in pretokenizers.def for tokenizer.json's `pre_tokenizer`. RC_UNSUPPORTED says what is there. */
MUST_USE int hf_pretokenizer(const struct json *pre, const char **out, struct status *st);
/* `pre_tokenizer` for a name in pretokenizers.def, as JSON text. NULL: the name is none of them. */
const char *hf_pretokenizer_json(const char *name);

/* The chat template: text of the file, or of tokenizer_config.json. *s is NULL: there is none. */
MUST_USE int hf_template_get(const struct json *config, const char **s, struct status *st);

#endif
