/* lethe sample: a stratified sample of suites as a suite of its own, and the suites without it. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/suites.h"
#include "probes/sample.h"

#include <string.h>

static const struct usage USAGE = {
    .forms = "lethe sample SUITE... --items N --out F [--rest DIR] [--seed S] [--id ID]",
    .does = "Draws N items of all suites together, every suite and tag in its share and clusters whole, and "
            "writes them as\n"
            "the suite F: a monitor for training, of use 'report' in a plan. --rest DIR writes each suite "
            "without those items,\n"
            "for the gates: no item is in both. Choices and pairs can be mixed; other kinds stand alone. A "
            "file that is there\n"
            "is not written over.",
    .example = "lethe sample capitals.jsonl grammar.jsonl --items 300 --out monitor.jsonl --rest gates",
};

struct sample_run {
    struct common common;
    const char *out, *rest, *id;
    uint32_t items;
    uint64_t seed;
    struct suites suites;
    const struct probe_set **sets; /* [suites.n] */
    struct sample sample;
    struct str *texts; /* [suites.n] suites without the sample */
    struct str *paths; /* [suites.n] their files */
};

static int rest_make(struct sample_run *r, struct status *st)
{
    int rc = 0;
    r->texts = mem_calloc(r->suites.n, sizeof *r->texts);
    r->paths = mem_calloc(r->suites.n, sizeof *r->paths);
    if (!r->texts || !r->paths)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", r->suites.n);
    for (size_t k = 0; r->rest && k < r->suites.n; k++) {
        str_printf(&r->paths[k], "%s/%s.jsonl", r->rest, r->sets[k]->id);
        TRY(str_check(&r->paths[k], st));
        if (path_exists(r->paths[k].data))
            FAIL(st, RC_ARG, "%s is there already; --rest wants another folder", r->paths[k].data);
        TRY(sample_rest_write(&r->sample, r->sets, k, r->id, &r->texts[k], st));
    }
out:
    return rc;
}

/* The monitor comes last, so that where it stands the rest stands too. */
static int files_write(struct sample_run *r, const struct str *monitor, struct status *st)
{
    int rc = 0;
    if (r->rest)
        TRY(dir_make(r->rest, st));
    for (size_t k = 0; r->rest && k < r->suites.n; k++)
        TRY(file_create(r->paths[k].data, r->texts[k].data, r->texts[k].size, 0644, st));
    TRY(file_create(r->out, monitor->data, monitor->size, 0644, st));
out:
    return rc;
}

static int result_print(const struct sample_run *r, struct status *st)
{
    int rc = 0;
    struct str text = { 0 }, line = { 0 };
    struct json *root = json_object(), *list = json_array();
    size_t all = 0;
    for (size_t k = 0; k < r->suites.n; k++) {
        size_t taken = 0;
        struct json *entry = json_object();
        for (size_t i = 0; i < r->sets[k]->n; i++)
            taken += r->sample.taken[k][i];
        json_put_text(entry, "suite", r->sets[k]->id);
        json_put_int(entry, "taken", (int64_t)taken);
        json_put_int(entry, "left", (int64_t)(r->sets[k]->n - taken));
        json_push(list, entry);
        str_printf(&text, "%-40s %6zu taken %6zu left\n", r->sets[k]->id, taken, r->sets[k]->n - taken);
        all += r->sets[k]->n;
    }
    str_printf(&text, "%s: %zu of %zu items, %zu strata\n", r->out, r->sample.n, all, r->sample.strata);
    json_put_int(root, "lethe_sample", 1);
    json_put_int(root, "items", (int64_t)r->sample.n);
    json_put_int(root, "strata", (int64_t)r->sample.strata);
    json_put(root, "suites", list);
    TRY(json_check(root, st));
    TRY(json_write_canonical(root, &line, st));
    str_putc(&line, '\n');
    TRY(cli_print(r->common.json ? &line : &text, st));
out:
    json_free(root);
    str_release(&text);
    str_release(&line);
    return rc;
}

static int sample_run(struct sample_run *r, const struct opt_list *words, struct status *st)
{
    int rc = 0;
    struct str monitor = { 0 };
    TRY(suites_load(words->v, words->n, &r->suites, st));
    r->sets = mem_calloc(r->suites.n, sizeof *r->sets);
    if (!r->sets)
        FAIL(st, RC_NOMEM, "no memory for %zu suites", r->suites.n);
    for (size_t k = 0; k < r->suites.n; k++) {
        r->sets[k] = &r->suites.sets[k];
        if (strcmp(r->sets[k]->id, r->id) == 0)
            FAIL(st, RC_ARG, "a suite has the id '%s' already; --id names the sample", r->id);
    }
    if (path_exists(r->out))
        FAIL(st, RC_ARG, "%s is there already; --out wants a new file", r->out);
    TRY(sample_draw(r->sets, r->suites.n, r->items, r->seed, &r->sample, st));
    TRY(sample_write(&r->sample, r->sets, r->id, r->seed, &monitor, st));
    TRY(rest_make(r, st));
    TRY(files_write(r, &monitor, st));
    TRY(result_print(r, st));
out:
    str_release(&monitor);
    return rc;
}

static void sample_run_release(struct sample_run *r)
{
    for (size_t k = 0; k < r->suites.n; k++) {
        if (r->texts)
            str_release(&r->texts[k]);
        if (r->paths)
            str_release(&r->paths[k]);
    }
    mem_free(r->texts);
    mem_free(r->paths);
    mem_free(r->sets);
    sample_release(&r->sample);
    suites_release(&r->suites);
}

int cmd_sample(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct sample_run r = { .id = "monitor", .seed = 1 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "items", OPT_COUNT, &r.items, "N", "items of the sample" },
        { "out", OPT_TEXT, &r.out, "F", "the sample, a suite (also -o)" },
        { "rest", OPT_TEXT, &r.rest, "DIR", "write the suites without the sample here" },
        { "seed", OPT_SEED, &r.seed, "S", "another seed, another sample (1)" },
        { "id", OPT_TEXT, &r.id, "ID", "id of the sample (monitor)" },
        { "json", OPT_FLAG, &r.common.json, NULL, "one JSON document on stdout" },
        { "help", OPT_FLAG, &r.common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&r.common, &USAGE, table))
        goto out;
    if (words.n == 0 || r.items == 0 || !r.out)
        FAIL(st, RC_ARG,
             "suites, a number of items and a file are wanted: lethe sample SUITE... --items N --out F");
    if (!probe_suite_id_valid(r.id))
        FAIL(st, RC_ARG, "--id '%.60s' is no id of a suite: 1 to 40 of a-z 0-9 _ -", r.id);
    TRY(sample_run(&r, &words, st));
out:
    sample_run_release(&r);
    opts_release(table, &words);
    return rc;
}
