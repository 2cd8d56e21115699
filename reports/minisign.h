/* Detached signatures of minisign's prehashed form, so that `minisign -V` checks an archive
 * (docs/formats/archive.md, detached signatures).
 */
#ifndef LETHE_REPORTS_MINISIGN_H
#define LETHE_REPORTS_MINISIGN_H

#include "reports/keys.h"

enum { MINISIGN_COMMENT_BYTES_MAX = 8192, MINISIGN_FILE_BYTES_MAX = 16384 };

/* The four lines of NAME.lethe.minisig, appended. name stands in the trusted comment: printable ASCII or
 * UTF-8 without control characters. RC_UNSUPPORTED: the key is not Ed25519. */
MUST_USE int minisign_sign(const struct key_secret *k, const char *name, struct bytes file, struct str *out,
                           struct status *st);
/* RC_FORMAT: not a minisign signature, or not prehashed. RC_VERIFY: by another key, or false. trusted_comment
 * gets the text that the signature covers; may be NULL. */
MUST_USE int minisign_verify(const struct key_public *k, struct bytes file, struct bytes signature,
                             struct str *trusted_comment, struct status *st);

#endif
