/* Keys and plain signatures. A public key is reduced to its SubjectPublicKeyInfo first, whatever form it came
 * in, and there are only two shapes of that: a fixed prefix and the point. So equal keys have equal bytes,
 * and OpenSSL sees only what it would have written itself. Forms of files are keys_form.c's.
 */
#include "reports/keys_private.h"

#include "base/alloc.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string.h>

struct key_public {
    enum key_kind kind;
    EVP_PKEY *evp;
    uint8_t spki[KEY_SPKI_BYTES_MAX];
    size_t spki_size;
    struct hash id;
    uint8_t minisign_id[8];
};

struct key_secret {
    EVP_PKEY *evp;
    struct key_public *public;
};

/* What precedes the point in DER: SEQUENCE { SEQUENCE { algorithm, curve }, BIT STRING }. */
static const uint8_t ed25519_prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                          0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                       0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                       0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

static const struct shape {
    const uint8_t *prefix;
    size_t prefix_size, point_size;
    const char *name;
} shapes[] = {
    [KEY_ED25519] = { ed25519_prefix, sizeof ed25519_prefix, KEY_ED25519_BYTES, "Ed25519" },
    [KEY_P256] = { p256_prefix, sizeof p256_prefix, KEY_P256_BYTES, "P-256" },
};

const char *key_kind_name(enum key_kind kind)
{
    return shapes[kind].name;
}

/* ---- public keys ---- */

int key_public_of_spki(struct bytes der, struct key_public **out, struct status *st)
{
    int rc = 0;
    struct key_public *k = NULL;
    enum key_kind kind = KEY_ED25519;
    const uint8_t *data = der.data;
    for (; kind <= KEY_P256; kind++)
        if (der.size == shapes[kind].prefix_size + shapes[kind].point_size &&
            memcmp(data, shapes[kind].prefix, shapes[kind].prefix_size) == 0)
            break;
    if (kind > KEY_P256)
        FAIL(st, RC_UNSUPPORTED, "a public key that is neither Ed25519 nor an uncompressed point of P-256");
    k = mem_calloc(1, sizeof *k);
    if (!k)
        FAIL(st, RC_NOMEM, "no memory for a key");
    k->kind = kind;
    k->spki_size = der.size;
    memcpy(k->spki, data, der.size);
    k->evp = d2i_PUBKEY(NULL, &data, (long)der.size);
    if (!k->evp)
        FAIL(st, RC_FORMAT, "a public key that is no point of %s", shapes[kind].name);
    k->id = sha256_of(k->spki, k->spki_size);
    memcpy(k->minisign_id, k->id.b, sizeof k->minisign_id);
    *out = k;
    k = NULL;
out:
    ERR_clear_error();
    key_public_free(k);
    return rc;
}

int key_public_of_point(enum key_kind kind, struct bytes point, struct key_public **out, struct status *st)
{
    uint8_t der[KEY_SPKI_BYTES_MAX];
    const struct shape *shape = &shapes[kind];
    if (point.size != shape->point_size)
        return status_fail(st, RC_FORMAT, "a %s key of %zu bytes, not %zu", shape->name, point.size,
                           shape->point_size);
    memcpy(der, shape->prefix, shape->prefix_size);
    memcpy(der + shape->prefix_size, point.data, point.size);
    return key_public_of_spki((struct bytes){ der, shape->prefix_size + point.size }, out, st);
}

void key_public_set_minisign_id(struct key_public *k, const uint8_t id[8])
{
    memcpy(k->minisign_id, id, sizeof k->minisign_id);
}

int key_copy_public(const struct key_public *k, struct key_public **out, struct status *st)
{
    int rc = key_public_of_spki(key_public_spki(k), out, st);
    if (rc == 0)
        key_public_set_minisign_id(*out, k->minisign_id);
    return rc;
}

void key_public_free(struct key_public *k)
{
    if (k)
        EVP_PKEY_free(k->evp);
    mem_free(k);
}

enum key_kind key_public_kind(const struct key_public *k)
{
    return k->kind;
}

struct hash key_id(const struct key_public *k)
{
    return k->id;
}

bool key_public_equal(const struct key_public *a, const struct key_public *b)
{
    return a->spki_size == b->spki_size && memcmp(a->spki, b->spki, a->spki_size) == 0;
}

struct bytes key_public_spki(const struct key_public *k)
{
    return (struct bytes){ k->spki, k->spki_size };
}

struct bytes key_public_point(const struct key_public *k)
{
    const struct shape *shape = &shapes[k->kind];
    return (struct bytes){ k->spki + shape->prefix_size, shape->point_size };
}

struct bytes key_minisign_id(const struct key_public *k)
{
    return (struct bytes){ k->minisign_id, sizeof k->minisign_id };
}

/* ---- secret keys ---- */

int key_secret_of_evp(EVP_PKEY *evp, struct key_secret **out, struct status *st)
{
    int rc = 0;
    uint8_t *der = NULL;
    struct key_secret *k = mem_calloc(1, sizeof *k);
    if (!k)
        FAIL(st, RC_NOMEM, "no memory for a key");
    int size = i2d_PUBKEY(evp, &der);
    if (size <= 0)
        FAIL(st, RC_FORMAT, "a secret key without a public one");
    TRY(key_public_of_spki((struct bytes){ der, (size_t)size }, &k->public, st));
    if (EVP_PKEY_up_ref(evp) != 1)
        FAIL(st, RC_NOMEM, "no memory for a key");
    k->evp = evp;
    *out = k;
    k = NULL;
out:
    ERR_clear_error();
    OPENSSL_free(der);
    key_secret_free(k);
    return rc;
}

int key_generate(enum key_kind kind, struct key_secret **out, struct status *st)
{
    int rc = 0;
    EVP_PKEY *evp = kind == KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
    if (!evp)
        FAIL(st, RC_NOMEM, "OpenSSL makes no %s key", key_kind_name(kind));
    TRY(key_secret_of_evp(evp, out, st));
out:
    ERR_clear_error();
    EVP_PKEY_free(evp);
    return rc;
}

void key_secret_free(struct key_secret *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->evp);
    key_public_free(k->public);
    mem_free(k);
}

enum key_kind key_secret_kind(const struct key_secret *k)
{
    return k->public->kind;
}

const struct key_public *key_secret_public(const struct key_secret *k)
{
    return k->public;
}

EVP_PKEY *key_secret_evp(const struct key_secret *k)
{
    return k->evp;
}

/* ---- signatures ---- */

static const EVP_MD *digest_of(enum key_kind kind)
{
    return kind == KEY_P256 ? EVP_sha256() : NULL; /* Ed25519 hashes by itself */
}

int key_sign(const struct key_secret *k, struct bytes message, struct str *out, struct status *st)
{
    int rc = 0;
    uint8_t sig[KEY_SIGNATURE_BYTES_MAX];
    size_t size = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, digest_of(key_secret_kind(k)), NULL, k->evp) != 1)
        FAIL(st, RC_NOMEM, "no memory to sign");
    if (EVP_DigestSign(ctx, sig, &size, message.data, message.size) != 1)
        FAIL(st, RC_UNSUPPORTED, "OpenSSL does not sign with this key");
    str_add(out, sig, size);
    TRY(str_check(out, st));
out:
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    return rc;
}

/* Whether DER holds one ECDSA signature in its one shortest form: lax parsers would accept a second text for
 * the same numbers. */
static bool der_is_strict(struct bytes der)
{
    const uint8_t *p = der.data;
    uint8_t again[KEY_SIGNATURE_BYTES_MAX + 8], *q = again;
    if (der.size == 0 || der.size > KEY_SIGNATURE_BYTES_MAX)
        return false;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.size);
    if (!sig)
        return false;
    int size = i2d_ECDSA_SIG(sig, NULL);
    bool same = size > 0 && (size_t)size == der.size && i2d_ECDSA_SIG(sig, &q) == size &&
                memcmp(again, der.data, der.size) == 0;
    ECDSA_SIG_free(sig);
    return same;
}

int key_verify(const struct key_public *k, struct bytes message, struct bytes signature, bool *good,
               struct status *st)
{
    int rc = 0;
    EVP_MD_CTX *ctx = NULL;
    *good = false;
    if (k->kind == KEY_ED25519 ? signature.size != KEY_ED25519_SIGNATURE_BYTES : !der_is_strict(signature))
        goto out;
    ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestVerifyInit(ctx, NULL, digest_of(k->kind), NULL, k->evp) != 1)
        FAIL(st, RC_NOMEM, "no memory to verify a signature");
    *good = EVP_DigestVerify(ctx, signature.data, signature.size, message.data, message.size) == 1;
out:
    ERR_clear_error();
    EVP_MD_CTX_free(ctx);
    return rc;
}
