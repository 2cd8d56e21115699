/* Adapters in memory, and their weights in a file. What the configuration says is adapter_config.c's. */
#include "model/adapter.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "model/adapter_own.h"
#include "model/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = ROLE_PATH_MAX + 48 };

/* ---- in memory ---- */

/* `wrong` is what a rank or alpha out of bounds is: RC_ARG, or RC_FORMAT when it came from a file. */
static int part_init(struct adapter_part *p, const struct model_hyper *h, const struct adapter *x,
                     enum rc wrong, struct status *st)
{
    const struct tensor_shape s = role_shape(h, p->role);
    const uint32_t most = s.rows < s.columns ? s.rows : s.columns;
    if (p->r == 0 || p->r > most || p->r > ADAPTER_RANK_MAX)
        return status_fail(st, wrong, "rank %" PRIu32 " for %s of %" PRIu32 " x %" PRIu32 ": 1 to %" PRIu32,
                           p->r, role_name(p->role), s.rows, s.columns,
                           most < ADAPTER_RANK_MAX ? most : ADAPTER_RANK_MAX);
    p->tensor = role_index(h, p->role, p->block);
    p->in = s.columns;
    p->out = s.rows;
    p->scale = (float)(p->alpha / (x->rslora ? sqrt((double)p->r) : (double)p->r));
    if (!isfinite(p->scale))
        return status_fail(st, wrong, "alpha of %s is %g, over what a float holds", role_name(p->role),
                           p->alpha);
    p->a = mem_calloc((size_t)p->r * p->in, sizeof *p->a);
    p->b = mem_calloc((size_t)p->r * p->out, sizeof *p->b);
    p->m = x->dora ? mem_calloc(p->out, sizeof *p->m) : NULL;
    if (!p->a || !p->b || (x->dora && !p->m))
        return status_fail(st, RC_NOMEM, "no memory for an adapter of rank %" PRIu32, p->r);
    return 0;
}

/* As adapter_init; `rules` (may be NULL) choose among the targets and set rank and alpha of single parts. */
static int parts_init(const struct model_hyper *h, const struct adapter_config *config,
                      const struct adapter_rules *rules, struct adapter *out, struct status *st)
{
    int rc = 0;
    struct adapter x = {
        .r = config->r,
        .alpha = config->alpha,
        .dropout = config->dropout,
        .rslora = config->rslora,
        .dora = config->dora,
    };
    if (config->targets == 0 || (config->targets & ~ROLE_BITS_LINEAR))
        FAIL(st, RC_ARG, "an adapter needs linear layers to adapt");
    if (!(x.dropout >= 0 && x.dropout < 1))
        FAIL(st, RC_ARG, "a dropout of %g: 0 to less than 1", x.dropout);
    x.parts = mem_calloc((size_t)h->blocks * (uint32_t)__builtin_popcount(config->targets), sizeof *x.parts);
    if (!x.parts)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    for (uint32_t block = 0; block < h->blocks; block++)
        for (int role = 0; role < ROLES; role++) {
            if (!(config->targets & ROLE_BIT(role)))
                continue;
            bool targeted = true;
            if (rules)
                TRY(adapter_rules_target(rules, (enum tensor_role)role, block, &targeted, st));
            if (!targeted)
                continue;
            x.targets |= ROLE_BIT(role);
            struct adapter_part *p = &x.parts[x.n++];
            *p = (struct adapter_part){
                .role = (enum tensor_role)role, .block = block, .r = x.r, .alpha = x.alpha
            };
            if (rules)
                TRY(adapter_rules_apply(rules, p, st));
            TRY(part_init(p, h, &x, rules ? RC_FORMAT : RC_ARG, st));
        }
    *out = x;
    x = (struct adapter){ 0 };
out:
    adapter_release(&x);
    return rc;
}

int adapter_init(const struct model_hyper *h, const struct adapter_config *config, struct adapter *out,
                 struct status *st)
{
    return parts_init(h, config, NULL, out, st);
}

void adapter_release(struct adapter *x)
{
    for (size_t i = 0; i < x->n; i++) {
        mem_free(x->parts[i].a);
        mem_free(x->parts[i].b);
        mem_free(x->parts[i].m);
    }
    mem_free(x->parts);
    *x = (struct adapter){ 0 };
}

uint64_t adapter_parameters(const struct adapter *x)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < x->n; i++)
        sum += (uint64_t)x->parts[i].r * ((uint64_t)x->parts[i].in + x->parts[i].out) +
               (x->dora ? x->parts[i].out : 0);
    return sum;
}

void adapter_draw(struct adapter *x, uint64_t seed)
{
    for (size_t i = 0; i < x->n; i++) {
        struct adapter_part *p = &x->parts[i];
        const float bound = (float)(1 / sqrt((double)p->in));
        const uint32_t n = p->r * p->in; /* at most 2^28 */
        for (uint32_t e = 0; e < n; e += 4) {
            const struct rng_block block = rng_at(seed, RNG_INIT, e >> 2, p->tensor, 0);
            for (uint32_t w = 0; w < 4 && e + w < n; w++)
                p->a[e + w] = (2 * rng_uniform(block.w[w]) - 1) * bound;
        }
        memset(p->b, 0, (size_t)p->r * p->out * sizeof *p->b);
    }
}

/* ---- weights: names and the order of rows in a PEFT file ---- */

static void weight_name(const struct adapter_part *p, char matrix, char out[NAME_BYTES])
{
    char path[ROLE_PATH_MAX];
    role_path(p->role, p->block, path);
    snprintf(out, NAME_BYTES, "base_model.model.%s.lora_%c.weight", path, matrix);
}

/* columns 0: a vector. */
static int matrix_read(const struct safetensors *file, bool *used, const char *name, uint32_t rows,
                       uint32_t columns, float *out, struct status *st)
{
    int rc = 0;
    const struct safetensors_tensor *t = safetensors_find(file, name);
    if (!t)
        FAIL(st, RC_FORMAT, "tensor '%s' is missing", name);
    used[t - file->tensors] = true;
    if (columns == 0 && (t->dims != 1 || t->shape[0] != rows))
        FAIL(st, RC_FORMAT,
             "tensor '%s' has %" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64 "; the model wants %" PRIu32,
             name, t->dims, t->shape[0], t->shape[1], rows);
    if (columns > 0 && (t->dims != 2 || t->shape[0] != rows || t->shape[1] != columns))
        FAIL(st, RC_FORMAT,
             "tensor '%s' has %" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64
             "; configuration and model want %" PRIu32 " x %" PRIu32,
             name, t->dims, t->shape[0], t->shape[1], rows, columns);
    TRY(safetensors_f32(t, out, st));
    for (uint64_t i = 0; i < t->n; i++)
        if (!isfinite(out[i]))
            FAIL(st, RC_FORMAT, "tensor '%s': value %" PRIu64 " is not finite", name, i);
out:
    return rc;
}

/* `file_rows` has room for the largest B. */
static int part_read(const struct safetensors *file, bool *used, const struct model_hyper *h,
                     struct adapter_part *p, float *file_rows, struct status *st)
{
    int rc = 0;
    char name[NAME_BYTES], path[ROLE_PATH_MAX];
    weight_name(p, 'A', name);
    TRY(matrix_read(file, used, name, p->r, p->in, p->a, st));
    weight_name(p, 'B', name);
    TRY(matrix_read(file, used, name, p->out, p->r, file_rows, st));
    for (uint32_t row = 0; row < p->out; row++)
        memcpy(p->b + (size_t)row * p->r, file_rows + (size_t)role_row_hf(h, p->role, row) * p->r,
               p->r * sizeof *p->b);
    if (!p->m)
        goto out;
    role_path(p->role, p->block, path);
    snprintf(name, sizeof name, "base_model.model.%s.lora_magnitude_vector", path);
    TRY(matrix_read(file, used, name, p->out, 0, file_rows, st));
    for (uint32_t row = 0; row < p->out; row++)
        p->m[row] = file_rows[role_row_hf(h, p->role, row)];
out:
    return rc;
}

static size_t rows_values(const struct adapter *x)
{
    size_t most = 0;
    for (size_t i = 0; i < x->n; i++) {
        const size_t n = (size_t)x->parts[i].r * x->parts[i].out;
        most = n > most ? n : most;
    }
    return most;
}

static int weights_read(const struct safetensors *file, const struct model_hyper *h, struct adapter *x,
                        struct status *st)
{
    int rc = 0;
    bool *used = mem_calloc(file->n, sizeof *used);
    float *file_rows = mem_calloc(rows_values(x), sizeof *file_rows);
    if (!used || !file_rows)
        FAIL(st, RC_NOMEM, "no memory for an adapter");
    for (size_t i = 0; i < x->n; i++)
        TRY(part_read(file, used, h, &x->parts[i], file_rows, st));
    for (size_t i = 0; i < file->n; i++)
        if (!used[i])
            FAIL(st, RC_UNSUPPORTED, "tensor '%s' is not honoured: the configuration targets no such module",
                 file->tensors[i].name);
out:
    mem_free(used);
    mem_free(file_rows);
    return rc;
}

int adapter_load(const char *folder, const struct model_hyper *h, struct adapter *out, struct status *st)
{
    int rc = 0;
    struct str path = { 0 }, text = { 0 };
    struct adapter_peft peft = { 0 };
    struct safetensors file = { 0 };
    struct adapter x = { 0 };
    TRY(path_join(folder, ADAPTER_CONFIG_NAME, &path, st));
    TRY(file_read(str_text(&path), ADAPTER_CONFIG_BYTES_MAX, &text, st));
    rc = adapter_peft_parse(str_text(&text), text.size, &peft, st);
    if (rc == 0)
        rc = adapter_rules_check(&peft.rules, h, st);
    if (rc == 0)
        rc = parts_init(h, &peft.config, &peft.rules, &x, st);
    if (rc) {
        status_prefix(st, "%s", str_text(&path));
        goto out;
    }
    str_clear(&path);
    TRY(path_join(folder, ADAPTER_WEIGHTS_NAME, &path, st));
    TRY(safetensors_open(str_text(&path), &file, st));
    rc = weights_read(&file, h, &x, st);
    if (rc) {
        status_prefix(st, "%s", str_text(&path));
        goto out;
    }
    *out = x;
    x = (struct adapter){ 0 };
out:
    adapter_release(&x);
    safetensors_close(&file);
    adapter_peft_release(&peft);
    str_release(&text);
    str_release(&path);
    return rc;
}

/* ---- writing ---- */

static int parts_check(const struct adapter *x, const struct model_hyper *h, struct status *st)
{
    if (x->n == 0)
        return status_fail(st, RC_ARG, "an adapter without parts");
    if (x->dora)
        return status_fail(st, RC_UNSUPPORTED, "an adapter with magnitudes (DoRA) is read, and not written");
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        const struct tensor_shape s = role_shape(h, p->role);
        if (p->block >= h->blocks || p->in != s.columns || p->out != s.rows)
            return status_fail(st, RC_ARG, "the adapter's %s of block %" PRIu32 " is not this model's",
                               role_name(p->role), p->block);
    }
    return 0;
}

struct weights_out {
    char (*names)[NAME_BYTES];      /* [2n] */
    struct safetensors_part *parts; /* [2n] A, B, A, B, … */
    float *rows;                    /* every B in Hugging Face's order, one behind the other */
};

static int weights_gather(const struct adapter *x, const struct model_hyper *h, struct weights_out *w,
                          struct status *st)
{
    size_t values = 0, at = 0;
    for (size_t i = 0; i < x->n; i++)
        values += (size_t)x->parts[i].r * x->parts[i].out;
    w->names = mem_calloc(2 * x->n, sizeof *w->names);
    w->parts = mem_calloc(2 * x->n, sizeof *w->parts);
    w->rows = mem_calloc(values, sizeof *w->rows);
    if (!w->names || !w->parts || !w->rows)
        return status_fail(st, RC_NOMEM, "no memory for an adapter's file");
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        float *rows = w->rows + at;
        for (uint32_t row = 0; row < p->out; row++)
            memcpy(rows + (size_t)role_row_hf(h, p->role, row) * p->r, p->b + (size_t)row * p->r,
                   p->r * sizeof *rows);
        at += (size_t)p->r * p->out;
        weight_name(p, 'A', w->names[2 * i]);
        weight_name(p, 'B', w->names[2 * i + 1]);
        w->parts[2 * i] = (struct safetensors_part){ w->names[2 * i], { p->r, p->in }, p->a };
        w->parts[2 * i + 1] = (struct safetensors_part){ w->names[2 * i + 1], { p->out, p->r }, rows };
    }
    return 0;
}

int adapter_write(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                  struct str *config, struct str *weights, struct status *st)
{
    int rc = 0;
    struct weights_out w = { 0 };
    TRY(parts_check(x, h, st));
    TRY(adapter_peft_write(x, h, base_name, config, st));
    TRY(weights_gather(x, h, &w, st));
    TRY(safetensors_write(w.parts, 2 * x->n, weights, st));
out:
    mem_free(w.names);
    mem_free(w.parts);
    mem_free(w.rows);
    return rc;
}

static int file_save(const char *folder, const char *name, const struct str *bytes, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    TRY(path_join(folder, name, &path, st));
    TRY(file_write(str_text(&path), bytes->data, bytes->size, 0644, st));
out:
    str_release(&path);
    return rc;
}

int adapter_save(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                 const char *folder, struct status *st)
{
    int rc = 0;
    struct str config = { 0 }, weights = { 0 };
    TRY(adapter_write(x, h, base_name, &config, &weights, st));
    TRY(dir_make(folder, st));
    TRY(file_save(folder, ADAPTER_WEIGHTS_NAME, &weights, st));
    TRY(file_save(folder, ADAPTER_CONFIG_NAME, &config, st));
out:
    str_release(&config);
    str_release(&weights);
    return rc;
}
