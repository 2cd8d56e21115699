/* What was decided before training: the audit file that a person writes, and plan.json that is made of it,
 * hashed and signed (docs/formats/plan.md).
 *
 * Everything of a struct plan lives as long as its tree `root`, which it owns.
 */
#ifndef LETHE_REPORTS_PLAN_H
#define LETHE_REPORTS_PLAN_H

#include "base/hash.h"
#include "base/json.h"
#include "eval/metrics.h"
#include "probes/set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_SUITES_MAX = 256, PLAN_GROUPS_MAX = 64, PLAN_MEASURES_MAX = 64, PLAN_DATA_MAX = 4096 };

struct plan_model {
    const char *name;
    const char *form; /* "file", "directory", imported: "samples" */
    struct hash sha256;
    const char *path; /* audit file only */
};

struct plan_data {
    const char *name;
    const char *role; /* "train" "dev" "replay" "kl" "reference" "prompts" */
    const char *form; /* "prompt" "messages" "text"; audit file: may be NULL */
    struct hash sha256;
    uint64_t size;
    const char *path; /* audit file only */
};

struct plan_suite {
    const char *id, *version, *title, *licence, *source;
    const char *kind, *role, *metric; /* words of docs/formats/probes.md */
    struct hash sha256, root;
    uint64_t size, items, clusters;
    enum eval_use use;
    const char *limit; /* margin of a gate, gain of a task, as written; else NULL */
    double limit_value;
    const char *path; /* audit file only; there all of the above but use and limit may be unset */
};

struct plan_group {
    const char *id;
    enum eval_use use; /* gate or task */
    const char *limit;
    double limit_value;
    size_t n;
    const char **members;  /* [n] ids, sorted */
    size_t *member_suites; /* [n] indices into plan.suites; audit file: NULL */
};

struct plan_approver {
    const char *role; /* "author" or "validator" */
    const char *keyid;
    struct hash id;
};

struct plan {
    struct json *root;
    bool imported; /* mode */
    const char *title, *purpose;
    const char *author_name, *author_organisation, *author_contact; /* the last two may be NULL */
    const char *created;                                            /* audit file: NULL */
    struct plan_model base;
    struct plan_model
        tuned; /* audit file only, for a model that was tuned elsewhere; path NULL: none given */
    bool has_tokenizer, has_template, has_zero, has_ledger, has_scoring;
    struct hash tokenizer, template_text;
    const struct json *method; /* NULL: imported */
    size_t data_n, suites_n, groups_n, measures_n, approvers_n;
    struct plan_data *data;        /* [data_n] in the order written */
    struct plan_suite *suites;     /* [suites_n] by id; audit file: in the order written */
    struct plan_group *groups;     /* [groups_n] by id */
    const char **measures;         /* [measures_n] sorted */
    bool has_groups, has_measures; /* the keys are there, perhaps empty */
    struct plan_approver *approvers;
    struct {
        uint32_t max_len;    /* audit file: 0 when not stated */
        const char *prefix;  /* "bos" "eos"; audit file: NULL when not stated */
        bool template_model; /* template: "model" */
        const char *dtype;   /* "f32" "f16" "bf16" */
    } scoring;
    struct {
        const char *alpha;
        double alpha_value;
        bool holm;
        uint64_t replicates; /* audit file: 0 when not stated */
        uint64_t seed;
        uint64_t min_clusters;
    } statistics;
    struct {
        uint64_t flips_max;
        const char *ll_max;
        double ll_max_value;
    } zero;
    struct {
        const char *tau, *conflict_logp_min;
        double tau_value, conflict_logp_min_value;
        uint64_t rows_max;
    } ledger;
    bool contamination_report; /* contamination: "report" */
    bool closed;               /* privacy: "closed" */
    bool strict;
    const char *previous; /* hex, or NULL */
};

/* plan.json: canonical bytes, and every refusal of docs/formats/plan.md. RC_FORMAT names the JSON pointer;
 * RC_UNSUPPORTED: a later version. */
MUST_USE int plan_parse(const char *data, size_t size, struct plan *out, struct status *st);
void plan_release(struct plan *p);
const struct plan_suite *plan_find_suite(const struct plan *p, const char *id); /* or NULL */
/* false: a tuned model was given, or scores were imported: nothing was trained here. */
bool plan_trains(const struct plan *p);
/* gates + tasks among suites and groups: the m that the correction counts. */
size_t plan_claims(const struct plan *p);

/* An audit file as a person writes it: `lethe_audit` 1 in place of `lethe_plan`, `path` in place of digests,
 * sizes, counts and roots, defaults for statistics (but not the seed), zero, ledger, scoring and strict.
 * `tuned: {"path"}` gives a model tuned elsewhere; `method` may then be left out. RC_FORMAT:
 * "/suites/2/margn: unknown key"; the caller puts the file's name in front. Paths are as written. */
MUST_USE int audit_file_parse(const char *data, size_t size, struct plan *out, struct status *st);

/* What only the caller can know when an audit file becomes a plan. */
struct plan_data_facts {
    const char *form;
    struct hash sha256;
    uint64_t size;
};
struct plan_facts {
    const char *base_name; /* used unless the audit file names it; NULL: last part of its path */
    bool base_directory;
    struct hash base;
    struct hash tokenizer;
    const struct hash *template_text;    /* NULL: the model has none */
    const char *prefix;                  /* "bos" or "eos" */
    uint32_t max_len;                    /* used unless the audit file states it */
    const struct json *method;           /* with every key that applies; copied */
    const struct plan_data_facts *data;  /* [audit->data_n] */
    const struct probe_set *const *sets; /* [audit->suites_n], same order */
    const uint8_t *salt_key;             /* [32] */
    const char *created;                 /* time, whole seconds */
};
/* Appends canonical plan.json, which plan_parse then takes; RC_FORMAT or RC_ARG where it would not. Fills the
 * smallest number of replicates that the rules allow where the audit file has none. */
MUST_USE int plan_build(const struct plan *audit, const struct plan_facts *facts, struct str *out,
                        struct status *st);
/* Lines of evidence/probes/<suite>.jsonl for a set, with salt; what the plan's root is made of. */
MUST_USE int plan_probe_lines(const struct probe_set *set, const uint8_t salt_key[32], struct str *out,
                              struct status *st);

#endif
