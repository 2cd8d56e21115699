#include "reports/minisign.h"
#include "reports/keys_private.h"

#include "base/utf8.h"

#include <openssl/evp.h>

#include <string.h>

static const char untrusted[] = "untrusted comment: ";
static const char trusted[] = "trusted comment: ";

enum { BLAKE2B_BYTES = 64, SIG_BYTES = KEY_ED25519_SIGNATURE_BYTES, LINE_BYTES = 2 + 8 + SIG_BYTES };

static int blake2b(struct bytes file, uint8_t out[BLAKE2B_BYTES], struct status *st)
{
    if (EVP_Digest(file.data, file.size, out, NULL, EVP_blake2b512(), NULL) != 1)
        return status_fail(st, RC_NOMEM, "OpenSSL has no BLAKE2b-512");
    return 0;
}

/* One line that every terminal shows as it is. */
static bool printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        int32_t cp = 0;
        i += utf8_next(s + i, n - i, &cp);
        if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
            return false;
    }
    return true;
}

/* What the second signature covers: the first, and the comment behind its label. */
static void covered(const uint8_t *sig, const char *comment, size_t n, struct str *out)
{
    str_add(out, sig, SIG_BYTES);
    str_add(out, comment, n);
}

int minisign_sign(const struct key_secret *k, const char *name, struct bytes file, struct str *out,
                  struct status *st)
{
    int rc = 0;
    uint8_t hash[BLAKE2B_BYTES];
    const uint8_t *id = key_minisign_id(key_secret_public(k)).data;
    struct str sig = { 0 }, comment = { 0 }, both = { 0 }, seal = { 0 }, raw = { 0 };
    if (key_secret_kind(k) != KEY_ED25519)
        FAIL(st, RC_UNSUPPORTED, "minisign knows Ed25519 only, this key is %s",
             key_kind_name(key_secret_kind(k)));
    struct hash digest = sha256_of(file.data, file.size);
    str_printf(&comment, "lethe-archive %s sha256:%s", name, hash_hex(&digest).s);
    TRY(str_check(&comment, st));
    if (comment.size > MINISIGN_COMMENT_BYTES_MAX || !printable(comment.data, comment.size))
        FAIL(st, RC_ARG, "the name cannot stand in a comment: too long, or with control characters");
    TRY(blake2b(file, hash, st));
    TRY(key_sign(k, (struct bytes){ hash, sizeof hash }, &sig, st));
    covered((const uint8_t *)sig.data, comment.data, comment.size, &both);
    TRY(str_check(&both, st));
    TRY(key_sign(k, (struct bytes){ both.data, both.size }, &seal, st));
    str_add(&raw, "ED", 2);
    str_add(&raw, id, 8);
    str_add(&raw, sig.data, sig.size);
    TRY(str_check(&raw, st));
    str_printf(out, "%ssignature from lethe key ", untrusted);
    key_write_minisign_id(id, out);
    str_putc(out, '\n');
    str_base64(out, (const uint8_t *)raw.data, raw.size);
    str_printf(out, "\n%s%s\n", trusted, comment.data);
    str_base64(out, (const uint8_t *)seal.data, seal.size);
    str_putc(out, '\n');
    TRY(str_check(out, st));
out:
    str_release(&sig);
    str_release(&comment);
    str_release(&both);
    str_release(&seal);
    str_release(&raw);
    return rc;
}

static bool next_line(struct bytes *rest, struct bytes *line)
{
    const char *lf = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    if (!lf)
        return false;
    size_t n = (size_t)(lf - (const char *)rest->data);
    *line = (struct bytes){ rest->data, n };
    *rest = (struct bytes){ lf + 1, rest->size - n - 1 };
    return true;
}

/* The four lines, decoded. */
struct lines4 {
    struct str sig, seal;
    struct bytes comment;
};

static int parse(struct bytes text, struct lines4 *out, struct status *st)
{
    int rc = 0;
    struct bytes line[4];
    if (text.size > MINISIGN_FILE_BYTES_MAX)
        FAIL(st, RC_LIMIT, "a minisign signature over %d bytes", MINISIGN_FILE_BYTES_MAX);
    for (int i = 0; i < 4; i++)
        if (!next_line(&text, &line[i]))
            FAIL(st, RC_FORMAT, "a minisign signature has four lines, this has %d", i);
    if (text.size != 0)
        FAIL(st, RC_FORMAT, "bytes after the minisign signature");
    if (line[0].size < sizeof untrusted - 1 || memcmp(line[0].data, untrusted, sizeof untrusted - 1) != 0)
        FAIL(st, RC_FORMAT, "line 1: not a minisign signature");
    if (line[2].size < sizeof trusted - 1 || memcmp(line[2].data, trusted, sizeof trusted - 1) != 0)
        FAIL(st, RC_FORMAT, "line 3: no trusted comment");
    out->comment = (struct bytes){ (const char *)line[2].data + sizeof trusted - 1,
                                   line[2].size - (sizeof trusted - 1) };
    if (out->comment.size > MINISIGN_COMMENT_BYTES_MAX || !printable(out->comment.data, out->comment.size))
        FAIL(st, RC_FORMAT, "line 3: a trusted comment that is too long or not printable");
    TRY(base64_read(line[1].data, line[1].size, &out->sig, st));
    TRY(base64_read(line[3].data, line[3].size, &out->seal, st));
    if (out->sig.size != LINE_BYTES || out->seal.size != SIG_BYTES)
        FAIL(st, RC_FORMAT, "a minisign signature of the wrong length");
    if (memcmp(out->sig.data, "Ed", 2) == 0)
        FAIL(st, RC_FORMAT, "a minisign signature in the old form, not prehashed");
    if (memcmp(out->sig.data, "ED", 2) != 0)
        FAIL(st, RC_FORMAT, "line 2: an unknown algorithm");
out:
    return rc;
}

int minisign_verify(const struct key_public *k, struct bytes file, struct bytes signature,
                    struct str *trusted_comment, struct status *st)
{
    int rc = 0;
    uint8_t hash[BLAKE2B_BYTES];
    struct lines4 l = { 0 };
    struct str both = { 0 };
    bool good = false;
    TRY(parse(signature, &l, st));
    if (key_public_kind(k) != KEY_ED25519 || memcmp(l.sig.data + 2, key_minisign_id(k).data, 8) != 0)
        FAIL(st, RC_VERIFY, "the signature is by another key");
    TRY(blake2b(file, hash, st));
    struct bytes sig = { l.sig.data + 10, SIG_BYTES };
    TRY(key_verify(k, (struct bytes){ hash, sizeof hash }, sig, &good, st));
    if (!good)
        FAIL(st, RC_VERIFY, "the signature does not fit the file");
    covered(sig.data, l.comment.data, l.comment.size, &both);
    TRY(str_check(&both, st));
    TRY(key_verify(k, (struct bytes){ both.data, both.size }, (struct bytes){ l.seal.data, l.seal.size },
                   &good, st));
    if (!good)
        FAIL(st, RC_VERIFY, "the trusted comment is not the signed one");
    if (trusted_comment) {
        str_add(trusted_comment, l.comment.data, l.comment.size);
        TRY(str_check(trusted_comment, st));
    }
out:
    str_release(&l.sig);
    str_release(&l.seal);
    str_release(&both);
    return rc;
}
