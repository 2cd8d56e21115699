/* SHA-256, HMAC, and the trees and digests that are built of them (docs/formats 0.5). */
#ifndef LETHE_BASE_HASH_H
#define LETHE_BASE_HASH_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash {
    uint8_t b[32];
};

struct sha256; /* a digest under way */
MUST_USE int sha256_open(struct sha256 **out, struct status *st);
void sha256_add(struct sha256 *s, const void *data, size_t n);
struct hash sha256_end(struct sha256 *s); /* and closes it */
void sha256_close(struct sha256 *s);      /* without a result */
struct hash sha256_of(const void *data, size_t n);
struct hash hmac_sha256(const uint8_t *key, size_t key_size, const void *data, size_t n);

bool hash_equal(const struct hash *a, const struct hash *b);
struct hash_hex {
    char s[65];
};
struct hash_hex hash_hex(const struct hash *h); /* lowercase, for printf("%s", hash_hex(&h).s) */
MUST_USE int hash_read(const char *hex, struct hash *out, struct status *st);

/* RFC 6962. Leaves are added one by one; the root can be asked for at any time. 64 levels, no allocation. */
struct merkle {
    struct hash level[64];
    uint64_t count;
};
struct hash merkle_leaf(const void *line, size_t n); /* line without its LF */
struct hash merkle_node(const struct hash *left, const struct hash *right);
void merkle_add(struct merkle *m, const struct hash *leaf);
struct hash merkle_root(const struct merkle *m);
/* Path of leaf `index` among `n`, from its sibling up (5.3). path has room for 64. Returns its length. */
size_t merkle_path(const struct hash *leaves, size_t n, size_t index, struct hash *path);
bool merkle_check(const struct hash *leaf, uint64_t index, uint64_t leaves, const struct hash *path,
                  size_t path_size, const struct hash *root);

/* First 16 bytes of HMAC-SHA256(key, "lethe-salt-v1" 0 path 0 index), as 32 hex digits and a zero byte. */
void salt_of(const uint8_t key[32], const char *path, uint64_t index, char out[33]);

/* Digest of a model: of the file, or the OMS digest of a folder (links and special files refused). */
struct file_digest {
    char *path; /* relative, "." for a single file */
    uint64_t size;
    struct hash hash;
};
struct path_digest {
    struct hash hash;
    bool directory;
    size_t n;
    struct file_digest *files; /* [n], in byte order of path */
};
MUST_USE int path_digest(const char *path, struct path_digest *out, struct status *st);
void path_digest_release(struct path_digest *d);

const char *hash_library_version(void); /* of libcrypto, as it runs */

#endif
