/* What metrics.json says of the token ledger and of training: sums over delta and supervision rows. */
#include "eval/metrics_private.h"

#include <inttypes.h>

struct ledger_sums {
    uint64_t positions, same_top, forgot, learned, drift;
    double dlogp, kl[2];
};

static int add_rows(const struct eval_suite *suite, struct ledger_sums *sums, struct status *st)
{
    for (size_t k = 0; k < suite->n_delta; k++) {
        const struct delta_row *row = &suite->delta[k];
        if (row->withheld)
            return status_fail(st, RC_UNSUPPORTED,
                               "suite '%s': delta rows are withheld, so its ledger cannot be computed",
                               suite->id);
        const uint64_t counts[] = { row->positions, row->same_top, row->forgot, row->learned, row->drift };
        for (size_t c = 0; c < 5; c++)
            if (counts[c] > (uint64_t)JSON_INT_MAX >> 21)
                return status_fail(st, RC_LIMIT, "suite '%s': delta row %zu counts too many positions",
                                   suite->id, k);
        sums->positions += row->positions;
        sums->same_top += row->same_top;
        sums->forgot += row->forgot;
        sums->learned += row->learned;
        sums->drift += row->drift;
        sums->dlogp += row->dlogp;
        sums->kl[0] += row->kl[0];
        sums->kl[1] += row->kl[1];
    }
    return 0;
}

static void push_dec6(struct json *array, double x)
{
    struct str text = { 0 };
    str_dec6(&text, x);
    json_push(array, text.failed ? NULL : json_of_textn(text.data, text.size));
    str_release(&text);
}

static struct json *suite_entry(const char *id, const struct ledger_sums *sums)
{
    const double n = (double)(sums->positions ? sums->positions : 1);
    struct json *entry = json_object(), *kl = json_array();
    json_put_text(entry, "id", id);
    json_put_int(entry, "positions", (int64_t)sums->positions);
    json_put_int(entry, "same_top", (int64_t)sums->same_top);
    json_put_int(entry, "forgot", (int64_t)sums->forgot);
    json_put_int(entry, "learned", (int64_t)sums->learned);
    json_put_int(entry, "drift", (int64_t)sums->drift);
    json_put_dec6(entry, "dlogp_mean", sums->dlogp / n);
    push_dec6(kl, sums->kl[0] / n);
    push_dec6(kl, sums->kl[1] / n);
    json_put(entry, "kl_mean", kl);
    return entry;
}

int ledger_write(const struct eval_input *in, struct json **out, struct status *st)
{
    int rc = 0;
    uint64_t counted = 0;
    struct json *ledger = json_object(), *suites = json_array();
    for (size_t k = 0; rc == 0 && k < in->n_suites; k++) {
        struct ledger_sums sums = { 0 };
        if (in->suites[k].n_delta == 0)
            continue;
        rc = add_rows(&in->suites[k], &sums, st);
        counted += sums.forgot + sums.learned + sums.drift;
        json_push(suites, suite_entry(in->suites[k].id, &sums));
    }
    json_put(ledger, "suites", suites);
    json_put_int(ledger, "rows", (int64_t)in->token_rows);
    json_put_bool(ledger, "truncated", in->token_rows < counted);
    if (rc == 0)
        rc = json_check(ledger, st);
    if (rc == 0)
        *out = ledger;
    else
        json_free(ledger);
    return rc;
}

int train_write(const struct eval_input *in, struct json **out, struct status *st)
{
    int rc = 0;
    uint64_t supervised = 0, conflicts = 0;
    struct json *train = NULL;
    for (size_t k = 0; k < in->n_supervision; k++) {
        const struct supervision_row *row = &in->supervision[k];
        if (row->withheld)
            FAIL(st, RC_UNSUPPORTED,
                 "run/supervision.jsonl has withheld rows, so its sums cannot be computed");
        supervised += row->supervised;
        conflicts += row->conflicts;
        if (supervised > (uint64_t)JSON_INT_MAX || conflicts > (uint64_t)JSON_INT_MAX)
            FAIL(st, RC_LIMIT, "the sums of run/supervision.jsonl pass 2^53");
    }
    train = json_object();
    json_put_int(train, "examples", (int64_t)in->n_supervision);
    json_put_int(train, "supervised", (int64_t)supervised);
    json_put_int(train, "conflicts", (int64_t)conflicts);
    json_put_bool(train, "truncated", in->conflict_rows < conflicts);
    TRY(json_check(train, st));
    *out = train;
    train = NULL;
out:
    json_free(train);
    return rc;
}
