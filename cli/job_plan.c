/* From an audit file to a signed plan. */
#include "cli/job.h"

#include "base/alloc.h"
#include "base/file.h"
#include "eval/contamination.h"
#include "eval/score.h"
#include "reports/pack.h"
#include "reports/run.h"

#include <stdlib.h>
#include <inttypes.h>
#include <string.h>

/* Paths in an audit file are relative to it. */
static int beside_audit(const struct job *j, const char *path, struct str *out, struct status *st)
{
    int rc = 0;
    struct str folder = { 0 };
    const char *name = path_name(j->audit_path);
    str_add(&folder, j->audit_path, (size_t)(name - j->audit_path));
    if (name == j->audit_path)
        str_puts(&folder, ".");
    TRY(str_check(&folder, st));
    TRY(path_join(str_text(&folder), path, out, st));
out:
    str_release(&folder);
    return rc;
}

static int audit_read(struct job *j, struct status *st)
{
    int rc = 0;
    TRY(file_read(j->audit_path, JSON_DOCUMENT_BYTES_MAX, &j->audit_text, st));
    rc = audit_file_parse(str_text(&j->audit_text), j->audit_text.size, &j->audit, st);
    if (rc) {
        status_prefix(st, "%s", j->audit_path);
        goto out;
    }
    if (j->audit.imported)
        FAIL(st, RC_UNSUPPORTED,
             "%s: mode 'imported': an audit of imported scores is not made by this version", j->audit_path);
    if (j->audit.tuned.path)
        FAIL(st, RC_UNSUPPORTED, "%s: a tuned model is given; this version audits what it tunes itself",
             j->audit_path);
    if (!j->audit.method || j->audit.data_n == 0)
        FAIL(st, RC_ARG, "%s: 'method' and 'data' are wanted: this version audits what it tunes itself",
             j->audit_path);
    rc = recipe_parse(j->audit.method, &j->recipe, st);
    if (rc) {
        status_prefix(st, "%s: method", j->audit_path);
        goto out;
    }
    if (strcmp(j->audit.scoring.dtype, "f32") != 0)
        FAIL(st, RC_UNSUPPORTED, "%s: scoring.dtype '%s': this version scores in f32", j->audit_path,
             j->audit.scoring.dtype);
out:
    return rc;
}

static int strings_of(struct job *j, size_t n, const char *(*path_at)(const struct plan *p, size_t i),
                      struct str **out, const char ***lent, struct status *st)
{
    int rc = 0;
    struct str *paths = mem_calloc(n, sizeof *paths);
    const char **texts = mem_calloc(n, sizeof *texts);
    if (!paths || !texts)
        FAIL(st, RC_NOMEM, "no memory for %zu paths", n);
    for (size_t i = 0; i < n; i++) {
        TRY(beside_audit(j, path_at(&j->audit, i), &paths[i], st));
        texts[i] = str_text(&paths[i]);
    }
    *out = paths;
    *lent = texts;
    paths = NULL;
    texts = NULL;
out:
    for (size_t i = 0; paths && i < n; i++)
        str_release(&paths[i]);
    mem_free(paths);
    mem_free(texts);
    return rc;
}

static void strings_release(struct str *paths, size_t n, const char **texts)
{
    for (size_t i = 0; paths && i < n; i++)
        str_release(&paths[i]);
    mem_free(paths);
    mem_free(texts);
}

static const char *data_path(const struct plan *p, size_t i)
{
    return p->data[i].path;
}

static const char *suite_path(const struct plan *p, size_t i)
{
    return p->suites[i].path;
}

static int data_open(struct job *j, struct status *st)
{
    int rc = 0;
    struct str *paths = NULL;
    const char **texts = NULL;
    struct recipe_shape shape;
    const struct model_hyper *h = model_get_hyper(j->session.model);
    TRY(recipe_check(&j->recipe, h, st));
    for (size_t i = 0; i < j->audit.data_n; i++)
        if (strcmp(j->audit.data[i].role, "train") != 0)
            FAIL(st, RC_UNSUPPORTED, "%s: data role '%s' is read by no method of this version", j->audit_path,
                 j->audit.data[i].role);
    struct data_options options = {
        .encoder = { .tokenizer = model_get_tokenizer(j->session.model),
                     .chat = model_get_template(j->session.model, NULL),
                     .len_max = j->recipe.length },
        .on_long = j->recipe.on_long,
        .on_empty = j->recipe.on_empty,
    };
    TRY(strings_of(j, j->audit.data_n, data_path, &paths, &texts, st));
    TRY(data_load(texts, j->audit.data_n, &options, &j->data, st));
    for (size_t i = 0; i < j->data.files_n; i++)
        TRY(cli_dropped(&j->sink.sink, j->audit.data[i].name, j->data.files[i].bytes_without_token, st));
    TRY(recipe_shape(&j->recipe, (uint32_t)j->data.sequences_n, &shape, st));
    recipe_settle(&j->recipe, &shape);
    TRY(recipe_advise(&j->recipe, h, &shape, true, &j->sink.sink, st));
out:
    strings_release(paths, j->audit.data_n, texts);
    return rc;
}

/* ---- contamination ---- */

static int line_take(void *self, const char *const *texts, size_t n, struct status *st)
{
    return contamination_line(self, texts, n, st);
}

static bool is_gated(const struct plan *p, const char *id, enum eval_use use)
{
    for (size_t g = 0; g < p->groups_n; g++)
        for (size_t m = 0; m < p->groups[g].n; m++)
            if (strcmp(p->groups[g].members[m], id) == 0)
                return true;
    return use != USE_report;
}

static int contamination_find(struct job *j, const char *const *paths, struct status *st)
{
    int rc = 0;
    struct contamination *c = NULL;
    const struct probe_set **sets = mem_calloc(j->suites.n, sizeof *sets);
    j->hits = mem_calloc(j->suites.n, sizeof *j->hits);
    if (!sets || !j->hits)
        FAIL(st, RC_NOMEM, "no memory for the contamination check");
    for (size_t i = 0; i < j->suites.n; i++)
        sets[i] = &j->suites.sets[i];
    TRY(contamination_open(sets, j->suites.n, &c, st));
    for (size_t i = 0; i < j->audit.data_n; i++)
        TRY(data_texts(paths[i], line_take, c, st));
    for (size_t i = 0; i < j->suites.n; i++) {
        j->hits[i] = contamination_hits(c, i);
        if (j->hits[i] == 0 || j->audit.contamination_report ||
            !is_gated(&j->audit, sets[i]->id, j->audit.suites[i].use))
            continue;
        for (size_t k = 0; k < sets[i]->n; k++)
            if (contamination_hit(c, i, k))
                FAIL(st, RC_ARG,
                     "%s: item '%s' stands in the training data, and %zu of this suite do; take them out, or "
                     "say "
                     "\"contamination\": \"report\"",
                     sets[i]->id, sets[i]->items[k].id, contamination_hits(c, i));
    }
out:
    contamination_close(c);
    mem_free(sets);
    return rc;
}

/* Suites are loaded, put to the model and searched for in the training data before anything is planned. */
static int suites_open(struct job *j, struct status *st)
{
    int rc = 0;
    struct str *paths = NULL, *data = NULL;
    const char **texts = NULL, **data_texts_lent = NULL;
    struct session_lm lm = { 0 };
    bool rendered = j->audit.scoring.template_model;
    TRY(strings_of(j, j->audit.suites_n, suite_path, &paths, &texts, st));
    TRY(strings_of(j, j->audit.data_n, data_path, &data, &data_texts_lent, st));
    TRY(suites_load(texts, j->audit.suites_n, &j->suites, st));
    struct lm_options options = { .max_len = j->audit.scoring.max_len, .template = rendered };
    TRY(session_lm_open(&j->session, false, &options, &lm, st));
    for (size_t i = 0; i < j->suites.n; i++)
        TRY(score_check(&j->suites.sets[i], &lm.lm, rendered, st));
    j->audit.scoring.max_len = model_lm_max_len(&lm.inner);
    TRY(cli_dropped(&j->sink.sink, "suites", model_lm_dropped(&lm.inner), st));
    TRY(contamination_find(j, data_texts_lent, st));
out:
    session_lm_close(&lm);
    strings_release(paths, j->audit.suites_n, texts);
    strings_release(data, j->audit.data_n, data_texts_lent);
    return rc;
}

int job_open(struct job *j, struct status *st)
{
    int rc = 0;
    struct str variants = { 0 };
    cli_sink_init(&j->sink, &j->common, NULL);
    TRY(audit_read(j, st));
    TRY(beside_audit(j, j->audit.base.path, &j->base_path, st));
    TRY(run_path(j->run, "variants.txt", &variants, st));
    const struct model_options options = { .train = !recipe_wants_f32(&j->recipe), .sink = &j->sink.sink };
    TRY(session_open(&j->common, str_text(&j->base_path), &options, str_text(&variants), &j->session, st));
    TRY(path_digest(str_text(&j->base_path), &j->base, st));
    TRY(data_open(j, st));
    TRY(suites_open(j, st));
out:
    str_release(&variants);
    return rc;
}

void job_close(struct job *j)
{
    cli_sink_line(&j->sink);
    suites_release(&j->suites);
    data_release(&j->data);
    session_close(&j->session);
    path_digest_release(&j->base);
    plan_release(&j->plan);
    plan_release(&j->audit);
    str_release(&j->audit_text);
    str_release(&j->base_path);
    str_release(&j->events_path);
    mem_free(j->hits);
}

const struct probe_set *job_set(const struct job *j, const char *id)
{
    for (size_t i = 0; i < j->suites.n; i++)
        if (strcmp(j->suites.sets[i].id, id) == 0)
            return &j->suites.sets[i];
    return NULL;
}

/* ---- plan ---- */

static int plan_text(const struct job *j, const char *created, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *method = recipe_write(&j->recipe);
    struct plan_data_facts *data = mem_calloc(j->data.files_n, sizeof *data);
    const struct probe_set **sets = mem_calloc(j->suites.n, sizeof *sets);
    const struct tokenizer *t = model_get_tokenizer(j->session.model);
    const char *chat = model_get_template_text(j->session.model);
    struct hash chat_hash = sha256_of(chat ? chat : "", chat ? strlen(chat) : 0);
    static const char *const FORMS[] = {
        [LINE_PROMPT] = "prompt", [LINE_MESSAGES] = "messages", [LINE_TEXT] = "text"
    };
    if (!method || !data || !sets)
        FAIL(st, RC_NOMEM, "no memory for the plan");
    for (size_t i = 0; i < j->data.files_n; i++)
        data[i] = (struct plan_data_facts){ FORMS[j->data.files[i].form], j->data.files[i].sha256,
                                            j->data.files[i].size };
    for (size_t i = 0; i < j->suites.n; i++)
        sets[i] = &j->suites.sets[i];
    struct plan_facts facts = {
        .base_directory = j->base.directory,
        .base = j->base.hash,
        .tokenizer = tokenizer_digest(t),
        .template_text = chat ? &chat_hash : NULL,
        .prefix = tokenizer_bos(t) >= 0 ? "bos" : "eos",
        .max_len = j->audit.scoring.max_len,
        .method = method,
        .data = data,
        .sets = sets,
        .salt_key = j->salt,
        .created = created,
    };
    rc = plan_build(&j->audit, &facts, out, st);
    if (rc)
        status_prefix(st, "%s", j->audit_path);
out:
    json_free(method);
    mem_free(data);
    mem_free(sets);
    return rc;
}

static char *absolute(const char *path)
{
    char *found = realpath(path, NULL);
    return found ? found : strdup(path);
}

static int paths_write(struct job *j, struct status *st)
{
    int rc = 0;
    struct run_paths p = { .base = absolute(str_text(&j->base_path)) };
    struct str path = { 0 };
    p.data = mem_calloc(j->audit.data_n, sizeof *p.data);
    p.suites = mem_calloc(j->audit.suites_n, sizeof *p.suites);
    if (!p.data || !p.suites || !p.base)
        FAIL(st, RC_NOMEM, "no memory for the paths of the run");
    for (; p.data_n < j->audit.data_n; p.data_n++) {
        TRY(beside_audit(j, j->audit.data[p.data_n].path, &path, st));
        p.data[p.data_n] = absolute(str_text(&path));
    }
    for (; p.suites_n < j->plan.suites_n; p.suites_n++) {
        size_t i = 0;
        while (strcmp(j->suites.sets[i].id, j->plan.suites[p.suites_n].id) != 0)
            i++;
        TRY(beside_audit(j, j->audit.suites[i].path, &path, st));
        p.suites[p.suites_n] = absolute(str_text(&path));
    }
    TRY(run_paths_write(j->run, &p, st));
out:
    str_release(&path);
    run_paths_release(&p);
    return rc;
}

/* The plan itself comes last: a folder holds a plan exactly when everything beside it is there too. */
static int plan_make(struct job *j, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, signature = { 0 };
    TRY(dir_make(j->run, st));
    if (run_has(j->run, "plan.salt"))
        TRY(run_salt_load(j->run, j->salt, st));
    else
        TRY(run_salt_create(j->run, j->salt, st));
    TRY(plan_text(j, time_now_s().s, &text, st));
    TRY(plan_parse(str_text(&text), text.size, &j->plan, st));
    TRY(pack_plan_sign((struct bytes){ str_text(&text), text.size }, j->key, &signature, st));
    TRY(run_write(j->run, "plan.dsse.json", str_text(&signature), signature.size, st));
    TRY(paths_write(j, st));
    TRY(run_write(j->run, "plan.json", str_text(&text), text.size, st));
    j->plan_digest = sha256_of(str_text(&text), text.size);
out:
    str_release(&text);
    str_release(&signature);
    return rc;
}

static int plan_compare(struct job *j, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, kept = { 0 };
    TRY(run_salt_load(j->run, j->salt, st));
    TRY(run_plan_load(j->run, &j->plan, &j->plan_digest, st));
    TRY(plan_text(j, j->plan.created, &text, st));
    TRY(run_read(j->run, "plan.json", &kept, st));
    if (text.size != kept.size || memcmp(str_text(&text), str_text(&kept), text.size) != 0)
        FAIL(st, RC_ARG,
             "%s holds a plan that %s no longer makes: the audit file, the model, the data or a suite has "
             "changed; a "
             "new plan wants a new --out",
             j->run, j->audit_path);
out:
    str_release(&text);
    str_release(&kept);
    return rc;
}

int job_plan(struct job *j, struct status *st)
{
    return run_has(j->run, "plan.json") ? plan_compare(j, st) : plan_make(j, st);
}
