/* Detached signatures of OpenSSH (SSHSIG), so that `ssh-keygen -Y verify` checks an archive
 * (docs/formats/archive.md, detached signatures).
 */
#ifndef LETHE_REPORTS_SSHSIG_H
#define LETHE_REPORTS_SSHSIG_H

#include "reports/keys.h"

#define SSHSIG_NAMESPACE "lethe-archive"
enum { SSHSIG_FILE_BYTES_MAX = 4096 };

/* The armoured text of NAME.lethe.sig, appended; hash sha512. */
MUST_USE int sshsig_sign(const struct key_secret *k, struct bytes file, struct str *out, struct status *st);
/* Reads hash sha512 and sha256. RC_FORMAT: not an SSHSIG, or of another namespace. RC_VERIFY: by another key,
 * or false. */
MUST_USE int sshsig_verify(const struct key_public *k, struct bytes file, struct bytes signature,
                           struct status *st);

#endif
