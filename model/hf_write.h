/* The documents of a Hugging Face directory, written into an existing folder. Private to model. */
#ifndef LETHE_MODEL_HF_WRITE_H
#define LETHE_MODEL_HF_WRITE_H

#include "model/hyper.h"

/* config.json and generation_config.json, of metadata and flags. */
MUST_USE int hf_config_save(const struct gguf *g, const struct model_hyper *h, bool half, const char *folder,
                            struct status *st);
/* tokenizer.json and tokenizer_config.json, of metadata. RC_UNSUPPORTED: a vocabulary that JSON cannot say:
 * a text that is not UTF-8, or one that two tokens have. */
MUST_USE int hf_tokenizer_save(const struct gguf *g, const char *folder, struct status *st);
/* All that belongs to the tokenizer of another directory, byte for byte. */
MUST_USE int hf_files_copy(const char *from, const char *folder, struct status *st);

#endif
