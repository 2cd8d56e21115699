/* What ran, where and on what: the run documents, and the two tables over the training data. */
#include "cli/job.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"
#include "cli/host.h"
#include "commit.h"
#include "eval/record.h"
#include "gpu/launch.h"
#include "gpu/op.h"
#include "model/tokenizer.h"
#include "reports/container.h"
#include "reports/documents.h"
#include "reports/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static int document_write(const struct job *j, const char *member, const struct str *text, struct status *st)
{
    int rc = str_check(text, st);
    return rc ? rc : run_write(j->run, member, str_text(text), text->size, st);
}

/* ---- config, data, models ---- */

static int config_write(struct job *j, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct doc_config config = { 0 };
    struct json *method = recipe_write(&j->recipe);
    if (!method)
        FAIL(st, RC_NOMEM, "no memory for run/config.json");
    doc_config_of_plan(&j->plan, &j->plan_digest, &config);
    config.method = method; /* what ran, not what was planned: a difference is a deviation */
    TRY(doc_config_write(&config, &text, st));
    TRY(document_write(j, "run/config.json", &text, st));
out:
    json_free(method);
    str_release(&text);
    return rc;
}

static int data_write(struct job *j, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    size_t n = j->data.files_n;
    struct doc_file *files = mem_calloc(n, sizeof *files);
    struct doc_dropped *dropped = mem_calloc(n, sizeof *dropped);
    struct doc_hits *hits = mem_calloc(j->plan.suites_n, sizeof *hits);
    if (!files || !dropped || !hits)
        FAIL(st, RC_NOMEM, "no memory for run/data.json");
    for (size_t i = 0; i < n; i++) {
        const struct data_file *f = &j->data.files[i];
        dropped[i] = (struct doc_dropped){ "empty", f->dropped_empty };
        files[i] = (struct doc_file){
            .name = j->plan.data[i].name,
            .role = j->plan.data[i].role,
            .form = j->plan.data[i].form,
            .sha256 = f->sha256,
            .size = f->size,
            .examples = f->examples,
            .used = f->used,
            .tokens = f->tokens,
            .supervised = f->supervised,
            .nonprefix = f->nonprefix,
            .truncated = f->truncated,
            .dropped_n = f->dropped_empty ? 1 : 0,
            .dropped = &dropped[i],
        };
    }
    for (size_t i = 0; i < j->plan.suites_n; i++) {
        size_t k = (size_t)(job_set(j, j->plan.suites[i].id) - j->suites.sets);
        hits[i] = (struct doc_hits){ j->plan.suites[i].id, j->hits[k] };
    }
    struct doc_data d = {
        .files_n = n, .files = files, .has_contamination = true, .hits_n = j->plan.suites_n, .hits = hits
    };
    TRY(doc_data_write(&d, &text, st));
    TRY(document_write(j, "run/data.json", &text, st));
out:
    mem_free(files);
    mem_free(dropped);
    mem_free(hits);
    str_release(&text);
    return rc;
}

static int models_write(struct job *j, const char *tuned, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct path_digest digest = { 0 };
    struct doc_models models = { 0 };
    struct doc_model_file *base_files = mem_calloc(j->base.n, sizeof *base_files), *tuned_files = NULL;
    TRY(path_digest(tuned, &digest, st));
    tuned_files = mem_calloc(digest.n, sizeof *tuned_files);
    if (!base_files || !tuned_files)
        FAIL(st, RC_NOMEM, "no memory for run/models.json");
    doc_model_of_path(&j->base, base_files, &models.base);
    models.base.role = "base";
    models.base.name = j->plan.base.name;
    doc_model_of_path(&digest, tuned_files, &models.tuned);
    models.tuned.role = "tuned";
    models.tuned.name = path_name(tuned);
    models.tuned.kind = recipe_wants_f32(&j->recipe) ? "full" : "adapter";
    TRY(doc_models_write(&models, &text, st));
    TRY(document_write(j, "run/models.json", &text, st));
out:
    mem_free(base_files);
    mem_free(tuned_files);
    path_digest_release(&digest);
    str_release(&text);
    return rc;
}

int job_documents(struct job *j, const char *tuned, struct status *st)
{
    int rc = 0;
    TRY(config_write(j, st));
    TRY(data_write(j, st));
    TRY(models_write(j, tuned, st));
out:
    return rc;
}

/* ---- environment ---- */

static int by_name(const void *a, const void *b)
{
    const struct doc_digest *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Shaders of this process and of those before it, by name; a name is listed once. */
static int shaders_merge(struct job *j, const struct doc_environment *before, struct doc_digest **out,
                         size_t *n, struct status *st)
{
    const struct op_used *used;
    size_t used_n = op_used(j->session.gpu, &used);
    struct doc_digest *all = mem_calloc(used_n + before->shaders_n, sizeof *all);
    if (!all)
        return status_fail(st, RC_NOMEM, "no memory for the list of shaders");
    for (size_t i = 0; i < used_n; i++)
        all[i] = (struct doc_digest){ used[i].name, used[i].sha256 };
    for (size_t i = 0; i < before->shaders_n; i++)
        all[used_n + i] = before->shaders[i];
    qsort(all, used_n + before->shaders_n, sizeof *all, by_name);
    size_t kept = 0;
    for (size_t i = 0; i < used_n + before->shaders_n; i++)
        if (kept == 0 || strcmp(all[kept - 1].name, all[i].name) != 0)
            all[kept++] = all[i];
    *out = all;
    *n = kept;
    return 0;
}

static void host_fill(struct doc_environment *e, const struct utsname *os, const char *cpu)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    e->host.os = os->sysname;
    e->host.cpu = cpu;
    e->host.cores = (uint64_t)host_cores();
    e->host.ram_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

enum { LIBRARIES = 6 };

/* What decides or is evidence beside our own code, by name. */
static void libraries_fill(struct doc_library out[LIBRARIES], char pcre2[TOKENIZER_VERSION_MAX])
{
    tokenizer_library_version(pcre2);
    out[0] = (struct doc_library){ "cJSON", json_library_version() };
    out[1] = (struct doc_library){ "libarchive", container_library_version() };
    out[2] = (struct doc_library){ "libcrypto", hash_library_version() };
    out[3] = (struct doc_library){ "libzstd", container_compressor_version() };
    out[4] = (struct doc_library){ "pcre2", pcre2 };
    out[5] = (struct doc_library){ "utf8proc", utf8_library_version() };
}

int job_environment(struct job *j, struct status *st)
{
    int rc = 0;
    struct doc_library libraries[LIBRARIES];
    char pcre2[TOKENIZER_VERSION_MAX];
    static const char MEMBER[] = "run/environment.json";
    struct str text = { 0 };
    struct doc_environment before = { 0 };
    struct path_digest self = { 0 };
    struct doc_digest *shaders = NULL;
    struct utsname os;
    char cpu[128];
    const struct gpu_info *d = gpu_get_info(j->session.gpu);
    if (run_has(j->run, MEMBER)) {
        TRY(run_read(j->run, MEMBER, &text, st));
        TRY(doc_environment_parse(str_text(&text), text.size, &before, st));
        str_clear(&text);
    }
    if (uname(&os) != 0)
        FAIL(st, RC_IO, "the name of this system cannot be read");
    host_cpu(cpu, sizeof cpu);
    str_clear(&text);
    TRY(launch_image(&text, st));
    TRY(path_digest(str_text(&text), &self, st));
    str_clear(&text);
    struct doc_environment e = {
        .tool = { "lethe", LETHE_VERSION, LETHE_COMMIT, self.hash, "C " __VERSION__, LETHE_FLAGS },
        .device = { d->name, d->vendor, d->type, d->driver, d->driver_version, d->vulkan },
        .unicode = utf8_unicode_version(),
        .has_variants = true,
        .variants = gpu_variants_digest(j->session.gpu),
        .has_deterministic = true,
        .deterministic = true,
    };
    host_fill(&e, &os, cpu);
    libraries_fill(libraries, pcre2);
    e.libraries = libraries;
    e.libraries_n = LIBRARIES;
    TRY(shaders_merge(j, &before, &shaders, &e.shaders_n, st));
    e.shaders = shaders;
    TRY(doc_environment_write(&e, &text, st));
    TRY(document_write(j, MEMBER, &text, st));
out:
    doc_environment_release(&before);
    path_digest_release(&self);
    mem_free(shaders);
    str_release(&text);
    return rc;
}

/* ---- the training data as the base saw it ---- */

int job_supervision(struct job *j, const struct conflicts *c, struct status *st)
{
    int rc = 0;
    static const char MEMBER[] = "run/supervision.jsonl";
    struct str text = { 0 };
    for (size_t i = 0; i < j->data.lines_n; i++) {
        const struct data_line *line = &j->data.lines[i];
        struct supervision_row row = {
            .i = i,
            .id = line->id,
            .tokens = line->tokens,
            .supervised = line->supervised,
            .first = line->first,
            .conflicts = c->of_line[i],
        };
        salt_of(j->salt, MEMBER, i, row.salt);
        TRY(supervision_row_write(&row, &text, st));
        str_putc(&text, '\n');
    }
    TRY(document_write(j, MEMBER, &text, st));
out:
    str_release(&text);
    return rc;
}

/* Texts of tokens are for people: what is not UTF-8 becomes U+FFFD. */
static void piece_text(const struct job *j, int32_t id, struct str *out)
{
    struct gguf_text piece = tokenizer_piece(model_get_tokenizer(j->session.model), id);
    str_clear(out);
    utf8_repair(piece.s, piece.n, out);
}

struct ranked {
    float lost; /* base_logp - tuned_logp */
    size_t at;
};

static int by_loss(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->lost != y->lost)
        return x->lost < y->lost ? 1 : -1;
    return x->at < y->at ? -1 : 1;
}

/* keep[i] says which rows stay under the plan's limit: the largest losses, the earlier row on ties. */
static int rows_keep(const struct conflicts *c, uint64_t rows_max, bool *keep, struct status *st)
{
    struct ranked *order = mem_calloc(c->n, sizeof *order);
    if (!order)
        return status_fail(st, RC_NOMEM, "no memory for %zu conflicts", c->n);
    for (size_t i = 0; i < c->n; i++)
        order[i] = (struct ranked){ c->rows[i].base_logp - c->rows[i].tuned_logp, i };
    qsort(order, c->n, sizeof *order, by_loss);
    for (size_t i = 0; i < c->n && i < rows_max; i++)
        keep[order[i].at] = true;
    mem_free(order);
    return 0;
}

static int conflict_write(struct job *j, const struct conflict *x, uint64_t index, struct str *texts,
                          struct str *out, struct status *st)
{
    char part[16];
    conflict_part(x, part);
    piece_text(j, x->target, &texts[0]);
    piece_text(j, x->base_top, &texts[1]);
    piece_text(j, x->tuned_top, &texts[2]);
    struct token_row row = {
        .suite = "train",
        .i = x->line,
        .id = j->data.lines[x->line].id,
        .part = part,
        .pos = x->pos,
        .target = x->target,
        .base_top = x->base_top,
        .tuned_top = x->tuned_top,
        .target_text = str_text(&texts[0]),
        .base_top_text = str_text(&texts[1]),
        .tuned_top_text = str_text(&texts[2]),
        .base_top_logp = x->base_top_logp,
        .tuned_top_logp = x->tuned_top_logp,
        .base_logp = x->base_logp,
        .tuned_logp = x->tuned_logp,
        .kl = { x->kl, x->kl },
        .token_class = TOKEN_conflict,
    };
    salt_of(j->salt, "evidence/conflicts.jsonl", index, row.salt);
    int rc = token_row_write(&row, out, st);
    str_putc(out, '\n');
    return rc;
}

int job_conflicts(struct job *j, const struct conflicts *c, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, texts[3] = { { 0 } };
    bool *keep = mem_calloc(c->n, sizeof *keep);
    uint64_t index = 0;
    if (!keep)
        FAIL(st, RC_NOMEM, "no memory for %zu conflicts", c->n);
    TRY(rows_keep(c, j->plan.ledger.rows_max, keep, st));
    for (size_t i = 0; i < c->n; i++)
        if (keep[i])
            TRY(conflict_write(j, &c->rows[i], index++, texts, &text, st));
    TRY(document_write(j, "evidence/conflicts.jsonl", &text, st));
out:
    for (size_t i = 0; i < 3; i++)
        str_release(&texts[i]);
    str_release(&text);
    mem_free(keep);
    return rc;
}
