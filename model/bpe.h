/* Byte-pair merges: the rule of lowest rank first, the leftmost of its places first. Private to the
 * tokenizer. */
#ifndef LETHE_MODEL_BPE_H
#define LETHE_MODEL_BPE_H

#include "base/status.h"
#include "model/tokenizer.h"

#include <stddef.h>
#include <stdint.h>

struct bpe;
/* Tables for so many tokens and rules. */
MUST_USE int bpe_open(size_t tokens, size_t rules, struct bpe **out, struct status *st);
void bpe_close(struct bpe *b);
/* Bytes that are a token. `bytes` must live as long as b. The first of two equal ones counts. */
void bpe_token(struct bpe *b, const char *bytes, size_t n, int32_t id);
/* Two tokens that merge, after all tokens. RC_FORMAT: one of the three is not a token. */
MUST_USE int bpe_rule(struct bpe *b, const char *left, size_t left_n, const char *right, size_t right_n,
                      uint32_t rank, struct status *st);

/* Memory that encodes of one thread reuse. */
struct bpe_work;
MUST_USE int bpe_work_open(struct bpe_work **out, struct status *st);
void bpe_work_close(struct bpe_work *w);

/* Appends the tokens of one piece; bytes without a token are left out and counted. Time n log n. */
MUST_USE int bpe_encode(const struct bpe *b, struct bpe_work *w, const char *s, size_t n, struct tokens *out,
                        struct status *st);

#endif
