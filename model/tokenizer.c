#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/tokenizer.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "model/bpe.h"

#include <pcre2.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 2, TYPE_CONTROL = 3, TYPE_USER = 4 };

static const struct pretokenizer {
    const char *name;
    const char *patterns[PATTERNS];
} PRETOKENIZERS[] = {
#define PRETOKENIZER(name, first, second) { name, { first, second } },
#include "model/pretokenizers.def"
#undef PRETOKENIZER
};

struct piece {
    char *bytes; /* what the token stands for */
    uint32_t n;
    bool special; /* cut out of the text whole */
    bool control; /* and never shown */
};

struct tokenizer {
    struct piece *pieces;
    size_t n;
    uint32_t *specials; /* ids, the longest first */
    size_t specials_n;
    bool starts[256]; /* bytes that a special token starts with */
    struct bpe *bpe;
    const struct pretokenizer *pre;
    pcre2_code *patterns[PATTERNS];
    int32_t bos, eos;
    bool adds_bos;
    struct hash digest;
};

/* ---- the printable alphabet of byte-level vocabularies ---- */

/* Bytes that print stand for themselves, the others follow from U+0100 on. */
int tokenizer_byte(int32_t cp)
{
    if ((cp >= 0x21 && cp <= 0x7E) || (cp >= 0xA1 && cp <= 0xAC) || (cp >= 0xAE && cp <= 0xFF))
        return cp;
    if (cp < 0x100 || cp > 0x143)
        return -1;
    int left = cp - 0x100;
    for (int byte = 0; byte < 256; byte++) {
        bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        if (!prints && left-- == 0)
            return byte;
    }
    return -1;
}

/* Appends the bytes that a vocabulary text stands for. false: a character outside the alphabet. */
static bool bytes_of_text(const char *s, size_t n, struct str *out)
{
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += utf8_next(s + i, n - i, &cp);
        int byte = cp < 0 ? -1 : tokenizer_byte(cp);
        if (byte < 0)
            return false;
        str_putc(out, (char)byte);
    }
    return true;
}

/* ---- opening ---- */

static int piece_make(struct piece *p, struct gguf_text text, int32_t type, size_t id, struct status *st)
{
    int rc = 0;
    struct str bytes = { 0 };
    p->control = type == TYPE_CONTROL;
    p->special = p->control || type == TYPE_USER;
    if (text.n > TOKENIZER_TOKEN_BYTES_MAX)
        FAIL(st, RC_LIMIT, "token %zu has %zu bytes, over %d", id, text.n, TOKENIZER_TOKEN_BYTES_MAX);
    if (p->special || !bytes_of_text(text.s, text.n, &bytes)) {
        str_clear(&bytes);
        str_add(&bytes, text.s, text.n);
    }
    str_puts(&bytes, "");
    TRY(str_check(&bytes, st));
    p->bytes = mem_calloc(bytes.size + 1, 1);
    if (!p->bytes)
        FAIL(st, RC_NOMEM, "no memory for token %zu", id);
    memcpy(p->bytes, str_text(&bytes), bytes.size);
    p->n = (uint32_t)bytes.size;
out:
    str_release(&bytes);
    return rc;
}

static int pieces_open(struct tokenizer *t, const struct gguf *g, struct status *st)
{
    int rc = 0;
    struct gguf_text *texts = NULL;
    int32_t *types = NULL;
    size_t types_n = 0;
    TRY(gguf_get_texts(g, "tokenizer.ggml.tokens", &texts, &t->n, st));
    TRY(gguf_get_ints(g, "tokenizer.ggml.token_type", &types, &types_n, st));
    if (t->n == 0 || t->n > TOKENIZER_TOKENS_MAX)
        FAIL(st, RC_LIMIT, "metadata 'tokenizer.ggml.tokens': %zu tokens, 1 to %d are read", t->n,
             TOKENIZER_TOKENS_MAX);
    if (types_n != t->n)
        FAIL(st, RC_FORMAT, "metadata 'tokenizer.ggml.token_type' has %zu entries for %zu tokens", types_n,
             t->n);
    t->pieces = mem_calloc(t->n, sizeof *t->pieces);
    t->specials = mem_calloc(t->n, sizeof *t->specials);
    if (!t->pieces || !t->specials)
        FAIL(st, RC_NOMEM, "no memory for %zu tokens", t->n);
    for (size_t i = 0; i < t->n; i++) {
        TRY(piece_make(&t->pieces[i], texts[i], types[i], i, st));
        if (t->pieces[i].special && t->pieces[i].n > 0) {
            t->specials[t->specials_n++] = (uint32_t)i;
            t->starts[(uint8_t)t->pieces[i].bytes[0]] = true;
        }
    }
out:
    if (rc && !t->pieces)
        t->n = 0;
    mem_free(texts);
    mem_free(types);
    return rc;
}

/* The longest first, so that the first that fits is the one to take; there are few. */
static void specials_sort(struct tokenizer *t)
{
    for (size_t i = 1; i < t->specials_n; i++)
        for (size_t k = i; k > 0 && t->pieces[t->specials[k - 1]].n < t->pieces[t->specials[k]].n; k--) {
            uint32_t swapped = t->specials[k];
            t->specials[k] = t->specials[k - 1];
            t->specials[k - 1] = swapped;
        }
}

/* "left right" of the file, in bytes, to the rule table. The blank between them is the first after a
 * character: a blank inside a token is written otherwise. */
static int merge_add(struct tokenizer *t, struct gguf_text text, size_t rank, struct status *st)
{
    int rc = 0;
    struct str left = { 0 }, right = { 0 };
    const char *gap = text.n > 1 ? memchr(text.s + 1, ' ', text.n - 1) : NULL;
    size_t n = gap ? (size_t)(gap - text.s) : 0;
    if (!gap || !bytes_of_text(text.s, n, &left) || !bytes_of_text(gap + 1, text.n - n - 1, &right))
        FAIL(st, RC_FORMAT, "merge %zu of 'tokenizer.ggml.merges' is not two texts of the byte alphabet",
             rank);
    TRY(str_check(&left, st));
    TRY(str_check(&right, st));
    TRY(bpe_rule(t->bpe, str_text(&left), left.size, str_text(&right), right.size, (uint32_t)rank, st));
out:
    str_release(&left);
    str_release(&right);
    return rc;
}

static void u32_put(struct sha256 *s, uint32_t x)
{
    uint8_t b[4] = { (uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16), (uint8_t)(x >> 24) };
    sha256_add(s, b, sizeof b);
}

static int digest_make(struct tokenizer *t, const struct gguf_text *merges, size_t merges_n,
                       struct status *st)
{
    static const char TAG[] = "lethe-tokenizer-v1";
    struct sha256 *s = NULL;
    int rc = sha256_open(&s, st);
    if (rc)
        return rc;
    sha256_add(s, TAG, sizeof TAG);
    for (size_t i = 0; i < t->n; i++) {
        uint8_t special = t->pieces[i].control;
        u32_put(s, t->pieces[i].n);
        sha256_add(s, t->pieces[i].bytes, t->pieces[i].n);
        sha256_add(s, &special, 1);
    }
    for (size_t i = 0; i < merges_n; i++) {
        u32_put(s, (uint32_t)merges[i].n);
        sha256_add(s, merges[i].s, merges[i].n);
    }
    sha256_add(s, t->pre->name, strlen(t->pre->name) + 1);
    u32_put(s, (uint32_t)t->bos);
    u32_put(s, (uint32_t)t->eos);
    t->digest = sha256_end(s);
    return 0;
}

static int merges_open(struct tokenizer *t, const struct gguf *g, struct status *st)
{
    int rc = 0;
    struct gguf_text *merges = NULL;
    size_t n = 0;
    TRY(gguf_get_texts(g, "tokenizer.ggml.merges", &merges, &n, st));
    if (n > TOKENIZER_MERGES_MAX)
        FAIL(st, RC_LIMIT, "metadata 'tokenizer.ggml.merges': %zu merges, over %d", n, TOKENIZER_MERGES_MAX);
    TRY(bpe_open(t->n, n, &t->bpe, st));
    for (size_t i = 0; i < t->n; i++)
        if (!t->pieces[i].special)
            bpe_token(t->bpe, t->pieces[i].bytes, t->pieces[i].n, (int32_t)i);
    for (size_t i = 0; i < n; i++)
        TRY(merge_add(t, merges[i], i, st));
    TRY(digest_make(t, merges, n, st));
out:
    mem_free(merges);
    return rc;
}

static int kind_check(struct tokenizer *t, const struct gguf *g, struct status *st)
{
    int rc = 0;
    struct gguf_text model, pre = { 0 };
    TRY(gguf_get_text(g, "tokenizer.ggml.model", &model, st));
    if (!gguf_text_is(model, "gpt2"))
        FAIL(st, RC_UNSUPPORTED, "tokenizer model '%.*s': this version reads gpt2 (byte-level BPE)",
             (int)(model.n > 64 ? 64 : model.n), model.s);
    TRY(gguf_get_text(g, "tokenizer.ggml.pre", &pre, st));
    for (size_t i = 0; i < sizeof PRETOKENIZERS / sizeof *PRETOKENIZERS; i++)
        if (gguf_text_is(pre, PRETOKENIZERS[i].name))
            t->pre = &PRETOKENIZERS[i];
    if (!t->pre)
        FAIL(st, RC_UNSUPPORTED, "pre-tokenizer '%.*s': this version has smollm and gpt-2",
             (int)(pre.n > 64 ? 64 : pre.n), pre.s);
out:
    return rc;
}

static int patterns_open(struct tokenizer *t, struct status *st)
{
    for (size_t i = 0; i < PATTERNS && t->pre->patterns[i]; i++) {
        int error;
        PCRE2_SIZE at;
        t->patterns[i] = pcre2_compile((PCRE2_SPTR)t->pre->patterns[i], PCRE2_ZERO_TERMINATED,
                                       PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &error, &at, NULL);
        if (!t->patterns[i])
            return status_fail(st, RC_NOMEM, "pattern %zu of pre-tokenizer %s: error %d", i, t->pre->name,
                               error);
        pcre2_jit_compile(t->patterns[i], PCRE2_JIT_COMPLETE); /* without it the same result, slower */
    }
    return 0;
}

static int ends_read(struct tokenizer *t, const struct gguf *g, struct status *st)
{
    int rc = 0;
    uint32_t bos = UINT32_MAX, eos = UINT32_MAX;
    TRY(gguf_opt_u32(g, "tokenizer.ggml.bos_token_id", &bos, st));
    TRY(gguf_opt_u32(g, "tokenizer.ggml.eos_token_id", &eos, st));
    TRY(gguf_opt_bool(g, "tokenizer.ggml.add_bos_token", &t->adds_bos, st));
    if ((bos != UINT32_MAX && bos >= t->n) || (eos != UINT32_MAX && eos >= t->n))
        FAIL(st, RC_FORMAT, "the BOS or EOS id is outside the vocabulary of %zu tokens", t->n);
    t->bos = bos == UINT32_MAX ? -1 : (int32_t)bos;
    t->eos = eos == UINT32_MAX ? -1 : (int32_t)eos;
    if (t->adds_bos && t->bos < 0)
        FAIL(st, RC_FORMAT, "the tokenizer adds a BOS token and has none");
out:
    return rc;
}

int tokenizer_open(const struct gguf *g, struct tokenizer **out, struct status *st)
{
    int rc = 0;
    struct tokenizer *t = mem_calloc(1, sizeof *t);
    if (!t)
        FAIL(st, RC_NOMEM, "no memory for a tokenizer");
    TRY(kind_check(t, g, st));
    TRY(pieces_open(t, g, st));
    specials_sort(t);
    TRY(ends_read(t, g, st));
    TRY(merges_open(t, g, st));
    TRY(patterns_open(t, st));
    *out = t;
    t = NULL;
out:
    tokenizer_close(t);
    return rc;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->pieces && i < t->n; i++)
        mem_free(t->pieces[i].bytes);
    mem_free(t->pieces);
    mem_free(t->specials);
    bpe_close(t->bpe);
    for (size_t i = 0; i < PATTERNS; i++)
        pcre2_code_free(t->patterns[i]);
    mem_free(t);
}

/* ---- encoding ---- */

void tokens_release(struct tokens *t)
{
    mem_free(t->ids);
    *t = (struct tokens){ 0 };
}

int tokens_push(struct tokens *t, int32_t id, struct status *st)
{
    int rc = mem_grow(&t->ids, t->n, &t->cap, sizeof *t->ids, st);
    if (!rc)
        t->ids[t->n++] = id;
    return rc;
}

struct cutter {
    const struct tokenizer *t;
    pcre2_match_data *match;
    struct bpe_work *work;
    struct tokens *out;
};

/* Cuts s by pattern `level` and gives the pieces to the next one, and at the end to the merges. */
static int cut(struct cutter *c, size_t level, const char *s, size_t n, struct status *st)
{
    int rc = 0;
    if (n == 0)
        return 0;
    if (level == PATTERNS || !c->t->patterns[level])
        return bpe_encode(c->t->bpe, c->work, s, n, c->out, st);
    size_t done = 0;
    while (done < n) {
        int found =
            pcre2_match(c->t->patterns[level], (PCRE2_SPTR)s, n, done, PCRE2_NO_UTF_CHECK, c->match, NULL);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH)
            FAIL(st, RC_LIMIT, "the pre-tokenizer gave up at byte %zu (error %d)", done, found);
        size_t from = n, to = n;
        if (found >= 0) {
            const PCRE2_SIZE *span = pcre2_get_ovector_pointer(c->match);
            from = span[0];
            to = span[1];
        }
        TRY(cut(c, level + 1, s + done, from - done, st));
        TRY(cut(c, level + 1, s + from, to - from, st));
        done = to;
    }
out:
    return rc;
}

/* Length of the special token at s, with its id; 0: none stands there. */
static size_t special_at(const struct tokenizer *t, const char *s, size_t n, int32_t *id)
{
    if (!t->starts[(uint8_t)s[0]])
        return 0;
    for (size_t i = 0; i < t->specials_n; i++) {
        const struct piece *p = &t->pieces[t->specials[i]];
        if (p->n <= n && memcmp(p->bytes, s, p->n) == 0) {
            *id = (int32_t)t->specials[i];
            return p->n;
        }
    }
    return 0;
}

static int text_encode(struct cutter *c, const char *s, size_t n, struct status *st)
{
    int rc = 0;
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        int32_t id;
        size_t size = special_at(c->t, s + i, n - i, &id);
        if (size == 0) {
            i++;
            continue;
        }
        TRY(cut(c, 0, s + from, i - from, st));
        TRY(tokens_push(c->out, id, st));
        i += size;
        from = i;
    }
    TRY(cut(c, 0, s + from, n - from, st));
out:
    return rc;
}

int tokenizer_raw(const struct tokenizer *t, const char *s, size_t n, struct tokens *out, struct status *st)
{
    int rc = 0;
    struct str repaired = { 0 };
    size_t before = out->n;
    uint64_t dropped = out->dropped;
    struct cutter c = { .t = t, .out = out };
    if (n == 0)
        return 0;
    if (!utf8_valid(s, n)) {
        utf8_repair(s, n, &repaired);
        TRY(str_check(&repaired, st));
        s = str_text(&repaired);
        n = repaired.size;
    }
    /* Room for the whole match only: no pattern captures a group that is read. */
    c.match = pcre2_match_data_create(1, NULL);
    if (!c.match)
        FAIL(st, RC_NOMEM, "no memory for the pre-tokenizer");
    TRY(bpe_work_open(&c.work, st));
    TRY(text_encode(&c, s, n, st));
out:
    if (rc) {
        out->n = before;
        out->dropped = dropped;
    }
    pcre2_match_data_free(c.match);
    bpe_work_close(c.work);
    str_release(&repaired);
    return rc;
}

int tokenizer_tok(const struct tokenizer *t, const char *s, size_t n, struct tokens *out, struct status *st)
{
    size_t before = out->n;
    if (t->adds_bos) {
        const struct piece *bos = &t->pieces[t->bos];
        bool there = bos->n <= n && memcmp(bos->bytes, s, bos->n) == 0;
        int rc = there ? 0 : tokens_push(out, t->bos, st);
        if (rc)
            return rc;
    }
    int rc = tokenizer_raw(t, s, n, out, st);
    if (rc)
        out->n = before;
    return rc;
}

/* ---- looking ---- */

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                     struct str *out, struct status *st)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->n)
            return status_fail(st, RC_ARG, "id %" PRId32 " is outside the vocabulary of %zu tokens", ids[i],
                               t->n);
        const struct piece *p = &t->pieces[ids[i]];
        if (!skip_special || !p->special)
            str_add(out, p->bytes, p->n);
    }
    return str_check(out, st);
}

struct gguf_text tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->n)
        return (struct gguf_text){ "", 0 };
    return (struct gguf_text){ t->pieces[id].bytes, t->pieces[id].n };
}

size_t tokenizer_size(const struct tokenizer *t)
{
    return t->n;
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n && t->pieces[id].special;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

int32_t tokenizer_prefix(const struct tokenizer *t)
{
    return t->bos >= 0 ? t->bos : t->eos;
}

bool tokenizer_adds_bos(const struct tokenizer *t)
{
    return t->adds_bos;
}

struct hash tokenizer_digest(const struct tokenizer *t)
{
    return t->digest;
}

void tokenizer_library_version(char out[TOKENIZER_VERSION_MAX])
{
    out[0] = 0;
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) <= TOKENIZER_VERSION_MAX)
        pcre2_config(PCRE2_CONFIG_VERSION, out);
}
