#include "reports/sshsig.h"
#include "reports/keys_private.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <string.h>

static const char magic[] = "SSHSIG";
static const char begin[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char end[] = "-----END SSH SIGNATURE-----\n";

enum { LINE = 70, P256_NUMBER_BYTES = 32 };

/* What is signed: the file only through its hash. */
static int signed_bytes(struct bytes file, const char *hash, struct str *out, struct status *st)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const EVP_MD *md = strcmp(hash, "sha256") == 0 ? EVP_sha256() : EVP_sha512();
    if (EVP_Digest(file.data, file.size, digest, &size, md, NULL) != 1)
        return status_fail(st, RC_NOMEM, "no memory for a digest");
    str_puts(out, magic);
    ssh_put_text(out, SSHSIG_NAMESPACE);
    ssh_put_text(out, "");
    ssh_put_text(out, hash);
    ssh_put(out, (struct bytes){ digest, size });
    return str_check(out, st);
}

/* ---- ECDSA: OpenSSH has two mpints where DSSE has DER ---- */

/* A positive big-endian number, with a zero byte in front when its first bit is set. */
static void put_mpint(struct str *out, const BIGNUM *x)
{
    uint8_t raw[1 + P256_NUMBER_BYTES] = { 0 };
    size_t size = (size_t)BN_num_bytes(x);
    if (size > P256_NUMBER_BYTES) {
        out->failed = true;
        return;
    }
    BN_bn2bin(x, raw + 1);
    bool high = size > 0 && (raw[1] & 0x80);
    ssh_put(out, (struct bytes){ high ? raw : raw + 1, size + high });
}

static int mpints_of_der(const struct str *der, struct str *out, struct status *st)
{
    const uint8_t *p = (const uint8_t *)der->data;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der->size);
    if (!sig)
        return status_fail(st, RC_NOMEM, "no memory for a signature");
    put_mpint(out, ECDSA_SIG_get0_r(sig));
    put_mpint(out, ECDSA_SIG_get0_s(sig));
    ECDSA_SIG_free(sig);
    return str_check(out, st);
}

static bool next_mpint(struct bytes *rest, struct bytes *out)
{
    if (!ssh_next(rest, out) || out->size == 0 || out->size > P256_NUMBER_BYTES + 1)
        return false;
    const uint8_t *b = out->data;
    if (b[0] & 0x80) /* negative */
        return false;
    return b[0] != 0 || (out->size > 1 && (b[1] & 0x80)); /* shortest form, and not zero */
}

static int der_of_mpints(struct bytes blob, struct str *out, struct status *st)
{
    int rc = 0;
    struct bytes r, s;
    uint8_t *der = NULL;
    ECDSA_SIG *sig = NULL;
    BIGNUM *rn = NULL, *sn = NULL;
    if (!next_mpint(&blob, &r) || !next_mpint(&blob, &s) || blob.size != 0)
        FAIL(st, RC_FORMAT, "an SSHSIG whose numbers are broken");
    sig = ECDSA_SIG_new();
    rn = BN_bin2bn(r.data, (int)r.size, NULL);
    sn = BN_bin2bn(s.data, (int)s.size, NULL);
    if (!sig || !rn || !sn || ECDSA_SIG_set0(sig, rn, sn) != 1)
        FAIL(st, RC_NOMEM, "no memory for a signature");
    rn = sn = NULL; /* sig has them */
    int size = i2d_ECDSA_SIG(sig, &der);
    if (size <= 0)
        FAIL(st, RC_NOMEM, "no memory for a signature");
    str_add(out, der, (size_t)size);
    TRY(str_check(out, st));
out:
    OPENSSL_free(der);
    BN_free(rn);
    BN_free(sn);
    ECDSA_SIG_free(sig);
    return rc;
}

/* ---- writing ---- */

static void put_armour(const struct str *blob, struct str *out)
{
    struct str text = { 0 };
    str_base64(&text, (const uint8_t *)blob->data, blob->size);
    str_puts(out, begin);
    for (size_t i = 0; i < text.size; i += LINE)
        str_printf(out, "%.*s\n", LINE, text.data + i);
    str_puts(out, end);
    out->failed |= text.failed;
    str_release(&text);
}

int sshsig_sign(const struct key_secret *k, struct bytes file, struct str *out, struct status *st)
{
    int rc = 0;
    enum key_kind kind = key_secret_kind(k);
    struct str message = { 0 }, raw = { 0 }, value = { 0 }, key = { 0 }, sig = { 0 }, blob = { 0 };
    TRY(signed_bytes(file, "sha512", &message, st));
    TRY(key_sign(k, (struct bytes){ message.data, message.size }, &raw, st));
    if (kind == KEY_P256)
        TRY(mpints_of_der(&raw, &value, st));
    else
        str_add(&value, raw.data, raw.size);
    TRY(str_check(&value, st));
    ssh_put_text(&sig, ssh_type(kind));
    ssh_put(&sig, (struct bytes){ value.data, value.size });
    TRY(str_check(&sig, st));
    TRY(key_write_ssh_blob(key_secret_public(k), &key, st));
    str_puts(&blob, magic);
    ssh_put_u32(&blob, 1);
    ssh_put(&blob, (struct bytes){ key.data, key.size });
    ssh_put_text(&blob, SSHSIG_NAMESPACE);
    ssh_put_text(&blob, "");
    ssh_put_text(&blob, "sha512");
    ssh_put(&blob, (struct bytes){ sig.data, sig.size });
    TRY(str_check(&blob, st));
    put_armour(&blob, out);
    TRY(str_check(out, st));
out:
    str_release(&message);
    str_release(&raw);
    str_release(&value);
    str_release(&key);
    str_release(&sig);
    str_release(&blob);
    return rc;
}

/* ---- reading ---- */

static int read_armour(struct bytes text, struct str *blob, struct status *st)
{
    int rc = 0;
    struct str all = { 0 };
    const char *p = text.data, *stop = p + text.size;
    if (text.size > SSHSIG_FILE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "an SSHSIG over %d bytes", SSHSIG_FILE_BYTES_MAX);
    if (text.size < sizeof begin + sizeof end - 2 || memcmp(p, begin, sizeof begin - 1) != 0)
        FAIL(st, RC_FORMAT, "not an SSHSIG: no line BEGIN SSH SIGNATURE");
    p += sizeof begin - 1;
    stop -= sizeof end - 1;
    if (memcmp(stop, end, sizeof end - 1) != 0 || stop[-1] != '\n')
        FAIL(st, RC_FORMAT, "not an SSHSIG: no line END SSH SIGNATURE at its end");
    for (; p < stop; p++)
        if (*p != '\n')
            str_putc(&all, *p);
    TRY(str_check(&all, st));
    TRY(base64_read(str_text(&all), all.size, blob, st));
out:
    str_release(&all);
    return rc;
}

struct parts {
    struct bytes key, hash, type, value;
};

static int parse(const struct str *blob, struct parts *out, struct status *st)
{
    struct bytes rest = { str_text(blob), blob->size }, space, reserved, sig;
    size_t head = sizeof magic - 1 + 4;
    if (rest.size < head || memcmp(rest.data, "SSHSIG\0\0\0\1", head) != 0)
        return status_fail(st, RC_FORMAT, "not an SSHSIG of version 1");
    rest = (struct bytes){ (const uint8_t *)rest.data + head, rest.size - head };
    if (!ssh_next(&rest, &out->key) || !ssh_next(&rest, &space) || !ssh_next(&rest, &reserved) ||
        !ssh_next(&rest, &out->hash) || !ssh_next(&rest, &sig) || rest.size != 0)
        return status_fail(st, RC_FORMAT, "an SSHSIG whose fields do not fill it");
    if (!bytes_equal_text(space, SSHSIG_NAMESPACE))
        return status_fail(st, RC_FORMAT, "an SSHSIG of another namespace than " SSHSIG_NAMESPACE);
    if (reserved.size != 0)
        return status_fail(st, RC_FORMAT, "an SSHSIG with a reserved field");
    if (!bytes_equal_text(out->hash, "sha512") && !bytes_equal_text(out->hash, "sha256"))
        return status_fail(st, RC_FORMAT, "an SSHSIG with another hash than sha512 and sha256");
    if (!ssh_next(&sig, &out->type) || !ssh_next(&sig, &out->value) || sig.size != 0)
        return status_fail(st, RC_FORMAT, "an SSHSIG with a broken signature");
    return 0;
}

int sshsig_verify(const struct key_public *k, struct bytes file, struct bytes signature, struct status *st)
{
    int rc = 0;
    bool good = false;
    struct parts p;
    struct str blob = { 0 }, key = { 0 }, message = { 0 }, der = { 0 };
    TRY(read_armour(signature, &blob, st));
    TRY(parse(&blob, &p, st));
    TRY(key_write_ssh_blob(k, &key, st));
    if (p.key.size != key.size || memcmp(p.key.data, key.data, key.size) != 0)
        FAIL(st, RC_VERIFY, "the signature is by another key");
    if (!bytes_equal_text(p.type, ssh_type(key_public_kind(k))))
        FAIL(st, RC_FORMAT, "an SSHSIG whose key and signature differ in type");
    TRY(signed_bytes(file, bytes_equal_text(p.hash, "sha256") ? "sha256" : "sha512", &message, st));
    struct bytes sig = p.value;
    if (key_public_kind(k) == KEY_P256) {
        TRY(der_of_mpints(p.value, &der, st));
        sig = (struct bytes){ der.data, der.size };
    }
    TRY(key_verify(k, (struct bytes){ message.data, message.size }, sig, &good, st));
    if (!good)
        FAIL(st, RC_VERIFY, "the signature does not fit the file");
out:
    ERR_clear_error();
    str_release(&blob);
    str_release(&key);
    str_release(&message);
    str_release(&der);
    return rc;
}
