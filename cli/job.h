/* The audit as a job: what it is made of, and its steps, each of which leaves a file in the run folder and is
 * passed over when that file is there. So a run that was stopped goes on where it was.
 */
#ifndef LETHE_CLI_JOB_H
#define LETHE_CLI_JOB_H

#include "base/hash.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "cli/suites.h"
#include "reports/plan.h"
#include "train/conflicts.h"
#include "train/data.h"
#include "train/recipe.h"

#include <stdint.h>

struct key_secret;

struct job {
    struct common common;
    const char *audit_path, *run, *archive; /* archive NULL: RUN.lethe */
    const struct key_secret *key;
    int argc; /* as started, for the first event */
    char **argv;

    struct str audit_text;
    struct plan audit; /* as the person wrote it */
    struct plan plan;  /* as signed */
    struct hash plan_digest;
    uint8_t salt[32];
    struct str base_path;    /* of the base model */
    struct path_digest base; /* its digest */
    struct session session;  /* the base model, open */
    struct suites suites;    /* in the order of the audit file */
    struct recipe recipe;
    struct data data;
    uint64_t *hits; /* [suites.n] contaminated items */
    struct cli_sink sink;
    struct str events_path;
};

/* Reads the audit file, opens model, data and suites, and checks everything that can be known before a
 * plan. */
MUST_USE int job_open(struct job *j, struct status *st);
void job_close(struct job *j);
/* Makes and signs the plan, or checks that the one in the run folder is the one this audit file makes. */
MUST_USE int job_plan(struct job *j, struct status *st);
/* Everything after the plan, up to the archive. Returns a verdict's exit code, 0, 3 or 5, or a negative
 * rc. */
MUST_USE int job_audit(struct job *j, struct status *st);

/* The suite of the plan's id among the loaded ones. */
const struct probe_set *job_set(const struct job *j, const char *id);

/* The tuned model's place in the run folder: "adapter", or "model" with weights of its own. */
const char *job_tuned_name(const struct job *j);
/* run/config.json, data.json, models.json; models need the tuned folder. */
MUST_USE int job_documents(struct job *j, const char *tuned, struct status *st);
/* run/environment.json, with the shaders that ran so far in this process and in those before it. */
MUST_USE int job_environment(struct job *j, struct status *st);
/* run/supervision.jsonl, and evidence/conflicts.jsonl once the tuned columns are there. */
MUST_USE int job_supervision(struct job *j, const struct conflicts *c, struct status *st);
MUST_USE int job_conflicts(struct job *j, const struct conflicts *c, struct status *st);

#endif
