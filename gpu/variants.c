/* Which variant runs each operator and pass on this device: a table that is measured once, kept in the user's
 * cache folder, and copied into the folder of a run, whose bits it decides on devices that fuse.
 *
 * One product is timed in every variant. Those that count on equal addresses becoming one load are fast or
 * slow together, so the winner of the product decides for all operators that have it.
 */
#include "gpu/vk.h"

#include "base/alloc.h"
#include "base/file.h"
#include "gpu/weight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_BYTES_MAX = 1 << 16, TIMES = 5 };

/* ---- text ---- */

void variants_write(const struct gpu *g, struct str *out)
{
    str_puts(out, "lethe variants 1\n");
    for (int op = 0; op < OP_COUNT; op++)
        for (int pass = 0; pass < PASS_COUNT; pass++)
            if (op_serves(g, (enum op)op, (enum pass)pass, VARIANT_plain))
                str_printf(out, "%s %s %s\n", op_name((enum op)op), pass_name((enum pass)pass),
                           variant_name(g->variants[op][pass]));
}

/* "matmul fwd uniform"; false: no such line on this device. */
static bool line_take(struct gpu *g, const char *line)
{
    char name[32], pass_text[8], variant[16];
    if (sscanf(line, "%31s %7s %15s", name, pass_text, variant) != 3)
        return false;
    for (int op = 0; op < OP_COUNT; op++)
        for (int pass = 0; pass < PASS_COUNT; pass++)
            for (int v = 0; v < VARIANT_COUNT; v++)
                if (strcmp(name, op_name((enum op)op)) == 0 &&
                    strcmp(pass_text, pass_name((enum pass)pass)) == 0 &&
                    strcmp(variant, variant_name((enum variant)v)) == 0 &&
                    op_serves(g, (enum op)op, (enum pass)pass, (enum variant)v)) {
                    g->variants[op][pass] = (enum variant)v;
                    return true;
                }
    return false;
}

/* All of the table, or none. */
static int table_read(struct gpu *g, char *text, const char *path, struct status *st)
{
    int rc = 0;
    enum variant before[OP_COUNT][PASS_COUNT];
    memcpy(before, g->variants, sizeof before);
    char *rest = NULL, *line = strtok_r(text, "\n", &rest);
    if (!line || strcmp(line, "lethe variants 1") != 0)
        FAIL(st, RC_FORMAT, "%s: not a table of variants", path);
    while ((line = strtok_r(NULL, "\n", &rest)))
        if (!line_take(g, line))
            FAIL(st, RC_FORMAT, "%s: \"%.60s\" names nothing that %s runs", path, line, g->info.name);
out:
    if (rc != 0)
        memcpy(g->variants, before, sizeof before);
    return rc;
}

struct hash gpu_variants_digest(const struct gpu *g)
{
    struct str text = { 0 };
    variants_write(g, &text);
    const struct hash digest = sha256_of(text.data, text.size);
    str_release(&text);
    return digest;
}

int gpu_variants_load(struct gpu *g, const char *path, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    TRY(file_read(path, TABLE_BYTES_MAX, &text, st));
    TRY(table_read(g, text.data, path, st));
    g->changes++;
out:
    str_release(&text);
    return rc;
}

int gpu_variants_save(const struct gpu *g, const char *path, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    variants_write(g, &text);
    TRY(str_check(&text, st));
    TRY(file_write(path, text.data, text.size, 0644, st));
out:
    str_release(&text);
    return rc;
}

/* ---- measuring ---- */

static void choose_all(struct gpu *g, enum variant v)
{
    const bool cpu = strcmp(g->info.type, "cpu") == 0;
    for (int op = 0; op < OP_COUNT; op++)
        for (int pass = 0; pass < PASS_COUNT; pass++) {
            enum variant use = VARIANT_plain;
            if (op_serves(g, (enum op)op, (enum pass)pass, v))
                use = v;
            else if (cpu && op_serves(g, (enum op)op, (enum pass)pass, VARIANT_lane))
                use = VARIANT_lane;
            g->variants[op][pass] = use;
        }
}

struct trial {
    struct gpu_buffer x, w, y;
    uint32_t m, n, k;
};

static int trial_time(struct gpu *g, const struct trial *t, enum variant v, double *best, struct status *st)
{
    int rc = 0;
    const struct op_call call = {
        .op = OP_matmul,
        .variant = v,
        .args = { .p = { t->x.addr, t->w.addr, t->y.addr },
                  .d = { t->m, t->n, t->k, t->k + 16, t->n + 16, 0, WEIGHT_f32 } },
    };
    *best = 1e30;
    for (int i = 0; i <= TIMES; i++) { /* the first one compiles */
        const double start = clock_seconds();
        TRY(op_run(g, &call, st));
        TRY(gpu_submit(g, st));
        const double took = clock_seconds() - start;
        if (i > 0 && took < *best)
            *best = took;
    }
out:
    return rc;
}

static int variants_measure(struct gpu *g, struct status *st)
{
    int rc = 0;
    const bool cpu = strcmp(g->info.type, "cpu") == 0;
    struct trial t = { .m = cpu ? 96 : 512, .n = cpu ? 576 : 1024, .k = cpu ? 576 : 1024 };
    double best = 1e30;
    enum variant winner = VARIANT_plain;
    TRY(gpu_alloc(g, (uint64_t)(t.m + 48) * (t.k + 16) * 4, "trial", &t.x, st));
    TRY(gpu_alloc(g, weight_units_bytes(WEIGHT_f32, t.n, t.k), "trial", &t.w, st));
    TRY(gpu_alloc(g, (uint64_t)(t.m + 48) * (t.n + 16) * 4, "trial", &t.y, st));
    for (int v = 0; v < VARIANT_COUNT; v++) {
        double took;
        if (v == VARIANT_coop || !op_serves(g, OP_matmul, PASS_fwd, (enum variant)v) ||
            (cpu && v == VARIANT_plain && op_serves(g, OP_matmul, PASS_fwd, VARIANT_uniform)))
            continue; /* coop rounds to f16, and nobody asked for it */
        TRY(trial_time(g, &t, (enum variant)v, &took, st));
        if (took < best) {
            best = took;
            winner = (enum variant)v;
        }
    }
    choose_all(g, winner);
out:
    gpu_free(g, &t.x);
    gpu_free(g, &t.w);
    gpu_free(g, &t.y);
    ops_forget(g);
    return rc;
}

/* ---- cache ---- */

int variants_open(struct gpu *g, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    const char *asked = getenv("LETHE_VARIANTS");
    choose_all(g, VARIANT_plain);
    if (asked && *asked) {
        TRY(gpu_variants_load(g, asked, st));
        goto out;
    }
    const bool cached = cache_path(g, "variants", &path);
    if (cached && path_exists(path.data) && gpu_variants_load(g, path.data, NULL) == 0)
        goto out;
    TRY(variants_measure(g, st));
    if (cached && cache_folder_make())
        (void)!gpu_variants_save(g, path.data, NULL); /* a read-only home is no failure */
out:
    str_release(&path);
    return rc;
}
