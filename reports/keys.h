/* Signing keys: Ed25519 and ECDSA P-256 with SHA-256, through OpenSSL's EVP (docs/formats/archive.md).
 *
 * A secret key is a PEM PKCS#8 file of mode 0600, plain or under a passphrase. A public key is read and
 * written as PEM, as a minisign public key and as an OpenSSH line. Its keyid is the SHA-256 of its DER
 * SubjectPublicKeyInfo, whatever form it came in.
 */
#ifndef LETHE_REPORTS_KEYS_H
#define LETHE_REPORTS_KEYS_H

#include "base/hash.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_FILE_BYTES_MAX = 1 << 16, KEY_SIGNATURE_BYTES_MAX = 72, KEY_PASSPHRASE_BYTES_MAX = 1024 };

enum key_kind { KEY_ED25519, KEY_P256 };
const char *key_kind_name(enum key_kind kind); /* "Ed25519", "P-256" */

struct key_secret;
struct key_public;

/* Bytes that somebody else owns. */
struct bytes {
    const void *data;
    size_t size;
};

/* ---- secret keys ---- */
MUST_USE int key_generate(enum key_kind kind, struct key_secret **out, struct status *st);
void key_secret_free(struct key_secret *k); /* NULL is fine */
enum key_kind key_secret_kind(const struct key_secret *k);
const struct key_public *key_secret_public(const struct key_secret *k); /* lent */

/* Asked for the passphrase of an encrypted key, once. Appends it to out, which is wiped after use. */
struct key_passphrase {
    void *self;
    int (*ask)(void *self, struct str *out, struct status *st);
};

/* PKCS#8 PEM into a new file of mode 0600; RC_IO when it is there. passphrase NULL: not encrypted. Encrypted
 * is PBES2 with scrypt (N 16384, r 8, p 1) and AES-256-CBC. RC_ARG: the passphrase is empty or over the
 * limit. */
MUST_USE int key_write_secret(const struct key_secret *k, const char *path, const char *passphrase,
                              struct status *st);
/* Any PKCS#8 PEM that OpenSSL decrypts. ask NULL: an encrypted key is RC_ARG. RC_UNSUPPORTED names what else
 * the file is: SEC1, PKCS#1, OpenSSH, minisign, a public key, another algorithm. Wrong passphrase: RC_ARG. */
MUST_USE int key_load_secret(const char *path, const struct key_passphrase *ask, struct key_secret **out,
                             struct status *st);
MUST_USE int key_parse_secret(struct bytes file, const struct key_passphrase *ask, struct key_secret **out,
                              struct status *st);

/* ---- public keys ---- */
enum key_form {
    KEY_FORM_PEM,      /* SubjectPublicKeyInfo */
    KEY_FORM_MINISIGN, /* comment line and 56 base64 characters; Ed25519 only, else RC_UNSUPPORTED */
    KEY_FORM_OPENSSH,  /* "ssh-ed25519 AAAA… comment" */
};
/* The whole file with its last LF. comment is for OpenSSH only and may be NULL. */
MUST_USE int key_write_public(const struct key_public *k, enum key_form form, const char *comment,
                              struct str *out, struct status *st);
/* The three forms, told apart by their first bytes. */
MUST_USE int key_load_public(const char *path, struct key_public **out, struct status *st);
MUST_USE int key_parse_public(struct bytes file, struct key_public **out, struct status *st);
MUST_USE int key_copy_public(const struct key_public *k, struct key_public **out, struct status *st);
void key_public_free(struct key_public *k); /* NULL is fine */

enum key_kind key_public_kind(const struct key_public *k);
struct hash key_id(const struct key_public *k); /* hash_hex gives the text */
bool key_public_equal(const struct key_public *a, const struct key_public *b);
/* Ed25519: 32 bytes. P-256: 65 bytes, 04 X Y. */
struct bytes key_public_point(const struct key_public *k);
/* The 8 bytes that minisign knows the key by: those of the minisign file it was read from, else the first 8
 * of the keyid. */
struct bytes key_minisign_id(const struct key_public *k);
/* The wire form of OpenSSH ("string type, string …"), appended. */
MUST_USE int key_write_ssh_blob(const struct key_public *k, struct str *out, struct status *st);

/* ---- signatures over bytes ---- */
/* Appends the signature: Ed25519 64 raw bytes, P-256 DER SEQUENCE { r, s } over SHA-256. */
MUST_USE int key_sign(const struct key_secret *k, struct bytes message, struct str *out, struct status *st);
/* *good says whether it holds; anything but the one right encoding does not. Nonzero: could not be
 * checked. */
MUST_USE int key_verify(const struct key_public *k, struct bytes message, struct bytes signature, bool *good,
                        struct status *st);

#endif
