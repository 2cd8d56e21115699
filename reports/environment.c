/* run/environment.json: with what, and on what, the run was made. */
#include "reports/documents.h"

#include "base/alloc.h"
#include "reports/fields.h"

static void device_build(struct json *root, const char *key, const struct doc_device *d)
{
    if (!d->name)
        return;
    struct json *o = json_object();
    json_put_text(o, "name", d->name);
    json_put_text(o, "vendor", d->vendor);
    json_put_text(o, "type", d->type);
    json_put_text(o, "driver", d->driver);
    json_put_text(o, "driver_version", d->driver_version);
    json_put_text(o, "vulkan", d->vulkan);
    json_put(root, key, o);
}

static void tool_build(const struct doc_environment *e, struct json *root)
{
    struct json *tool = json_object(), *host = json_object();
    json_put_text(tool, "name", e->tool.name);
    json_put_text(tool, "version", e->tool.version);
    json_put_text(tool, "commit", e->tool.commit);
    field_put_hash(tool, "binary_sha256", &e->tool.binary);
    json_put_text(tool, "compiler", e->tool.compiler);
    json_put_text(tool, "flags", e->tool.flags);
    json_put(root, "tool", tool);
    json_put_text(host, "os", e->host.os);
    json_put_text(host, "cpu", e->host.cpu);
    json_put_int(host, "cores", (int64_t)e->host.cores);
    json_put_int(host, "ram_bytes", (int64_t)e->host.ram_bytes);
    json_put(root, "host", host);
}

int doc_environment_write(const struct doc_environment *e, struct str *out, struct status *st)
{
    int rc = 0;
    struct json *root = json_object(), *shaders = json_array(), *libraries = json_array();
    json_put_int(root, "lethe_environment", 1);
    tool_build(e, root);
    device_build(root, "device", &e->device);
    device_build(root, "train_device", &e->train_device);
    for (size_t i = 0; i < e->shaders_n; i++) {
        struct json *o = json_object();
        json_put_text(o, "name", e->shaders[i].name);
        field_put_hash(o, "sha256", &e->shaders[i].sha256);
        json_push(shaders, o);
    }
    json_put(root, "shaders", shaders);
    for (size_t i = 0; i < e->libraries_n; i++) {
        struct json *o = json_object();
        json_put_text(o, "name", e->libraries[i].name);
        json_put_text(o, "version", e->libraries[i].version);
        json_push(libraries, o);
    }
    json_put(root, "libraries", libraries);
    json_put_text(root, "unicode", e->unicode);
    if (e->has_variants) {
        struct json *o = json_object();
        field_put_hash(o, "sha256", &e->variants);
        json_put(root, "variants", o);
    }
    if (e->has_deterministic)
        json_put_bool(root, "deterministic", e->deterministic);
    if (e->has_energy) {
        json_put_int(root, "energy_joules", (int64_t)e->energy_joules);
        json_put_text(root, "energy_source", e->energy_source);
    }
    TRY(json_check(root, st));
    TRY(field_canonical(root, out, st));
out:
    json_free(root);
    return rc;
}

static int device_read(const struct json *root, const char *key, struct doc_device *d, struct status *st)
{
    static const char *const keys[] = {
        "name", "vendor", "type", "driver", "driver_version", "vulkan", NULL
    };
    int rc = 0;
    const struct json *o;
    if (!json_find(root, key))
        return 0;
    TRY(json_get(root, key, JSON_OBJECT, &o, st));
    TRY(json_only(o, keys, st));
    TRY(json_get_text(o, "name", &d->name, st));
    TRY(json_get_text(o, "vendor", &d->vendor, st));
    TRY(json_get_text(o, "type", &d->type, st));
    TRY(json_get_text(o, "driver", &d->driver, st));
    TRY(json_get_text(o, "driver_version", &d->driver_version, st));
    TRY(json_get_text(o, "vulkan", &d->vulkan, st));
out:
    if (rc != 0)
        status_prefix(st, "/%s", key);
    return rc;
}

static int tool_read(const struct json *root, struct doc_environment *e, struct status *st)
{
    static const char *const tool_keys[] = { "name",     "version", "commit", "binary_sha256",
                                             "compiler", "flags",   NULL };
    static const char *const host_keys[] = { "os", "cpu", "cores", "ram_bytes", NULL };
    int rc = 0;
    const struct json *o;
    TRY(json_get(root, "tool", JSON_OBJECT, &o, st));
    TRY(json_only(o, tool_keys, st));
    TRY(json_get_text(o, "name", &e->tool.name, st));
    TRY(json_get_text(o, "version", &e->tool.version, st));
    TRY(json_get_text(o, "commit", &e->tool.commit, st));
    TRY(field_hash(o, "binary_sha256", &e->tool.binary, st));
    TRY(json_get_text(o, "compiler", &e->tool.compiler, st));
    TRY(json_get_text(o, "flags", &e->tool.flags, st));
    TRY(json_get(root, "host", JSON_OBJECT, &o, st));
    TRY(json_only(o, host_keys, st));
    TRY(json_get_text(o, "os", &e->host.os, st));
    TRY(json_get_text(o, "cpu", &e->host.cpu, st));
    TRY(field_u64(o, "cores", &e->host.cores, st));
    TRY(field_u64(o, "ram_bytes", &e->host.ram_bytes, st));
out:
    return rc;
}

static int lists_read(const struct json *root, struct doc_environment *e, struct status *st)
{
    static const char *const shader_keys[] = { "name", "sha256", NULL };
    static const char *const library_keys[] = { "name", "version", NULL };
    int rc = 0;
    size_t n = 0, i = 0;
    const struct json *list;
    TRY(field_array(root, "shaders", JSON_ELEMENTS_MAX, &list, &n, st));
    e->shaders = mem_calloc(n, sizeof *e->shaders);
    if (!e->shaders)
        FAIL(st, RC_NOMEM, "no memory for run/environment.json");
    for (const struct json *o = json_first(list); o; o = json_next(o), i++) {
        TRY(field_only(o, shader_keys, st));
        TRY(json_get_text(o, "name", &e->shaders[i].name, st));
        TRY(field_hash(o, "sha256", &e->shaders[i].sha256, st));
    }
    e->shaders_n = n;
    TRY(field_array(root, "libraries", JSON_ELEMENTS_MAX, &list, &n, st));
    e->libraries = mem_calloc(n, sizeof *e->libraries);
    if (!e->libraries)
        FAIL(st, RC_NOMEM, "no memory for run/environment.json");
    i = 0;
    for (const struct json *o = json_first(list); o; o = json_next(o), i++) {
        TRY(field_only(o, library_keys, st));
        TRY(json_get_text(o, "name", &e->libraries[i].name, st));
        TRY(json_get_text(o, "version", &e->libraries[i].version, st));
    }
    e->libraries_n = n;
out:
    return rc;
}

static int options_read(const struct json *root, struct doc_environment *e, struct status *st)
{
    int rc = 0;
    const struct json *flag;
    TRY(json_get_text(root, "unicode", &e->unicode, st));
    TRY(field_digest(root, "variants", &e->has_variants, &e->variants, st));
    if (json_find(root, "deterministic")) {
        TRY(json_get(root, "deterministic", JSON_BOOL, &flag, st));
        e->has_deterministic = true;
        e->deterministic = json_bool(flag);
    }
    if (json_find(root, "energy_joules") || json_find(root, "energy_source")) {
        TRY(field_u64(root, "energy_joules", &e->energy_joules, st));
        TRY(json_get_text(root, "energy_source", &e->energy_source, st));
        e->has_energy = true;
    }
out:
    return rc;
}

int doc_environment_parse(const char *data, size_t size, struct doc_environment *out, struct status *st)
{
    static const char *const keys[] = {
        "lethe_environment", "tool",          "host",    "device",   "train_device",
        "shaders",           "libraries",     "unicode", "variants", "deterministic",
        "energy_joules",     "energy_source", NULL
    };
    int rc = 0;
    struct doc_environment e = { 0 };
    TRY(json_parse_canonical(data, size, &e.root, st));
    TRY(field_only(e.root, keys, st));
    TRY(field_version(e.root, "lethe_environment", st));
    TRY(tool_read(e.root, &e, st));
    TRY(device_read(e.root, "device", &e.device, st));
    TRY(device_read(e.root, "train_device", &e.train_device, st));
    TRY(lists_read(e.root, &e, st));
    TRY(options_read(e.root, &e, st));
    *out = e;
    e = (struct doc_environment){ 0 };
out:
    doc_environment_release(&e);
    return rc;
}

void doc_environment_release(struct doc_environment *e)
{
    mem_free(e->shaders);
    mem_free(e->libraries);
    json_free(e->root);
    *e = (struct doc_environment){ 0 };
}
