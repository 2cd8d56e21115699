#include "eval/split.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "probes/index.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = { "source", "tag", "length", "any" };

const char *split_by_name(enum split_by by)
{
    return names[by];
}

static size_t words_of(const struct split_line *line)
{
    size_t n = 0;
    for (size_t i = 0; i < line->size; i++)
        n += line->words[i] == '\n';
    return n;
}

/* ---- whole groups ---- */

struct groups {
    struct text_index index;
    size_t *of, *count; /* [lines] group of a line, or SIZE_MAX; [groups] lines */
    uint32_t *order;    /* [groups] */
    bool *held;         /* [groups] */
};

static void groups_release(struct groups *g)
{
    text_index_release(&g->index);
    mem_free(g->of);
    mem_free(g->count);
    mem_free(g->order);
    mem_free(g->held);
}

static int groups_make(struct groups *g, const struct split_line *lines, size_t n, enum split_by by,
                       uint64_t seed, struct status *st)
{
    int rc = 0;
    g->of = mem_calloc(n, sizeof *g->of);
    g->count = mem_calloc(n, sizeof *g->count);
    g->order = mem_calloc(n, sizeof *g->order);
    g->held = mem_calloc(n, sizeof *g->held);
    if (!g->of || !g->count || !g->order || !g->held)
        FAIL(st, RC_NOMEM, "no memory for the groups of %zu lines", n);
    for (size_t i = 0; i < n; i++) {
        const char *name = by == SPLIT_SOURCE ? lines[i].source : lines[i].tag;
        bool fresh = false;
        g->of[i] = SIZE_MAX;
        if (!name)
            continue;
        TRY(text_index_put(&g->index, name, strlen(name), &g->of[i], &fresh, st));
        g->count[g->of[i]]++;
    }
    for (size_t k = 0; k < g->index.n; k++)
        g->order[k] = (uint32_t)k;
    for (size_t k = g->index.n; k-- > 1;) {
        const struct rng_block b = rng_at(seed, RNG_SPLIT, (uint32_t)k, 0, 0);
        const uint32_t j = rng_below((uint64_t)b.w[1] << 32 | b.w[0], (uint32_t)k + 1), kept = g->order[k];
        g->order[k] = g->order[j];
        g->order[j] = kept;
    }
out:
    return rc;
}

/* Groups that come to between one and two shares; where none fits, the smallest that a part can be made of.
 */
static size_t groups_hold(struct groups *g, size_t n, size_t wanted)
{
    size_t total = 0, smallest = SIZE_MAX;
    for (size_t k = 0; k < g->index.n && total < wanted; k++) {
        const size_t count = g->count[g->order[k]];
        if (total + count > 2 * wanted || total + count > n / 2)
            continue;
        g->held[g->order[k]] = true;
        total += count;
    }
    if (total >= SPLIT_LINES_MIN)
        return total;
    for (size_t k = 0; k < g->index.n; k++) {
        g->held[k] = false;
        if (g->count[k] >= SPLIT_LINES_MIN && g->count[k] <= n / 2 &&
            (smallest == SIZE_MAX || g->count[k] < g->count[smallest]))
            smallest = k;
    }
    if (smallest == SIZE_MAX)
        return 0;
    g->held[smallest] = true;
    return g->count[smallest];
}

static int by_group(const struct split_line *lines, size_t n, enum split_by by, size_t wanted, uint64_t seed,
                    struct split *out, struct status *st)
{
    int rc = 0;
    struct groups g = { 0 };
    TRY(groups_make(&g, lines, n, by, seed, st));
    if (g.index.n == 0)
        FAIL(st, RC_ARG, "no line has a %s", names[by]);
    if (g.index.n == 1)
        FAIL(st, RC_ARG, "there is one %s only, '%.60s'", names[by], g.index.entries[0].text);
    if (groups_hold(&g, n, wanted) == 0)
        FAIL(st, RC_ARG, "each %s has fewer than %d lines or more than half of all", names[by],
             SPLIT_LINES_MIN);
    for (size_t i = 0; i < n; i++)
        out->out[i] = g.of[i] != SIZE_MAX && g.held[g.of[i]];
    for (size_t k = 0; k < g.index.n; k++)
        if (g.held[k])
            str_printf(&out->what, "%s%s", out->what.size ? ", " : "", g.index.entries[k].text);
    TRY(str_check(&out->what, st));
out:
    groups_release(&g);
    return rc;
}

/* ---- length ---- */

static int longest_first(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

/* All lines of `cut` words and more: the cut that comes nearest to the share, no more than half of the
 * lines. */
static int by_length(const struct split_line *lines, size_t n, size_t wanted, struct split *out,
                     struct status *st)
{
    int rc = 0;
    size_t total = 0, cut = 0;
    size_t *sorted = mem_calloc(n, sizeof *sorted);
    if (!sorted)
        FAIL(st, RC_NOMEM, "no memory for %zu lengths", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = words_of(&lines[i]);
    qsort(sorted, n, sizeof *sorted, longest_first);
    if (sorted[0] == sorted[n - 1])
        FAIL(st, RC_ARG, "all lines have %zu words", sorted[0]);
    for (size_t at = 0; at < n && total < wanted;) {
        size_t end = at;
        while (end < n && sorted[end] == sorted[at])
            end++;
        const bool farther = end > wanted && end - wanted > wanted - total;
        if (end > n / 2 || (farther && total >= SPLIT_LINES_MIN))
            break;
        total = end;
        cut = sorted[at];
        at = end;
    }
    if (total < SPLIT_LINES_MIN)
        FAIL(st, RC_ARG, "no length parts off %d lines or more, and at most half of all", SPLIT_LINES_MIN);
    for (size_t i = 0; i < n; i++)
        out->out[i] = words_of(&lines[i]) >= cut;
    str_printf(&out->what, "%zu words and more", cut);
    TRY(str_check(&out->what, st));
out:
    mem_free(sorted);
    return rc;
}

/* ---- what differs ---- */

/* Lines of the part that the training part has too, word for word, go there. */
static int twins_return(const struct split_line *lines, size_t n, struct split *s, struct status *st)
{
    int rc = 0;
    size_t number = 0;
    bool fresh = false;
    struct text_index index = { 0 };
    for (size_t i = 0; i < n; i++)
        if (!s->out[i])
            TRY(text_index_put(&index, lines[i].words, lines[i].size, &number, &fresh, st));
    for (size_t i = 0; i < n; i++)
        if (s->out[i] && text_index_find(&index, lines[i].words, lines[i].size) != TEXT_INDEX_NONE) {
            s->out[i] = false;
            s->twins++;
        }
out:
    text_index_release(&index);
    return rc;
}

static int unseen_share(const struct split_line *lines, size_t n, const bool *out, double *share,
                        struct status *st)
{
    int rc = 0;
    size_t number = 0, all = 0, unseen = 0;
    bool fresh = false;
    struct text_index index = { 0 };
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            const char *at = lines[i].words, *end = at + lines[i].size;
            while (out[i] == (pass == 1) && at < end) {
                const size_t size = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
                if (pass == 0)
                    TRY(text_index_put(&index, at, size, &number, &fresh, st));
                else
                    unseen += text_index_find(&index, at, size) == TEXT_INDEX_NONE;
                all += pass == 1;
                at += size + 1;
            }
        }
    *share = all ? (double)unseen / (double)all : 0;
out:
    text_index_release(&index);
    return rc;
}

/* `count` of n lines, every choice alike. */
static void random_part(size_t n, size_t count, uint64_t seed, bool *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct rng_block b = rng_at(seed, RNG_SPLIT, (uint32_t)i, 1, 0);
        out[i] = rng_below((uint64_t)b.w[1] << 32 | b.w[0], (uint32_t)(n - i)) < count;
        count -= out[i];
    }
}

static void part_count(struct split_part *p, size_t words)
{
    p->shortest = p->lines == 0 || words < p->shortest ? words : p->shortest;
    p->longest = words > p->longest ? words : p->longest;
    p->words += words;
    p->lines++;
}

static int differences(const struct split_line *lines, size_t n, uint64_t seed, struct split *s,
                       struct status *st)
{
    int rc = 0;
    bool *random = mem_calloc(n, sizeof *random);
    if (!random)
        FAIL(st, RC_NOMEM, "no memory for %zu lines", n);
    for (size_t i = 0; i < n; i++)
        part_count(s->out[i] ? &s->ood : &s->train, words_of(&lines[i]));
    if (s->ood.lines < SPLIT_LINES_MIN)
        FAIL(st, RC_ARG, "%zu lines would be out of domain (%zu are also in the rest), wanted %d or more",
             s->ood.lines, s->twins, SPLIT_LINES_MIN);
    random_part(n, s->ood.lines, seed, random);
    TRY(unseen_share(lines, n, s->out, &s->unseen, st));
    TRY(unseen_share(lines, n, random, &s->unseen_random, st));
out:
    mem_free(random);
    return rc;
}

/* ---- outside ---- */

static int split_by(const struct split_line *lines, size_t n, const struct split_options *o, enum split_by by,
                    struct split *out, struct status *st)
{
    int rc = 0;
    struct split s = { .by = by };
    size_t wanted = (size_t)(o->share * (double)n + 0.5);
    wanted = wanted < SPLIT_LINES_MIN ? SPLIT_LINES_MIN : wanted;
    s.out = mem_calloc(n, sizeof *s.out);
    if (!s.out)
        FAIL(st, RC_NOMEM, "no memory for %zu lines", n);
    if (by == SPLIT_LENGTH)
        TRY(by_length(lines, n, wanted, &s, st));
    else
        TRY(by_group(lines, n, by, wanted, o->seed, &s, st));
    TRY(twins_return(lines, n, &s, st));
    TRY(differences(lines, n, o->seed, &s, st));
    *out = s;
    s = (struct split){ 0 };
out:
    split_release(&s);
    return rc;
}

int split_make(const struct split_line *lines, size_t n, const struct split_options *options,
               struct split *out, struct status *st)
{
    int rc = 0;
    struct str why = { 0 };
    if (n < 4 * SPLIT_LINES_MIN)
        FAIL(st, RC_ARG, "%zu lines are too few to hold some of them out, wanted %d or more", n,
             4 * SPLIT_LINES_MIN);
    if (options->by != SPLIT_ANY) {
        rc = split_by(lines, n, options, options->by, out, st);
        if (rc == RC_ARG)
            status_prefix(st, "by %s", names[options->by]);
        goto out;
    }
    for (int by = SPLIT_SOURCE; by < SPLIT_ANY; by++) {
        struct status one = { 0 };
        rc = split_by(lines, n, options, (enum split_by)by, out, &one);
        if (rc == 0)
            goto out;
        if (rc != RC_ARG)
            FAIL(st, (enum rc)rc, "%s", one.msg);
        str_printf(&why, "%s%s: %s", why.size ? "; " : "", names[by], one.msg);
    }
    FAIL(st, RC_ARG, "no part can be held out (%s)", str_text(&why));
out:
    str_release(&why);
    return rc;
}

void split_release(struct split *s)
{
    mem_free(s->out);
    str_release(&s->what);
    *s = (struct split){ 0 };
}
