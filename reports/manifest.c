#include "reports/manifest.h"

#include "base/alloc.h"
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* ---- names ---- */

#define ALWAYS   NEED_ALWAYS
#define SUITE    NEED_SUITE
#define MEASURED NEED_MEASURED
#define EXACT    NEED_EXACT
#define TRAINED  NEED_TRAINED
#define OPTIONAL NEED_OPTIONAL
#define TREE     true
#define PLAIN    false
#define IN       true
#define OUT      false
static const struct member_rule rules[MEMBER_COUNT] = {
#define MEMBER(id, pattern, need, tree, sealed) { pattern, need, tree, sealed },
#include "reports/members.def"
#undef MEMBER
};

const struct member_rule *member_rule(enum member m)
{
    assert(m < MEMBER_COUNT);
    return &rules[m];
}

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length of the suite id or of the 16 hex digits that name begins with; 0: neither. */
static size_t place_length(const char *place, const char *name)
{
    size_t n = 0;
    if (strncmp(place, "<key>", 5) == 0) {
        n = strspn(name, "0123456789abcdef");
        return n == 16 ? n : 0;
    }
    if (!is_lower(name[0]))
        return 0;
    while (is_lower(name[n]) || name[n] == '_' || name[n] == '-')
        n++;
    return n <= 40 ? n : 0;
}

static bool matches(const char *pattern, const char *name, char suite[41])
{
    const char *place = strchr(pattern, '<');
    size_t before = place ? (size_t)(place - pattern) : 0;
    suite[0] = 0;
    if (!place)
        return strcmp(pattern, name) == 0;
    if (strncmp(pattern, name, before) != 0)
        return false;
    size_t n = place_length(place, name + before);
    if (n == 0 || strcmp(strchr(place, '>') + 1, name + before + n) != 0)
        return false;
    memcpy(suite, name + before, n);
    suite[n] = 0;
    return true;
}

bool member_find(const char *name, struct member_name *out)
{
    for (enum member m = 0; m < MEMBER_COUNT; m++)
        if (matches(rules[m].pattern, name, out->suite)) {
            out->member = m;
            return true;
        }
    return false;
}

void member_write_name(enum member m, const char *suite, struct str *out)
{
    const char *pattern = member_rule(m)->pattern, *place = strchr(pattern, '<');
    assert(!place == !suite);
    if (!place)
        str_puts(out, pattern);
    else
        str_printf(out, "%.*s%s%s", (int)(place - pattern), pattern, suite, strchr(place, '>') + 1);
}

/* ---- withheld lines ---- */

static const char withheld_head[] = "{\"withheld\":\"";
static const char withheld_tail[] = "\"}";
enum { HEAD = sizeof withheld_head - 1, TAIL = sizeof withheld_tail - 1, WITHHELD = HEAD + 64 + TAIL };

bool withheld_read(const char *line, size_t n, struct hash *leaf)
{
    return n == WITHHELD && memcmp(line, withheld_head, HEAD) == 0 &&
           memcmp(line + HEAD + 64, withheld_tail, TAIL) == 0 &&
           hex_read(line + HEAD, 64, leaf->b, sizeof leaf->b, NULL) == 0;
}

/* ---- digests ---- */

struct member_hasher {
    struct sha256 *whole;
    struct member_digest d;
    struct merkle lines;
    struct str line; /* that has not ended yet */
};

int member_hasher_open(bool tree, struct member_hasher **out, struct status *st)
{
    int rc = 0;
    struct member_hasher *h = mem_calloc(1, sizeof *h);
    if (!h)
        FAIL(st, RC_NOMEM, "no memory for a digest");
    h->d.tree = tree;
    TRY(sha256_open(&h->whole, st));
    *out = h;
    h = NULL;
out:
    member_hasher_close(h);
    return rc;
}

void member_hasher_close(struct member_hasher *h)
{
    if (!h)
        return;
    if (h->whole)
        sha256_close(h->whole);
    str_release(&h->line);
    mem_free(h);
}

static void add_line(struct member_hasher *h, const char *line, size_t n)
{
    struct hash leaf;
    if (withheld_read(line, n, &leaf))
        h->d.withheld++;
    else
        leaf = merkle_leaf(line, n);
    merkle_add(&h->lines, &leaf);
}

/* A line that lies whole in the piece is hashed where it is; only the ends of pieces are kept. */
static int add_lines(struct member_hasher *h, const char *p, size_t n, struct status *st)
{
    while (n > 0) {
        const char *lf = memchr(p, '\n', n);
        size_t size = lf ? (size_t)(lf - p) : n;
        if (h->line.size + size > JSON_LINE_BYTES_MAX)
            return status_fail(st, RC_LIMIT, "line %" PRIu64 " is over %zu bytes", h->lines.count + 1,
                               JSON_LINE_BYTES_MAX);
        if (!lf || h->line.size > 0)
            str_add(&h->line, p, size);
        if (str_check(&h->line, st) != 0)
            return RC_NOMEM;
        if (!lf)
            return 0;
        if (h->line.size > 0)
            add_line(h, h->line.data, h->line.size);
        else
            add_line(h, p, size);
        str_clear(&h->line);
        p = lf + 1;
        n -= size + 1;
    }
    return 0;
}

int member_hasher_add(struct member_hasher *h, const void *data, size_t n, struct status *st)
{
    sha256_add(h->whole, data, n);
    h->d.size += n;
    return h->d.tree ? add_lines(h, data, n, st) : 0;
}

int member_hasher_end(struct member_hasher *h, struct member_digest *out, struct status *st)
{
    if (h->line.size > 0)
        return status_fail(st, RC_FORMAT, "line %" PRIu64 " does not end", h->lines.count + 1);
    h->d.sha256 = sha256_end(h->whole);
    h->whole = NULL;
    if (h->d.tree) {
        h->d.leaves = h->lines.count;
        h->d.root = merkle_root(&h->lines);
    }
    *out = h->d;
    return 0;
}

int member_digest(struct bytes data, bool tree, struct member_digest *out, struct status *st)
{
    int rc = 0;
    struct member_hasher *h = NULL;
    TRY(member_hasher_open(tree, &h, st));
    TRY(member_hasher_add(h, data.data, data.size, st));
    TRY(member_hasher_end(h, out, st));
out:
    member_hasher_close(h);
    return rc;
}

/* ---- the manifest ---- */

int manifest_add(struct manifest *m, const char *path, const struct member_digest *d, struct status *st)
{
    int rc = 0;
    struct member_name name;
    if (!member_find(path, &name) || !rules[name.member].sealed)
        FAIL(st, RC_ARG, "'%.120s' is no member that a manifest lists", path);
    if (d->tree != rules[name.member].tree)
        FAIL(st, RC_ARG, "'%s': %s", path, d->tree ? "has no tree of lines" : "lacks its tree of lines");
    if (d->withheld > 0)
        FAIL(st, RC_ARG, "'%s': lines are withheld, the whole is not known", path);
    if (m->n > 0 && strcmp(m->entries[m->n - 1].path, path) >= 0)
        FAIL(st, RC_ARG, "'%s' does not follow '%s'", path, m->entries[m->n - 1].path);
    if (m->n == MANIFEST_MEMBERS_MAX)
        FAIL(st, RC_LIMIT, "over %d members", MANIFEST_MEMBERS_MAX);
    TRY(mem_grow(&m->entries, m->n, &m->cap, sizeof *m->entries, st));
    char *copy = mem_calloc(strlen(path) + 1, 1);
    if (!copy)
        FAIL(st, RC_NOMEM, "no memory for a manifest");
    memcpy(copy, path, strlen(path));
    m->entries[m->n++] = (struct manifest_entry){ .path = copy, .digest = *d };
out:
    return rc;
}

int manifest_write(const struct manifest *m, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object(), *list = json_array();
    json_put_int(root, "lethe_manifest", 1);
    for (size_t i = 0; i < m->n; i++) {
        const struct member_digest *d = &m->entries[i].digest;
        struct json *j = json_object();
        json_put_text(j, "path", m->entries[i].path);
        json_put_int(j, "size", (int64_t)d->size);
        json_put_hex(j, "sha256", d->sha256.b, sizeof d->sha256.b);
        if (d->tree) {
            json_put_int(j, "leaves", (int64_t)d->leaves);
            json_put_hex(j, "root", d->root.b, sizeof d->root.b);
        }
        json_push(list, j);
    }
    json_put(root, "members", list);
    TRY(json_check(root, st));
    TRY(json_write_canonical(root, out, st));
out:
    json_free(root);
    return rc;
}

static int get_hash(const struct json *j, const char *key, struct hash *out, struct status *st)
{
    const char *text = NULL;
    int rc = json_get_text(j, key, &text, st);
    return rc ? rc : hex_read(text, strlen(text), out->b, sizeof out->b, st);
}

static int parse_entry(const struct json *j, struct manifest *m, struct status *st)
{
    static const char *const plain[] = { "path", "sha256", "size", NULL };
    static const char *const tree[] = { "leaves", "path", "root", "sha256", "size", NULL };
    int rc = 0;
    const char *path = NULL;
    struct member_name name;
    struct member_digest d = { 0 };
    int64_t size = 0, leaves = 0;
    if (json_type(j) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "member %zu is no object", m->n);
    TRY(json_get_text(j, "path", &path, st));
    if (!member_find(path, &name) || !rules[name.member].sealed)
        FAIL(st, RC_FORMAT, "'%.120s' is no member that a manifest lists", path);
    d.tree = rules[name.member].tree;
    TRY(json_only(j, d.tree ? tree : plain, st));
    TRY(json_get_int(j, "size", 0, JSON_INT_MAX, &size, st));
    TRY(get_hash(j, "sha256", &d.sha256, st));
    if (d.tree) {
        TRY(json_get_int(j, "leaves", 0, JSON_INT_MAX, &leaves, st));
        TRY(get_hash(j, "root", &d.root, st));
    }
    d.size = (uint64_t)size;
    d.leaves = (uint64_t)leaves;
    if (m->n > 0 && strcmp(m->entries[m->n - 1].path, path) >= 0)
        FAIL(st, RC_FORMAT, "'%s' does not follow '%s'", path, m->entries[m->n - 1].path);
    TRY(manifest_add(m, path, &d, st));
out:
    return rc;
}

static int parse_document(const struct json *root, struct manifest *m, struct status *st)
{
    static const char *const known[] = { "lethe_manifest", "members", NULL };
    int rc = 0;
    int64_t version = 0;
    const struct json *list = NULL;
    if (json_type(root) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not a manifest");
    TRY(json_get_int(root, "lethe_manifest", 0, JSON_INT_MAX, &version, st));
    if (version != 1)
        FAIL(st, RC_UNSUPPORTED, "lethe_manifest %" PRId64 ", this reads 1", version);
    TRY(json_only(root, known, st));
    TRY(json_get(root, "members", JSON_ARRAY, &list, st));
    for (const struct json *j = json_first(list); j; j = json_next(j))
        TRY(parse_entry(j, m, st));
out:
    return rc;
}

int manifest_parse(struct bytes file, struct manifest *out, struct status *st)
{
    int rc = 0;
    struct manifest m = { 0 };
    struct json *root = NULL;
    TRY(json_parse_canonical(file.data, file.size, &root, st));
    TRY(parse_document(root, &m, st));
    *out = m;
    m = (struct manifest){ 0 };
out:
    json_free(root);
    manifest_release(&m);
    return rc;
}

void manifest_release(struct manifest *m)
{
    for (size_t i = 0; i < m->n; i++)
        mem_free(m->entries[i].path);
    mem_free(m->entries);
    *m = (struct manifest){ 0 };
}

const struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, m->entries[middle].path);
        if (order == 0)
            return &m->entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int manifest_check(const struct manifest_entry *e, const struct member_digest *d, struct status *st)
{
    const struct member_digest *w = &e->digest;
    assert(w->tree == d->tree);
    if (d->withheld == 0 && d->size != w->size)
        return status_fail(st, RC_VERIFY, "%s: %" PRIu64 " bytes, the manifest says %" PRIu64, e->path,
                           d->size, w->size);
    if (d->withheld == 0 && !hash_equal(&d->sha256, &w->sha256))
        return status_fail(st, RC_VERIFY, "%s: digest %.16s…, the manifest says %.16s…", e->path,
                           hash_hex(&d->sha256).s, hash_hex(&w->sha256).s);
    if (w->tree && d->leaves != w->leaves)
        return status_fail(st, RC_VERIFY, "%s: %" PRIu64 " lines, the manifest says %" PRIu64, e->path,
                           d->leaves, w->leaves);
    if (w->tree && !hash_equal(&d->root, &w->root))
        return status_fail(st, RC_VERIFY, "%s: Merkle root %.16s…, the manifest says %.16s…", e->path,
                           hash_hex(&d->root).s, hash_hex(&w->root).s);
    return 0;
}
