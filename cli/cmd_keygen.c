/* lethe keygen: a pair of signing keys, in every public form that an auditor's own tools read. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/file.h"
#include "cli/key.h"
#include "reports/keys.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage USAGE = {
    .forms = "lethe keygen NAME [--p256] [--encrypt | --passphrase-file F]",
    .does = "Writes NAME.key (secret, mode 0600, never over an existing file) and the public key as NAME.pub "
            "(PEM),\n"
            "NAME.ssh.pub (OpenSSH) and, for Ed25519, NAME.minisign.pub.",
    .example = "lethe keygen author",
};

static int public_write(const struct key_public *key, const char *name, const char *ending,
                        enum key_form form, struct str *listed, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, text = { 0 };
    str_printf(&path, "%s%s", name, ending);
    TRY(str_check(&path, st));
    TRY(key_write_public(key, form, path_name(name), &text, st));
    TRY(file_create(str_text(&path), str_text(&text), text.size, 0644, st));
    str_printf(listed, "%s\n", str_text(&path));
out:
    str_release(&path);
    str_release(&text);
    return rc;
}

/* None of the four may be there: a key is never written over, and a half-written pair helps nobody. */
static int names_free(const char *name, struct status *st)
{
    static const char *const ENDINGS[] = { ".key", ".pub", ".minisign.pub", ".ssh.pub" };
    int rc = 0;
    struct str path = { 0 };
    for (size_t i = 0; !rc && i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        str_clear(&path);
        str_printf(&path, "%s%s", name, ENDINGS[i]);
        rc = str_check(&path, st);
        if (!rc && path_exists(str_text(&path)))
            rc = status_fail(st, RC_IO, "%s is there already; keys are never written over", str_text(&path));
    }
    str_release(&path);
    return rc;
}

static int pair_write(const char *name, enum key_kind kind, const char *passphrase, struct str *listed,
                      struct status *st)
{
    int rc = 0;
    struct key_secret *key = NULL;
    struct str path = { 0 };
    TRY(names_free(name, st));
    TRY(key_generate(kind, &key, st));
    str_printf(&path, "%s.key", name);
    TRY(str_check(&path, st));
    TRY(key_write_secret(key, str_text(&path), passphrase, st));
    str_printf(listed, "%s\n", str_text(&path));
    const struct key_public *pub = key_secret_public(key);
    TRY(public_write(pub, name, ".pub", KEY_FORM_PEM, listed, st));
    TRY(public_write(pub, name, ".ssh.pub", KEY_FORM_OPENSSH, listed, st));
    if (kind == KEY_ED25519)
        TRY(public_write(pub, name, ".minisign.pub", KEY_FORM_MINISIGN, listed, st));
    struct hash id = key_id(pub);
    str_printf(listed, "keyid %s\n", hash_hex(&id).s);
out:
    if (rc && path.size && rc != RC_IO)
        unlink(str_text(&path));
    key_secret_free(key);
    str_release(&path);
    return rc;
}

int cmd_keygen(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    bool p256 = false, encrypt = false;
    const char *passphrase_file = NULL;
    struct opt_list words = { 0 };
    struct str passphrase = { 0 }, listed = { 0 };
    const struct opt table[] = {
        { "p256", OPT_FLAG, &p256, NULL, "ECDSA P-256 instead of Ed25519" },
        { "encrypt", OPT_FLAG, &encrypt, NULL, "ask for a passphrase and encrypt the secret key" },
        { "passphrase-file", OPT_TEXT, &passphrase_file, "F", "encrypt with the first line of F" },
        { "quiet", OPT_FLAG, &common.quiet, NULL, "print nothing" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n != 1)
        FAIL(st, RC_ARG, "one NAME is wanted: lethe keygen NAME");
    if (passphrase_file)
        TRY(cli_passphrase_read(passphrase_file, &passphrase, st));
    else if (encrypt)
        TRY(cli_passphrase("passphrase for the new key: ", true, &passphrase, st));
    TRY(pair_write(words.v[0], p256 ? KEY_P256 : KEY_ED25519, passphrase.size ? str_text(&passphrase) : NULL,
                   &listed, st));
    if (!common.quiet)
        TRY(cli_print(&listed, st));
out:
    if (passphrase.data)
        explicit_bzero(passphrase.data, passphrase.size);
    str_release(&passphrase);
    str_release(&listed);
    opts_release(table, &words);
    return rc;
}
