#include "reports/dsse.h"

#include "base/alloc.h"
#include "base/json.h"

#include <string.h>

int dsse_pae(const char *type, struct bytes body, struct str *out, struct status *st)
{
    str_printf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, body.size);
    str_add(out, body.data, body.size);
    return str_check(out, st);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_calloc(size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

int dsse_init(const char *type, struct bytes payload, struct dsse *out, struct status *st)
{
    int rc = 0;
    struct dsse e = { .type = copy_text(type) };
    if (!e.type)
        FAIL(st, RC_NOMEM, "no memory for an envelope");
    str_add(&e.payload, payload.data, payload.size);
    TRY(str_check(&e.payload, st));
    *out = e;
    e = (struct dsse){ 0 };
out:
    dsse_release(&e);
    return rc;
}

void dsse_release(struct dsse *e)
{
    for (size_t i = 0; i < e->n; i++) {
        mem_free(e->signatures[i].keyid);
        str_release(&e->signatures[i].sig);
    }
    mem_free(e->type);
    str_release(&e->payload);
    *e = (struct dsse){ 0 };
}

static struct bytes payload_of(const struct dsse *e)
{
    return (struct bytes){ str_text(&e->payload), e->payload.size };
}

int dsse_sign(struct dsse *e, const struct key_secret *k, struct status *st)
{
    int rc = 0;
    struct hash id = key_id(key_secret_public(k));
    struct hash_hex hex = hash_hex(&id);
    struct dsse_signature s = { 0 };
    struct str pae = { 0 };
    if (e->n == DSSE_SIGNATURES_MAX)
        FAIL(st, RC_LIMIT, "%d signatures are there already, which is the limit", DSSE_SIGNATURES_MAX);
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->signatures[i].keyid, hex.s) == 0)
            FAIL(st, RC_ARG, "the key %.16s has signed already", hex.s);
    TRY(dsse_pae(e->type, payload_of(e), &pae, st));
    TRY(key_sign(k, (struct bytes){ pae.data, pae.size }, &s.sig, st));
    s.keyid = copy_text(hex.s);
    if (!s.keyid)
        FAIL(st, RC_NOMEM, "no memory for a signature");
    e->signatures[e->n++] = s;
    s = (struct dsse_signature){ 0 };
out:
    mem_free(s.keyid);
    str_release(&s.sig);
    str_release(&pae);
    return rc;
}

static void put_base64(struct json *object, const char *key, const struct str *bytes, struct str *scratch)
{
    str_clear(scratch);
    str_base64(scratch, (const uint8_t *)str_text(bytes), bytes->size);
    json_put(object, key, scratch->failed ? NULL : json_of_textn(str_text(scratch), scratch->size));
}

int dsse_write(const struct dsse *e, struct str *out, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct json *root = json_object(), *list = json_array();
    put_base64(root, "payload", &e->payload, &text);
    json_put_text(root, "payloadType", e->type);
    for (size_t i = 0; i < e->n; i++) {
        struct json *s = json_object();
        json_put_text(s, "keyid", e->signatures[i].keyid);
        put_base64(s, "sig", &e->signatures[i].sig, &text);
        json_push(list, s);
    }
    json_put(root, "signatures", list);
    TRY(json_check(root, st));
    TRY(json_write_canonical(root, out, st));
out:
    json_free(root);
    str_release(&text);
    return rc;
}

static int parse_signature(const struct json *j, struct dsse *e, struct status *st)
{
    static const char *const known[] = { "keyid", "sig", NULL };
    int rc = 0;
    const char *keyid = NULL, *sig = NULL;
    if (json_type(j) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "signature %zu is no object", e->n);
    TRY(json_only(j, known, st));
    TRY(json_get_text(j, "keyid", &keyid, st));
    TRY(json_get_text(j, "sig", &sig, st));
    struct dsse_signature *s = &e->signatures[e->n++];
    s->keyid = copy_text(keyid);
    if (!s->keyid)
        FAIL(st, RC_NOMEM, "no memory for an envelope");
    TRY(base64_read(sig, strlen(sig), &s->sig, st));
out:
    return rc;
}

static int parse_envelope(const struct json *root, const char *type, struct dsse *e, struct status *st)
{
    static const char *const known[] = { "payload", "payloadType", "signatures", NULL };
    int rc = 0;
    const char *payload = NULL, *found = NULL;
    const struct json *list = NULL;
    if (json_type(root) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an envelope");
    TRY(json_only(root, known, st));
    TRY(json_get_text(root, "payloadType", &found, st));
    if (type && strcmp(found, type) != 0)
        FAIL(st, RC_FORMAT, "payloadType '%.100s', '%s' is wanted", found, type);
    e->type = copy_text(found);
    if (!e->type)
        FAIL(st, RC_NOMEM, "no memory for an envelope");
    TRY(json_get_text(root, "payload", &payload, st));
    TRY(base64_read(payload, strlen(payload), &e->payload, st));
    TRY(json_get(root, "signatures", JSON_ARRAY, &list, st));
    if (json_size(list) > DSSE_SIGNATURES_MAX)
        FAIL(st, RC_LIMIT, "%zu signatures, over %d", json_size(list), DSSE_SIGNATURES_MAX);
    for (const struct json *j = json_first(list); j; j = json_next(j))
        TRY(parse_signature(j, e, st));
out:
    return rc;
}

int dsse_parse(struct bytes file, const char *type, struct dsse *out, struct status *st)
{
    int rc = 0;
    struct dsse e = { 0 };
    struct json *root = NULL;
    TRY(json_parse_canonical(file.data, file.size, &root, st));
    TRY(parse_envelope(root, type, &e, st));
    *out = e;
    e = (struct dsse){ 0 };
out:
    json_free(root);
    dsse_release(&e);
    return rc;
}

/* Every trusted key is tried, the one that the keyid names first: a hint only saves time. */
static int judge(const struct dsse_signature *s, struct bytes pae, const struct trust *t,
                 struct dsse_judged *out, struct status *st)
{
    int rc = 0;
    const struct trust_key *named = trust_find_text(t, s->keyid);
    struct bytes sig = { str_text(&s->sig), s->sig.size };
    bool good = false;
    *out = (struct dsse_judged){ .state = DSSE_UNKNOWN };
    if (named) {
        TRY(key_verify(named->key, pae, sig, &good, st));
        *out = (struct dsse_judged){ .state = good ? DSSE_GOOD : DSSE_FALSE, .key = named };
        goto out;
    }
    for (size_t i = 0; t && i < t->n; i++) {
        TRY(key_verify(t->keys[i].key, pae, sig, &good, st));
        if (good) {
            *out = (struct dsse_judged){ .state = DSSE_FALSE, .key = &t->keys[i] };
            goto out;
        }
    }
out:
    return rc;
}

int dsse_judge(const struct dsse *e, const struct trust *t, struct dsse_judged *out, struct status *st)
{
    int rc = 0;
    struct str pae = { 0 };
    TRY(dsse_pae(e->type, payload_of(e), &pae, st));
    for (size_t i = 0; i < e->n; i++)
        TRY(judge(&e->signatures[i], (struct bytes){ pae.data, pae.size }, t, &out[i], st));
out:
    str_release(&pae);
    return rc;
}
