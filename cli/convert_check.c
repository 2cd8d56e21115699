/* Is a file that was written equivalent to what it was made of? The suites that an audit scores, judged as
 * gates, and the log-probabilities behind them. */
#include "cli/convert.h"

#include "base/alloc.h"
#include "base/json.h"
#include "cli/session.h"
#include "eval/metrics.h"
#include "eval/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLUSTERS_MIN = 20, SEED = 1 };
#define ALPHA "0.05"

int check_score(const struct check_how *how, const char *model, const char *adapter,
                const struct suites *suites, struct check_side *out, struct status *st)
{
    int rc = 0;
    struct session session = { .gpu = how->gpu };
    struct session_lm lm = { 0 };
    struct cli_sink sink;
    struct check_side s = { .n = suites->n, .rows = mem_calloc(suites->n, sizeof *s.rows) };
    const struct score_options side = { .side = adapter ? "tuned" : "base" };
    cli_sink_init(&sink, how->common, NULL);
    if (!s.rows)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", suites->n);
    TRY(model_open(model, how->gpu, &(struct model_options){ .sink = &sink.sink }, &session.model, st));
    if (adapter)
        TRY(session_adapter(&session, adapter, st));
    TRY(session_lm_open(&session, adapter != NULL, &(struct lm_options){ 0 }, &lm, st));
    for (size_t i = 0; i < suites->n; i++) {
        TRY(score_check(&suites->sets[i], &lm.lm, false, st));
        TRY(score_set(&suites->sets[i], &lm.lm, &side, &sink.sink, &s.rows[i], st));
    }
    *out = s;
    s = (struct check_side){ 0 };
out:
    cli_sink_line(&sink);
    session_lm_close(&lm);
    session.gpu = NULL; /* lent */
    session_close(&session);
    check_side_release(&s);
    return rc;
}

void check_side_release(struct check_side *s)
{
    for (size_t i = 0; s->rows && i < s->n; i++)
        item_rows_release(&s->rows[i]);
    mem_free(s->rows);
    *s = (struct check_side){ 0 };
}

/* ---- log-probabilities ---- */

struct sums {
    double apart, worst, tokens;
    double before, after, text_tokens; /* of texts */
    uint64_t flips;
};

static void suite_add(const struct probe_set *set, const struct item_rows *a, const struct item_rows *b,
                      struct sums *s)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct item_row *x = &a->rows[i], *y = &b->rows[i];
        for (size_t k = 0; x->ll && k < x->n; k++) {
            const double apart = fabs(x->ll[k] - y->ll[k]), tokens = (double)x->n_tok[k];
            s->apart += apart;
            s->tokens += tokens;
            s->worst = fmax(s->worst, apart / tokens);
        }
        if (set->kind == PROBE_text) {
            s->before -= x->ll[0];
            s->after -= y->ll[0];
            s->text_tokens += (double)x->n_tok[0];
        } else {
            s->flips += item_row_value(x, set->metric) != item_row_value(y, set->metric);
        }
    }
}

/* ---- suites as gates ---- */

static int by_id(const void *a, const void *b)
{
    const struct eval_suite *x = a, *y = b;
    return strcmp(x->id, y->id);
}

static int suites_judge(const struct suites *suites, const struct check_side *before,
                        const struct check_side *after, const char *margin, struct eval_metrics *out,
                        struct status *st)
{
    int rc = 0;
    struct eval_suite *in = mem_calloc(suites->n, sizeof *in);
    uint32_t replicates = 0;
    if (!in)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", suites->n);
    for (size_t i = 0; i < suites->n; i++)
        in[i] = (struct eval_suite){ .id = suites->sets[i].id,
                                     .kind = suites->sets[i].kind,
                                     .metric = suites->sets[i].metric,
                                     .use = USE_gate,
                                     .limit = eval_limit_of(USE_gate, margin),
                                     .items = suites->sets[i].n,
                                     .base = &before->rows[i],
                                     .tuned = &after->rows[i] };
    qsort(in, suites->n, sizeof *in, by_id);
    TRY(eval_replicates(ALPHA, suites->n, &replicates, st));
    const struct eval_input input = { .suites = in,
                                      .n_suites = suites->n,
                                      .statistics = { .alpha_text = ALPHA,
                                                      .correction = CORRECTION_none,
                                                      .replicates = replicates,
                                                      .seed = SEED,
                                                      .min_clusters = CLUSTERS_MIN } };
    TRY(metrics_compute(&input, out, st));
out:
    mem_free(in);
    return rc;
}

static const char *text_of(const struct json *entry, const char *key, const char *inner)
{
    const struct json *j = json_find(entry, key);
    j = j && inner ? json_find(j, inner) : j;
    return j && json_text(j) ? json_text(j) : "-";
}

static void suite_say(const struct json *entry, enum eval_status status, struct str *text, struct json *list)
{
    struct json *one = json_object();
    str_printf(text, "%-24s %s -> %s   drop %s  [%s, %s]   %s\n", text_of(entry, "id", NULL),
               text_of(entry, "base", "value"), text_of(entry, "tuned", "value"),
               text_of(entry, "drop", NULL), text_of(entry, "lower", NULL), text_of(entry, "upper", NULL),
               eval_status_name(status));
    json_put_text(one, "suite", text_of(entry, "id", NULL));
    json_put_text(one, "before", text_of(entry, "base", "value"));
    json_put_text(one, "after", text_of(entry, "tuned", "value"));
    json_put_text(one, "drop", text_of(entry, "drop", NULL));
    json_put_text(one, "upper", text_of(entry, "upper", NULL));
    json_put_text(one, "status", eval_status_name(status));
    json_push(list, one);
}

int check_pair(const struct suites *suites, const struct check_side *before, const struct check_side *after,
               const char *margin, struct check_result *out, struct str *text, struct json *list,
               struct status *st)
{
    int rc = 0;
    struct eval_metrics metrics = { 0 };
    struct sums s = { 0 };
    struct check_result r = { .held = true };
    TRY(suites_judge(suites, before, after, margin, &metrics, st));
    const struct json *entry = json_first(json_find(metrics.tree, "suites"));
    for (size_t i = 0; i < suites->n; i++, entry = json_next(entry)) {
        const enum eval_status status = metrics.suites[i].status;
        r.held = r.held && (status == STATUS_HELD || status == STATUS_BLIND);
        suite_say(entry, status, text, list);
        suite_add(&suites->sets[i], &before->rows[i], &after->rows[i], &s);
    }
    r.mean = s.tokens > 0 ? s.apart / s.tokens : 0;
    r.worst = s.worst;
    r.flips = s.flips;
    if (s.text_tokens > 0) {
        r.before = exp(s.before / s.text_tokens);
        r.after = exp(s.after / s.text_tokens);
    }
    *out = r;
out:
    eval_metrics_release(&metrics);
    return rc;
}
