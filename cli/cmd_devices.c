/* lethe devices: what Vulkan offers here, and why a device cannot be used. */
#include "cli/cli.h"

#include "base/json.h"
#include "gpu/device.h"
#include "gpu/op.h"

#include <inttypes.h>
#include <stdio.h>

enum { DEVICES_MAX = 16 };

static const struct usage USAGE = {
    .forms = "lethe devices [--json]",
    .does = "Lists the Vulkan devices with driver, memory, subgroup size and optional features. A device "
            "that lacks\n"
            "a required feature is listed with the reason.",
    .example = "lethe devices",
};

static void device_text(const struct gpu_info *d, size_t i, struct str *out)
{
    str_printf(out, "%zu  %s\n   %s, %s %s, Vulkan %s, %.1f GiB, subgroups of %" PRIu32, i, d->name, d->type,
               d->driver, d->driver_version, d->vulkan, (double)d->memory_bytes / (1024.0 * 1024 * 1024),
               d->lanes_min);
    if (d->lanes_max != d->lanes_min)
        str_printf(out, " to %" PRIu32, d->lanes_max);
    str_printf(out, "\n   optional: %s%s%s%s\n", d->f16 ? "f16 " : "", d->int8 ? "int8 " : "",
               d->int64 ? "int64 " : "", d->coop ? "cooperative-matrix" : "");
    if (d->refused)
        str_printf(out, "   cannot be used: lacks %s\n", d->refused);
}

static struct json *device_json(const struct gpu_info *d)
{
    struct json *j = json_object();
    json_put_text(j, "name", d->name);
    json_put_text(j, "vendor", d->vendor);
    json_put_text(j, "type", d->type);
    json_put_text(j, "driver", d->driver);
    json_put_text(j, "driver_version", d->driver_version);
    json_put_text(j, "vulkan", d->vulkan);
    json_put_int(j, "memory_bytes", (int64_t)d->memory_bytes);
    json_put_int(j, "lanes_min", d->lanes_min);
    json_put_int(j, "lanes_max", d->lanes_max);
    json_put_bool(j, "f16", d->f16);
    json_put_bool(j, "int8", d->int8);
    json_put_bool(j, "int64", d->int64);
    json_put_bool(j, "coop", d->coop);
    if (d->refused)
        json_put_text(j, "refused", d->refused);
    return j;
}

static int devices_print(const struct gpu_info *d, size_t n, bool as_json, struct status *st)
{
    int rc = 0;
    struct str out = { 0 };
    struct json *root = NULL;
    if (as_json) {
        root = json_object();
        json_put_int(root, "lethe_devices", 1);
        struct json *list = json_array();
        for (size_t i = 0; i < n; i++)
            json_push(list, device_json(&d[i]));
        json_put(root, "devices", list);
        TRY(json_check(root, st));
        TRY(json_write_canonical(root, &out, st));
        str_putc(&out, '\n');
    } else {
        for (size_t i = 0; i < n; i++)
            device_text(&d[i], i, &out);
    }
    TRY(cli_print(&out, st));
out:
    json_free(root);
    str_release(&out);
    return rc;
}

int cmd_devices(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    struct opt_list words = { 0 };
    struct str driver = { 0 };
    const struct opt table[] = {
        { "json", OPT_FLAG, &common.json, NULL, "one JSON document on stdout" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n)
        FAIL(st, RC_ARG, "lethe devices takes no argument, and here is '%s'", words.v[0]);
    static struct gpu_info found[DEVICES_MAX];
    size_t n = 0;
    bool have = cli_driver_file(CLI_DRIVER_HERE, &driver);
    TRY(gpu_list(&(struct gpu_choice){ .driver_file = have ? str_text(&driver) : NULL }, found, DEVICES_MAX,
                 &n, st));
    if (n == 0)
        FAIL(st, RC_UNSUPPORTED, "no Vulkan device here; scripts/setup.sh unpacks a software driver");
    TRY(devices_print(found, n, common.json, st));
out:
    str_release(&driver);
    opts_release(table, &words);
    return rc;
}
