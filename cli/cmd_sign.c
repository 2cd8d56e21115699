/* lethe sign: one more signature in an archive, or a detached one beside it for an auditor's own tools. */
#include "cli/cli.h"

#include "base/file.h"
#include "cli/key.h"
#include "reports/keys.h"
#include "reports/minisign.h"
#include "reports/pack.h"
#include "reports/sshsig.h"

static const struct usage USAGE = {
    .forms = "lethe sign A.lethe --key K [-o B.lethe] [--minisign] [--ssh]",
    .does = "Adds a signature over the statement, and so over everything, to the archive itself (or writes a "
            "new one with\n"
            "-o). --minisign and --ssh write A.lethe.minisig and A.lethe.sig over the file instead and leave "
            "it as it is.",
    .example = "lethe sign run.lethe --key validator.key",
};

#define ARCHIVE_BYTES_MAX ((size_t)4 << 30)

static int detached_write(const char *archive, const char *ending, bool ssh, const struct key_secret *key,
                          const struct common *c, struct status *st)
{
    int rc = 0;
    struct str file = { 0 }, signature = { 0 }, path = { 0 };
    TRY(file_read(archive, ARCHIVE_BYTES_MAX, &file, st));
    struct bytes bytes = { .data = str_text(&file), .size = file.size };
    if (ssh)
        TRY(sshsig_sign(key, bytes, &signature, st));
    else
        TRY(minisign_sign(key, path_name(archive), bytes, &signature, st));
    str_printf(&path, "%s%s", archive, ending);
    TRY(str_check(&path, st));
    TRY(file_write(str_text(&path), str_text(&signature), signature.size, 0644, st));
    cli_say(c, "%s", str_text(&path));
out:
    str_release(&file);
    str_release(&signature);
    str_release(&path);
    return rc;
}

int cmd_sign(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    bool minisign = false, ssh = false;
    const char *out_path = NULL, *key_path = NULL, *passphrase_file = NULL;
    struct opt_list words = { 0 };
    struct key_secret *key = NULL;
    const struct opt table[] = {
        { "key", OPT_TEXT, &key_path, "K", "secret key" },
        { "passphrase-file", OPT_TEXT, &passphrase_file, "F", "opens an encrypted key" },
        { "out", OPT_TEXT, &out_path, "B.lethe", "write a new archive and leave the old one (also -o)" },
        { "minisign", OPT_FLAG, &minisign, NULL, "detached signature for minisign -V" },
        { "ssh", OPT_FLAG, &ssh, NULL, "detached signature for ssh-keygen -Y verify" },
        { "quiet", OPT_FLAG, &common.quiet, NULL, "print nothing" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n != 1 || !key_path)
        FAIL(st, RC_ARG, "an archive and a key are wanted: lethe sign A.lethe --key K");
    if (out_path && (minisign || ssh))
        FAIL(st, RC_ARG, "--minisign and --ssh write beside the archive; -o does not go with them");
    TRY(cli_key_load(key_path, passphrase_file, &key, st));
    if (minisign)
        TRY(detached_write(words.v[0], ".minisig", false, key, &common, st));
    if (ssh)
        TRY(detached_write(words.v[0], ".sig", true, key, &common, st));
    if (!minisign && !ssh) {
        TRY(pack_sign(words.v[0], out_path ? out_path : words.v[0], key, st));
        cli_say(&common, "%s", out_path ? out_path : words.v[0]);
    }
out:
    key_secret_free(key);
    opts_release(table, &words);
    return rc;
}
