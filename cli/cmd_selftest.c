/* lethe selftest: is every kernel right on this device? */
#include "cli/cli.h"

#include "base/json.h"
#include "gpu/device.h"
#include "selftest/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct usage USAGE = {
    .forms = "lethe selftest [--op NAME] [--device N|NAME] [--json]",
    .does =
        "Runs every operator, in every variant that the device serves, against references in double "
        "precision, and\n"
        "says of each whether it is right, its largest error beside the tolerance, and whether lethe would "
        "use it here.\n"
        "For a new GPU or driver: under a minute. Exit code 1 when something is wrong.",
    .example = "lethe selftest",
};

struct kernel {
    enum op op;
    enum pass pass;
    enum variant variant;
    bool used;
    struct check_sum sum;
};
enum { KERNELS_MAX = OP_COUNT * PASS_COUNT * VARIANT_COUNT };

struct selftest {
    struct common common;
    const char *only; /* NULL: every operator */
    struct cli_sink sink;
    struct gpu *gpu;
    struct kernel kernels[KERNELS_MAX];
    size_t n, wrong;
};

static int only_check(const struct selftest *t, struct status *st)
{
    int rc = 0;
    int op = 0;
    while (t->only && op < OP_COUNT && strcmp(t->only, op_name((enum op)op)) != 0)
        op++;
    if (op == OP_COUNT)
        FAIL(st, RC_ARG, "--op: no operator '%.40s'; lethe devices lists them", t->only);
out:
    return rc;
}

static void kernels_list(struct selftest *t)
{
    for (int op = 0; op < OP_COUNT; op++) {
        for (int p = 0; p < PASS_COUNT; p++) {
            for (int v = 0; v < VARIANT_COUNT; v++) {
                struct kernel k = { .op = (enum op)op, .pass = (enum pass)p, .variant = (enum variant)v };
                if (!op_serves(t->gpu, k.op, k.pass, k.variant) ||
                    (t->only && strcmp(t->only, op_name(k.op)) != 0))
                    continue;
                k.used = op_choose(t->gpu, k.op, k.pass) == k.variant;
                t->kernels[t->n++] = k;
            }
        }
    }
}

static int kernels_check(struct selftest *t, struct status *st)
{
    int rc = 0;
    struct check *c = NULL;
    TRY(check_open(t->gpu, &c, st));
    for (size_t i = 0; i < t->n; i++) {
        struct kernel *k = &t->kernels[i];
        if (cli_stop)
            FAIL(st, RC_INTERRUPTED, "stopped");
        TRY(check_all(c, k->op, k->pass, k->variant, &k->sum, st));
        t->wrong += k->sum.wrong > 0;
        event_progress(&t->sink.sink, "selftest", i + 1, t->n);
    }
out:
    check_close(c);
    return rc;
}

/* ---- what comes out ---- */

static void kernels_text(const struct selftest *t, struct str *out)
{
    size_t used = 0;
    str_printf(out, "%-10s %-5s %-8s %-5s %9s %9s\n", "operator", "pass", "variant", "used", "error",
               "at most");
    for (size_t i = 0; i < t->n; i++) {
        const struct kernel *k = &t->kernels[i];
        used += k->used;
        str_printf(out, "%-10s %-5s %-8s %-5s %9.1e %9.0e  %s\n", op_name(k->op), pass_name(k->pass),
                   variant_name(k->variant), k->used ? "yes" : "", k->sum.worst, k->sum.tolerance,
                   k->sum.wrong ? "WRONG" : "right");
        if (k->sum.wrong)
            str_printf(out, "    %s\n", k->sum.why.msg);
    }
    str_printf(out, "%zu of %zu kernels are right; %zu would be used on this device\n", t->n - t->wrong, t->n,
               used);
}

static void number_put(struct json *o, const char *key, double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.2e", x);
    json_put_text(o, key, text);
}

static struct json *kernels_json(const struct selftest *t)
{
    const struct gpu_info *d = gpu_get_info(t->gpu);
    struct json *root = json_object(), *device = json_object(), *list = json_array();
    json_put_int(root, "lethe_selftest", 1);
    json_put_text(device, "name", d->name);
    json_put_text(device, "driver", d->driver);
    json_put_text(device, "driver_version", d->driver_version);
    json_put(root, "device", device);
    for (size_t i = 0; i < t->n; i++) {
        const struct kernel *k = &t->kernels[i];
        const struct hash sum = op_digest(k->op, k->pass, k->variant);
        char name[48];
        struct json *o = json_object();
        snprintf(name, sizeof name, "%s.%s.%s", op_name(k->op), variant_name(k->variant), pass_name(k->pass));
        json_put_text(o, "name", name);
        json_put_text(o, "sha256", hash_hex(&sum).s);
        json_put_bool(o, "used", k->used);
        json_put_bool(o, "right", k->sum.wrong == 0);
        json_put_int(o, "rows", (int64_t)k->sum.rows);
        number_put(o, "error", k->sum.worst);
        number_put(o, "tolerance", k->sum.tolerance);
        if (k->sum.wrong)
            json_put_text(o, "why", k->sum.why.msg);
        json_push(list, o);
    }
    json_put(root, "kernels", list);
    json_put_bool(root, "right", t->wrong == 0);
    return root;
}

static int kernels_print(const struct selftest *t, struct status *st)
{
    int rc = 0;
    struct str out = { 0 };
    struct json *root = NULL;
    if (t->common.json) {
        root = kernels_json(t);
        TRY(json_check(root, st));
        TRY(json_write_canonical(root, &out, st));
        str_putc(&out, '\n');
    } else {
        kernels_text(t, &out);
    }
    TRY(cli_print(&out, st));
    if (t->wrong)
        FAIL(st, RC_VERIFY, "%zu of %zu kernels are wrong on %s", t->wrong, t->n, gpu_get_info(t->gpu)->name);
out:
    json_free(root);
    str_release(&out);
    return rc;
}

int cmd_selftest(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct selftest t = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "op", OPT_TEXT, &t.only, "NAME", "only this operator" },
        COMMON_OPTIONS(&t.common),
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&t.common, &USAGE, table))
        goto out;
    if (words.n)
        FAIL(st, RC_ARG, "lethe selftest takes options alone, and here is '%s'", words.v[0]);
    TRY(only_check(&t, st));
    cli_signals();
    cli_sink_init(&t.sink, &t.common, NULL);
    TRY(cli_gpu_open(&t.common, &t.gpu, st));
    kernels_list(&t);
    TRY(kernels_check(&t, st));
    cli_sink_line(&t.sink);
    TRY(kernels_print(&t, st));
out:
    cli_sink_line(&t.sink);
    gpu_close(t.gpu);
    opts_release(table, &words);
    return rc;
}
