#include "reports/trust.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <assert.h>
#include <string.h>

static const char *const roles[] = { "none", "author", "validator" };
static const char *const plans[] = { "any", "signed", "stamped" };

const char *trust_role_name(enum trust_role role)
{
    return roles[role];
}

bool trust_role_find(const char *text, enum trust_role *out)
{
    for (enum trust_role role = TRUST_AUTHOR; role <= TRUST_VALIDATOR; role++)
        if (strcmp(text, roles[role]) == 0) {
            *out = role;
            return true;
        }
    return false;
}

const char *trust_plan_name(enum trust_plan plan)
{
    return plans[plan];
}

/* Takes `key`. */
static int add_key(struct trust *t, const char *name, struct key_public *key, struct status *st)
{
    int rc = 0;
    size_t size = strlen(name) + 1;
    struct trust_key *k = &t->keys[t->n];
    struct hash id = key_id(key);
    if (size == 1)
        FAIL(st, RC_FORMAT, "a key with an empty name");
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->keys[i].name, name) == 0)
            FAIL(st, RC_FORMAT, "the name '%s' stands twice", name);
        if (hash_equal(&t->keys[i].id, &id))
            FAIL(st, RC_FORMAT, "'%s' and '%s' are the same key", t->keys[i].name, name);
    }
    char *copy = mem_calloc(size, 1);
    if (!copy)
        FAIL(st, RC_NOMEM, "no memory for a key");
    memcpy(copy, name, size);
    *k = (struct trust_key){ .name = copy, .key = key, .id = id };
    key = NULL;
    t->n++;
out:
    key_public_free(key);
    return rc;
}

static int room_for_keys(struct trust *t, size_t n, struct status *st)
{
    if (n == 0)
        return status_fail(st, RC_FORMAT, "no keys");
    if (n > TRUST_KEYS_MAX)
        return status_fail(st, RC_LIMIT, "%zu keys, over %d", n, TRUST_KEYS_MAX);
    t->keys = mem_calloc(n, sizeof *t->keys);
    return t->keys ? 0 : status_fail(st, RC_NOMEM, "no memory for %zu keys", n);
}

static int parse_keys(const struct json *list, struct trust *t, struct status *st)
{
    static const char *const known[] = { "key", "name", NULL };
    int rc = 0;
    TRY(room_for_keys(t, json_size(list), st));
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *name = NULL, *text = NULL;
        struct key_public *key = NULL;
        if (json_type(j) != JSON_OBJECT)
            FAIL(st, RC_FORMAT, "keys: element %zu is no object", t->n);
        TRY(json_only(j, known, st));
        TRY(json_get_text(j, "name", &name, st));
        TRY(json_get_text(j, "key", &text, st));
        rc = key_parse_public((struct bytes){ text, strlen(text) }, &key, st);
        if (rc) {
            status_prefix(st, "key '%s'", name);
            goto out;
        }
        TRY(add_key(t, name, key, st));
    }
out:
    return rc;
}

static int list_key(struct trust *t, struct trust_require *r, const char *name, struct status *st)
{
    size_t i = 0;
    while (i < t->n && strcmp(t->keys[i].name, name) != 0)
        i++;
    if (i == t->n)
        return status_fail(st, RC_FORMAT, "require: there is no key '%s'", name);
    if (t->keys[i].role == r->role)
        return status_fail(st, RC_FORMAT, "require: '%s' stands twice", name);
    if (t->keys[i].role != TRUST_NO_ROLE)
        return status_fail(st, RC_FORMAT, "require: '%s' is in both roles", name);
    t->keys[i].role = r->role;
    r->keys[r->n++] = i;
    return 0;
}

static int parse_require(const struct json *j, struct trust *t, struct status *st)
{
    static const char *const known[] = { "keys", "role", "threshold", NULL };
    int rc = 0;
    const char *role = NULL;
    const struct json *list = NULL;
    int64_t threshold = 0;
    if (json_type(j) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "require: an element is no object");
    struct trust_require *r = &t->require[t->require_n++];
    TRY(json_only(j, known, st));
    TRY(json_get_text(j, "role", &role, st));
    TRY(json_get(j, "keys", JSON_ARRAY, &list, st));
    if (!trust_role_find(role, &r->role))
        FAIL(st, RC_FORMAT, "require: role '%s' is neither author nor validator", role);
    for (size_t i = 0; i + 1 < t->require_n; i++)
        if (t->require[i].role == r->role)
            FAIL(st, RC_FORMAT, "require: two entries for the role %s", role);
    if (json_size(list) > t->n)
        FAIL(st, RC_FORMAT, "require: %s lists more keys than there are", role);
    r->keys = mem_calloc(json_size(list), sizeof *r->keys);
    if (!r->keys)
        FAIL(st, RC_NOMEM, "no memory for a trust file");
    for (const struct json *e = json_first(list); e; e = json_next(e)) {
        if (json_type(e) != JSON_STRING)
            FAIL(st, RC_FORMAT, "require: %s lists what is no name", role);
        TRY(list_key(t, r, json_text(e), st));
    }
    TRY(json_get_int(j, "threshold", 0, JSON_INT_MAX, &threshold, st));
    if (threshold == 0 || (uint64_t)threshold > r->n)
        FAIL(st, RC_FORMAT, "require: %s has %zu keys and the threshold %lld", role, r->n,
             (long long)threshold);
    r->threshold = (size_t)threshold;
out:
    return rc;
}

static int parse_document(const struct json *root, struct trust *t, struct status *st)
{
    static const char *const known[] = { "keys", "lethe_trust", "plan", "require", NULL };
    int rc = 0;
    int64_t version = 0;
    const char *plan = NULL;
    const struct json *keys = NULL, *require = NULL;
    if (json_type(root) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not a trust file");
    TRY(json_get_int(root, "lethe_trust", 0, JSON_INT_MAX, &version, st));
    if (version != 1)
        FAIL(st, RC_UNSUPPORTED, "lethe_trust %lld, this reads 1", (long long)version);
    TRY(json_only(root, known, st));
    TRY(json_get(root, "keys", JSON_ARRAY, &keys, st));
    TRY(parse_keys(keys, t, st));
    TRY(json_get(root, "require", JSON_ARRAY, &require, st));
    size_t n = json_size(require);
    if (n == 0 || n > 2)
        FAIL(st, RC_FORMAT, "require has %zu entries, one for each role is meant", n);
    t->require = mem_calloc(n, sizeof *t->require);
    if (!t->require)
        FAIL(st, RC_NOMEM, "no memory for a trust file");
    for (const struct json *j = json_first(require); j; j = json_next(j))
        TRY(parse_require(j, t, st));
    TRY(json_get_text(root, "plan", &plan, st));
    while (t->plan <= TRUST_PLAN_STAMPED && strcmp(plan, plans[t->plan]) != 0)
        t->plan++;
    if (t->plan > TRUST_PLAN_STAMPED)
        FAIL(st, RC_FORMAT, "plan '%s' is not any, signed or stamped", plan);
out:
    return rc;
}

int trust_parse(struct bytes file, struct trust *out, struct status *st)
{
    int rc = 0;
    struct trust t = { 0 };
    struct json *root = NULL;
    if (file.size > TRUST_BYTES_MAX)
        FAIL(st, RC_LIMIT, "a trust file over %zu bytes", TRUST_BYTES_MAX);
    TRY(json_parse(file.data, file.size, &root, st));
    TRY(parse_document(root, &t, st));
    *out = t;
    t = (struct trust){ 0 };
out:
    json_free(root);
    trust_release(&t);
    return rc;
}

int trust_load(const char *path, struct trust *out, struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    TRY(file_read(path, TRUST_BYTES_MAX, &file, st));
    rc = trust_parse((struct bytes){ file.data, file.size }, out, st);
    if (rc)
        status_prefix(st, "%s", path);
out:
    str_release(&file);
    return rc;
}

int trust_of_keys(const char *const *paths, size_t n, struct trust *out, struct status *st)
{
    int rc = 0;
    struct trust t = { 0 };
    TRY(room_for_keys(&t, n, st));
    t.require = mem_calloc(1, sizeof *t.require);
    size_t *all = mem_calloc(n, sizeof *all);
    if (!t.require || !all) {
        mem_free(all);
        FAIL(st, RC_NOMEM, "no memory for %zu keys", n);
    }
    t.require_n = 1;
    t.require[0] = (struct trust_require){ .role = TRUST_AUTHOR, .keys = all, .threshold = 1 };
    for (size_t i = 0; i < n; i++) {
        struct key_public *key = NULL;
        TRY(key_load_public(paths[i], &key, st));
        TRY(add_key(&t, paths[i], key, st));
        t.keys[i].role = TRUST_AUTHOR;
        all[t.require[0].n++] = i;
    }
    *out = t;
    t = (struct trust){ 0 };
out:
    trust_release(&t);
    return rc;
}

void trust_release(struct trust *t)
{
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->keys[i].name);
        key_public_free(t->keys[i].key);
    }
    for (size_t i = 0; i < t->require_n; i++)
        mem_free(t->require[i].keys);
    mem_free(t->keys);
    mem_free(t->require);
    *t = (struct trust){ 0 };
}

const struct trust_key *trust_find(const struct trust *t, const struct hash *id)
{
    for (size_t i = 0; t && i < t->n; i++)
        if (hash_equal(&t->keys[i].id, id))
            return &t->keys[i];
    return NULL;
}

const struct trust_key *trust_find_text(const struct trust *t, const char *id_hex)
{
    struct hash id;
    if (strlen(id_hex) != 64 || hash_read(id_hex, &id, NULL) != 0)
        return NULL;
    return trust_find(t, &id);
}

int trust_check(const struct trust *t, const bool *signed_by, struct status *st)
{
    for (size_t i = 0; i < t->require_n; i++) {
        const struct trust_require *r = &t->require[i];
        size_t have = 0;
        for (size_t k = 0; k < r->n; k++) {
            assert(r->keys[k] < t->n);
            have += signed_by[r->keys[k]];
        }
        if (have < r->threshold)
            return status_fail(st, RC_VERIFY, "%s: %zu of %zu signatures", trust_role_name(r->role), have,
                               r->threshold);
    }
    return 0;
}
