/* The forms of key files: PEM, minisign, OpenSSH. What a file is shows in its first bytes; what cannot be
 * read is refused by its name, because "bad format" does not tell anybody which tool made it.
 */
#include "reports/keys_private.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <string.h>

static bool starts(struct bytes b, const char *text)
{
    size_t n = strlen(text);
    return b.size >= n && memcmp(b.data, text, n) == 0;
}

bool bytes_equal_text(struct bytes b, const char *text)
{
    return b.size == strlen(text) && starts(b, text);
}

/* ---- PEM ---- */

/* The label of "-----BEGIN LABEL-----" at the start; size 0: there is none. */
static struct bytes pem_label(struct bytes file)
{
    static const char begin[] = "-----BEGIN ";
    const char *text = file.data;
    size_t from = sizeof begin - 1;
    if (!starts(file, begin))
        return (struct bytes){ 0 };
    const char *end = memmem(text + from, file.size - from, "-----", 5);
    return (struct bytes){ text + from, end ? (size_t)(end - text) - from : 0 };
}

/* DER of the one PEM block that makes up the file. */
static int pem_read(struct bytes file, uint8_t **der, long *size, struct status *st)
{
    int rc = 0;
    char *name = NULL, *header = NULL, c = 0;
    BIO *bio = file.size <= KEY_FILE_BYTES_MAX ? BIO_new_mem_buf(file.data, (int)file.size) : NULL;
    if (!bio)
        FAIL(st, RC_LIMIT, "a key file over %d bytes", KEY_FILE_BYTES_MAX);
    if (PEM_read_bio(bio, &name, &header, der, size) != 1)
        FAIL(st, RC_FORMAT, "a broken PEM block");
    if (header[0])
        FAIL(st, RC_UNSUPPORTED, "a PEM block with headers, which no PKCS#8 key has");
    while (BIO_read(bio, &c, 1) == 1)
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t')
            FAIL(st, RC_FORMAT, "bytes after the PEM block");
out:
    ERR_clear_error();
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    return rc;
}

static int parse_pem(struct bytes file, struct key_public **out, struct status *st)
{
    int rc = 0;
    uint8_t *der = NULL;
    long size = 0;
    TRY(pem_read(file, &der, &size, st));
    TRY(key_public_of_spki((struct bytes){ der, (size_t)size }, out, st));
out:
    OPENSSL_free(der);
    return rc;
}

static int write_pem(const struct key_public *k, struct str *out, struct status *st)
{
    struct bytes der = key_public_spki(k);
    struct str text = { 0 };
    str_base64(&text, der.data, der.size);
    str_puts(out, "-----BEGIN PUBLIC KEY-----\n");
    for (size_t i = 0; i < text.size; i += 64)
        str_printf(out, "%.64s\n", text.data + i);
    str_puts(out, "-----END PUBLIC KEY-----\n");
    int rc = str_check(&text, st);
    str_release(&text);
    return rc;
}

/* ---- minisign ---- */

void key_write_minisign_id(const uint8_t id[8], struct str *out)
{
    for (int i = 7; i >= 0; i--)
        str_printf(out, "%02X", id[i]);
}

static int parse_minisign(struct bytes file, struct key_public **out, struct status *st)
{
    int rc = 0;
    struct str raw = { 0 };
    const char *text = file.data, *lf = NULL;
    size_t n = file.size;
    if (starts(file, "untrusted comment:")) {
        lf = memchr(text, '\n', n);
        if (!lf)
            FAIL(st, RC_FORMAT, "a minisign key that ends after its comment");
        n -= (size_t)(lf + 1 - text);
        text = lf + 1;
    }
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n >= 100)
        FAIL(st, RC_UNSUPPORTED, "a minisign secret key or signature, not a public key");
    TRY(base64_read(text, n, &raw, st));
    if (raw.size != KEY_MINISIGN_BYTES || memcmp(raw.data, "Ed", 2) != 0)
        FAIL(st, RC_FORMAT, "not a minisign public key: %zu bytes", raw.size);
    TRY(key_public_of_point(KEY_ED25519, (struct bytes){ raw.data + 10, KEY_ED25519_BYTES }, out, st));
    key_public_set_minisign_id(*out, (const uint8_t *)raw.data + 2);
out:
    str_release(&raw);
    return rc;
}

static int write_minisign(const struct key_public *k, struct str *out, struct status *st)
{
    uint8_t raw[KEY_MINISIGN_BYTES] = { 'E', 'd' };
    if (key_public_kind(k) != KEY_ED25519)
        return status_fail(st, RC_UNSUPPORTED, "minisign knows Ed25519 only, this key is P-256");
    memcpy(raw + 2, key_minisign_id(k).data, 8);
    memcpy(raw + 10, key_public_point(k).data, KEY_ED25519_BYTES);
    str_puts(out, "untrusted comment: lethe key ");
    key_write_minisign_id(raw + 2, out);
    str_putc(out, '\n');
    str_base64(out, raw, sizeof raw);
    str_putc(out, '\n');
    return 0;
}

/* ---- OpenSSH ---- */

const char *ssh_type(enum key_kind kind)
{
    return kind == KEY_ED25519 ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
}

void ssh_put_u32(struct str *out, uint32_t n)
{
    uint8_t b[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    str_add(out, b, 4);
}

void ssh_put(struct str *out, struct bytes field)
{
    ssh_put_u32(out, (uint32_t)field.size);
    str_add(out, field.data, field.size);
}

void ssh_put_text(struct str *out, const char *text)
{
    ssh_put(out, (struct bytes){ text, strlen(text) });
}

bool ssh_next(struct bytes *rest, struct bytes *field)
{
    const uint8_t *p = rest->data;
    if (rest->size < 4)
        return false;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > rest->size - 4)
        return false;
    *field = (struct bytes){ p + 4, n };
    *rest = (struct bytes){ p + 4 + n, rest->size - 4 - n };
    return true;
}

int key_write_ssh_blob(const struct key_public *k, struct str *out, struct status *st)
{
    ssh_put_text(out, ssh_type(key_public_kind(k)));
    if (key_public_kind(k) == KEY_P256)
        ssh_put_text(out, "nistp256");
    ssh_put(out, key_public_point(k));
    return str_check(out, st);
}

static int parse_openssh(struct bytes file, enum key_kind kind, struct key_public **out, struct status *st)
{
    int rc = 0;
    struct str blob = { 0 };
    struct bytes field;
    const char *at = (const char *)file.data + strlen(ssh_type(kind)) + 1;
    const char *end = (const char *)file.data + file.size;
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    if (lf && lf + 1 != end)
        FAIL(st, RC_FORMAT, "an OpenSSH key file with more than one line");
    if (lf)
        end = lf;
    const char *space = memchr(at, ' ', (size_t)(end - at));
    TRY(base64_read(at, (size_t)((space ? space : end) - at), &blob, st));
    struct bytes rest = { blob.data, blob.size };
    if (!ssh_next(&rest, &field) || !bytes_equal_text(field, ssh_type(kind)))
        FAIL(st, RC_FORMAT, "an OpenSSH key whose inside is not %s", ssh_type(kind));
    if (kind == KEY_P256 && (!ssh_next(&rest, &field) || !bytes_equal_text(field, "nistp256")))
        FAIL(st, RC_FORMAT, "an OpenSSH key of another curve than nistp256");
    if (!ssh_next(&rest, &field) || rest.size != 0)
        FAIL(st, RC_FORMAT, "a broken OpenSSH key");
    TRY(key_public_of_point(kind, field, out, st));
out:
    str_release(&blob);
    return rc;
}

static int write_openssh(const struct key_public *k, const char *comment, struct str *out, struct status *st)
{
    int rc = 0;
    struct str blob = { 0 };
    for (const char *c = comment; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            FAIL(st, RC_ARG, "a control character in the comment of a key");
    TRY(key_write_ssh_blob(k, &blob, st));
    str_printf(out, "%s ", ssh_type(key_public_kind(k)));
    str_base64(out, (const uint8_t *)blob.data, blob.size);
    if (comment && comment[0])
        str_printf(out, " %s", comment);
    str_putc(out, '\n');
out:
    str_release(&blob);
    return rc;
}

/* ---- public keys, any form ---- */

int key_parse_public(struct bytes file, struct key_public **out, struct status *st)
{
    struct bytes label = pem_label(file);
    if (file.size > KEY_FILE_BYTES_MAX)
        return status_fail(st, RC_LIMIT, "a key file over %d bytes", KEY_FILE_BYTES_MAX);
    if (bytes_equal_text(label, "PUBLIC KEY"))
        return parse_pem(file, out, st);
    if (starts(file, "-----BEGIN "))
        return status_fail(st, RC_UNSUPPORTED, "a PEM block '%.*s', not a public key",
                           (int)(label.size < 40 ? label.size : 40), (const char *)label.data);
    for (enum key_kind kind = KEY_ED25519; kind <= KEY_P256; kind++)
        if (starts(file, ssh_type(kind)) && file.size > strlen(ssh_type(kind)) &&
            ((const char *)file.data)[strlen(ssh_type(kind))] == ' ')
            return parse_openssh(file, kind, out, st);
    if (starts(file, "ssh-") || starts(file, "ecdsa-") || starts(file, "sk-"))
        return status_fail(st, RC_UNSUPPORTED,
                           "an OpenSSH key of another type than ssh-ed25519 and ecdsa-sha2-nistp256");
    if (starts(file, "untrusted comment:") || file.size == 56 || file.size == 57)
        return parse_minisign(file, out, st);
    return status_fail(st, RC_FORMAT, "not a public key: neither PEM, minisign nor OpenSSH");
}

int key_write_public(const struct key_public *k, enum key_form form, const char *comment, struct str *out,
                     struct status *st)
{
    int rc = 0;
    switch (form) {
    case KEY_FORM_PEM:
        TRY(write_pem(k, out, st));
        break;
    case KEY_FORM_MINISIGN:
        TRY(write_minisign(k, out, st));
        break;
    case KEY_FORM_OPENSSH:
        TRY(write_openssh(k, comment, out, st));
        break;
    }
    TRY(str_check(out, st));
out:
    return rc;
}

int key_load_public(const char *path, struct key_public **out, struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    TRY(file_read(path, KEY_FILE_BYTES_MAX, &file, st));
    rc = key_parse_public((struct bytes){ file.data, file.size }, out, st);
    if (rc)
        status_prefix(st, "%s", path);
out:
    str_release(&file);
    return rc;
}

/* ---- secret keys ---- */

static void wipe(struct str *s)
{
    if (s->data)
        OPENSSL_cleanse(s->data, s->cap);
    str_release(s);
}

static const struct refusal {
    const char *start, *is;
} refusals[] = {
    { "-----BEGIN EC PRIVATE KEY-----", "a SEC1 secret key; `openssl pkcs8 -topk8` makes it PKCS#8" },
    { "-----BEGIN EC PARAMETERS-----", "a SEC1 secret key; `openssl pkcs8 -topk8` makes it PKCS#8" },
    { "-----BEGIN RSA PRIVATE KEY-----", "a PKCS#1 (RSA) secret key; Ed25519 or P-256 is wanted" },
    { "-----BEGIN OPENSSH PRIVATE KEY-----", "an OpenSSH secret key; only PKCS#8 is read" },
    { "-----BEGIN PUBLIC KEY-----", "a public key; the secret one is wanted" },
    { "ssh-ed25519 ", "an OpenSSH public key; the secret one is wanted" },
    { "ecdsa-sha2-", "an OpenSSH public key; the secret one is wanted" },
    { "untrusted comment:", "a minisign key; only PKCS#8 is read" },
};

/* The key in PKCS#8, decrypted when it must be. */
static int pkcs8_open(struct bytes der, bool encrypted, const struct key_passphrase *ask,
                      PKCS8_PRIV_KEY_INFO **out, struct status *st)
{
    int rc = 0;
    struct str pass = { 0 };
    X509_SIG *box = NULL;
    const uint8_t *p = der.data;
    if (!encrypted) {
        *out = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.size);
        if (!*out || p != (const uint8_t *)der.data + der.size)
            FAIL(st, RC_FORMAT, "a broken PKCS#8 key");
        goto out;
    }
    box = d2i_X509_SIG(NULL, &p, (long)der.size);
    if (!box || p != (const uint8_t *)der.data + der.size)
        FAIL(st, RC_FORMAT, "a broken encrypted PKCS#8 key");
    if (!ask || !ask->ask)
        FAIL(st, RC_ARG, "the key is encrypted, and there is no passphrase");
    TRY(ask->ask(ask->self, &pass, st));
    TRY(str_check(&pass, st));
    if (pass.size > KEY_PASSPHRASE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "a passphrase over %d bytes", KEY_PASSPHRASE_BYTES_MAX);
    *out = PKCS8_decrypt(box, str_text(&pass), (int)pass.size);
    if (!*out)
        FAIL(st, RC_ARG, "the passphrase does not open the key");
out:
    wipe(&pass);
    X509_SIG_free(box);
    return rc;
}

int key_parse_secret(struct bytes file, const struct key_passphrase *ask, struct key_secret **out,
                     struct status *st)
{
    int rc = 0;
    uint8_t *der = NULL;
    long size = 0;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    EVP_PKEY *evp = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    struct bytes label = pem_label(file);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (starts(file, refusals[i].start))
            FAIL(st, RC_UNSUPPORTED, "this is %s", refusals[i].is);
    bool encrypted = bytes_equal_text(label, "ENCRYPTED PRIVATE KEY");
    if (!encrypted && !bytes_equal_text(label, "PRIVATE KEY"))
        FAIL(st, RC_FORMAT, "not a PKCS#8 secret key in PEM");
    TRY(pem_read(file, &der, &size, st));
    TRY(pkcs8_open((struct bytes){ der, (size_t)size }, encrypted, ask, &info, st));
    evp = EVP_PKCS82PKEY(info);
    if (!evp)
        FAIL(st, RC_UNSUPPORTED, "a secret key that OpenSSL does not know");
    if (EVP_PKEY_get_base_id(evp) != EVP_PKEY_ED25519 && EVP_PKEY_get_base_id(evp) != EVP_PKEY_EC)
        FAIL(st, RC_UNSUPPORTED, "a secret key that is neither Ed25519 nor P-256");
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
    if (!ctx)
        FAIL(st, RC_NOMEM, "no memory for a key");
    if (EVP_PKEY_pairwise_check(ctx) != 1) /* PKCS#8 may carry a public key of its own */
        FAIL(st, RC_FORMAT, "a secret key that does not fit its public one");
    TRY(key_secret_of_evp(evp, out, st));
out:
    ERR_clear_error();
    if (der)
        OPENSSL_clear_free(der, (size_t)size);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(evp);
    PKCS8_PRIV_KEY_INFO_free(info);
    return rc;
}

int key_load_secret(const char *path, const struct key_passphrase *ask, struct key_secret **out,
                    struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    TRY(file_read(path, KEY_FILE_BYTES_MAX, &file, st));
    rc = key_parse_secret((struct bytes){ file.data, file.size }, ask, out, st);
    if (rc)
        status_prefix(st, "%s", path);
out:
    wipe(&file);
    return rc;
}

/* PBES2: scrypt at N 16384, r 8, p 1 (more is over OpenSSL's default memory cap), then AES-256-CBC. */
static int encrypt(PKCS8_PRIV_KEY_INFO *info, const char *passphrase, X509_SIG **out, struct status *st)
{
    size_t n = strlen(passphrase);
    if (n == 0 || n > KEY_PASSPHRASE_BYTES_MAX)
        return status_fail(st, RC_ARG, "a passphrase has 1 to %d bytes", KEY_PASSPHRASE_BYTES_MAX);
    X509_ALGOR *how = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 16, NULL, 16384, 8, 1);
    *out = how ? PKCS8_set0_pbe(passphrase, (int)n, info, how) : NULL; /* takes `how` when it works */
    if (*out)
        return 0;
    X509_ALGOR_free(how);
    return status_fail(st, RC_NOMEM, "OpenSSL does not encrypt the key");
}

int key_write_secret(const struct key_secret *k, const char *path, const char *passphrase, struct status *st)
{
    int rc = 0;
    X509_SIG *box = NULL;
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when freed */
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key_secret_evp(k));
    if (!bio || !info)
        FAIL(st, RC_NOMEM, "no memory for a key");
    if (passphrase)
        TRY(encrypt(info, passphrase, &box, st));
    if ((box ? PEM_write_bio_PKCS8(bio, box) : PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info)) != 1)
        FAIL(st, RC_NOMEM, "no memory for a key");
    char *text = NULL;
    long size = BIO_get_mem_data(bio, &text);
    TRY(file_create(path, text, (size_t)size, 0600, st));
out:
    ERR_clear_error();
    X509_SIG_free(box);
    PKCS8_PRIV_KEY_INFO_free(info);
    BIO_free(bio);
    return rc;
}
