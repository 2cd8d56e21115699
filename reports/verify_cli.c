#include "reports/verify_cli.h"

#include "base/utf8.h"
#include "reports/fields.h"
#include "reports/verify.h"

#include <getopt.h>
#include <string.h>

static const char help_text[] =
    " A.lethe [--trust FILE | --key PUB...] [options]\n"
    "\n"
    "Checks an archive: container, digests, signatures, what its parts say of each other, and every number,\n"
    "recomputed from the rows. Opens no file that the archive names, runs nothing, needs no network.\n"
    "\n"
    "  --trust FILE        whom to believe: keys, roles, thresholds\n"
    "  --key PUB           short for one author's public key; may be given again\n"
    "  --tsa ROOTS.pem     check time stamps against these authorities\n"
    "  --model base=PATH   the base model at PATH is the one that was judged\n"
    "  --model tuned=PATH  likewise the tuned model or adapter\n"
    "  --probes DIR        the suite files in DIR are those that were planned\n"
    "  --require-open      stop when a line is withheld\n"
    "  --report            render the report again and compare\n"
    "  --json              one JSON document\n"
    "  --quiet             the last line only\n"
    "  --help              this text\n"
    "\n"
    "Exit: 0 verified and PASS; 1 something is false; 2 could not be checked; 3 verified and FAIL;\n"
    "4 all holds, but the signers are not the trusted ones; 5 verified, INCONCLUSIVE or INVALID.\n"
    "\n"
    "Example:\n  ";

enum { KEYS_MAX = 16 };
enum option_code { O_TRUST = 1, O_KEY, O_TSA, O_MODEL, O_PROBES, O_OPEN, O_REPORT, O_JSON, O_QUIET, O_HELP };

static const struct option long_options[] = {
    { "trust", required_argument, NULL, O_TRUST },
    { "key", required_argument, NULL, O_KEY },
    { "tsa", required_argument, NULL, O_TSA },
    { "model", required_argument, NULL, O_MODEL },
    { "probes", required_argument, NULL, O_PROBES },
    { "require-open", no_argument, NULL, O_OPEN },
    { "report", no_argument, NULL, O_REPORT },
    { "json", no_argument, NULL, O_JSON },
    { "quiet", no_argument, NULL, O_QUIET },
    { "help", no_argument, NULL, O_HELP },
    { NULL, 0, NULL, 0 },
};

struct asked {
    struct verify_options options;
    const char *keys[KEYS_MAX];
    const char *archive;
    bool json, quiet, help;
};

static int once(const char **to, const char *value, const char *name, struct status *st)
{
    if (*to)
        return status_fail(st, RC_ARG, "--%s stands there twice", name);
    *to = value;
    return 0;
}

static int model_take(struct verify_options *o, const char *value, struct status *st)
{
    if (strncmp(value, "base=", 5) == 0 && value[5])
        return once(&o->model_base, value + 5, "model base", st);
    if (strncmp(value, "tuned=", 6) == 0 && value[6])
        return once(&o->model_tuned, value + 6, "model tuned", st);
    return status_fail(st, RC_ARG, "--model %s: wanted base=PATH or tuned=PATH", value);
}

static int option_take(struct asked *a, int code, const char *word, struct status *st)
{
    struct verify_options *o = &a->options;
    switch (code) {
    case O_TRUST:
        return once(&o->trust, optarg, "trust", st);
    case O_KEY:
        if (o->keys_n == KEYS_MAX)
            return status_fail(st, RC_ARG, "over %d keys", KEYS_MAX);
        a->keys[o->keys_n++] = optarg;
        return 0;
    case O_TSA:
        return once(&o->tsa, optarg, "tsa", st);
    case O_MODEL:
        return model_take(o, optarg, st);
    case O_PROBES:
        return once(&o->probes, optarg, "probes", st);
    case O_OPEN:
        o->require_open = true;
        return 0;
    case O_REPORT:
        o->report = true;
        return 0;
    case O_JSON:
        a->json = true;
        return 0;
    case O_QUIET:
        a->quiet = true;
        return 0;
    case O_HELP:
        a->help = true;
        return 0;
    case ':':
        return status_fail(st, RC_ARG, "%s wants a value", word);
    default:
        return status_fail(st, RC_ARG, "unknown option %s", word);
    }
}

static int arguments_read(int argc, char **argv, struct asked *a, struct status *st)
{
    int rc = 0, code;
    optind = 0; /* this may be called more than once in a process */
    while ((code = getopt_long(argc, argv, ":", long_options, NULL)) != -1)
        TRY(option_take(a, code, argv[optind - 1], st));
    if (a->help)
        goto out;
    if (argc - optind != 1)
        FAIL(st, RC_ARG, "one archive is wanted, %d given", argc - optind);
    a->archive = argv[optind];
    if (a->options.trust && a->options.keys_n > 0)
        FAIL(st, RC_ARG, "--trust and --key exclude each other");
out:
    a->options.keys = a->keys;
    return rc;
}

int verify_cli(int argc, char **argv, struct str *out, struct str *err)
{
    struct asked a = { 0 };
    struct status st = { 0 };
    struct verify_result result = { 0 };
    const char *name = argc > 0 ? argv[0] : "lethe-verify";
    if (strchr(name, '/'))
        name = strrchr(name, '/') + 1;
    if (arguments_read(argc, argv, &a, &st) != 0) {
        str_printf(err, "%s: ", name);
        escape_terminal(st.msg, strlen(st.msg), 0, err);
        str_printf(err, " (%s --help)\n", name);
        return 2;
    }
    if (a.help) {
        str_printf(out, "usage: %s%s%s run.lethe --trust trust.json\n", name, help_text, name);
        return 0;
    }
    verify_archive(a.archive, &a.options, &result);
    int exit = result.exit;
    if (a.json && (!result.doc || field_canonical(result.doc, out, &st) != 0)) {
        str_printf(err, "%s: no memory for the result\n", name);
        exit = 2;
    } else if (a.json) {
        str_putc(out, '\n');
    } else {
        const struct str *text = a.quiet ? &result.last : &result.text;
        str_add(out, text->data, text->size);
    }
    verify_result_release(&result);
    return exit;
}
