/* lethe pack: a finished run becomes an archive. */
#include "cli/cli.h"

#include "cli/key.h"
#include "reports/keys.h"
#include "reports/pack.h"

static const struct usage USAGE = {
    .forms = "lethe pack RUN -o A.lethe [--key K] [--condition TEXT...] [--independent]",
    .does = "Computes metrics, verdict and reports of a finished run and writes them with all evidence into "
            "one archive,\n"
            "signed when a key is given. The same run gives the same archive again. Exit code as the verdict "
            "says.",
    .example = "lethe pack run -o run.lethe --key author.key",
};

int cmd_pack(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    bool independent = false;
    const char *out_path = NULL, *key_path = NULL, *passphrase_file = NULL;
    struct opt_list words = { 0 }, conditions = { 0 };
    struct key_secret *key = NULL;
    struct str line = { 0 };
    const struct opt table[] = {
        { "out", OPT_TEXT, &out_path, "A.lethe", "the archive (also -o)" },
        { "key", OPT_TEXT, &key_path, "K", "secret key of the author" },
        { "passphrase-file", OPT_TEXT, &passphrase_file, "F", "opens an encrypted key" },
        { "condition", OPT_LIST, &conditions, "TEXT...", "condition of use, stated in the verdict" },
        { "independent", OPT_FLAG, &independent, NULL, "who runs this is not who trained the model" },
        { "quiet", OPT_FLAG, &common.quiet, NULL, "print nothing" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n != 1 || !out_path)
        FAIL(st, RC_ARG, "a run folder and an archive are wanted: lethe pack RUN -o A.lethe");
    if (key_path)
        TRY(cli_key_load(key_path, passphrase_file, &key, st));
    const struct key_secret *keys[] = { key };
    struct pack_options options = {
        .conditions = conditions.v,
        .conditions_n = conditions.n,
        .keys = keys,
        .keys_n = key ? 1 : 0,
        .independent = independent,
    };
    struct pack_result result;
    TRY(pack_run(words.v[0], out_path, &options, &result, st));
    if (!common.quiet) {
        str_printf(&line, "%s: %s, manifest %s\n", out_path, result.outcome, hash_hex(&result.manifest).s);
        TRY(cli_print(&line, st));
    }
    rc = result.exit;
out:
    key_secret_free(key);
    str_release(&line);
    opts_release(table, &words);
    return rc;
}
