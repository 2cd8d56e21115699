/* lethe plan and lethe audit: the same reading of an audit file; the first stops when the plan is signed. */
#include "cli/job.h"

#include "cli/key.h"
#include "reports/keys.h"
#include "reports/run.h"

#include <stdio.h>
#include <string.h>

static const struct usage USAGE_PLAN = {
    .forms = "lethe plan AUDIT.json --key K --out RUN",
    .does = "Hashes model, data and suites, freezes metrics, margins and statistics, checks that no gated "
            "item stands in\n"
            "the training data, signs all this, and writes it to the folder RUN.",
    .example = "lethe plan audit.json --key author.key --out run",
};
static const struct usage USAGE_AUDIT = {
    .forms = "lethe audit AUDIT.json --key K --out RUN [--archive A.lethe] [--resume]",
    .does = "Plans and signs unless RUN holds a plan, scores the base twice, tunes, scores what was tuned, "
            "decides by the\n"
            "plan, signs and packs RUN.lethe, and writes RUN.html. Exit code 0 PASS, 3 FAIL, 5 cannot tell.",
    .example = "lethe audit demo/audit.json --key author.key --out run",
};

/* Where the plan is and what its digest is, which is what somebody else will ask for. */
static int plan_print(const struct job *j, struct status *st)
{
    struct str text = { 0 };
    if (j->common.json) {
        str_printf(&text, "{\"plan\":\"%s\",\"run\":", hash_hex(&j->plan_digest).s);
        str_json_string(&text, j->run, strlen(j->run));
        str_puts(&text, "}\n");
    } else if (!j->common.quiet) {
        str_printf(&text, "%s/plan.json: %s, signed\n", j->run, hash_hex(&j->plan_digest).s);
    }
    int rc = cli_print(&text, st);
    str_release(&text);
    return rc;
}

static int job_run(struct job *j, bool audit, bool resume, struct status *st)
{
    int rc = 0;
    bool planned = run_has(j->run, "plan.json");
    if (!audit && planned)
        FAIL(st, RC_ARG, "%s holds a plan already; a new plan wants a new --out", j->run);
    if (audit && !resume && run_has(j->run, "run/events.jsonl"))
        FAIL(st, RC_ARG, "%s holds a run already; --resume goes on with it, a new run wants a new --out",
             j->run);
    if (resume && !planned)
        FAIL(st, RC_ARG, "%s holds no plan to go on with", j->run);
    if (resume)
        file_leftovers_remove(j->run);
    TRY(job_open(j, st));
    TRY(job_plan(j, st));
    if (!audit) {
        rc = plan_print(j, st);
        goto out;
    }
    cli_say(&j->common, "plan %s, %s", hash_hex(&j->plan_digest).s,
            planned ? "as signed before" : "signed now, before anything is scored");
    rc = job_audit(j, st);
out:
    return rc;
}

static int command(bool audit, int argc, char **argv, struct status *st)
{
    int rc = 0;
    bool resume = false;
    const char *key_path = NULL, *passphrase_file = NULL, *run = NULL, *archive = NULL;
    struct opt_list words = { 0 };
    struct key_secret *key = NULL;
    struct job j = { .argc = argc, .argv = argv };
    const struct usage *usage = audit ? &USAGE_AUDIT : &USAGE_PLAN;
    const struct opt table[] = {
        { "key", OPT_TEXT, &key_path, "K", "secret key of the author" },
        { "passphrase-file", OPT_TEXT, &passphrase_file, "F", "opens an encrypted key" },
        { "out", OPT_TEXT, &run, "RUN", "folder of the run" },
        COMMON_OPTIONS(&j.common),
        { audit ? "archive" : NULL, OPT_TEXT, &archive, "A.lethe", "the archive (RUN.lethe)" },
        { "resume", OPT_FLAG, &resume, NULL, "go on where an interrupted run stopped" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&j.common, usage, table))
        goto out;
    if (words.n != 1 || !key_path || !run)
        FAIL(st, RC_ARG,
             "an audit file, a key and a folder are wanted: lethe %s AUDIT.json --key K --out RUN",
             audit ? "audit" : "plan");
    j.audit_path = words.v[0];
    j.run = run;
    j.archive = archive;
    TRY(cli_key_load(key_path, passphrase_file, &key, st));
    j.key = key;
    rc = job_run(&j, audit, resume, st);
out:
    job_close(&j);
    key_secret_free(key);
    opts_release(table, &words);
    return rc;
}

int cmd_plan(int argc, char **argv, struct status *st)
{
    return command(false, argc, argv, st);
}

int cmd_audit(int argc, char **argv, struct status *st)
{
    return command(true, argc, argv, st);
}
