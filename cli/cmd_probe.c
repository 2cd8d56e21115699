/* lethe probe: accuracies of a model on suites. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"
#include "cli/suites.h"
#include "eval/exact.h"
#include "eval/score.h"

#include <inttypes.h>
#include <string.h>

static const struct usage USAGE = {
    .forms = "lethe probe MODEL [--adapter DIR | --weights DIR] [--probes F...] [--out P]\n       lethe "
             "probe --check "
             "--probes F...",
    .does = "Scores suites (the shipped ones without --probes) and prints each accuracy with its Wilson "
            "interval at 95 %,\n"
            "or bits per byte for texts. --out P writes the item rows: for one suite a file, for several a "
            "folder of\n"
            "<suite>.jsonl. --check lists up to 20 errors of each suite file and scores nothing.",
    .example = "lethe probe model.gguf --probes capitals.jsonl --out capitals.rows.jsonl",
};

struct probe_run {
    struct common common;
    const char *model, *adapter, *weights, *out;
    struct opt_list probes;
    bool check, rendered;
    uint32_t max_len;
    struct str text;   /* table for people */
    struct json *list; /* one entry a suite for --json */
};

static int errors_list(struct probe_run *r, struct status *st)
{
    int rc = 0;
    size_t total = 0;
    static struct probe_errors errors;
    for (size_t i = 0; i < r->probes.n; i++) {
        TRY(probe_set_check(r->probes.v[i], &errors, st));
        for (size_t k = 0; k < errors.n; k++)
            str_printf(&r->text, "%s\n", errors.text[k]);
        total += errors.n;
    }
    if (total == 0)
        str_printf(&r->text, "%zu suite%s without errors\n", r->probes.n, r->probes.n == 1 ? "" : "s");
    TRY(cli_print(&r->text, st));
    rc = total ? 2 : 0;
out:
    return rc;
}

/* {"suite","items","value","lower","upper"}: text suites have a value only. */
static int suite_report(struct probe_run *r, const struct probe_set *set, const struct item_rows *rows,
                        struct status *st)
{
    int rc = 0;
    struct json *entry = json_object();
    json_put_text(entry, "suite", set->id);
    json_put_text(entry, "metric", probe_metric_name(set->metric));
    json_put_int(entry, "items", (int64_t)rows->n);
    if (set->kind == PROBE_text) {
        int64_t sum = 0, micro;
        uint64_t bytes = 0;
        for (size_t i = 0; i < rows->n; i++) {
            rc = micronats(rows->rows[i].ll[0], &micro, st);
            if (rc)
                break;
            sum -= micro;
            bytes += rows->rows[i].bytes[0];
        }
        double value = (double)sum / ((double)bytes * MICRONATS_PER_BIT);
        json_put_dec6(entry, "value", value);
        str_printf(&r->text, "%-40s %6zu items   %.4f bits per byte\n", set->id, rows->n, value);
    } else {
        uint64_t right = 0;
        double lower, upper;
        for (size_t i = 0; i < rows->n; i++)
            right += (uint64_t)item_row_value(&rows->rows[i], set->metric);
        exact_wilson(right, rows->n, &lower, &upper);
        double value = (double)right / (double)rows->n;
        json_put_dec6(entry, "value", value);
        json_put_dec6(entry, "lower", lower);
        json_put_dec6(entry, "upper", upper);
        str_printf(&r->text, "%-40s %6zu items   %5.1f %%  [%.1f, %.1f]\n", set->id, rows->n, 100 * value,
                   100 * lower, 100 * upper);
    }
    json_push(r->list, entry);
    return rc;
}

static int rows_save(const struct probe_run *r, size_t suites, const struct probe_set *set,
                     const struct item_rows *rows, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, text = { 0 };
    if (suites == 1) {
        str_puts(&path, r->out);
    } else {
        TRY(dir_make(r->out, st));
        str_printf(&path, "%s/%s.jsonl", r->out, set->id);
    }
    TRY(str_check(&path, st));
    TRY(item_rows_write_bare(rows, &text, st));
    TRY(file_write(str_text(&path), str_text(&text), text.size, 0644, st));
out:
    str_release(&path);
    str_release(&text);
    return rc;
}

static int suites_score(struct probe_run *r, const struct suites *suites, struct session *s,
                        struct cli_sink *sink, struct status *st)
{
    int rc = 0;
    struct session_lm lm = { 0 };
    struct lm_options options = { .max_len = r->max_len, .template = r->rendered };
    TRY(session_lm_open(s, r->adapter || r->weights, &options, &lm, st));
    for (size_t i = 0; i < suites->n; i++)
        TRY(score_check(&suites->sets[i], &lm.lm, r->rendered, st));
    for (size_t i = 0; i < suites->n; i++) {
        struct item_rows rows = { 0 };
        struct score_options how = { .side = r->adapter || r->weights ? "tuned" : "base",
                                     .rendered = r->rendered };
        rc = score_set(&suites->sets[i], &lm.lm, &how, &sink->sink, &rows, st);
        if (!rc)
            rc = suite_report(r, &suites->sets[i], &rows, st);
        if (!rc && r->out)
            rc = rows_save(r, suites->n, &suites->sets[i], &rows, st);
        item_rows_release(&rows);
        TRY(rc);
    }
    cli_sink_line(sink);
    TRY(cli_dropped(&sink->sink, "suites", model_lm_dropped(&lm.inner), st));
out:
    session_lm_close(&lm);
    return rc;
}

static int probe_print(struct probe_run *r, struct status *st)
{
    int rc = 0;
    struct json *root = json_object();
    struct str text = { 0 };
    json_put_int(root, "lethe_probe_result", 1);
    json_put(root, "suites", r->list);
    r->list = NULL;
    if (r->common.json) {
        TRY(json_check(root, st));
        TRY(json_write_canonical(root, &text, st));
        str_putc(&text, '\n');
        TRY(cli_print(&text, st));
    } else {
        TRY(cli_print(&r->text, st));
    }
out:
    json_free(root);
    str_release(&text);
    return rc;
}

static int probe_score(struct probe_run *r, struct status *st)
{
    int rc = 0;
    struct suites suites = { 0 };
    struct session session = { 0 };
    struct cli_sink sink;
    cli_sink_init(&sink, &r->common, NULL);
    r->list = json_array();
    TRY(suites_load(r->probes.v, r->probes.n, &suites, st));
    TRY(session_open(&r->common, r->model, &(struct model_options){ .sink = &sink.sink }, NULL, &session,
                     st));
    if (r->adapter)
        TRY(session_adapter(&session, r->adapter, st));
    if (r->weights)
        TRY(session_weights(&session, r->weights, &sink.sink, st));
    TRY(suites_score(r, &suites, &session, &sink, st));
    TRY(probe_print(r, st));
out:
    cli_sink_line(&sink);
    session_close(&session);
    suites_release(&suites);
    json_free(r->list);
    return rc;
}

int cmd_probe(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct probe_run r = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "adapter", OPT_TEXT, &r.adapter, "DIR", "PEFT adapter on top of MODEL" },
        { "weights", OPT_TEXT, &r.weights, "DIR", "weights of full tuning instead of MODEL's" },
        { "probes", OPT_LIST, &r.probes, "F...", "suite files; BLiMP's own are read too" },
        { "out", OPT_TEXT, &r.out, "P", "write item rows here (also -o)" },
        { "check", OPT_FLAG, &r.check, NULL, "list errors of suite files, score nothing" },
        { "template", OPT_FLAG, &r.rendered, NULL, "render contexts with the model's chat template" },
        { "max-len", OPT_COUNT, &r.max_len, "N", "tokens of an input (1024, or the model's context)" },
        COMMON_OPTIONS(&r.common),
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&r.common, &USAGE, table))
        goto out;
    if (r.check) {
        if (words.n || r.probes.n == 0)
            FAIL(st, RC_ARG, "--check wants suite files and no model: lethe probe --check --probes F...");
        rc = errors_list(&r, st);
        goto out;
    }
    if (words.n != 1)
        FAIL(st, RC_ARG, "one MODEL is wanted: lethe probe MODEL");
    if (r.adapter && r.weights)
        FAIL(st, RC_ARG, "--adapter and --weights: one tuned model is scored at a time");
    r.model = words.v[0];
    TRY(probe_score(&r, st));
out:
    str_release(&r.text);
    opts_release(table, &words);
    return rc;
}
