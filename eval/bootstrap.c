#include "eval/bootstrap.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "eval/exact.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS_MAX = 1 << 20 };
#define SUM_MAX (INT64_C(1) << 53) /* above it a double does not hold every integer */

/* First four bytes of the digest of the id: the third word of a draw's counter. */
static uint32_t tag_of(const char *id)
{
    struct hash h = sha256_of(id, strlen(id));
    return (uint32_t)h.b[0] | (uint32_t)h.b[1] << 8 | (uint32_t)h.b[2] << 16 | (uint32_t)h.b[3] << 24;
}

/* The two draws of a block: even ones take its first two words, odd ones the others. */
static inline uint32_t draw_of(const struct rng_block *block, unsigned odd, uint32_t n)
{
    uint64_t u = (uint64_t)block->w[2 * odd + 1] << 32 | block->w[2 * odd];
    return rng_below(u, n);
}

void bootstrap_draws(uint64_t seed, const char *id, uint32_t n, uint32_t replicate, size_t count,
                     uint32_t *out)
{
    const uint32_t tag = tag_of(id);
    for (size_t j = 0; j < count; j++) {
        struct rng_block block = rng_at(seed, RNG_BOOTSTRAP, (uint32_t)(j >> 1), replicate, tag);
        out[j] = draw_of(&block, j & 1, n);
    }
}

/* Sums of one cluster side by side: both are fetched at every draw. */
struct cluster {
    int64_t d, w;
};

/* What replicates are drawn from. Index n - 1 is the pseudo-cluster where there is one. Its d is 0: what it
 * adds is counted apart, since its sign is one in the upper and the other in the lower statistic. */
struct urn {
    struct cluster *clusters;
    uint32_t n;
    int64_t pseudo; /* its weight; 0: none */
    uint64_t seed;
    uint32_t tag;
};

struct sums {
    int64_t d, w, pseudo;
};

static struct sums draw_replicate(const struct urn *urn, uint32_t replicate)
{
    struct sums sums = { 0 };
    const uint32_t n = urn->n, last = urn->pseudo ? n - 1 : n;
    int64_t hits = 0;
    for (uint32_t j = 0; j < n; j += 2) {
        const struct rng_block block = rng_at(urn->seed, RNG_BOOTSTRAP, j >> 1, replicate, urn->tag);
        const uint32_t a = draw_of(&block, 0, n);
        sums.d += urn->clusters[a].d;
        sums.w += urn->clusters[a].w;
        hits += a == last;
        if (j + 1 == n)
            break;
        const uint32_t b = draw_of(&block, 1, n);
        sums.d += urn->clusters[b].d;
        sums.w += urn->clusters[b].w;
        hits += b == last;
    }
    sums.pseudo = hits * urn->pseudo;
    return sums;
}

static double statistic(int64_t d, int64_t w, bool accuracy)
{
    return accuracy ? (double)d / (double)w : (double)d / ((double)w * MICRONATS_PER_BIT);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Whole-suite sums, and that no sum of n drawn clusters can leave an int64. */
static int check_sums(const struct bootstrap_ask *ask, struct sums *out, struct status *st)
{
    int64_t largest = 0, total = 0;
    *out = (struct sums){ 0 };
    for (size_t c = 0; c < ask->clusters; c++) {
        const int64_t d = ask->d[c], w = ask->w[c], size = d < 0 ? -d : d;
        if (size >= SUM_MAX || w < 0 || w >= SUM_MAX)
            return status_fail(st, RC_LIMIT, "the sums of a cluster pass 2^53");
        largest = size > largest ? size : largest;
        largest = w > largest ? w : largest;
        total += size;
        out->d += d;
        out->w += w;
        if (total >= SUM_MAX || out->w >= SUM_MAX)
            return status_fail(st, RC_LIMIT, "the sums of '%s' pass 2^53", ask->id);
    }
    if (out->w == 0)
        return status_fail(st, RC_ARG, "'%s' has no items", ask->id);
    if (largest > INT64_MAX / 2 / (int64_t)(ask->clusters + 1))
        return status_fail(st, RC_LIMIT, "sums over %zu clusters of '%s' pass 63 bits", ask->clusters,
                           ask->id);
    return 0;
}

static int fill_urn(const struct bootstrap_ask *ask, int64_t weight, struct urn *urn, struct status *st)
{
    const size_t n = ask->clusters + (ask->accuracy ? 1 : 0);
    urn->clusters = mem_calloc(n, sizeof(*urn->clusters));
    if (!urn->clusters)
        return status_fail(st, RC_NOMEM, "no memory for %zu clusters", n);
    for (size_t c = 0; c < ask->clusters; c++)
        urn->clusters[c] = (struct cluster){ ask->d[c], ask->w[c] };
    urn->n = (uint32_t)n;
    urn->seed = ask->seed;
    urn->tag = tag_of(ask->id);
    if (ask->accuracy) {
        urn->pseudo = weight / (int64_t)ask->clusters;
        if (urn->pseudo < 1)
            urn->pseudo = 1;
        urn->clusters[n - 1].w = urn->pseudo;
    }
    return 0;
}

int bootstrap_run(const struct bootstrap_ask *ask, struct bootstrap *out, struct status *st)
{
    int rc = 0;
    const uint32_t replicates = ask->replicates;
    struct urn urn = { 0 };
    struct sums all = { 0 };
    struct bootstrap new = { .held_count = 1, .broken_count = 1 };
    double *high = NULL, *low = NULL;
    if (ask->clusters < 1 || ask->clusters > CLUSTERS_MAX)
        FAIL(st, RC_ARG, "%zu clusters in '%s', wanted 1 to %d", ask->clusters, ask->id, CLUSTERS_MAX);
    if (ask->alpha_count < 1 || ask->alpha_count > replicates)
        FAIL(st, RC_ARG, "bound number %" PRIu64 " of %" PRIu32 " replicates", ask->alpha_count, replicates);
    TRY(check_sums(ask, &all, st));
    TRY(fill_urn(ask, all.w, &urn, st));
    high = mem_calloc(replicates, sizeof(*high));
    low = mem_calloc(replicates, sizeof(*low));
    if (!high || !low)
        FAIL(st, RC_NOMEM, "no memory for %" PRIu32 " replicates", replicates);
    new.drop = statistic(all.d, all.w, ask->accuracy);
    for (uint32_t r = 0; r < replicates; r++) {
        const struct sums s = draw_replicate(&urn, r);
        if (s.w == 0)
            FAIL(st, RC_ARG, "a replicate of '%s' without any weight", ask->id);
        high[r] = statistic(s.d + s.pseudo, s.w, ask->accuracy);
        low[r] = statistic(s.d - s.pseudo, s.w, ask->accuracy);
        new.held_count += high[r] >= ask->limit;
        new.broken_count += low[r] <= ask->limit;
    }
    qsort(high, replicates, sizeof(*high), by_value);
    qsort(low, replicates, sizeof(*low), by_value);
    new.upper = high[replicates - ask->alpha_count]; /* the (R + 1)(1 - alpha)-th smallest, counted from 1 */
    new.lower = low[ask->alpha_count - 1];
    *out = new;
out:
    mem_free(high);
    mem_free(low);
    mem_free(urn.clusters);
    return rc;
}

/* ---- Holm ---- */

struct claim {
    uint64_t count;
    const char *id;
    size_t at;
};

static int by_count(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return strcmp(x->id, y->id);
}

int holm_adjust(const uint64_t *counts, const char *const *ids, size_t m, uint32_t replicates,
                uint64_t *adjusted, struct status *st)
{
    struct claim *claims = mem_calloc(m, sizeof(*claims));
    if (!claims)
        return status_fail(st, RC_NOMEM, "no memory for %zu claims", m);
    for (size_t k = 0; k < m; k++)
        claims[k] = (struct claim){ counts[k], ids[k], k };
    qsort(claims, m, sizeof(*claims), by_count);
    uint64_t before = 0;
    for (size_t k = 0; k < m; k++) {
        uint64_t value = (uint64_t)(m - k) * claims[k].count;
        if (value > (uint64_t)replicates + 1)
            value = (uint64_t)replicates + 1;
        if (value < before)
            value = before;
        adjusted[claims[k].at] = before = value;
    }
    mem_free(claims);
    return 0;
}
