/* A `struct json` is a cJSON node: the type has no body, so that no other file sees cJSON. */
#include "base/json.h"

#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/utf8.h"

#include <cjson/cJSON.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A bit of cJSON's type that cJSON leaves alone: something below this node could not be made. */
enum { TYPE_FAILED = 1 << 20 };

static void *hook_malloc(size_t n)
{
    return mem_calloc(n, 1);
}

/* Before main, hence before any thread: cJSON takes its memory where everything else does. */
__attribute__((constructor)) static void use_our_memory(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){ .malloc_fn = hook_malloc, .free_fn = mem_free });
}

static cJSON *node(struct json *j)
{
    return (cJSON *)j;
}

static const cJSON *node_of(const struct json *j)
{
    return (const cJSON *)j;
}

/* ---- parsing ---- */

static int by_key(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    return strcmp((*x)->string, (*y)->string);
}

/* The members of an object in byte order of their keys. *out is freed by the caller. */
static int sorted_members(const cJSON *object, const cJSON ***out, size_t *n, struct status *st)
{
    size_t count = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        count++;
    const cJSON **members = mem_calloc(count, sizeof(*members));
    if (!members)
        return status_fail(st, RC_NOMEM, "no memory for %zu keys", count);
    size_t i = 0;
    for (const cJSON *m = object->child; m; m = m->next)
        members[i++] = m;
    if (count > 1)
        qsort(members, count, sizeof(*members), by_key);
    *out = members;
    *n = count;
    return 0;
}

static int repeated(const char *key, struct status *st)
{
    return status_fail(st, RC_FORMAT, "key '%.60s' is repeated", key);
}

/* Small objects, which lines are made of, are compared pair by pair; large ones are sorted first. */
static int check_keys(const cJSON *object, struct status *st)
{
    int rc = 0;
    size_t n = 0;
    const cJSON **members = NULL;
    for (const cJSON *m = object->child; m && n <= 16; m = m->next, n++)
        for (const cJSON *o = object->child; o != m; o = o->next)
            if (strcmp(o->string, m->string) == 0)
                return repeated(m->string, st);
    if (n <= 16)
        return 0;
    TRY(sorted_members(object, &members, &n, st));
    for (size_t i = 1; i < n; i++)
        if (strcmp(members[i - 1]->string, members[i]->string) == 0)
            TRY(repeated(members[i]->string, st));
out:
    mem_free(members);
    return rc;
}

/* Recursion ends at JSON_DEPTH_MAX, which the scanner holds. */
static int check_all_keys(const cJSON *value, struct status *st)
{
    int rc = 0;
    if (cJSON_IsObject(value))
        TRY(check_keys(value, st));
    for (const cJSON *c = value->child; c; c = c->next)
        if (c->child)
            TRY(check_all_keys(c, st));
out:
    return rc;
}

int json_parse_wide(const char *data, size_t size, size_t keys_max, struct json **out, struct status *st)
{
    int rc = 0;
    cJSON *tree = NULL;
    TRY(json_scan(data, size, keys_max, st));
    tree = cJSON_ParseWithLength(data, size);
    if (!tree) /* the scanner let it through, so that only memory can be the reason */
        FAIL(st, RC_NOMEM, "no memory for the tree of %zu bytes of JSON", size);
    TRY(check_all_keys(tree, st));
    *out = (struct json *)tree;
    tree = NULL;
out:
    cJSON_Delete(tree);
    return rc;
}

int json_parse(const char *data, size_t size, struct json **out, struct status *st)
{
    return json_parse_wide(data, size, JSON_KEYS_MAX, out, st);
}

int json_parse_canonical(const char *data, size_t size, struct json **out, struct status *st)
{
    int rc = 0;
    struct json *tree = NULL;
    struct str again = { 0 };
    TRY(json_parse(data, size, &tree, st));
    TRY(json_write_canonical(tree, &again, st));
    size_t same = 0;
    while (same < size && same < again.size && data[same] == again.data[same])
        same++;
    if (same < size || same < again.size)
        FAIL(st, RC_FORMAT, "byte %zu: not in canonical form", same);
    *out = tree;
    tree = NULL;
out:
    json_free(tree);
    str_release(&again);
    return rc;
}

void json_free(struct json *j)
{
    cJSON_Delete(node(j));
}

/* ---- reading ---- */

enum json_type json_type(const struct json *j)
{
    switch (node_of(j)->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return JSON_BOOL;
    case cJSON_Number:
        return JSON_NUMBER;
    case cJSON_String:
        return JSON_STRING;
    case cJSON_Array:
        return JSON_ARRAY;
    case cJSON_Object:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

bool json_is_off(const struct json *j)
{
    switch (json_type(j)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return !json_bool(j);
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_size(j) == 0;
    default:
        return false;
    }
}

const struct json *json_find(const struct json *object, const char *key)
{
    return cJSON_IsObject(node_of(object))
               ? (const struct json *)cJSON_GetObjectItemCaseSensitive(node_of(object), key)
               : NULL;
}

size_t json_size(const struct json *j)
{
    size_t n = 0;
    for (const cJSON *c = node_of(j)->child; c; c = c->next)
        n++;
    return n;
}

const struct json *json_first(const struct json *j)
{
    return (const struct json *)node_of(j)->child;
}

const struct json *json_next(const struct json *j)
{
    return (const struct json *)node_of(j)->next;
}

const char *json_key(const struct json *member)
{
    return node_of(member)->string;
}

const char *json_text(const struct json *j)
{
    return cJSON_IsString(node_of(j)) ? node_of(j)->valuestring : NULL;
}

bool json_is_int(const struct json *j)
{
    if (!cJSON_IsNumber(node_of(j)))
        return false;
    double x = node_of(j)->valuedouble;
    return fabs(x) <= (double)JSON_INT_MAX && x == trunc(x);
}

int64_t json_int(const struct json *j)
{
    assert(json_is_int(j));
    return (int64_t)node_of(j)->valuedouble;
}

double json_double(const struct json *j)
{
    assert(cJSON_IsNumber(node_of(j)));
    return node_of(j)->valuedouble;
}

bool json_bool(const struct json *j)
{
    assert(cJSON_IsBool(node_of(j)));
    return cJSON_IsTrue(node_of(j));
}

static bool same_children(const struct json *a, const struct json *b)
{
    bool object = json_type(a) == JSON_OBJECT;
    const struct json *x = json_first(a), *y = json_first(b);
    for (; x && y; x = json_next(x), y = json_next(y)) {
        const struct json *other = y;
        if (object && strcmp(json_key(x), json_key(y)) != 0)
            other = json_find(b, json_key(x)); /* keys are unique, so equal counts and all found is equal */
        if (!other || !json_equal(x, other))
            return false;
    }
    return !x && !y;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (json_type(a) != json_type(b))
        return false;
    switch (json_type(a)) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return json_bool(a) == json_bool(b);
    case JSON_NUMBER:
        return json_double(a) == json_double(b);
    case JSON_STRING:
        return strcmp(json_text(a), json_text(b)) == 0;
    default:
        return same_children(a, b);
    }
}

int json_get(const struct json *object, const char *key, enum json_type type, const struct json **out,
             struct status *st)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
    };
    if (json_type(object) != JSON_OBJECT)
        return status_fail(st, RC_FORMAT, "key '%s' is wanted in %s", key, names[json_type(object)]);
    const struct json *value = json_find(object, key);
    if (!value)
        return status_fail(st, RC_FORMAT, "key '%s' is missing", key);
    if (json_type(value) != type)
        return status_fail(st, RC_FORMAT, "key '%s' is %s, %s is wanted", key, names[json_type(value)],
                           names[type]);
    *out = value;
    return 0;
}

int json_get_text(const struct json *object, const char *key, const char **out, struct status *st)
{
    const struct json *value = NULL;
    int rc = json_get(object, key, JSON_STRING, &value, st);
    if (rc == 0)
        *out = json_text(value);
    return rc;
}

int json_get_int(const struct json *object, const char *key, int64_t min, int64_t max, int64_t *out,
                 struct status *st)
{
    const struct json *value = NULL;
    int rc = json_get(object, key, JSON_NUMBER, &value, st);
    if (rc)
        return rc;
    if (!json_is_int(value))
        return status_fail(st, RC_FORMAT, "key '%s' is %.17g, an integer is wanted", key, json_double(value));
    int64_t n = json_int(value);
    if (n < min || n > max)
        return status_fail(st, RC_FORMAT, "key '%s' is %lld, %lld to %lld is wanted", key, (long long)n,
                           (long long)min, (long long)max);
    *out = n;
    return 0;
}

bool json_is_decimal(const char *text)
{
    const char *p = text + (*text == '-');
    size_t whole = strspn(p, "0123456789");
    if (whole == 0 || (whole > 1 && p[0] == '0'))
        return false;
    p += whole;
    if (*p == 0)
        return true;
    if (*p++ != '.')
        return false;
    size_t after = strspn(p, "0123456789");
    return after >= 1 && after <= 12 && p[after] == 0;
}

int json_get_decimal(const struct json *object, const char *key, const char **text, double *out,
                     struct status *st)
{
    const char *s;
    int rc = json_get_text(object, key, &s, st);
    if (rc)
        return rc;
    if (!json_is_decimal(s))
        return status_fail(st, RC_FORMAT, "key '%s' is \"%.40s\", a decimal such as \"0.02\" is wanted", key,
                           s);
    double x = strtod(s, NULL);
    if (!isfinite(x))
        return status_fail(st, RC_FORMAT, "key '%s': the decimal overflows", key);
    if (text)
        *text = s;
    *out = x;
    return 0;
}

int json_only(const struct json *object, const char *const *keys, struct status *st)
{
    for (const cJSON *m = node_of(object)->child; m; m = m->next) {
        const char *const *k = keys;
        while (*k && strcmp(*k, m->string) != 0)
            k++;
        if (!*k)
            return status_fail(st, RC_FORMAT, "unknown key '%.60s'", m->string);
    }
    return 0;
}

/* ---- building ---- */

struct json *json_object(void)
{
    return (struct json *)cJSON_CreateObject();
}

struct json *json_array(void)
{
    return (struct json *)cJSON_CreateArray();
}

struct json *json_of_textn(const char *bytes, size_t n)
{
    assert(n == 0 || !memchr(bytes, 0, n));
    cJSON *value = cJSON_CreateNull();
    char *text = mem_calloc(n + 1, 1);
    if (!value || !text) {
        cJSON_Delete(value);
        mem_free(text);
        return NULL;
    }
    if (n > 0)
        memcpy(text, bytes, n);
    value->type = cJSON_String;
    value->valuestring = text;
    return (struct json *)value;
}

struct json *json_of_text(const char *text)
{
    return json_of_textn(text, strlen(text));
}

struct json *json_of_int(int64_t n)
{
    return (struct json *)cJSON_CreateNumber((double)n); /* over JSON_INT_MAX: the writer refuses it */
}

struct json *json_of_bool(bool b)
{
    return (struct json *)cJSON_CreateBool(b);
}

struct json *json_copy(const struct json *j)
{
    return (struct json *)cJSON_Duplicate(node_of(j), 1);
}

void json_put(struct json *object, const char *key, struct json *value)
{
    if (object && value) {
        assert(json_type(object) == JSON_OBJECT && !json_find(object, key));
        if (cJSON_AddItemToObject(node(object), key, node(value)))
            return;
    }
    json_free(value);
    if (object)
        node(object)->type |= TYPE_FAILED;
}

void json_put_text(struct json *object, const char *key, const char *text)
{
    json_put(object, key, json_of_text(text));
}

void json_put_int(struct json *object, const char *key, int64_t n)
{
    json_put(object, key, json_of_int(n));
}

void json_put_bool(struct json *object, const char *key, bool b)
{
    json_put(object, key, json_of_bool(b));
}

static void put_str(struct json *object, const char *key, struct str *s)
{
    json_put(object, key, s->failed ? NULL : json_of_textn(str_text(s), s->size));
    str_release(s);
}

void json_put_dec6(struct json *object, const char *key, double x)
{
    struct str s = { 0 };
    str_dec6(&s, x);
    put_str(object, key, &s);
}

void json_put_hex(struct json *object, const char *key, const uint8_t *bytes, size_t n)
{
    struct str s = { 0 };
    str_hex(&s, bytes, n);
    put_str(object, key, &s);
}

void json_push(struct json *array, struct json *value)
{
    if (array && value) {
        assert(json_type(array) == JSON_ARRAY);
        if (cJSON_AddItemToArray(node(array), node(value)))
            return;
    }
    json_free(value);
    if (array)
        node(array)->type |= TYPE_FAILED;
}

static bool any_failed(const cJSON *value)
{
    if (value->type & TYPE_FAILED)
        return true;
    for (const cJSON *c = value->child; c; c = c->next)
        if (any_failed(c))
            return true;
    return false;
}

int json_check(const struct json *root, struct status *st)
{
    if (!root || any_failed(node_of(root)))
        return status_fail(st, RC_NOMEM, "no memory for a JSON tree");
    return 0;
}

/* ---- writing ---- */

static int write_value(const cJSON *value, int depth, struct str *out, struct status *st);

static int write_text(const char *text, struct str *out, struct status *st)
{
    size_t n = strlen(text);
    if (!utf8_valid(text, n))
        return status_fail(st, RC_FORMAT, "a string that is not UTF-8 in a canonical document");
    str_json_string(out, text, n);
    return 0;
}

static int write_object(const cJSON *object, int depth, struct str *out, struct status *st)
{
    int rc = 0;
    size_t n = 0;
    const cJSON **members = NULL;
    TRY(sorted_members(object, &members, &n, st));
    str_putc(out, '{');
    for (size_t i = 0; i < n; i++) {
        const char *key = members[i]->string;
        for (const char *c = key; *c; c++)
            if ((unsigned char)*c > 0x7f)
                FAIL(st, RC_FORMAT, "key '%.60s' is not ASCII", key);
        if (i > 0)
            str_putc(out, ',');
        str_json_string(out, key, strlen(key));
        str_putc(out, ':');
        rc = write_value(members[i], depth, out, st);
        if (rc) {
            status_prefix(st, "%.60s", key);
            goto out;
        }
    }
    str_putc(out, '}');
out:
    mem_free(members);
    return rc;
}

static int write_array(const cJSON *array, int depth, struct str *out, struct status *st)
{
    str_putc(out, '[');
    for (const cJSON *c = array->child; c; c = c->next) {
        if (c != array->child)
            str_putc(out, ',');
        int rc = write_value(c, depth, out, st);
        if (rc)
            return rc;
    }
    str_putc(out, ']');
    return 0;
}

/* depth: containers around this value. */
static int write_value(const cJSON *value, int depth, struct str *out, struct status *st)
{
    const struct json *j = (const struct json *)value;
    enum json_type type = json_type(j);
    if ((type == JSON_OBJECT || type == JSON_ARRAY) && depth >= JSON_DEPTH_MAX)
        return status_fail(st, RC_LIMIT, "nested deeper than %d", JSON_DEPTH_MAX);
    switch (type) {
    case JSON_NULL:
        return status_fail(st, RC_FORMAT, "null in a canonical document");
    case JSON_BOOL:
        str_puts(out, json_bool(j) ? "true" : "false");
        return 0;
    case JSON_NUMBER:
        if (!json_is_int(j))
            return status_fail(st, RC_FORMAT, "%.17g in a canonical document: integers below 2^53 only",
                               value->valuedouble);
        str_printf(out, "%lld", (long long)json_int(j));
        return 0;
    case JSON_STRING:
        return write_text(value->valuestring, out, st);
    case JSON_ARRAY:
        return write_array(value, depth + 1, out, st);
    default:
        return write_object(value, depth + 1, out, st);
    }
}

int json_write_canonical(const struct json *j, struct str *out, struct status *st)
{
    size_t before = out->size;
    int rc = write_value(node_of(j), 0, out, st);
    if (rc == 0)
        rc = str_check(out, st);
    if (rc && out->data) {
        out->size = before;
        out->data[before] = 0;
    }
    return rc;
}

const char *json_library_version(void)
{
    return cJSON_Version();
}
