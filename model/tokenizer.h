/* Byte-level BPE from a GGUF file: text to token ids, exactly as the reference library, and back.
 *
 * In this order: every maximal invalid part of UTF-8 becomes U+FFFD; special tokens are cut out of the text,
 * the leftmost and there the longest; what is between goes through the pre-tokenizer's patterns one after the
 * other; each piece becomes bytes, a byte without a token is dropped and counted, and neighbours merge by
 * rank. Refused by name: other models than `gpt2`, pre-tokenizers that pretokenizers.def does not list. */
#ifndef LETHE_MODEL_TOKENIZER_H
#define LETHE_MODEL_TOKENIZER_H

#include "base/hash.h"
#include "base/str.h"
#include "model/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKENIZER_TOKENS_MAX = 1 << 20, TOKENIZER_MERGES_MAX = 1 << 21, TOKENIZER_TOKEN_BYTES_MAX = 4096 };

struct tokenizer;

/* A growing list of ids. Zero-initialise; one list can take several encodes, each appends. */
struct tokens {
    int32_t *ids;
    size_t n, cap;
    uint64_t dropped; /* bytes without a token, over all encodes */
};
void tokens_release(struct tokens *t);
MUST_USE int tokens_push(struct tokens *t, int32_t id, struct status *st);

/* Needs nothing of g afterwards. */
MUST_USE int tokenizer_open(const struct gguf *g, struct tokenizer **out, struct status *st);
void tokenizer_close(struct tokenizer *t);

/* raw(s) of docs/formats 1.3: no token is added. Safe from several threads at once. On failure the list holds
 * what it held. */
MUST_USE int tokenizer_raw(const struct tokenizer *t, const char *s, size_t n, struct tokens *out,
                           struct status *st);
/* tok(s): with BOS in front where the model adds one and s does not begin with its text; never an EOS. */
MUST_USE int tokenizer_tok(const struct tokenizer *t, const char *s, size_t n, struct tokens *out,
                           struct status *st);
/* Appends the bytes of the tokens, which need not be UTF-8. skip_special leaves special tokens out. */
MUST_USE int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                              struct str *out, struct status *st);
/* The bytes of one token, lent; of an id that is not there, an empty text. */
struct gguf_text tokenizer_piece(const struct tokenizer *t, int32_t id);

size_t tokenizer_size(const struct tokenizer *t); /* ids are 0 … size - 1 */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);
int32_t tokenizer_bos(const struct tokenizer *t);    /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);    /* -1: none */
int32_t tokenizer_prefix(const struct tokenizer *t); /* BOS, or EOS; -1: neither */
bool tokenizer_adds_bos(const struct tokenizer *t);
struct hash tokenizer_digest(const struct tokenizer *t); /* docs/formats 0.5 */

int tokenizer_byte(int32_t cp); /* that a character of a byte-level vocabulary stands for; -1: none */

enum { TOKENIZER_VERSION_MAX = 64 };
void tokenizer_library_version(char out[TOKENIZER_VERSION_MAX]); /* of PCRE2, as it runs */

#endif
