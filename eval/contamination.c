/* Texts of items become patterns: the whole text, and its 13-grams. Patterns of one length are found by the
 * hash of a window, compared word by word on a hit; and a window is looked at only where the first five
 * words of some pattern stand, which in a line of training data is seldom. */
#include "eval/contamination.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "probes/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = CONTAMINATION_WORDS_MIN, SHARED_OF = 10 };
#define NO_WORD UINT32_MAX /* a training word that no item has */
#define NONE    UINT32_MAX

/* One run of words, and the items of one suite that hold it. */
struct pattern {
    size_t at, n; /* its words in `words` */
    uint64_t hash;
    uint32_t set, last; /* last: the item that was added last */
    uint32_t first;     /* index into links, or NONE */
    uint32_t count;     /* different items */
    uint32_t next;      /* pattern with the same slot, or NONE */
    bool gram;
};
struct link {
    uint32_t item, next;
};

struct contamination {
    const struct probe_set *const *sets;
    size_t n;
    bool **hit; /* [n][items] */
    size_t *hits;
    struct pool texts; /* words that the index points to */
    struct text_index index;
    uint32_t *words; /* of all item texts, one after the other */
    size_t n_words, cap_words;
    struct pattern *patterns;
    size_t n_patterns, cap_patterns;
    struct link *links;
    size_t n_links, cap_links;
    uint32_t *slots; /* [n_slots] first pattern, or NONE */
    size_t n_slots;
    uint64_t *prefixes; /* sorted hashes of first words */
    size_t n_prefixes;
    size_t *lengths; /* different ones, ascending */
    size_t n_lengths;
    struct str folded; /* of the line under way */
    uint32_t *line;
    size_t n_line, cap_line;
};

/* ---- words ---- */

static bool splits(int32_t cp)
{
    return utf8_is_space(cp) || utf8_is_punctuation(cp);
}

int contamination_words(const char *text, size_t n, struct str *out, struct status *st)
{
    int rc = 0;
    struct str folded = { 0 };
    TRY(utf8_fold(text, n, &folded, st));
    TRY(str_check(&folded, st));
    bool inside = false;
    for (size_t at = 0; at < folded.size;) {
        int32_t cp = 0;
        const size_t size = utf8_next(folded.data + at, folded.size - at, &cp);
        const bool apart = splits(cp);
        if (!apart)
            str_add(out, folded.data + at, size);
        else if (inside)
            str_putc(out, '\n');
        inside = !apart;
        at += size;
    }
    if (inside)
        str_putc(out, '\n');
    TRY(str_check(out, st));
out:
    str_release(&folded);
    return rc;
}

/* Splits `folded` words into numbers. New words get one where `grow`; else they are NO_WORD. */
static int number_words(struct contamination *c, const struct str *words, bool grow, uint32_t **list,
                        size_t *n, size_t *cap, struct status *st)
{
    int rc = 0;
    for (size_t at = 0; at < words->size;) {
        const char *word = words->data + at;
        const char *end = memchr(word, '\n', words->size - at);
        assert(end);
        const size_t size = (size_t)(end - word);
        int64_t known = text_index_find(&c->index, word, size);
        if (known == TEXT_INDEX_NONE && grow) {
            bool fresh = false;
            size_t number = 0;
            const char *copy = pool_text(&c->texts, word, size);
            if (!copy)
                FAIL(st, RC_NOMEM, "no memory for a word");
            TRY(text_index_put(&c->index, copy, size, &number, &fresh, st));
            known = (int64_t)number;
        }
        TRY(mem_grow(list, *n, cap, sizeof(**list), st));
        (*list)[(*n)++] = known == TEXT_INDEX_NONE ? NO_WORD : (uint32_t)known;
        at += size + 1;
    }
out:
    return rc;
}

static uint64_t hash_words(const uint32_t *words, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) + n;
    for (size_t k = 0; k < n; k++) {
        h = (h ^ words[k]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

/* ---- the index ---- */

static int rehash(struct contamination *c, struct status *st)
{
    const size_t n = c->n_slots ? c->n_slots * 2 : 1024;
    uint32_t *slots = mem_calloc(n, sizeof(*slots));
    if (!slots)
        return status_fail(st, RC_NOMEM, "no memory for %zu patterns", c->n_patterns);
    for (size_t k = 0; k < n; k++)
        slots[k] = NONE;
    for (size_t k = 0; k < c->n_patterns; k++) {
        const size_t slot = (size_t)c->patterns[k].hash & (n - 1);
        c->patterns[k].next = slots[slot];
        slots[slot] = (uint32_t)k;
    }
    mem_free(c->slots);
    c->slots = slots;
    c->n_slots = n;
    return 0;
}

static bool same_words(const struct contamination *c, const struct pattern *p, const uint32_t *words)
{
    return memcmp(c->words + p->at, words, p->n * sizeof(*words)) == 0;
}

/* Adds item `item` of suite `set` to the pattern of words at .. at + n. */
static int add_pattern(struct contamination *c, size_t set, size_t item, size_t at, size_t n, bool gram,
                       struct status *st)
{
    int rc = 0;
    const uint64_t hash = hash_words(c->words + at, n);
    uint32_t k = c->n_slots ? c->slots[(size_t)hash & (c->n_slots - 1)] : NONE;
    for (; k != NONE; k = c->patterns[k].next) {
        const struct pattern *p = &c->patterns[k];
        if (p->hash == hash && p->n == n && p->set == set && p->gram == gram &&
            same_words(c, p, c->words + at))
            break;
    }
    if (k == NONE) {
        if (c->n_patterns >= NONE / 2)
            FAIL(st, RC_LIMIT, "over %zu different runs of words in the suites", c->n_patterns);
        if (c->n_patterns + 1 > c->n_slots)
            TRY(rehash(c, st));
        TRY(mem_grow(&c->patterns, c->n_patterns, &c->cap_patterns, sizeof(*c->patterns), st));
        uint32_t *slot = &c->slots[(size_t)hash & (c->n_slots - 1)];
        k = (uint32_t)c->n_patterns++;
        c->patterns[k] = (struct pattern){ .at = at,
                                           .n = n,
                                           .hash = hash,
                                           .set = (uint32_t)set,
                                           .last = NONE,
                                           .first = NONE,
                                           .next = *slot,
                                           .gram = gram };
        *slot = k;
    }
    struct pattern *p = &c->patterns[k];
    if (p->last == item)
        goto out;
    if (c->n_links >= NONE / 2)
        FAIL(st, RC_LIMIT, "over %zu runs of words in the suites", c->n_links);
    TRY(mem_grow(&c->links, c->n_links, &c->cap_links, sizeof(*c->links), st));
    c->links[c->n_links] = (struct link){ .item = (uint32_t)item, .next = p->first };
    p->first = (uint32_t)c->n_links++;
    p->last = (uint32_t)item;
    p->count++;
out:
    return rc;
}

static int add_text(struct contamination *c, size_t set, size_t item, const struct str *text,
                    struct status *st)
{
    int rc = 0;
    struct str words = { 0 };
    const size_t at = c->n_words;
    TRY(contamination_words(str_text(text), text->size, &words, st));
    TRY(number_words(c, &words, true, &c->words, &c->n_words, &c->cap_words, st));
    const size_t n = c->n_words - at;
    if (n >= CONTAMINATION_WORDS_MIN)
        TRY(add_pattern(c, set, item, at, n, false, st));
    for (size_t k = 0; k + CONTAMINATION_NGRAM <= n; k++)
        TRY(add_pattern(c, set, item, at + k, CONTAMINATION_NGRAM, true, st));
out:
    str_release(&words);
    return rc;
}

/* An item's texts: with each gold choice or accepted answer, or the good sentence, or the text. */
static int add_item(struct contamination *c, size_t set, size_t i, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    const struct probe_item *item = &c->sets[set]->items[i];
    const bool all = item->n_gold == 0;
    for (size_t k = 0; k < (all ? item->n_parts : item->n_gold); k++) {
        str_clear(&text);
        if (item->context) {
            str_puts(&text, item->context);
            str_puts(&text, c->sets[set]->delimiter);
        }
        str_puts(&text, item->parts[all ? k : item->gold[k]]);
        TRY(str_check(&text, st));
        TRY(add_text(c, set, i, &text, st));
    }
out:
    str_release(&text);
    return rc;
}

/* A 13-gram in a tenth of a suite or more is an instruction that its items share. In a suite of ten items or
 * less every one would be, so it takes two items. */
static bool is_shared(const struct contamination *c, const struct pattern *p)
{
    return p->gram && p->count >= 2 && (size_t)p->count * SHARED_OF >= c->sets[p->set]->n;
}

static int by_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Sorted first-word hashes and lengths of all patterns that count. */
static int finish(struct contamination *c, struct status *st)
{
    c->prefixes = mem_calloc(c->n_patterns, sizeof(*c->prefixes));
    c->lengths = mem_calloc(c->n_patterns, sizeof(*c->lengths));
    if (!c->prefixes || !c->lengths)
        return status_fail(st, RC_NOMEM, "no memory for %zu patterns", c->n_patterns);
    size_t n = 0, kept = 0;
    for (size_t k = 0; k < c->n_patterns; k++) {
        const struct pattern *p = &c->patterns[k];
        if (is_shared(c, p))
            continue;
        c->prefixes[n] = hash_words(c->words + p->at, PREFIX);
        c->lengths[n++] = p->n;
    }
    c->n_prefixes = n;
    if (n == 0)
        return 0;
    qsort(c->prefixes, n, sizeof(*c->prefixes), by_u64);
    qsort(c->lengths, n, sizeof(*c->lengths), by_size);
    for (size_t k = 0; k < n; k++)
        if (kept == 0 || c->lengths[kept - 1] != c->lengths[k])
            c->lengths[kept++] = c->lengths[k];
    c->n_lengths = kept;
    return 0;
}

int contamination_open(const struct probe_set *const *sets, size_t n, struct contamination **out,
                       struct status *st)
{
    int rc = 0;
    struct contamination *c = mem_calloc(1, sizeof(*c));
    if (!c)
        FAIL(st, RC_NOMEM, "no memory for the word search");
    c->sets = sets;
    c->hits = mem_calloc(n, sizeof(*c->hits));
    c->hit = mem_calloc(n, sizeof(*c->hit));
    if (!c->hits || !c->hit)
        FAIL(st, RC_NOMEM, "no memory for the word search");
    for (; c->n < n; c->n++) {
        c->hit[c->n] = mem_calloc(sets[c->n]->n, sizeof(**c->hit));
        if (!c->hit[c->n])
            FAIL(st, RC_NOMEM, "no memory for the word search");
    }
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < sets[s]->n; i++)
            TRY(add_item(c, s, i, st));
    TRY(finish(c, st));
    *out = c;
    c = NULL;
out:
    contamination_close(c);
    return rc;
}

void contamination_close(struct contamination *c)
{
    if (!c)
        return;
    for (size_t k = 0; k < c->n; k++)
        mem_free(c->hit[k]);
    mem_free(c->hit);
    mem_free(c->hits);
    text_index_release(&c->index);
    pool_release(&c->texts);
    mem_free(c->words);
    mem_free(c->patterns);
    mem_free(c->links);
    mem_free(c->slots);
    mem_free(c->prefixes);
    mem_free(c->lengths);
    mem_free(c->line);
    str_release(&c->folded);
    mem_free(c);
}

/* ---- the search ---- */

static void mark(struct contamination *c, const struct pattern *p)
{
    for (uint32_t k = p->first; k != NONE; k = c->links[k].next) {
        bool *hit = &c->hit[p->set][c->links[k].item];
        c->hits[p->set] += !*hit;
        *hit = true;
    }
}

static void look_at(struct contamination *c, const uint32_t *words, size_t left)
{
    const uint64_t prefix = hash_words(words, PREFIX);
    if (!bsearch(&prefix, c->prefixes, c->n_prefixes, sizeof(prefix), by_u64))
        return;
    for (size_t l = 0; l < c->n_lengths && c->lengths[l] <= left; l++) {
        const size_t n = c->lengths[l];
        const uint64_t hash = hash_words(words, n);
        for (uint32_t k = c->slots[(size_t)hash & (c->n_slots - 1)]; k != NONE; k = c->patterns[k].next) {
            const struct pattern *p = &c->patterns[k];
            if (p->hash == hash && p->n == n && !is_shared(c, p) && same_words(c, p, words))
                mark(c, p);
        }
    }
}

int contamination_line(struct contamination *c, const char *const *texts, size_t n, struct status *st)
{
    int rc = 0;
    c->n_line = 0;
    str_clear(&c->folded);
    for (size_t k = 0; k < n; k++)
        TRY(contamination_words(texts[k], strlen(texts[k]), &c->folded, st));
    TRY(number_words(c, &c->folded, false, &c->line, &c->n_line, &c->cap_line, st));
    for (size_t k = 0; c->n_prefixes && k + PREFIX <= c->n_line; k++)
        look_at(c, c->line + k, c->n_line - k);
out:
    return rc;
}

size_t contamination_hits(const struct contamination *c, size_t set)
{
    return c->hits[set];
}

bool contamination_hit(const struct contamination *c, size_t set, size_t item)
{
    return c->hit[set][item];
}
