#include "probes/sample.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "probes/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Items of one suite that share their first tag. */
struct stratum {
    uint32_t name; /* first bytes of the SHA-256 of suite and tag: the coordinate of its draws */
    size_t n, take, got;
    uint64_t remainder;
    uint32_t units;
};
/* Items that are taken together: a cluster, of the stratum of its first item; else an item. */
struct unit {
    size_t stratum, n, number;
    uint64_t key; /* units of a stratum are taken in this order */
    bool taken;
};

struct strata {
    struct text_index index, clusters; /* "suite LF tag", "suite LF cluster" */
    struct pool names;
    struct stratum *list;
    size_t n, cap;
    struct unit *units; /* [units_n] */
    size_t units_n, units_cap;
    size_t *of; /* [all items] unit, suite after suite */
};

static void strata_release(struct strata *s)
{
    text_index_release(&s->index);
    text_index_release(&s->clusters);
    pool_release(&s->names);
    mem_free(s->list);
    mem_free(s->units);
    mem_free(s->of);
}

/* Number of "suite LF name" in an index. */
static int number_of(struct strata *s, struct text_index *index, const char *suite, const char *name,
                     size_t *out, bool *fresh, struct status *st)
{
    int rc = 0;
    struct str both = { 0 };
    str_printf(&both, "%s\n%s", suite, name);
    TRY(str_check(&both, st));
    const char *kept = pool_text(&s->names, both.data, both.size);
    if (!kept)
        FAIL(st, RC_NOMEM, "no memory for a stratum");
    TRY(text_index_put(index, kept, both.size, out, fresh, st));
out:
    str_release(&both);
    return rc;
}

static int stratum_of(struct strata *s, const struct probe_set *set, const struct probe_item *item,
                      size_t *out, struct status *st)
{
    int rc = 0;
    bool fresh = false;
    TRY(number_of(s, &s->index, set->id, item->n_tags ? item->tags[0] : "", out, &fresh, st));
    if (fresh) {
        const struct text_entry *name = &s->index.entries[*out];
        struct hash h = sha256_of(name->text, name->size);
        TRY(mem_grow(&s->list, s->n, &s->cap, sizeof *s->list, st));
        s->list[s->n] = (struct stratum){ 0 };
        for (int i = 3; i >= 0; i--)
            s->list[s->n].name = s->list[s->n].name << 8 | h.b[i];
        s->n++;
    }
out:
    return rc;
}

static int unit_of(struct strata *s, const struct probe_set *set, const struct probe_item *item,
                   uint64_t seed, size_t *out, struct status *st)
{
    int rc = 0;
    bool fresh = false;
    TRY(number_of(s, &s->clusters, set->id, item->cluster, out, &fresh, st));
    if (fresh) {
        struct unit u = { .number = s->units_n };
        TRY(stratum_of(s, set, item, &u.stratum, st));
        struct stratum *of = &s->list[u.stratum];
        const struct rng_block b = rng_at(seed, RNG_STRATA, of->units++, of->name, 0);
        u.key = (uint64_t)b.w[1] << 32 | b.w[0];
        TRY(mem_grow(&s->units, s->units_n, &s->units_cap, sizeof *s->units, st));
        s->units[s->units_n++] = u;
    }
    s->units[*out].n++;
    s->list[s->units[*out].stratum].n++;
out:
    return rc;
}

static int strata_make(struct strata *s, const struct probe_set *const *sets, size_t n, size_t all,
                       uint64_t seed, struct status *st)
{
    int rc = 0;
    size_t at = 0;
    s->of = mem_calloc(all, sizeof *s->of);
    if (!s->of)
        FAIL(st, RC_NOMEM, "no memory for %zu items", all);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < sets[k]->n; i++)
            TRY(unit_of(s, sets[k], &sets[k]->items[i], seed, &s->of[at++], st));
out:
    return rc;
}

/* Whole shares first, then one more for the largest remainders; the first of equal ones. */
static void shares_set(struct strata *s, size_t all, size_t items)
{
    size_t given = 0;
    for (size_t k = 0; k < s->n; k++) {
        const uint64_t share = (uint64_t)s->list[k].n * items;
        s->list[k].take = (size_t)(share / all);
        s->list[k].remainder = share % all;
        given += s->list[k].take;
    }
    for (; given < items; given++) {
        size_t best = 0;
        for (size_t k = 1; k < s->n; k++)
            if (s->list[k].remainder > s->list[best].remainder)
                best = k;
        s->list[best].take++;
        s->list[best].remainder = 0;
    }
}

static int by_key(const void *a, const void *b)
{
    const struct unit *x = *(struct unit *const *)a, *y = *(struct unit *const *)b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Units in the order of their keys, each that its stratum still has room for. */
static int units_take(struct strata *s, struct status *st)
{
    int rc = 0;
    struct unit **order = mem_calloc(s->units_n, sizeof(struct unit *));
    if (!order)
        FAIL(st, RC_NOMEM, "no memory for %zu units", s->units_n);
    for (size_t i = 0; i < s->units_n; i++)
        order[i] = &s->units[i];
    qsort(order, s->units_n, sizeof(struct unit *), by_key);
    for (size_t i = 0; i < s->units_n; i++) {
        struct stratum *of = &s->list[order[i]->stratum];
        order[i]->taken = order[i]->n <= of->take - of->got;
        of->got += order[i]->taken ? order[i]->n : 0;
    }
out:
    mem_free(order);
    return rc;
}

static int taken_open(const struct probe_set *const *sets, size_t n, struct sample *s, struct status *st)
{
    int rc = 0;
    s->taken = mem_calloc(n, sizeof *s->taken);
    if (!s->taken)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", n);
    for (; s->sets < n; s->sets++) {
        s->taken[s->sets] = mem_calloc(sets[s->sets]->n, sizeof **s->taken);
        if (!s->taken[s->sets])
            FAIL(st, RC_NOMEM, "no memory for a suite");
    }
out:
    return rc;
}

int sample_draw(const struct probe_set *const *sets, size_t n, size_t items, uint64_t seed,
                struct sample *out, struct status *st)
{
    int rc = 0;
    size_t all = 0, at = 0;
    struct strata strata = { 0 };
    struct sample s = { 0 };
    for (size_t k = 0; k < n; k++)
        all += sets[k]->n;
    if (items == 0 || items >= all)
        FAIL(st, RC_ARG, "%zu items are wanted of %zu: a sample is some of them, not none and not all", items,
             all);
    TRY(strata_make(&strata, sets, n, all, seed, st));
    shares_set(&strata, all, items);
    TRY(units_take(&strata, st));
    TRY(taken_open(sets, n, &s, st));
    s.strata = strata.n;
    for (size_t k = 0; k < n; k++) {
        const size_t before = s.n;
        for (size_t i = 0; i < sets[k]->n; i++) {
            s.taken[k][i] = strata.units[strata.of[at++]].taken;
            s.n += s.taken[k][i];
        }
        if (s.n - before == sets[k]->n)
            FAIL(st, RC_ARG, "nothing of suite '%s' would be left", sets[k]->id);
    }
    if (s.n == 0)
        FAIL(st, RC_ARG, "%zu items are fewer than the smallest cluster of any tag's share", items);
    *out = s;
    s = (struct sample){ 0 };
out:
    strata_release(&strata);
    sample_release(&s);
    return rc;
}

void sample_release(struct sample *s)
{
    for (size_t k = 0; k < s->sets; k++)
        mem_free(s->taken[k]);
    mem_free(s->taken);
    *s = (struct sample){ 0 };
}

/* ---- files ---- */

static void put(struct str *out, const char *key, const char *text)
{
    str_printf(out, ",\"%s\":", key);
    str_json_string(out, text, strlen(text));
}

/* A header line. `like` gives what decides how items are asked and judged. */
static void header_put(const struct probe_set *like, const struct probe_set *h, struct str *out)
{
    str_puts(out, "{\"lethe_probe\":1");
    put(out, "id", h->id);
    put(out, "version", h->version);
    put(out, "title", h->title);
    put(out, "kind", probe_kind_name(h->kind));
    put(out, "role", h->role);
    put(out, "licence", h->licence);
    put(out, "source", h->source);
    put(out, "metric", probe_metric_name(like->metric));
    put(out, "delimiter", like->delimiter);
    if (h->by_cluster)
        put(out, "cluster_by", "cluster");
    if (h->kind == PROBE_exact) {
        str_printf(out, ",\"max_tokens\":%" PRIu32 ",\"stop\":[", like->max_tokens);
        for (size_t i = 0; i < like->n_stop; i++) {
            str_puts(out, i ? "," : "");
            str_json_string(out, like->stop[i], strlen(like->stop[i]));
        }
        str_printf(out, "],\"normalise\":\"%s\"", like->normalise == NORMALISE_none ? "none" : "text");
    }
    str_puts(out, "}\n");
}

/* What all suites of the sample must share, and the kind that they have together. */
static int together(const struct probe_set *const *sets, size_t n, struct probe_set *h, struct status *st)
{
    int rc = 0;
    bool mixed = false;
    h->kind = sets[0]->kind;
    h->role = sets[0]->role;
    for (size_t k = 0; k < n; k++) {
        const struct probe_set *a = sets[0], *b = sets[k];
        const bool likes = a->kind != b->kind;
        if (likes && ((a->kind != PROBE_choice && a->kind != PROBE_pair) ||
                      (b->kind != PROBE_choice && b->kind != PROBE_pair)))
            FAIL(st, RC_UNSUPPORTED,
                 "suite '%s' is of kind '%s' and '%s' of kind '%s': only choices and pairs "
                 "can stand in one suite",
                 b->id, probe_kind_name(b->kind), a->id, probe_kind_name(a->kind));
        if (a->metric != b->metric || strcmp(a->delimiter, b->delimiter) != 0)
            FAIL(st, RC_UNSUPPORTED, "suites '%s' and '%s' have different metrics or delimiters", a->id,
                 b->id);
        if (b->kind == PROBE_exact &&
            (a->max_tokens != b->max_tokens || a->normalise != b->normalise || a->n_stop != b->n_stop))
            FAIL(st, RC_UNSUPPORTED, "suites '%s' and '%s' stop or normalise in different ways", a->id,
                 b->id);
        for (size_t i = 0; b->kind == PROBE_exact && i < b->n_stop; i++)
            if (strcmp(a->stop[i], b->stop[i]) != 0)
                FAIL(st, RC_UNSUPPORTED, "suites '%s' and '%s' stop at different strings", a->id, b->id);
        mixed |= likes;
        h->by_cluster |= b->by_cluster;
        if (strcmp(h->role, b->role) != 0)
            h->role = "retention";
    }
    if (mixed)
        h->kind = PROBE_choice;
out:
    return rc;
}

/* The item's object with what the sample changes; `swap`: the good sentence stands second. */
static int item_put(const struct probe_set *set, const struct probe_item *item, const struct probe_set *h,
                    bool swap, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *old = NULL, *tags = json_array(), *new = json_object();
    struct str id = { 0 }, cluster = { 0 };
    str_printf(&id, "%s/%s", set->id, item->id);
    str_printf(&cluster, "%s/%s", set->id, item->cluster);
    TRY(str_check(&id, st));
    TRY(str_check(&cluster, st));
    if (id.size > PROBE_ID_BYTES_MAX)
        FAIL(st, RC_LIMIT, "item '%s' of suite '%s': its id is over %d bytes with the suite's in front",
             item->id, set->id, PROBE_ID_BYTES_MAX);
    TRY(json_parse(item->canonical, strlen(item->canonical), &old, st));
    const bool turned = set->kind == PROBE_pair && h->kind == PROBE_choice;
    for (const struct json *m = json_first(old); m; m = json_next(m)) {
        const char *k = json_key(m);
        if (strcmp(k, "id") != 0 && strcmp(k, "tags") != 0 && strcmp(k, "cluster") != 0 &&
            !(turned && (strcmp(k, "good") == 0 || strcmp(k, "bad") == 0)))
            json_put(new, k, json_copy(m));
    }
    json_put_text(new, "id", id.data);
    if (h->by_cluster)
        json_put_text(new, "cluster", cluster.data);
    json_push(tags, json_of_text(set->id));
    for (size_t i = 0; i < item->n_tags; i++)
        if (strcmp(item->tags[i], set->id) != 0)
            json_push(tags, json_of_text(item->tags[i]));
    json_put(new, "tags", tags);
    tags = NULL;
    if (turned) {
        struct json *choices = json_array();
        json_push(choices, json_of_text(item->parts[swap]));
        json_push(choices, json_of_text(item->parts[!swap]));
        json_put_text(new, "context", "");
        json_put(new, "choices", choices);
        json_put_int(new, "gold", swap);
    }
    TRY(json_check(new, st));
    TRY(json_write_canonical(new, out, st));
    str_putc(out, '\n');
out:
    json_free(old);
    json_free(tags);
    json_free(new);
    str_release(&id);
    str_release(&cluster);
    return rc;
}

/* Licences of all suites, each once. */
static void licences_put(const struct probe_set *const *sets, size_t n, struct str *out)
{
    for (size_t k = 0; k < n; k++) {
        bool known = false;
        for (size_t i = 0; i < k; i++)
            known |= strcmp(sets[i]->licence, sets[k]->licence) == 0;
        if (!known)
            str_printf(out, "%s%s", k ? " AND " : "", sets[k]->licence);
    }
}

int sample_write(const struct sample *s, const struct probe_set *const *sets, const char *id, uint64_t seed,
                 struct str *out, struct status *st)
{
    int rc = 0;
    uint32_t number = 0;
    struct probe_set h = { .id = id, .version = "1" };
    struct str title = { 0 }, licence = { 0 }, source = { 0 };
    TRY(together(sets, s->sets, &h, st));
    str_printf(&title, "Stratified sample of %zu suites", s->sets);
    str_printf(&source, "lethe sample: %zu items, %zu strata, seed %" PRIu64 ", of", s->n, s->strata, seed);
    for (size_t k = 0; k < s->sets; k++)
        str_printf(&source, "%s %s %s", k ? "," : "", sets[k]->id, sets[k]->version);
    licences_put(sets, s->sets, &licence);
    TRY(str_check(&title, st));
    TRY(str_check(&source, st));
    TRY(str_check(&licence, st));
    h.title = title.data;
    h.source = source.data;
    h.licence = licence.data;
    header_put(sets[0], &h, out);
    for (size_t k = 0; k < s->sets; k++)
        for (size_t i = 0; i < sets[k]->n; i++) {
            if (!s->taken[k][i])
                continue;
            const struct rng_block b = rng_at(seed, RNG_STRATA, number++, 0, 1);
            TRY(item_put(sets[k], &sets[k]->items[i], &h, b.w[0] & 1, out, st));
        }
    TRY(str_check(out, st));
out:
    str_release(&title);
    str_release(&licence);
    str_release(&source);
    return rc;
}

int sample_rest_write(const struct sample *s, const struct probe_set *const *sets, size_t k, const char *id,
                      struct str *out, struct status *st)
{
    int rc = 0;
    struct str version = { 0 };
    struct probe_set h = *sets[k];
    str_printf(&version, "%s-without-%s", h.version, id);
    TRY(str_check(&version, st));
    h.version = version.data;
    header_put(sets[k], &h, out);
    for (size_t i = 0; i < sets[k]->n; i++)
        if (!s->taken[k][i])
            str_printf(out, "%s\n", sets[k]->items[i].canonical);
    TRY(str_check(out, st));
out:
    str_release(&version);
    return rc;
}
