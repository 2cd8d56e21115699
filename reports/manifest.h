/* What an archive may hold, what it does hold, and the digests of both (docs/formats/archive.md, members).
 */
#ifndef LETHE_REPORTS_MANIFEST_H
#define LETHE_REPORTS_MANIFEST_H

#include "base/hash.h"
#include "reports/keys.h"

/* ---- names: the table of members.def ---- */
enum member {
#define MEMBER(id, pattern, need, tree, sealed) MEMBER_##id,
#include "reports/members.def"
#undef MEMBER
    MEMBER_COUNT
};
enum member_need { NEED_OPTIONAL, NEED_ALWAYS, NEED_SUITE, NEED_MEASURED, NEED_EXACT, NEED_TRAINED };

struct member_rule {
    const char *pattern;
    enum member_need need;
    bool tree;   /* line by line; lines may be withheld */
    bool sealed; /* listed in the manifest */
};
const struct member_rule *member_rule(enum member m);

struct member_name {
    enum member member;
    char suite[41]; /* id of the suite, or the 16 digits of an approval; else "" */
};
/* false: no member has such a name. */
bool member_find(const char *name, struct member_name *out);
/* The name of a member, appended; suite (or key) is NULL where the pattern has no place for one. */
void member_write_name(enum member m, const char *suite, struct str *out);

/* ---- digests ---- */
struct member_digest {
    uint64_t size;
    struct hash sha256;
    bool tree; /* the fields below count */
    uint64_t leaves;
    struct hash root;
    uint64_t withheld; /* lines of which only the leaf's hash is there */
};

/* A digest under way, for members that come in pieces. RC_FORMAT of a tree: a last line without LF.
 * RC_LIMIT: a line over JSON_LINE_BYTES_MAX. */
struct member_hasher;
MUST_USE int member_hasher_open(bool tree, struct member_hasher **out, struct status *st);
MUST_USE int member_hasher_add(struct member_hasher *h, const void *data, size_t n, struct status *st);
MUST_USE int member_hasher_end(struct member_hasher *h, struct member_digest *out, struct status *st);
void member_hasher_close(struct member_hasher *h); /* NULL is fine */
MUST_USE int member_digest(struct bytes data, bool tree, struct member_digest *out, struct status *st);

/* {"withheld":"<leaf hash>"}: the line that stands for one that was taken out. */
bool withheld_read(const char *line, size_t n, struct hash *leaf);
/* Its writer is withheld_write of probes/set.h. */

/* ---- the manifest ---- */
enum { MANIFEST_MEMBERS_MAX = 4096 };
struct manifest_entry {
    char *path;
    struct member_digest digest; /* of the member in full: withheld is 0 */
};
struct manifest {
    size_t n, cap;
    struct manifest_entry *entries; /* [n], by path */
};
/* RC_ARG: the path does not follow the last one, is no member's, or is none that the manifest lists; or lines
 * of it are withheld (then the digest of the whole is not known). */
MUST_USE int manifest_add(struct manifest *m, const char *path, const struct member_digest *d,
                          struct status *st);
MUST_USE int manifest_write(const struct manifest *m, struct str *out, struct status *st);
/* RC_FORMAT: not canonical, unknown keys, out of order, a path that is no member's, leaves or root where the
 * table has none or missing where it has them. RC_UNSUPPORTED: a later version. */
MUST_USE int manifest_parse(struct bytes file, struct manifest *out, struct status *st);
void manifest_release(struct manifest *m);
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path); /* or NULL */
/* Whether what was read is what the entry says: size and digest, leaves and root; with withheld lines only
 * the latter two. RC_VERIFY names path and difference. */
MUST_USE int manifest_check(const struct manifest_entry *e, const struct member_digest *d, struct status *st);

#endif
