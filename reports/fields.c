#include "reports/fields.h"

#include <inttypes.h>
#include <string.h>

int field_text_maybe(const struct json *o, const char *key, const char **out, struct status *st)
{
    *out = NULL;
    return json_find(o, key) ? json_get_text(o, key, out, st) : 0;
}

int field_hash(const struct json *o, const char *key, struct hash *out, struct status *st)
{
    int rc = 0;
    const char *text;
    struct hash h;
    TRY(json_get_text(o, key, &text, st));
    if (hash_read(text, &h, NULL) != 0)
        FAIL(st, RC_FORMAT, "key '%s': not a SHA-256 in 64 lowercase hex digits", key);
    *out = h;
out:
    return rc;
}

int field_u64(const struct json *o, const char *key, uint64_t *out, struct status *st)
{
    int64_t n = 0;
    int rc = json_get_int(o, key, 0, JSON_INT_MAX, &n, st);
    if (rc == 0)
        *out = (uint64_t)n;
    return rc;
}

int field_word(const struct json *o, const char *key, const char *const *words, const char **out,
               struct status *st)
{
    int rc = 0;
    const char *text;
    struct str list = { 0 };
    TRY(json_get_text(o, key, &text, st));
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = text;
            goto out;
        }
        str_printf(&list, "%s%s", i ? ", " : "", words[i]);
    }
    FAIL(st, RC_FORMAT, "key '%s': '%.60s' is none of %s", key, text, str_text(&list));
out:
    str_release(&list);
    return rc;
}

int field_digest(const struct json *o, const char *key, bool *has, struct hash *out, struct status *st)
{
    static const char *const keys[] = { "sha256", NULL };
    int rc = 0;
    const struct json *d;
    *has = false;
    if (!json_find(o, key))
        return 0;
    TRY(json_get(o, key, JSON_OBJECT, &d, st));
    TRY(json_only(d, keys, st));
    TRY(field_hash(d, "sha256", out, st));
    *has = true;
out:
    if (rc != 0)
        status_prefix(st, "/%s", key);
    return rc;
}

int field_array(const struct json *o, const char *key, size_t max, const struct json **out, size_t *n,
                struct status *st)
{
    int rc = 0;
    TRY(json_get(o, key, JSON_ARRAY, out, st));
    *n = json_size(*out);
    if (*n > max)
        FAIL(st, RC_LIMIT, "key '%s': %zu elements, over %zu", key, *n, max);
out:
    return rc;
}

int field_version(const struct json *o, const char *key, struct status *st)
{
    int rc = 0;
    int64_t version = 0;
    TRY(json_get_int(o, key, 1, JSON_INT_MAX, &version, st));
    if (version != 1)
        FAIL(st, RC_UNSUPPORTED, "%s %" PRId64 ": this program reads version 1", key, version);
out:
    return rc;
}

int field_only(const struct json *o, const char *const *keys, struct status *st)
{
    if (json_type(o) != JSON_OBJECT)
        return status_fail(st, RC_FORMAT, "not an object");
    return json_only(o, keys, st);
}

int field_canonical(const struct json *j, struct str *out, struct status *st)
{
    int rc = 0;
    TRY(json_write_canonical(j, out, st));
    TRY(str_check(out, st));
out:
    return rc;
}

struct json *field_of_hash(const struct hash *h)
{
    return json_of_text(hash_hex(h).s);
}

void field_put_hash(struct json *o, const char *key, const struct hash *h)
{
    json_put(o, key, field_of_hash(h));
}
