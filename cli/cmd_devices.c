/* lethe devices: what Vulkan offers here, which kernels it would run, and why a device cannot be used. */
#include "cli/cli.h"

#include "base/alloc.h"
#include "base/json.h"
#include "gpu/device.h"
#include "gpu/op.h"

#include <inttypes.h>
#include <stdio.h>

enum { DEVICES_MAX = 16 };

static const struct usage USAGE = {
    .forms = "lethe devices [--json]",
    .does =
        "Lists the Vulkan devices with driver, memory, subgroup size, optional features and the kernels "
        "that would\n"
        "run (--json: with the digest of each). A device that lacks a required feature is listed with the "
        "reason.",
    .example = "lethe devices",
};

struct seen {
    struct gpu_info info;
    bool open;
    enum variant chosen[OP_COUNT][PASS_COUNT]; /* VARIANT_COUNT: the operator has no such pass */
    struct status why;                         /* it was not opened */
};

/* Opens the device for a moment and asks. */
static void kernels_ask(const char *driver, size_t i, struct seen *s)
{
    char number[24];
    struct gpu *g = NULL;
    snprintf(number, sizeof number, "%zu", i);
    if (gpu_open(&(struct gpu_choice){ .device = number, .driver_file = driver }, &g, &s->why) != 0)
        return;
    s->open = true;
    for (int op = 0; op < OP_COUNT; op++) {
        for (int p = 0; p < PASS_COUNT; p++) {
            const enum pass pass = (enum pass)p;
            s->chosen[op][p] = op_serves(g, (enum op)op, pass, VARIANT_plain)
                                   ? op_choose(g, (enum op)op, pass)
                                   : VARIANT_COUNT;
        }
    }
    gpu_close(g);
}

/* ---- for people ---- */

static bool passes_agree(const enum variant chosen[PASS_COUNT])
{
    for (int p = 0; p < PASS_COUNT; p++)
        if (chosen[p] != VARIANT_COUNT && chosen[p] != chosen[PASS_fwd])
            return false;
    return true;
}

/* "lane: attention matmul.fwd matmul.bwd0", a line for each variant that would run. */
static void kernels_text(const struct seen *s, struct str *out)
{
    for (int v = 0; v < VARIANT_COUNT; v++) {
        struct str names = { 0 };
        for (int op = 0; op < OP_COUNT; op++) {
            const bool whole = passes_agree(s->chosen[op]);
            if (whole && s->chosen[op][PASS_fwd] == (enum variant)v)
                str_printf(&names, " %s", op_name((enum op)op));
            for (int p = 0; !whole && p < PASS_COUNT; p++)
                if (s->chosen[op][p] == (enum variant)v)
                    str_printf(&names, " %s.%s", op_name((enum op)op), pass_name((enum pass)p));
        }
        if (names.size)
            str_printf(out, "   %s kernels:%s\n", variant_name((enum variant)v), str_text(&names));
        out->failed = out->failed || names.failed;
        str_release(&names);
    }
}

static void device_text(const struct seen *s, size_t i, struct str *out)
{
    const struct gpu_info *d = &s->info;
    str_printf(out, "%zu  %s\n   %s, %s %s, Vulkan %s, %.1f GiB, subgroups of %" PRIu32, i, d->name, d->type,
               d->driver, d->driver_version, d->vulkan, (double)d->memory_bytes / (1024.0 * 1024 * 1024),
               d->lanes_min);
    if (d->lanes_max != d->lanes_min)
        str_printf(out, " to %" PRIu32, d->lanes_max);
    str_printf(out, "\n   optional: %s%s%s%s\n", d->f16 ? "f16 " : "", d->int8 ? "int8 " : "",
               d->int64 ? "int64 " : "", d->coop ? "cooperative-matrix" : "");
    if (d->refused)
        str_printf(out, "   cannot be used: lacks %s\n", d->refused);
    else if (s->open)
        kernels_text(s, out);
    else
        str_printf(out, "   cannot be opened: %s\n", s->why.msg);
}

/* ---- for programs ---- */

static struct json *kernels_json(const struct seen *s)
{
    struct json *list = json_array();
    for (int op = 0; op < OP_COUNT; op++) {
        for (int p = 0; p < PASS_COUNT; p++) {
            char name[48];
            const enum variant v = s->chosen[op][p];
            if (v == VARIANT_COUNT)
                continue;
            struct json *o = json_object();
            const struct hash sum = op_digest((enum op)op, (enum pass)p, v);
            snprintf(name, sizeof name, "%s.%s.%s", op_name((enum op)op), variant_name(v),
                     pass_name((enum pass)p));
            json_put_text(o, "name", name);
            json_put_text(o, "sha256", hash_hex(&sum).s);
            json_push(list, o);
        }
    }
    return list;
}

static struct json *device_json(const struct seen *s)
{
    const struct gpu_info *d = &s->info;
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
    else if (s->open)
        json_put(j, "kernels", kernels_json(s));
    else
        json_put_text(j, "failed", s->why.msg);
    return j;
}

static int devices_print(const struct seen *d, size_t n, bool as_json, struct status *st)
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
    struct seen *seen = NULL;
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
    struct gpu_info found[DEVICES_MAX];
    size_t n = 0;
    const char *file = cli_driver_file(CLI_DRIVER_HERE, &driver) ? str_text(&driver) : NULL;
    TRY(gpu_list(&(struct gpu_choice){ .driver_file = file }, found, DEVICES_MAX, &n, st));
    if (n == 0)
        FAIL(st, RC_UNSUPPORTED, "no Vulkan device here; scripts/setup.sh unpacks a software driver");
    seen = mem_calloc(n, sizeof *seen);
    if (!seen)
        FAIL(st, RC_NOMEM, "no memory for %zu devices", n);
    for (size_t i = 0; i < n; i++) {
        seen[i].info = found[i];
        if (!found[i].refused)
            kernels_ask(file, i, &seen[i]);
    }
    TRY(devices_print(seen, n, common.json, st));
out:
    mem_free(seen);
    str_release(&driver);
    opts_release(table, &words);
    return rc;
}
