/* The audit after its plan: zero point, base, tuning, tuned, conflicts, documents, archive. */
#include "cli/job.h"

#include "base/file.h"
#include "eval/score.h"
#include "reports/pack.h"
#include "reports/report.h"
#include "reports/run.h"
#include "train/train.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64, CHUNK_ZERO = 40 }; /* items a call: the zero pass forms other batches on purpose */

/* ---- events ---- */

/* Counts the records of an earlier process and cuts off what it had no time to end. *ended: the last is
 * `end`. */
static int events_open(struct job *j, bool *ended, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    *ended = false;
    TRY(run_path(j->run, "run/events.jsonl", &j->events_path, st));
    j->sink.log = str_text(&j->events_path);
    if (!path_exists(j->sink.log))
        goto out;
    TRY(file_read(j->sink.log, RUN_FILE_BYTES_MAX, &text, st));
    size_t whole = text.size;
    while (whole > 0 && text.data[whole - 1] != '\n')
        whole--;
    if (whole < text.size)
        TRY(file_write(j->sink.log, str_text(&text), whole, 0644, st));
    const char *last = NULL;
    for (size_t i = 0; i < whole; i++) {
        if (text.data[i] != '\n')
            continue;
        j->sink.seq++;
        text.data[i] = 0;
        last = i + 1 < whole ? text.data + i + 1 : last;
    }
    *ended = last && strstr(last, "\"event\":\"end\"") != NULL;
out:
    str_release(&text);
    return rc;
}

static int start_send(struct job *j, struct status *st)
{
    int rc = 0;
    struct str keys = { 0 };
    const struct gpu_info *d = gpu_get_info(j->session.gpu);
    str_printf(&keys, ",\"plan\":\"%s\",\"tool\":\"lethe " LETHE_VERSION "\",\"argv\":[",
               hash_hex(&j->plan_digest).s);
    for (int i = 0; i < j->argc; i++) {
        /* a path from the root says where somebody works, not what was done: its last part is enough */
        const char *word = j->argv[i][0] == '/' ? path_name(j->argv[i]) : j->argv[i];
        str_puts(&keys, i ? "," : "");
        str_json_string(&keys, word, strlen(word));
    }
    str_puts(&keys, "]");
    TRY(event_send(&j->sink.sink, "start", &keys, st));
    str_clear(&keys);
    str_puts(&keys, ",\"name\":");
    str_json_string(&keys, d->name, strlen(d->name));
    str_puts(&keys, ",\"driver\":");
    str_json_string(&keys, d->driver, strlen(d->driver));
    str_printf(&keys, ",\"memory_bytes\":%" PRIu64 ",\"features\":[", d->memory_bytes);
    const char *const names[] = { d->f16 ? "f16" : NULL, d->int8 ? "int8" : NULL, d->int64 ? "int64" : NULL,
                                  d->coop ? "cooperative-matrix" : NULL };
    bool first = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i])
            str_printf(&keys, "%s\"%s\"", first ? "" : ",", names[i]);
        first = first && !names[i];
    }
    str_puts(&keys, "]");
    TRY(event_send(&j->sink.sink, "device", &keys, st));
out:
    str_release(&keys);
    return rc;
}

/* ---- scoring ---- */

static int suite_score(struct job *j, const char *id, const char *side, struct lm *lm, struct status *st)
{
    int rc = 0;
    struct str name = { 0 }, base_name = { 0 }, text = { 0 };
    struct item_rows rows = { 0 }, base = { 0 };
    bool zero = strcmp(side, "zero") == 0;
    run_item_name(id, side, &name);
    run_item_name(id, "base", &base_name);
    TRY(str_check(&name, st));
    TRY(str_check(&base_name, st));
    if (run_has(j->run, str_text(&name)))
        goto out;
    if (zero) {
        TRY(run_read(j->run, str_text(&base_name), &text, st));
        TRY(item_rows_parse(str_text(&text), text.size, str_text(&base_name), &base, st));
        str_clear(&text);
    }
    struct score_options how = {
        .side = side,
        .reverse = zero,
        .rendered = j->audit.scoring.template_model,
        .chunk = zero ? CHUNK_ZERO : CHUNK,
        .base = zero ? &base : NULL,
        .salt_key = j->salt,
    };
    TRY(score_set(job_set(j, id), lm, &how, &j->sink.sink, &rows, st));
    TRY(item_rows_write(&rows, &text, st));
    TRY(run_write(j->run, str_text(&name), str_text(&text), text.size, st));
    TRY(job_environment(j, st));
out:
    str_release(&name);
    str_release(&base_name);
    str_release(&text);
    item_rows_release(&rows);
    item_rows_release(&base);
    return rc;
}

static bool side_done(const struct job *j, const char *side)
{
    bool done = true;
    for (size_t i = 0; done && i < j->plan.suites_n; i++) {
        struct str name = { 0 };
        run_item_name(j->plan.suites[i].id, side, &name);
        done = run_has(j->run, str_text(&name));
        str_release(&name);
    }
    return done;
}

static int side_score(struct job *j, const char *side, struct status *st)
{
    int rc = 0;
    struct session_lm lm = { 0 };
    struct lm_options options = {
        .max_len = j->audit.scoring.max_len,
        .template = j->audit.scoring.template_model,
    };
    if (side_done(j, side))
        goto out;
    TRY(session_lm_open(&j->session, strcmp(side, "tuned") == 0, &options, &lm, st));
    for (size_t i = 0; i < j->plan.suites_n; i++)
        TRY(suite_score(j, j->plan.suites[i].id, side, &lm.lm, st));
out:
    session_lm_close(&lm);
    return rc;
}

static int probes_write(struct job *j, struct status *st)
{
    int rc = 0;
    struct str name = { 0 }, text = { 0 };
    for (size_t i = 0; i < j->plan.suites_n; i++) {
        str_clear(&name);
        str_clear(&text);
        run_probe_name(j->plan.suites[i].id, &name);
        TRY(str_check(&name, st));
        if (run_has(j->run, str_text(&name)))
            continue;
        TRY(plan_probe_lines(job_set(j, j->plan.suites[i].id), j->salt, &text, st));
        TRY(run_write(j->run, str_text(&name), str_text(&text), text.size, st));
    }
out:
    str_release(&name);
    str_release(&text);
    return rc;
}

/* ---- tuning ---- */

static int tuned_path(const struct job *j, const char *name, struct str *out, struct status *st)
{
    str_clear(out);
    str_printf(out, "%s/%s", j->run, name);
    return str_check(out, st);
}

const char *job_tuned_name(const struct job *j)
{
    return recipe_wants_f32(&j->recipe) ? "model" : "adapter";
}

/* The model that is trained: an adapter beside the base, or a second one whose weights change. */
static int trained_open(struct job *j, struct model **own, struct model **out, struct status *st)
{
    int rc = 0;
    const struct model_options options = { .train = true, .f32 = true, .sink = &j->sink.sink };
    *out = j->session.model;
    if (!recipe_wants_f32(&j->recipe))
        goto out;
    TRY(model_open(str_text(&j->base_path), j->session.gpu, &options, own, st));
    *out = *own;
out:
    return rc;
}

static int tune(struct job *j, const char *tuned, struct status *st)
{
    int rc = 0;
    struct train *train = NULL;
    struct model *own = NULL, *model;
    struct train_result result;
    struct str state = { 0 }, weights = { 0 };
    TRY(tuned_path(j, "train.state", &state, st));
    TRY(path_join(tuned, recipe_wants_f32(&j->recipe) ? FULL_WEIGHTS_NAME : "adapter_model.safetensors",
                  &weights, st));
    if (path_exists(str_text(&weights)) && !path_exists(str_text(&state)))
        goto out; /* the state goes away last */
    struct train_options options = {
        .recipe = &j->recipe,
        .data = &j->data,
        .out_dir = tuned,
        .state_path = str_text(&state),
        .base_name = j->plan.base.name,
        .base = j->base.hash,
        .resume = path_exists(str_text(&state)),
        .sink = &j->sink.sink,
        .stop = &cli_stop,
    };
    TRY(trained_open(j, &own, &model, st));
    TRY(train_open(model, &options, &train, st));
    TRY(train_run(train, &result, st));
    TRY(job_environment(j, st));
    if (unlink(str_text(&state)) != 0 && path_exists(str_text(&state)))
        FAIL(st, RC_IO, "%s: cannot be removed", str_text(&state));
out:
    train_close(train);
    model_close(own);
    str_release(&state);
    str_release(&weights);
    return rc;
}

/* Scan of the training data: base columns and supervision before training, tuned columns after. The scan is a
 * function of model and data, so a resumed run makes it again. */
static int conflicts_scan(struct job *j, const char *tuned, struct status *st)
{
    int rc = 0;
    struct conflicts found = { 0 };
    struct conflicts_options options = {
        .logp_min = j->plan.ledger.conflict_logp_min_value,
        .sink = &j->sink.sink,
        .stop = &cli_stop,
    };
    if (!run_has(j->run, "evidence/conflicts.jsonl"))
        TRY(conflicts_find(j->session.model, &j->data, &options, &found, st));
    if (!run_has(j->run, "run/supervision.jsonl"))
        TRY(job_supervision(j, &found, st));
    TRY(tune(j, tuned, st));
    if (recipe_wants_f32(&j->recipe))
        TRY(session_weights(&j->session, tuned, &j->sink.sink, st));
    else
        TRY(session_adapter(&j->session, tuned, st));
    if (!run_has(j->run, "evidence/conflicts.jsonl")) {
        const struct conflicts_models models = { j->session.model, j->session.weights,
                                                 j->session.has_adapter ? &j->session.lora : NULL };
        TRY(conflicts_finish(&models, &j->data, &options, &found, st));
        TRY(job_conflicts(j, &found, st));
    }
out:
    conflicts_release(&found);
    return rc;
}

/* ---- the whole ---- */

static int evidence_make(struct job *j, struct status *st)
{
    int rc = 0;
    struct str tuned = { 0 }, keys = { 0 };
    TRY(tuned_path(j, job_tuned_name(j), &tuned, st));
    TRY(probes_write(j, st));
    TRY(side_score(j, "base", st));
    TRY(side_score(j, "zero", st));
    TRY(conflicts_scan(j, str_text(&tuned), st));
    TRY(side_score(j, "tuned", st));
    if (!run_has(j->run, "evidence/tokens.jsonl"))
        TRY(run_write(j->run, "evidence/tokens.jsonl", "", 0, st));
    TRY(job_environment(j, st));
    TRY(job_documents(j, str_text(&tuned), st));
    str_puts(&keys, ",\"outcome\":\"complete\"");
    TRY(event_send(&j->sink.sink, "end", &keys, st));
    cli_sink_line(&j->sink);
out:
    str_release(&tuned);
    str_release(&keys);
    return rc;
}

static int report_print(struct job *j, const char *archive, const char *html, struct status *st)
{
    int rc = 0;
    struct report *report = NULL;
    struct str page = { 0 }, text = { 0 };
    TRY(report_open_archive(archive, &report, st));
    TRY(report_html(report, true, &page, st));
    TRY(file_write(html, str_text(&page), page.size, 0644, st));
    if (j->common.json)
        TRY(report_json(report, &text, st));
    else
        TRY(report_terminal(report,
                            &(struct report_terminal){ .quiet = j->common.quiet,
                                                       .texts = true,
                                                       .worst = 10,
                                                       .colour = false,
                                                       .archive = archive,
                                                       .html = html },
                            &text, st));
    TRY(cli_print(&text, st));
out:
    report_close(report);
    str_release(&page);
    str_release(&text);
    return rc;
}

/* RUN.lethe beside the run folder, and its page beside that. */
static int names_make(const struct job *j, struct str *archive, struct str *html, struct status *st)
{
    size_t n = strlen(j->run);
    while (n > 1 && j->run[n - 1] == '/')
        n--;
    if (j->archive)
        str_puts(archive, j->archive);
    else {
        str_add(archive, j->run, n);
        str_puts(archive, ".lethe");
    }
    size_t stem = archive->size;
    if (stem > 6 && memcmp(str_text(archive) + stem - 6, ".lethe", 6) == 0)
        stem -= 6;
    str_add(html, str_text(archive), stem);
    str_puts(html, ".html");
    int rc = str_check(archive, st);
    return rc ? rc : str_check(html, st);
}

int job_audit(struct job *j, struct status *st)
{
    int rc = 0;
    bool ended;
    struct str archive = { 0 }, html = { 0 }, variants = { 0 };
    struct pack_result result;
    TRY(run_path(j->run, "variants.txt", &variants, st));
    if (!path_exists(str_text(&variants)))
        TRY(gpu_variants_save(j->session.gpu, str_text(&variants), st));
    TRY(events_open(j, &ended, st));
    if (j->sink.seq == 0)
        TRY(start_send(j, st));
    if (!ended)
        TRY(evidence_make(j, st));
    TRY(names_make(j, &archive, &html, st));
    struct pack_options options = { .keys = &j->key, .keys_n = j->key ? 1 : 0 };
    TRY(pack_run(j->run, str_text(&archive), &options, &result, st));
    TRY(report_print(j, str_text(&archive), str_text(&html), st));
    rc = result.exit;
out:
    str_release(&variants);
    str_release(&archive);
    str_release(&html);
    return rc;
}
