#include "model/bpe.h"

#include "base/alloc.h"

#include <string.h>

struct token_slot {
    const char *bytes; /* NULL: free */
    size_t n;
    int32_t id;
};

struct rule_slot {
    int32_t left, right; /* -1: free */
    uint32_t rank;
    int32_t merged;
};

struct bpe {
    struct token_slot *tokens;
    size_t tokens_mask;
    struct rule_slot *rules;
    size_t rules_mask;
    int32_t bytes[256]; /* -1: this byte has no token */
    char *scratch;      /* to find the token of two */
    size_t scratch_cap;
};

/* Symbols of a piece as a list, and the merges that are possible between neighbours as a heap. */
struct symbol {
    int32_t id; /* -1: merged into the one before */
    uint32_t before, after;
};
struct candidate {
    uint32_t rank, at;
    int32_t left, right, merged;
};
struct bpe_work {
    struct symbol *symbols;
    size_t symbols_cap;
    struct candidate *heap;
    size_t heap_n, heap_cap;
};
#define NONE UINT32_MAX

/* ---- tables ---- */

static size_t table_size(size_t n)
{
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    return size;
}

static uint64_t bytes_hash(const char *s, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)s[i]) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

static uint64_t pair_hash(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 31;
}

int bpe_open(size_t tokens, size_t rules, struct bpe **out, struct status *st)
{
    struct bpe *b = mem_calloc(1, sizeof *b);
    if (!b)
        return status_fail(st, RC_NOMEM, "no memory for the merges");
    b->tokens_mask = table_size(tokens) - 1;
    b->rules_mask = table_size(rules) - 1;
    b->tokens = mem_calloc(b->tokens_mask + 1, sizeof *b->tokens);
    b->rules = mem_calloc(b->rules_mask + 1, sizeof *b->rules);
    if (!b->tokens || !b->rules) {
        bpe_close(b);
        return status_fail(st, RC_NOMEM, "no memory for %zu merges", rules);
    }
    for (size_t i = 0; i <= b->rules_mask; i++)
        b->rules[i].left = -1;
    for (size_t i = 0; i < 256; i++)
        b->bytes[i] = -1;
    *out = b;
    return 0;
}

void bpe_close(struct bpe *b)
{
    if (!b)
        return;
    mem_free(b->tokens);
    mem_free(b->rules);
    mem_free(b->scratch);
    mem_free(b);
}

static struct token_slot *token_slot(const struct bpe *b, const char *bytes, size_t n)
{
    size_t at = bytes_hash(bytes, n) & b->tokens_mask;
    while (b->tokens[at].bytes && (b->tokens[at].n != n || memcmp(b->tokens[at].bytes, bytes, n) != 0))
        at = (at + 1) & b->tokens_mask;
    return &b->tokens[at];
}

static struct rule_slot *rule_slot(const struct bpe *b, int32_t left, int32_t right)
{
    size_t at = pair_hash(left, right) & b->rules_mask;
    while (b->rules[at].left >= 0 && (b->rules[at].left != left || b->rules[at].right != right))
        at = (at + 1) & b->rules_mask;
    return &b->rules[at];
}

void bpe_token(struct bpe *b, const char *bytes, size_t n, int32_t id)
{
    struct token_slot *slot = token_slot(b, bytes, n);
    if (slot->bytes)
        return;
    *slot = (struct token_slot){ bytes, n, id };
    if (n == 1)
        b->bytes[(uint8_t)bytes[0]] = id;
}

int bpe_rule(struct bpe *b, const char *left, size_t left_n, const char *right, size_t right_n, uint32_t rank,
             struct status *st)
{
    if (left_n + right_n > b->scratch_cap) {
        char *more = mem_realloc(b->scratch, left_n + right_n, 1);
        if (!more)
            return status_fail(st, RC_NOMEM, "no memory for merge %u", rank);
        b->scratch = more;
        b->scratch_cap = left_n + right_n;
    }
    memcpy(b->scratch, left, left_n);
    memcpy(b->scratch + left_n, right, right_n);
    const struct token_slot *l = token_slot(b, left, left_n), *r = token_slot(b, right, right_n),
                            *both = token_slot(b, b->scratch, left_n + right_n);
    if (!l->bytes || !r->bytes || !both->bytes)
        return status_fail(st, RC_FORMAT, "merge %u of 'tokenizer.ggml.merges' names what is not a token",
                           rank);
    struct rule_slot *slot = rule_slot(b, l->id, r->id);
    if (slot->left < 0)
        *slot = (struct rule_slot){ l->id, r->id, rank, both->id };
    return 0;
}

/* ---- work ---- */

int bpe_work_open(struct bpe_work **out, struct status *st)
{
    *out = mem_calloc(1, sizeof **out);
    return *out ? 0 : status_fail(st, RC_NOMEM, "no memory for the merges");
}

void bpe_work_close(struct bpe_work *w)
{
    if (!w)
        return;
    mem_free(w->symbols);
    mem_free(w->heap);
    mem_free(w);
}

static int is_before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void candidate_swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;
    *a = *b;
    *b = c;
}

/* The pair that starts at symbol `at`, if a rule merges it. */
static int candidate_add(const struct bpe *b, struct bpe_work *w, uint32_t at, struct status *st)
{
    uint32_t after = w->symbols[at].after;
    if (after == NONE)
        return 0;
    int32_t left = w->symbols[at].id, right = w->symbols[after].id;
    const struct rule_slot *rule = rule_slot(b, left, right);
    if (rule->left < 0)
        return 0;
    int rc = mem_grow(&w->heap, w->heap_n, &w->heap_cap, sizeof *w->heap, st);
    if (rc)
        return rc;
    size_t i = w->heap_n++;
    w->heap[i] = (struct candidate){ rule->rank, at, left, right, rule->merged };
    for (; i > 0 && is_before(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        candidate_swap(&w->heap[i], &w->heap[(i - 1) / 2]);
    return 0;
}

static struct candidate candidate_take(struct bpe_work *w)
{
    struct candidate first = w->heap[0];
    w->heap[0] = w->heap[--w->heap_n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->heap_n; child++)
            if (is_before(&w->heap[child], &w->heap[least]))
                least = child;
        if (least == i)
            return first;
        candidate_swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

static int symbols_fill(const struct bpe *b, struct bpe_work *w, const char *s, size_t n, uint32_t *count,
                        struct tokens *out, struct status *st)
{
    if (n >= NONE)
        return status_fail(st, RC_LIMIT, "a piece of %zu bytes", n);
    if (n > w->symbols_cap) {
        struct symbol *more = mem_realloc(w->symbols, n, sizeof *more);
        if (!more)
            return status_fail(st, RC_NOMEM, "no memory for a piece of %zu bytes", n);
        w->symbols = more;
        w->symbols_cap = n;
    }
    uint32_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = b->bytes[(uint8_t)s[i]];
        if (id < 0) {
            out->dropped++;
            continue;
        }
        w->symbols[kept] = (struct symbol){ id, kept ? kept - 1 : NONE, kept + 1 };
        kept++;
    }
    if (kept)
        w->symbols[kept - 1].after = NONE;
    *count = kept;
    return 0;
}

int bpe_encode(const struct bpe *b, struct bpe_work *w, const char *s, size_t n, struct tokens *out,
               struct status *st)
{
    int rc = 0;
    uint32_t count = 0;
    TRY(symbols_fill(b, w, s, n, &count, out, st));
    w->heap_n = 0;
    for (uint32_t i = 0; i < count; i++)
        TRY(candidate_add(b, w, i, st));
    while (w->heap_n > 0) {
        struct candidate c = candidate_take(w);
        struct symbol *left = &w->symbols[c.at];
        if (left->id != c.left || left->after == NONE || w->symbols[left->after].id != c.right)
            continue; /* one of the two was merged otherwise since */
        struct symbol *right = &w->symbols[left->after];
        left->id = c.merged;
        right->id = -1;
        left->after = right->after;
        if (left->after != NONE)
            w->symbols[left->after].before = c.at;
        TRY(candidate_add(b, w, c.at, st));
        if (left->before != NONE)
            TRY(candidate_add(b, w, left->before, st));
    }
    for (uint32_t i = 0; count && i != NONE; i = w->symbols[i].after)
        TRY(tokens_push(out, w->symbols[i].id, st));
out:
    return rc;
}
