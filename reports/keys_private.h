/* Private to keys.c, keys_form.c, minisign.c and sshsig.c. */
#ifndef LETHE_REPORTS_KEYS_PRIVATE_H
#define LETHE_REPORTS_KEYS_PRIVATE_H

#include "reports/keys.h"

#include <openssl/evp.h>

enum {
    KEY_ED25519_BYTES = 32,
    KEY_P256_BYTES = 65,
    KEY_ED25519_SIGNATURE_BYTES = 64,
    KEY_SPKI_BYTES_MAX = 91,
    KEY_MINISIGN_BYTES = 42, /* "Ed", 8 bytes of id, key */
};

/* From DER SubjectPublicKeyInfo. RC_UNSUPPORTED: another algorithm. RC_FORMAT: not a point of the curve. */
MUST_USE int key_public_of_spki(struct bytes der, struct key_public **out, struct status *st);
MUST_USE int key_public_of_point(enum key_kind kind, struct bytes point, struct key_public **out,
                                 struct status *st);
void key_public_set_minisign_id(struct key_public *k, const uint8_t id[8]);
struct bytes key_public_spki(const struct key_public *k);

/* Takes a reference of its own. */
MUST_USE int key_secret_of_evp(EVP_PKEY *evp, struct key_secret **out, struct status *st);
EVP_PKEY *key_secret_evp(const struct key_secret *k);

/* "D7A529D190F6EEF3": the id of minisign as it is shown, a little-endian number. */
void key_write_minisign_id(const uint8_t id[8], struct str *out);

/* ---- the wire form of OpenSSH: a string is a big-endian u32 length and bytes ---- */
void ssh_put_u32(struct str *out, uint32_t n);
void ssh_put(struct str *out, struct bytes field);
void ssh_put_text(struct str *out, const char *text);
/* Takes the next string off the front of *rest. false: it does not fit. */
bool ssh_next(struct bytes *rest, struct bytes *field);
bool bytes_equal_text(struct bytes b, const char *text);
/* "ssh-ed25519" or "ecdsa-sha2-nistp256" */
const char *ssh_type(enum key_kind kind);

#endif
