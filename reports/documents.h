/* The documents of a run: what ran, where, on which data and models (docs/formats/archive.md, run documents).
 * Writers append canonical bytes; parsers are strict and lend every string from `root`, which they own.
 */
#ifndef LETHE_REPORTS_DOCUMENTS_H
#define LETHE_REPORTS_DOCUMENTS_H

#include "base/hash.h"
#include "base/json.h"
#include "reports/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- run/config.json ---- */
struct doc_config {
    struct json *root; /* NULL when filled by hand */
    struct hash plan;
    /* in the plan's shape; NULL: the plan has none */
    const struct json *base, *data, *method, *scoring, *template_text, *tokenizer;
};
/* As planned: every value is lent from the plan's tree. Change what ran otherwise, then write. */
void doc_config_of_plan(const struct plan *p, const struct hash *digest, struct doc_config *out);
MUST_USE int doc_config_write(const struct doc_config *c, struct str *out, struct status *st);
MUST_USE int doc_config_parse(const char *data, size_t size, struct doc_config *out, struct status *st);
void doc_config_release(struct doc_config *c);

/* ---- run/environment.json ---- */
struct doc_device {
    const char *name; /* NULL: the device is absent */
    const char *vendor, *type, *driver, *driver_version, *vulkan;
};
struct doc_digest {
    const char *name;
    struct hash sha256;
};
struct doc_library {
    const char *name, *version;
};
struct doc_tool {
    const char *name, *version, *commit;
    struct hash binary;
    const char *compiler, *flags;
};
struct doc_environment {
    struct json *root;
    struct doc_tool tool;
    struct {
        const char *os, *cpu;
        uint64_t cores, ram_bytes;
    } host;
    struct doc_device device, train_device;
    size_t shaders_n, libraries_n;
    struct doc_digest *shaders;
    struct doc_library *libraries;
    const char *unicode;
    bool has_variants, has_deterministic, deterministic, has_energy;
    struct hash variants;
    uint64_t energy_joules;
    const char *energy_source;
};
MUST_USE int doc_environment_write(const struct doc_environment *e, struct str *out, struct status *st);
MUST_USE int doc_environment_parse(const char *data, size_t size, struct doc_environment *out,
                                   struct status *st);
void doc_environment_release(struct doc_environment *e); /* of a parsed one */

/* ---- run/data.json ---- */
struct doc_dropped {
    const char *reason;
    uint64_t count;
};
struct doc_file {
    const char *name, *role, *form;
    struct hash sha256;
    uint64_t size, examples, used, tokens, supervised, nonprefix, truncated;
    size_t dropped_n;
    struct doc_dropped *dropped;
};
struct doc_hits {
    const char *id;
    uint64_t hits;
};
struct doc_data {
    struct json *root;
    size_t files_n, hits_n;
    struct doc_file *files; /* [files_n] in plan order */
    bool has_contamination;
    struct doc_hits *hits; /* [hits_n] one a suite, by id */
};
MUST_USE int doc_data_write(const struct doc_data *d, struct str *out, struct status *st);
MUST_USE int doc_data_parse(const char *data, size_t size, struct doc_data *out, struct status *st);
void doc_data_release(struct doc_data *d); /* of a parsed one */

/* ---- run/models.json ---- */
struct doc_model_file {
    const char *path; /* "." for a single file */
    uint64_t size;
    struct hash sha256;
};
struct doc_model {
    const char *role; /* "base", "tuned" */
    const char *name, *form;
    const char *kind; /* "adapter" "merged" "full" "quantised" "unknown"; NULL: absent */
    struct hash sha256;
    size_t files_n;
    struct doc_model_file *files; /* [files_n] by path */
};
struct doc_models {
    struct json *root;
    struct doc_model base, tuned;
};
/* Fills a model from path_digest's answer; files is lent and must have room for d->n. */
void doc_model_of_path(const struct path_digest *d, struct doc_model_file *files, struct doc_model *out);
MUST_USE int doc_models_write(const struct doc_models *m, struct str *out, struct status *st);
/* RC_VERIFY: a model's digest is not that of its files. */
MUST_USE int doc_models_parse(const char *data, size_t size, struct doc_models *out, struct status *st);
void doc_models_release(struct doc_models *m); /* of a parsed one */

/* ---- run/events.jsonl ---- */
struct doc_event {
    struct json *root; /* the whole record */
    const char *t, *name;
};
struct doc_events {
    size_t n, cap;
    struct doc_event *events; /* [n] */
};
/* Strict records: keys of each event as docs/formats 5.5 gives them. RC_VERIFY: seq has a gap, or the first
 * is not `start` or the last not `end`. */
MUST_USE int doc_events_parse(const char *data, size_t size, struct doc_events *out, struct status *st);
void doc_events_release(struct doc_events *e);

#endif
