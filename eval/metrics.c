#include "eval/metrics.h"

#include "base/alloc.h"
#include "eval/metrics_private.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const use_names[] = {
    [USE_report] = "report", [USE_gate] = "gate", [USE_task] = "task", [USE_critical] = "critical"
};
static const char *const status_names[] = {
    [STATUS_REPORTED] = "REPORTED", [STATUS_INCOMPLETE] = "INCOMPLETE",
    [STATUS_BLIND] = "BLIND",       [STATUS_BROKEN] = "BROKEN",
    [STATUS_HELD] = "HELD",         [STATUS_SMALL] = "SMALL",
    [STATUS_FLOOR] = "FLOOR",       [STATUS_OPEN] = "OPEN"
};

const char *eval_use_name(enum eval_use use)
{
    return use_names[use];
}

bool eval_use_find(const char *name, enum eval_use *out)
{
    for (size_t k = 0; k < sizeof(use_names) / sizeof(use_names[0]); k++)
        if (strcmp(use_names[k], name) == 0) {
            *out = (enum eval_use)k;
            return true;
        }
    return false;
}

const char *eval_status_name(enum eval_status status)
{
    return status_names[status];
}

void eval_metrics_release(struct eval_metrics *m)
{
    json_free(m->tree);
    json_free(m->unchecked);
    mem_free(m->suites);
    mem_free(m->groups);
    *m = (struct eval_metrics){ 0 };
}

/* ---- are all rows there? ---- */

static const char *const side_names[] = { "base", "tuned", "zero" };

static size_t sides_of(const struct eval_suite *suite, const struct item_rows *sides[3])
{
    sides[0] = suite->base;
    sides[1] = suite->tuned;
    sides[2] = suite->zero;
    return suite->zero ? 3 : 2;
}

/* Rows whose i stands on all sides; every side is in ascending order. */
static int64_t count_present(const struct eval_suite *suite)
{
    const struct item_rows *sides[3];
    const size_t n = sides_of(suite, sides);
    size_t at[3] = { 0 };
    int64_t count = 0;
    for (size_t i = 0; i < sides[0]->n; i++) {
        bool everywhere = true;
        for (size_t s = 1; s < n; s++) {
            while (at[s] < sides[s]->n && sides[s]->rows[at[s]].i < sides[0]->rows[i].i)
                at[s]++;
            everywhere = everywhere && at[s] < sides[s]->n && sides[s]->rows[at[s]].i == sides[0]->rows[i].i;
        }
        count += everywhere;
    }
    return count;
}

static int check_suite(const struct eval_suite *suite, bool *complete, struct status *st)
{
    int rc = 0;
    const struct item_rows *sides[3];
    const size_t n = sides_of(suite, sides);
    *complete = true;
    for (size_t s = 0; s < n; s++) {
        size_t withheld = 0;
        for (size_t i = 0; i < sides[s]->n; i++)
            withheld += sides[s]->rows[i].withheld;
        if (withheld)
            FAIL(st, RC_UNSUPPORTED, "%zu rows of %s are withheld, so its numbers cannot be computed",
                 withheld, side_names[s]);
        if (sides[s]->n > suite->items || (sides[s]->n && sides[s]->rows[sides[s]->n - 1].i >= suite->items))
            FAIL(st, RC_VERIFY, "%s has rows of more than %" PRIu64 " items", side_names[s], suite->items);
        *complete = *complete && sides[s]->n == suite->items;
    }
    for (size_t s = 1; *complete && s < n; s++) {
        TRY(item_rows_agree(sides[0], sides[s], st));
    }
out:
    if (rc != 0)
        status_prefix(st, "suite '%s'", suite->id);
    return rc;
}

/* ---- suites and groups alike ---- */

static int add_suite(const struct eval_suite *suite, struct claim_entry *e, struct status *st)
{
    int rc = 0;
    *e = (struct claim_entry){ .id = suite->id, .use = suite->use, .suite = suite, .limit = &suite->limit };
    if (!suite->base || !suite->tuned || suite->items == 0)
        FAIL(st, RC_ARG, "suite '%s' has no rows", suite->id);
    TRY(check_suite(suite, &e->complete, st));
    if (e->complete)
        TRY(tally_add(&e->tally, suite, true, st));
    else
        e->present = count_present(suite);
out:
    return rc;
}

static int add_group(const struct eval_group *group, const struct claim_entry *suites, struct claim_entry *e,
                     struct status *st)
{
    int rc = 0;
    *e = (struct claim_entry){ .id = group->id, .use = group->use, .limit = &group->limit, .complete = true };
    for (size_t k = 0; k < group->n_members; k++) {
        const struct claim_entry *member = &suites[group->members[k]];
        e->complete = e->complete && member->complete;
        e->present += member->complete ? member->tally.items : member->present;
    }
    for (size_t k = 0; e->complete && k < group->n_members; k++)
        TRY(tally_add(&e->tally, suites[group->members[k]].suite, false, st));
out:
    if (rc != 0)
        status_prefix(st, "group '%s'", group->id);
    return rc;
}

static bool is_claim(const struct claim_entry *e)
{
    return e->use == USE_gate || e->use == USE_task;
}

static int run_bootstrap(struct claim_entry *e, const struct eval_statistics *s, uint64_t alpha_count,
                         struct status *st)
{
    const struct bootstrap_ask ask = {
        .id = e->id,
        .d = e->tally.d,
        .w = e->tally.w,
        .clusters = e->tally.clusters,
        .accuracy = e->tally.accuracy,
        .limit = is_claim(e) ? e->limit->value : 0,
        .seed = s->seed,
        .replicates = s->replicates,
        .alpha_count = alpha_count,
    };
    return e->complete ? bootstrap_run(&ask, &e->bootstrap, st) : 0;
}

/* Holm over all gates and tasks at once; one without its rows counts as not shown. */
static int adjust(struct claim_entry *entries, size_t n, const struct eval_statistics *s, struct status *st)
{
    int rc = 0;
    size_t m = 0;
    uint64_t *counts = mem_calloc(n, 4 * sizeof(*counts));
    const char **ids = mem_calloc(n, sizeof(*ids));
    if (!counts || !ids)
        FAIL(st, RC_NOMEM, "no memory for %zu claims", n);
    uint64_t *held = counts, *broken = counts + n, *held_to = counts + 2 * n, *broken_to = counts + 3 * n;
    const uint64_t none = (uint64_t)s->replicates + 1;
    for (size_t k = 0; k < n; k++) {
        if (!is_claim(&entries[k]))
            continue;
        held[m] = entries[k].complete ? entries[k].bootstrap.held_count : none;
        broken[m] = entries[k].complete ? entries[k].bootstrap.broken_count : none;
        ids[m++] = entries[k].id;
    }
    memcpy(held_to, held, 2 * n * sizeof(*held));
    if (s->correction == CORRECTION_holm) {
        TRY(holm_adjust(held, ids, m, s->replicates, held_to, st));
        TRY(holm_adjust(broken, ids, m, s->replicates, broken_to, st));
    }
    m = 0;
    for (size_t k = 0; k < n; k++) {
        if (!is_claim(&entries[k]))
            continue;
        entries[k].held_adjusted = held_to[m];
        entries[k].broken_adjusted = broken_to[m++];
    }
out:
    mem_free(counts);
    mem_free(ids);
    return rc;
}

/* The first row of docs/formats 8.4 that applies. */
static enum eval_status status_of(const struct claim_entry *e, const struct eval_statistics *s,
                                  uint64_t alpha_count)
{
    const struct tally *t = &e->tally;
    if (e->use == USE_report)
        return STATUS_REPORTED;
    if (!e->complete)
        return STATUS_INCOMPLETE;
    if (e->use == USE_critical)
        return t->base == 0 ? STATUS_BLIND : t->forgot > 0 ? STATUS_BROKEN : STATUS_HELD;
    if (t->clusters < s->min_clusters)
        return STATUS_SMALL;
    const double limit = e->limit->value, noise = t->has_zero ? tally_drop(t, t->zero_d) : 0;
    if (noise != 0 && 2 * fabs(noise) >= fabs(limit))
        return STATUS_FLOOR;
    if (e->use == USE_gate && t->accuracy && !(tally_value(t, t->base) - tally_chance(t) > limit))
        return STATUS_BLIND;
    if (e->broken_adjusted <= alpha_count)
        return STATUS_BROKEN;
    return e->held_adjusted <= alpha_count ? STATUS_HELD : STATUS_OPEN;
}

static struct eval_result result_of(const struct claim_entry *e, const struct eval_statistics *s,
                                    uint64_t alpha_count)
{
    return (struct eval_result){
        .status = status_of(e, s, alpha_count),
        .has_zero = e->tally.has_zero,
        .flips = e->tally.flips,
        .ll_max = e->tally.ll_max,
        .forgot = (uint64_t)e->tally.forgot,
        .learned = (uint64_t)e->tally.learned,
    };
}

/* ---- the whole ---- */

static int write_list(const struct claim_entry *entries, size_t n, const struct eval_input *in,
                      struct eval_metrics *m, const char *key, struct status *st)
{
    int rc = 0;
    struct json *list = json_array();
    for (size_t k = 0; k < n; k++) {
        struct json *entry = NULL;
        rc = entry_write(&entries[k], in, &entry, m->unchecked, st);
        if (rc != 0) {
            status_prefix(st, "%s '%s'", entries[k].suite ? "suite" : "group", entries[k].id);
            break;
        }
        json_push(list, entry);
    }
    json_put(m->tree, key, list);
    return rc;
}

static int write_tree(const struct claim_entry *entries, const struct eval_input *in, struct eval_metrics *m,
                      struct status *st)
{
    int rc = 0;
    struct json *ledger = NULL, *train = NULL;
    m->tree = json_object();
    m->unchecked = json_array();
    json_put_int(m->tree, "lethe_metrics", 1);
    TRY(write_list(entries, in->n_suites, in, m, "suites", st));
    if (in->has_groups)
        TRY(write_list(entries + in->n_suites, in->n_groups, in, m, "groups", st));
    TRY(ledger_write(in, &ledger, st));
    json_put(m->tree, "ledger", ledger);
    TRY(train_write(in, &train, st));
    json_put(m->tree, "train", train);
    if (in->generation)
        json_put(m->tree, "generation", json_copy(in->generation));
    TRY(json_check(m->tree, st));
    TRY(json_check(m->unchecked, st));
out:
    return rc;
}

static int compute(const struct eval_input *in, struct claim_entry *entries, struct eval_metrics *m,
                   struct status *st)
{
    int rc = 0;
    uint64_t alpha_count = 0;
    const struct eval_statistics *s = &in->statistics;
    const size_t n = in->n_suites + in->n_groups;
    TRY(eval_alpha_count(s->alpha_text, s->replicates, 0, &alpha_count, st));
    for (size_t k = 0; k < in->n_suites; k++)
        TRY(add_suite(&in->suites[k], &entries[k], st));
    for (size_t k = 0; k < in->n_groups; k++)
        TRY(add_group(&in->groups[k], entries, &entries[in->n_suites + k], st));
    for (size_t k = 0; k < n; k++)
        TRY(run_bootstrap(&entries[k], s, alpha_count, st));
    TRY(adjust(entries, n, s, st));
    for (size_t k = 0; k < in->n_suites; k++)
        m->suites[k] = result_of(&entries[k], s, alpha_count);
    for (size_t k = 0; k < in->n_groups; k++)
        m->groups[k] = result_of(&entries[in->n_suites + k], s, alpha_count);
    TRY(write_tree(entries, in, m, st));
out:
    return rc;
}

int metrics_compute(const struct eval_input *in, struct eval_metrics *out, struct status *st)
{
    int rc = 0;
    const size_t n = in->n_suites + in->n_groups;
    struct eval_metrics m = { .n_suites = in->n_suites, .n_groups = in->n_groups };
    struct claim_entry *entries = mem_calloc(n, sizeof(*entries));
    m.suites = mem_calloc(in->n_suites, sizeof(*m.suites));
    m.groups = mem_calloc(in->n_groups, sizeof(*m.groups));
    if (!entries || !m.suites || !m.groups)
        FAIL(st, RC_NOMEM, "no memory for %zu suites and groups", n);
    TRY(compute(in, entries, &m, st));
    *out = m;
    m = (struct eval_metrics){ 0 };
out:
    for (size_t k = 0; entries && k < n; k++)
        tally_release(&entries[k].tally);
    mem_free(entries);
    eval_metrics_release(&m);
    return rc;
}
