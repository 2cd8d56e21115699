#include "cli/convert.h"

#include "base/file.h"
#include "base/json.h"
#include "gpu/device.h"
#include "model/adapter.h"
#include "model/export.h"

#include <inttypes.h>
#include <string.h>

/* Mean difference of log-probabilities that rounding to a type explains, nats a token. */
static const struct {
    const char *name;
    enum quant_type_id id;
    double mean_max;
} TYPES[] = {
    { "f32", QUANT_F32, 0.0001 },
    { "f16", QUANT_F16, 0.01 },
    { "q8_0", QUANT_Q8_0, 0.1 },
};
enum { TYPES_N = sizeof TYPES / sizeof *TYPES, CLUSTERS_MIN = 20 };

struct run {
    struct convert *c;
    size_t type; /* in TYPES */
    bool hf;
    const char *margin;
    struct suites suites;
    struct source from;
    struct model_hyper hyper;
    struct adapter adapter;
    struct check_how how;
};

/* ---- writing ---- */

/* merge_rows, until the user asks to stop. */
static int rows_get(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n, float *out,
                    struct status *st)
{
    if (cli_stop)
        return status_fail(st, RC_INTERRUPTED, "stopped, and nothing is written");
    return merge_rows(self, role, block, first, n, out, st);
}

static int model_write(struct run *r, struct status *st)
{
    int rc = 0;
    struct cli_sink sink;
    struct merge merge = { .from = &r->from,
                           .hyper = &r->hyper,
                           .adapter = r->c->adapter ? &r->adapter : NULL };
    cli_sink_init(&sink, &r->c->common, NULL);
    const struct export e = { .from = &r->from,
                              .from_path = r->c->model,
                              .hyper = &r->hyper,
                              .type = TYPES[r->type].id,
                              .rows = rows_get,
                              .self = &merge,
                              .sink = &sink.sink };
    TRY(r->hf ? export_hf(&e, r->c->out, st) : export_gguf(&e, r->c->out, st));
out:
    cli_sink_line(&sink);
    return rc;
}

static int options_check(struct run *r, struct status *st)
{
    int rc = 0;
    const struct convert *c = r->c;
    r->hf = c->to ? strcmp(c->to, "hf") == 0 : path_is_dir(c->model);
    if (c->to && !r->hf && strcmp(c->to, "gguf") != 0)
        FAIL(st, RC_ARG, "--to %s: gguf and hf are there", c->to);
    while (c->type && r->type < TYPES_N && strcmp(TYPES[r->type].name, c->type) != 0)
        r->type++;
    if (r->type == TYPES_N)
        FAIL(st, RC_ARG, "--type %s: f32, f16 and q8_0 are there", c->type);
    if (r->hf && TYPES[r->type].id == QUANT_Q8_0)
        FAIL(st, RC_ARG, "--type q8_0 is of GGUF files: a Hugging Face directory holds f32 or f16");
    r->margin = c->margin ? c->margin : "0.03";
    if (!json_is_decimal(r->margin) || r->margin[0] == '-')
        FAIL(st, RC_ARG, "--margin %s: a decimal from 0 on is wanted", r->margin);
    if (path_exists(c->out))
        FAIL(st, RC_ARG, "%s is there already", c->out);
out:
    return rc;
}

/* Everything that can be wrong with what is given, before anything is written. */
static int run_open(struct run *r, struct status *st)
{
    int rc = 0;
    TRY(options_check(r, st));
    TRY(suites_load(r->c->probes.v, r->c->probes.n, &r->suites, st));
    for (size_t i = 0; i < r->suites.n; i++)
        if (r->suites.sets[i].clusters < CLUSTERS_MIN)
            FAIL(st, RC_ARG, "suite '%s' has %zu clusters: the check wants %d", r->suites.sets[i].id,
                 r->suites.sets[i].clusters, CLUSTERS_MIN);
    TRY(source_open(r->c->model, &r->from, st));
    rc = hyper_parse(&r->from.gguf, &r->hyper, st);
    if (rc)
        status_prefix(st, "%s", r->c->model);
    TRY(rc);
    if (r->c->adapter)
        TRY(adapter_load(r->c->adapter, &r->hyper, &r->adapter, st));
    if (r->adapter.dora && TYPES[r->type].id != QUANT_F32)
        FAIL(st, RC_UNSUPPORTED,
             "an adapter with magnitudes (DoRA) is merged to f32 first: lethe export then writes and checks "
             "%s",
             TYPES[r->type].name);
out:
    return rc;
}

static void run_close(struct run *r)
{
    gpu_close(r->how.gpu);
    adapter_release(&r->adapter);
    source_close(&r->from);
    suites_release(&r->suites);
}

/* ---- checking ---- */

static bool is_equivalent(const struct run *r, const struct check_result *x)
{
    return x->held && x->mean <= TYPES[r->type].mean_max;
}

static void result_say(const struct run *r, const struct check_result *x, struct str *out)
{
    str_printf(
        out,
        "log-probabilities: mean difference %.3g nats a token (at most %g), largest %.3g; flips %" PRIu64,
        x->mean, TYPES[r->type].mean_max, x->worst, x->flips);
    if (x->before > 0)
        str_printf(out, "; perplexity %.6g -> %.6g", x->before, x->after);
    str_putc(out, '\n');
}

/* Not what it was made of: is it the base, so that the adapter is lost, or neither? */
static int verdict_find(struct run *r, const struct check_side *after, const char **out, struct str *text,
                        struct status *st)
{
    int rc = 0;
    struct check_side base = { 0 };
    struct check_result x = { 0 };
    struct str unused = { 0 };
    struct json *list = json_array();
    *out = "drifted";
    if (!r->c->adapter)
        goto out;
    TRY(check_score(&r->how, r->c->model, NULL, &r->suites, &base, st));
    TRY(check_pair(&r->suites, &base, after, r->margin, &x, &unused, list, st));
    *out = is_equivalent(r, &x) ? "erased" : "drifted";
    str_puts(text, "against the base, ");
    result_say(r, &x, text);
out:
    json_free(list);
    str_release(&unused);
    check_side_release(&base);
    return rc;
}

static int result_print(const struct run *r, const struct check_result *x, const char *verdict,
                        struct json *list, const struct str *text, struct status *st)
{
    int rc = 0;
    struct str out = { 0 };
    struct json *root = json_object();
    json_put_text(root, "verdict", verdict);
    json_put(root, "suites", json_copy(list));
    json_put_dec6(root, "mean", x->mean);
    json_put_dec6(root, "mean_max", TYPES[r->type].mean_max);
    json_put_dec6(root, "largest", x->worst);
    json_put_int(root, "flips", (int64_t)x->flips);
    if (x->before > 0) {
        json_put_dec6(root, "perplexity_before", x->before);
        json_put_dec6(root, "perplexity_after", x->after);
    }
    TRY(json_check(root, st));
    if (r->c->common.json) {
        TRY(json_write_canonical(root, &out, st));
        str_putc(&out, '\n');
    } else {
        str_add(&out, text->data, text->size);
        str_printf(&out, "%s: %s\n", r->c->out, verdict);
    }
    TRY(cli_print(&out, st));
out:
    json_free(root);
    str_release(&out);
    return rc;
}

static int written_check(struct run *r, struct status *st)
{
    int rc = 0;
    const struct convert *c = r->c;
    struct check_side before = { 0 }, after = { 0 };
    struct check_result x = { 0 };
    struct str text = { 0 };
    struct json *list = json_array();
    const char *verdict = "equivalent";
    r->how.common = &c->common;
    TRY(cli_gpu_open(&c->common, &r->how.gpu, st));
    TRY(check_score(&r->how, c->model, c->adapter, &r->suites, &before, st));
    TRY(check_score(&r->how, c->out, NULL, &r->suites, &after, st));
    TRY(check_pair(&r->suites, &before, &after, r->margin, &x, &text, list, st));
    result_say(r, &x, &text);
    const bool good = is_equivalent(r, &x);
    if (!good)
        TRY(verdict_find(r, &after, &verdict, &text, st));
    TRY(result_print(r, &x, verdict, list, &text, st));
    if (!good)
        FAIL(st, RC_VERIFY, "%s is written, and it is not equivalent to what it was made of: %s", c->out,
             verdict);
out:
    json_free(list);
    str_release(&text);
    check_side_release(&before);
    check_side_release(&after);
    return rc;
}

int convert_run(struct convert *c, struct status *st)
{
    int rc = 0;
    struct run r = { .c = c };
    TRY(run_open(&r, st));
    TRY(model_write(&r, st));
    cli_say(&c->common, "%s: written as %s, %s", c->out, r.hf ? "hf" : "gguf", TYPES[r.type].name);
    if (r.adapter.dora)
        cli_say(&c->common, "not checked: an adapter with magnitudes (DoRA) has no form but the merged one");
    else
        TRY(written_check(&r, st));
out:
    if (rc == RC_INTERRUPTED && path_exists(c->out)) {
        *st = (struct status){ 0 };
        status_fail(st, RC_INTERRUPTED, "stopped: %s is written, and not checked", c->out);
    }
    run_close(&r);
    return rc;
}
