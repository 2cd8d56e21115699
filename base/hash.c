#include "base/hash.h"

#include "base/alloc.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libcrypto fails here only when it has no memory or no SHA-256; neither can be carried on from in the middle
 * of a digest, and neither depends on input. */
#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if (!(call))                                                                                         \
            abort();                                                                                         \
    } while (0)

struct sha256 {
    EVP_MD_CTX *context;
};

int sha256_open(struct sha256 **out, struct status *st)
{
    struct sha256 *s = mem_calloc(1, sizeof *s);
    if (s)
        s->context = EVP_MD_CTX_new();
    if (!s || !s->context || EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) != 1) {
        sha256_close(s);
        return status_fail(st, RC_NOMEM, "no memory for a digest");
    }
    *out = s;
    return 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t n)
{
    MUST(EVP_DigestUpdate(s->context, data, n) == 1);
}

struct hash sha256_end(struct sha256 *s)
{
    struct hash h;
    MUST(EVP_DigestFinal_ex(s->context, h.b, NULL) == 1);
    sha256_close(s);
    return h;
}

void sha256_close(struct sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->context);
    mem_free(s);
}

struct hash sha256_of(const void *data, size_t n)
{
    struct hash h;
    MUST(EVP_Digest(data, n, h.b, NULL, EVP_sha256(), NULL) == 1);
    return h;
}

struct hash hmac_sha256(const uint8_t *key, size_t key_size, const void *data, size_t n)
{
    struct hash h;
    assert(key_size <= 1 << 20);
    MUST(HMAC(EVP_sha256(), key, (int)key_size, data, n, h.b, NULL) != NULL);
    return h;
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
    return CRYPTO_memcmp(a->b, b->b, sizeof a->b) == 0;
}

struct hash_hex hash_hex(const struct hash *h)
{
    static const char DIGITS[] = "0123456789abcdef";
    struct hash_hex text;
    for (size_t i = 0; i < sizeof h->b; i++) {
        text.s[2 * i] = DIGITS[h->b[i] >> 4];
        text.s[2 * i + 1] = DIGITS[h->b[i] & 15];
    }
    text.s[64] = 0;
    return text;
}

int hash_read(const char *hex, struct hash *out, struct status *st)
{
    struct hash h;
    int rc = hex_read(hex, strlen(hex), h.b, sizeof h.b, st);
    if (!rc)
        *out = h;
    return rc;
}

/* ---- trees ---- */

struct hash merkle_leaf(const void *line, size_t n)
{
    struct hash h;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    MUST(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    MUST(EVP_DigestUpdate(context, "\0", 1) == 1 && EVP_DigestUpdate(context, line, n) == 1);
    MUST(EVP_DigestFinal_ex(context, h.b, NULL) == 1);
    EVP_MD_CTX_free(context);
    return h;
}

struct hash merkle_node(const struct hash *left, const struct hash *right)
{
    uint8_t both[65] = { 1 };
    memcpy(both + 1, left->b, sizeof left->b);
    memcpy(both + 33, right->b, sizeof right->b);
    return sha256_of(both, sizeof both);
}

/* level[k] is the root of a full tree of 2^k leaves wherever bit k of count is set. */
void merkle_add(struct merkle *m, const struct hash *leaf)
{
    struct hash h = *leaf;
    size_t k = 0;
    for (uint64_t bits = m->count; bits & 1; bits >>= 1, k++)
        h = merkle_node(&m->level[k], &h);
    m->level[k] = h;
    m->count++;
}

struct hash merkle_root(const struct merkle *m)
{
    if (m->count == 0)
        return sha256_of("", 0);
    struct hash h;
    bool have = false;
    for (size_t k = 0; k < 64; k++) {
        if (!(m->count >> k & 1))
            continue;
        h = have ? merkle_node(&m->level[k], &h) : m->level[k];
        have = true;
    }
    return h;
}

static struct hash range_root(const struct hash *leaves, size_t n)
{
    struct merkle m = { .count = 0 };
    for (size_t i = 0; i < n; i++)
        merkle_add(&m, &leaves[i]);
    return merkle_root(&m);
}

size_t merkle_path(const struct hash *leaves, size_t n, size_t index, struct hash *path)
{
    assert(index < n);
    if (n == 1)
        return 0;
    size_t half = 1;
    while (half * 2 < n)
        half *= 2;
    if (index < half) {
        size_t below = merkle_path(leaves, half, index, path);
        path[below] = range_root(leaves + half, n - half);
        return below + 1;
    }
    size_t below = merkle_path(leaves + half, n - half, index - half, path);
    path[below] = range_root(leaves, half);
    return below + 1;
}

bool merkle_check(const struct hash *leaf, uint64_t index, uint64_t leaves, const struct hash *path,
                  size_t path_size, const struct hash *root)
{
    if (index >= leaves)
        return false;
    uint64_t fn = index, sn = leaves - 1;
    struct hash r = *leaf;
    for (size_t i = 0; i < path_size; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            r = merkle_node(&path[i], &r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            r = merkle_node(&r, &path[i]);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && hash_equal(&r, root);
}

void salt_of(const uint8_t key[32], const char *path, uint64_t index, char out[33])
{
    static const char TAG[] = "lethe-salt-v1"; /* its zero byte is the separator */
    char text[sizeof TAG + 320];
    size_t n = strlen(path);
    assert(n < 256);
    memcpy(text, TAG, sizeof TAG);
    memcpy(text + sizeof TAG, path, n + 1);
    int digits = snprintf(text + sizeof TAG + n + 1, 32, "%" PRIu64, index);
    struct hash h = hmac_sha256(key, 32, text, sizeof TAG + n + 1 + (size_t)digits);
    memcpy(out, hash_hex(&h).s, 32);
    out[32] = 0;
}

const char *hash_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}
