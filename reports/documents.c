/* run/config.json, run/environment.json, run/data.json, run/models.json: written canonically, read
 * strictly. */
#include "reports/documents.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

/* Finishes a writer: checks the tree, appends its canonical bytes, frees it. */
static int document_end(struct json *root, struct str *out, struct status *st)
{
    int rc = 0;
    TRY(json_check(root, st));
    TRY(field_canonical(root, out, st));
out:
    json_free(root);
    return rc;
}

/* ---- config ---- */

static const char *const config_keys[] = { "base",    "data",     "lethe_config", "method", "plan",
                                           "scoring", "template", "tokenizer",    NULL };

void doc_config_of_plan(const struct plan *p, const struct hash *digest, struct doc_config *out)
{
    *out = (struct doc_config){
        .plan = *digest,
        .base = json_find(p->root, "base"),
        .data = json_find(p->root, "data"),
        .method = json_find(p->root, "method"),
        .scoring = json_find(p->root, "scoring"),
        .template_text = json_find(p->root, "template"),
        .tokenizer = json_find(p->root, "tokenizer"),
    };
}

static void put_copy(struct json *o, const char *key, const struct json *value)
{
    if (value)
        json_put(o, key, json_copy(value));
}

int doc_config_write(const struct doc_config *c, struct str *out, struct status *st)
{
    struct json *root = json_object();
    json_put_int(root, "lethe_config", 1);
    field_put_hash(root, "plan", &c->plan);
    put_copy(root, "base", c->base);
    put_copy(root, "data", c->data);
    put_copy(root, "method", c->method);
    put_copy(root, "scoring", c->scoring);
    put_copy(root, "template", c->template_text);
    put_copy(root, "tokenizer", c->tokenizer);
    return document_end(root, out, st);
}

int doc_config_parse(const char *data, size_t size, struct doc_config *out, struct status *st)
{
    int rc = 0;
    struct doc_config c = { 0 };
    const struct json *base;
    struct hash unused;
    TRY(json_parse_canonical(data, size, &c.root, st));
    TRY(field_only(c.root, config_keys, st));
    TRY(field_version(c.root, "lethe_config", st));
    TRY(field_hash(c.root, "plan", &c.plan, st));
    TRY(json_get(c.root, "base", JSON_OBJECT, &base, st));
    TRY(field_hash(base, "sha256", &unused, st));
    c.base = base;
    c.data = json_find(c.root, "data");
    c.method = json_find(c.root, "method");
    c.scoring = json_find(c.root, "scoring");
    c.template_text = json_find(c.root, "template");
    c.tokenizer = json_find(c.root, "tokenizer");
    *out = c;
    c.root = NULL;
out:
    json_free(c.root);
    return rc;
}

void doc_config_release(struct doc_config *c)
{
    json_free(c->root);
    *c = (struct doc_config){ 0 };
}

/* ---- data ---- */

static struct json *file_build(const struct doc_file *f)
{
    struct json *o = json_object(), *dropped = json_array();
    json_put_text(o, "name", f->name);
    json_put_text(o, "role", f->role);
    json_put_text(o, "form", f->form);
    field_put_hash(o, "sha256", &f->sha256);
    json_put_int(o, "size", (int64_t)f->size);
    json_put_int(o, "examples", (int64_t)f->examples);
    json_put_int(o, "used", (int64_t)f->used);
    json_put_int(o, "tokens", (int64_t)f->tokens);
    json_put_int(o, "supervised", (int64_t)f->supervised);
    json_put_int(o, "nonprefix", (int64_t)f->nonprefix);
    json_put_int(o, "truncated", (int64_t)f->truncated);
    for (size_t i = 0; i < f->dropped_n; i++) {
        struct json *d = json_object();
        json_put_text(d, "reason", f->dropped[i].reason);
        json_put_int(d, "count", (int64_t)f->dropped[i].count);
        json_push(dropped, d);
    }
    json_put(o, "dropped", dropped);
    return o;
}

int doc_data_write(const struct doc_data *d, struct str *out, struct status *st)
{
    struct json *root = json_object(), *files = json_array();
    json_put_int(root, "lethe_data", 1);
    for (size_t i = 0; i < d->files_n; i++)
        json_push(files, file_build(&d->files[i]));
    json_put(root, "files", files);
    if (d->has_contamination) {
        struct json *c = json_object(), *suites = json_array();
        json_put_int(c, "ngram", 13);
        json_put_int(c, "words_min", 5);
        for (size_t i = 0; i < d->hits_n; i++) {
            struct json *o = json_object();
            json_put_text(o, "id", d->hits[i].id);
            json_put_int(o, "hits", (int64_t)d->hits[i].hits);
            json_push(suites, o);
        }
        json_put(c, "suites", suites);
        json_put(root, "contamination", c);
    }
    return document_end(root, out, st);
}

static int dropped_read(const struct json *o, struct doc_file *f, struct status *st)
{
    static const char *const keys[] = { "reason", "count", NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    const struct json *list;
    TRY(field_array(o, "dropped", JSON_ELEMENTS_MAX, &list, &n, st));
    f->dropped = mem_calloc(n, sizeof *f->dropped);
    if (!f->dropped)
        FAIL(st, RC_NOMEM, "no memory for run/data.json");
    for (const struct json *d = json_first(list); d; d = json_next(d), i++) {
        TRY(field_only(d, keys, st));
        TRY(json_get_text(d, "reason", &f->dropped[i].reason, st));
        TRY(field_u64(d, "count", &f->dropped[i].count, st));
    }
    f->dropped_n = n;
out:
    return rc;
}

static int file_read_doc(const struct json *o, struct doc_file *f, struct status *st)
{
    static const char *const keys[] = { "name",      "role",      "form",    "sha256", "size",
                                        "examples",  "used",      "dropped", "tokens", "supervised",
                                        "nonprefix", "truncated", NULL };
    int rc = 0;
    TRY(field_only(o, keys, st));
    TRY(json_get_text(o, "name", &f->name, st));
    TRY(json_get_text(o, "role", &f->role, st));
    TRY(json_get_text(o, "form", &f->form, st));
    TRY(field_hash(o, "sha256", &f->sha256, st));
    const struct {
        const char *key;
        uint64_t *to;
    } counts[] = {
        { "size", &f->size },          { "examples", &f->examples },     { "used", &f->used },
        { "tokens", &f->tokens },      { "supervised", &f->supervised }, { "nonprefix", &f->nonprefix },
        { "truncated", &f->truncated }
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        TRY(field_u64(o, counts[i].key, counts[i].to, st));
    TRY(dropped_read(o, f, st));
out:
    return rc;
}

static int contamination_read(const struct json *root, struct doc_data *d, struct status *st)
{
    static const char *const keys[] = { "ngram", "words_min", "suites", NULL };
    static const char *const hit_keys[] = { "id", "hits", NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    int64_t value;
    const struct json *o, *list;
    if (!json_find(root, "contamination"))
        return 0;
    TRY(json_get(root, "contamination", JSON_OBJECT, &o, st));
    TRY(json_only(o, keys, st));
    TRY(json_get_int(o, "ngram", 13, 13, &value, st));
    TRY(json_get_int(o, "words_min", 5, 5, &value, st));
    TRY(field_array(o, "suites", PLAN_SUITES_MAX, &list, &n, st));
    d->hits = mem_calloc(n, sizeof *d->hits);
    if (!d->hits)
        FAIL(st, RC_NOMEM, "no memory for run/data.json");
    for (const struct json *s = json_first(list); s; s = json_next(s), i++) {
        TRY(field_only(s, hit_keys, st));
        TRY(json_get_text(s, "id", &d->hits[i].id, st));
        TRY(field_u64(s, "hits", &d->hits[i].hits, st));
    }
    d->hits_n = n;
    d->has_contamination = true;
out:
    if (rc != 0)
        status_prefix(st, "/contamination");
    return rc;
}

int doc_data_parse(const char *data, size_t size, struct doc_data *out, struct status *st)
{
    static const char *const keys[] = { "lethe_data", "files", "contamination", NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    const struct json *list;
    struct doc_data d = { 0 };
    TRY(json_parse_canonical(data, size, &d.root, st));
    TRY(field_only(d.root, keys, st));
    TRY(field_version(d.root, "lethe_data", st));
    TRY(field_array(d.root, "files", PLAN_DATA_MAX, &list, &n, st));
    d.files = mem_calloc(n, sizeof *d.files);
    if (!d.files)
        FAIL(st, RC_NOMEM, "no memory for run/data.json");
    d.files_n = n;
    for (const struct json *o = json_first(list); o; o = json_next(o), i++)
        if ((rc = file_read_doc(o, &d.files[i], st)) != 0) {
            status_prefix(st, "/files/%zu", i);
            goto out;
        }
    TRY(contamination_read(d.root, &d, st));
    *out = d;
    d = (struct doc_data){ 0 };
out:
    doc_data_release(&d);
    return rc;
}

void doc_data_release(struct doc_data *d)
{
    for (size_t i = 0; d->files && i < d->files_n; i++)
        mem_free(d->files[i].dropped);
    mem_free(d->files);
    mem_free(d->hits);
    json_free(d->root);
    *d = (struct doc_data){ 0 };
}

/* ---- models ---- */

void doc_model_of_path(const struct path_digest *d, struct doc_model_file *files, struct doc_model *out)
{
    for (size_t i = 0; i < d->n; i++)
        files[i] = (struct doc_model_file){ d->files[i].path, d->files[i].size, d->files[i].hash };
    out->form = d->directory ? "directory" : "file";
    out->sha256 = d->hash;
    out->files = files;
    out->files_n = d->n;
}

static struct json *model_build(const struct doc_model *m, const char *role)
{
    struct json *o = json_object(), *files = json_array();
    json_put_text(o, "role", role);
    json_put_text(o, "name", m->name);
    json_put_text(o, "form", m->form);
    if (m->kind)
        json_put_text(o, "kind", m->kind);
    field_put_hash(o, "sha256", &m->sha256);
    for (size_t i = 0; i < m->files_n; i++) {
        struct json *f = json_object();
        json_put_text(f, "path", m->files[i].path);
        json_put_int(f, "size", (int64_t)m->files[i].size);
        field_put_hash(f, "sha256", &m->files[i].sha256);
        json_push(files, f);
    }
    json_put(o, "files", files);
    return o;
}

int doc_models_write(const struct doc_models *m, struct str *out, struct status *st)
{
    struct json *root = json_object(), *list = json_array();
    json_put_int(root, "lethe_models", 1);
    json_push(list, model_build(&m->base, "base"));
    json_push(list, model_build(&m->tuned, "tuned"));
    json_put(root, "models", list);
    return document_end(root, out, st);
}

/* A file's digest is its own; of a folder, or of sample files, the digest over the files' digests in path
 * order. */
static int model_check(const struct doc_model *m, struct status *st)
{
    int rc = 0;
    struct sha256 *all = NULL;
    struct hash h;
    bool file = strcmp(m->form, "file") == 0;
    if (m->files_n == 0)
        FAIL(st, RC_FORMAT, "no files");
    if (file) {
        if (m->files_n != 1 || strcmp(m->files[0].path, ".") != 0)
            FAIL(st, RC_FORMAT, "form 'file' with files other than '.'");
        h = m->files[0].sha256;
    } else {
        TRY(sha256_open(&all, st));
        for (size_t i = 0; i < m->files_n; i++) {
            if (i > 0 && strcmp(m->files[i - 1].path, m->files[i].path) >= 0)
                FAIL(st, RC_FORMAT, "file '%.80s' out of order", m->files[i].path);
            sha256_add(all, m->files[i].sha256.b, sizeof m->files[i].sha256.b);
        }
        h = sha256_end(all);
        all = NULL;
    }
    if (!hash_equal(&h, &m->sha256))
        FAIL(st, RC_VERIFY, "the digest of the %s model is not that of its files", m->role);
out:
    sha256_close(all);
    return rc;
}

static int model_read(const struct json *o, const char *role, struct doc_model *m, struct status *st)
{
    static const char *const keys[] = { "role", "name", "form", "kind", "sha256", "files", NULL };
    static const char *const file_keys[] = { "path", "size", "sha256", NULL };
    static const char *const forms[] = { "file", "directory", "samples", NULL };
    static const char *const kinds[] = { "adapter", "merged", "full", "quantised", "unknown", NULL };
    const char *const roles[] = { role, NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    const struct json *list;
    TRY(field_only(o, keys, st));
    TRY(field_word(o, "role", roles, &m->role, st));
    TRY(json_get_text(o, "name", &m->name, st));
    TRY(field_word(o, "form", forms, &m->form, st));
    if (json_find(o, "kind"))
        TRY(field_word(o, "kind", kinds, &m->kind, st));
    TRY(field_hash(o, "sha256", &m->sha256, st));
    TRY(field_array(o, "files", JSON_ELEMENTS_MAX, &list, &n, st));
    m->files = mem_calloc(n, sizeof *m->files);
    if (!m->files)
        FAIL(st, RC_NOMEM, "no memory for run/models.json");
    for (const struct json *f = json_first(list); f; f = json_next(f), i++) {
        TRY(field_only(f, file_keys, st));
        TRY(json_get_text(f, "path", &m->files[i].path, st));
        TRY(field_u64(f, "size", &m->files[i].size, st));
        TRY(field_hash(f, "sha256", &m->files[i].sha256, st));
    }
    m->files_n = n;
    TRY(model_check(m, st));
out:
    return rc;
}

int doc_models_parse(const char *data, size_t size, struct doc_models *out, struct status *st)
{
    static const char *const keys[] = { "lethe_models", "models", NULL };
    int rc = 0;
    size_t n = 0;
    const struct json *list;
    struct doc_models m = { 0 };
    TRY(json_parse_canonical(data, size, &m.root, st));
    TRY(field_only(m.root, keys, st));
    TRY(field_version(m.root, "lethe_models", st));
    TRY(field_array(m.root, "models", 2, &list, &n, st));
    if (n != 2)
        FAIL(st, RC_FORMAT, "key 'models': %zu models, wanted base and tuned", n);
    TRY(model_read(json_first(list), "base", &m.base, st));
    TRY(model_read(json_next(json_first(list)), "tuned", &m.tuned, st));
    *out = m;
    m = (struct doc_models){ 0 };
out:
    doc_models_release(&m);
    return rc;
}

void doc_models_release(struct doc_models *m)
{
    mem_free(m->base.files);
    mem_free(m->tuned.files);
    json_free(m->root);
    *m = (struct doc_models){ 0 };
}
