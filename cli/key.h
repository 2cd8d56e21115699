/* Keys as commands are given them. */
#ifndef LETHE_CLI_KEY_H
#define LETHE_CLI_KEY_H

#include "base/status.h"
#include "base/str.h"

struct key_secret;

/* Loads a secret key; an encrypted one is opened with the first line of `passphrase_file`, or, when that is
 * NULL, with what is typed at the terminal. */
MUST_USE int cli_key_load(const char *path, const char *passphrase_file, struct key_secret **out,
                          struct status *st);
/* First line of a file, without its LF. */
MUST_USE int cli_passphrase_read(const char *path, struct str *out, struct status *st);

#endif
