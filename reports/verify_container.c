/* The file and its members: container rules, digests, the three heads, and the manifest against what is
 * there. */
#include "reports/verify_private.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>

/* Documents are small next to evidence; this bounds what a hostile archive makes us keep. */
#define DOCS_BYTES_MAX ((uint64_t)1 << 30)

/* ---- step 2: every member's digest, in one pass ---- */

struct digesting {
    struct verification *v;
    struct member_hasher *hasher;
};

static int digest_begin(void *self, const char *name, uint64_t size, struct status *st)
{
    int rc = 0;
    struct digesting *d = self;
    struct verification *v = d->v;
    struct seen_member m = { 0 };
    (void)size;
    m.known = member_find(name, &m.id);
    TRY(mem_grow(&v->members, v->members_n, &v->members_cap, sizeof *v->members, st));
    m.name = mem_calloc(strlen(name) + 1, 1);
    if (!m.name)
        FAIL(st, RC_NOMEM, "no memory for a list of members");
    memcpy(m.name, name, strlen(name));
    v->members[v->members_n++] = m;
    TRY(member_hasher_open(m.known && member_rule(m.id.member)->tree, &d->hasher, st));
out:
    return rc;
}

static int digest_chunk(void *self, const void *data, size_t n, struct status *st)
{
    struct digesting *d = self;
    int rc = member_hasher_add(d->hasher, data, n, st);
    if (rc != 0)
        status_prefix(st, "%s", d->v->members[d->v->members_n - 1].name);
    return rc;
}

static int digest_end(void *self, struct status *st)
{
    struct digesting *d = self;
    struct seen_member *m = &d->v->members[d->v->members_n - 1];
    int rc = member_hasher_end(d->hasher, &m->digest, st);
    if (rc != 0)
        status_prefix(st, "%s", m->name);
    member_hasher_close(d->hasher);
    d->hasher = NULL;
    return rc;
}

static bool is_document(void *self, const char *name)
{
    struct member_name id;
    (void)self;
    return member_find(name, &id) && !member_rule(id.member)->tree;
}

int verify_container(struct verification *v, struct status *st)
{
    int rc = 0;
    struct digesting d = { .v = v };
    const struct container_sink sink = { &d, digest_begin, digest_chunk, digest_end };
    const struct container_filter documents = { NULL, is_document, DOCS_BYTES_MAX };
    TRY(container_walk(v->path, &sink, st));
    TRY(container_load(v->path, &documents, &v->docs, st));
out:
    member_hasher_close(d.hasher);
    return rc;
}

/* ---- step 3 ---- */

int verify_heads(struct verification *v, struct status *st)
{
    int rc = 0;
    struct bytes b;
    for (enum member m = 0; m < MEMBER_COUNT; m++) {
        const struct member_rule *rule = member_rule(m);
        if (rule->need == NEED_ALWAYS && !verify_member(v, rule->pattern))
            FAIL(st, RC_FORMAT, "%s is missing", rule->pattern);
    }
    b = verify_doc(v, "manifest.json");
    if ((rc = manifest_parse(b, &v->manifest, st)) != 0) {
        status_prefix(st, "manifest.json");
        goto out;
    }
    b = verify_doc(v, "statement.json");
    if ((rc = statement_parse(b.data, b.size, &v->statement, st)) != 0) {
        status_prefix(st, "statement.json");
        goto out;
    }
    b = verify_doc(v, "dsse.json");
    if ((rc = dsse_parse(b, DSSE_TYPE_STATEMENT, &v->dsse, st)) != 0) {
        status_prefix(st, "dsse.json");
        goto out;
    }
out:
    return rc;
}

/* ---- steps 5 and 6 ---- */

static int sealed_check(struct verification *v, const struct seen_member *m, struct status *st)
{
    struct status said = { 0 };
    if (m->known && !member_rule(m->id.member)->sealed)
        return 0;
    const struct manifest_entry *e = m->known ? manifest_find(&v->manifest, m->name) : NULL;
    if (!e)
        return verify_false(v, st, "%s: not in the manifest", m->name);
    return verify_claim(v, manifest_check(e, &m->digest, &said), &said, st);
}

int verify_manifest(struct verification *v, struct status *st)
{
    int rc = 0;
    const struct seen_member *manifest = verify_member(v, "manifest.json");
    if (!hash_equal(&manifest->digest.sha256, &v->statement.manifest))
        TRY(verify_false(v, st, "manifest.json: digest %.16s…, the statement says %.16s…",
                         hash_hex(&manifest->digest.sha256).s, hash_hex(&v->statement.manifest).s));
    for (size_t i = 0; i < v->members_n; i++)
        TRY(sealed_check(v, &v->members[i], st));
    for (size_t i = 0; i < v->manifest.n; i++)
        if (!verify_member(v, v->manifest.entries[i].path))
            TRY(verify_false(v, st, "%s: in the manifest, not in the archive", v->manifest.entries[i].path));
out:
    return rc;
}
