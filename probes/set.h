/* A probe suite: a JSON Lines file with a header and items (docs/formats/probes.md), BLiMP's own files, and
 * files without a header. A load gives a whole suite or nothing. */
#ifndef LETHE_PROBES_SET_H
#define LETHE_PROBES_SET_H

#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "probes/kind.h"
#include "probes/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_BYTES_MAX ((size_t)4 << 30)
enum { PROBE_ITEMS_MAX = 1 << 20, PROBE_STOPS_MAX = 8, PROBE_TOKENS_MAX = 1024, PROBE_ERRORS_MAX = 20 };

struct probe_set {
    const char *id, *version, *title, *licence, *source, *role;
    enum probe_kind kind;
    enum probe_metric metric;
    bool by_cluster;       /* cluster_by: "cluster" */
    const char *delimiter; /* " " unless the header says otherwise */
    uint32_t max_tokens;   /* exact */
    const char *stop[PROBE_STOPS_MAX];
    size_t n_stop;
    enum probe_normalise normalise;
    struct hash sha256; /* of the file */
    uint64_t size;      /* bytes of the file */
    struct probe_item *items;
    size_t n;         /* 1 to PROBE_ITEMS_MAX */
    size_t clusters;  /* different ones */
    struct pool pool; /* holds all texts of the above */
};

/* Reads a suite. Messages begin "FILE:LINE: item 'ID': ", FILE being `path` or `name` as given. RC_FORMAT:
 * what the format does not allow; RC_LIMIT: over a limit above; RC_UNSUPPORTED: a newer format version. */
MUST_USE int probe_set_load(const char *path, struct probe_set *out, struct status *st);
/* The same from memory; `name` also names a suite without a header (up to the first dot, in lowercase). */
MUST_USE int probe_set_parse(const char *data, size_t size, const char *name, struct probe_set *out,
                             struct status *st);
void probe_set_release(struct probe_set *set);

/* The first errors of a file, as `lethe probe --check` lists them. 0 with n == 0: the file is good. */
struct probe_errors {
    size_t n;
    char text[PROBE_ERRORS_MAX][512];
};
MUST_USE int probe_set_check(const char *path, struct probe_errors *out, struct status *st);

/* Item i as a line of evidence/probes/<suite>.jsonl, without its LF. salt_key: 32 bytes, or NULL for a salt
 * of zeros. */
MUST_USE int probe_line_write(const struct probe_set *set, size_t i, const uint8_t *salt_key, struct str *out,
                              struct status *st);
/* Merkle root of these lines. */
MUST_USE int probe_set_root(const struct probe_set *set, const uint8_t *salt_key, struct hash *out,
                            struct status *st);

/* A line of evidence/probes read back; the item needs the kind that the plan gives to the suite. */
struct probe_line {
    uint64_t i;
    bool withheld;    /* then only `leaf` is set, and i is not known */
    struct hash leaf; /* of a withheld line */
    const char *id;
    struct probe_item item;
    char salt[33];
};
MUST_USE int probe_line_parse(const char *line, size_t n, enum probe_kind kind, struct pool *pool,
                              struct probe_line *out, struct status *st);

/* {"withheld":"<64 hex>"}, exactly these bytes: true, and the leaf's hash. */
bool withheld_parse(const char *line, size_t n, struct hash *leaf);
void withheld_write(const struct hash *leaf, struct str *out);
/* The salt of a record: 32 lowercase hex digits under `salt`, else RC_FORMAT. */
MUST_USE int salt_read(const struct json *row, char out[33], struct status *st);

#endif
