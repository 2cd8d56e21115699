#include "selftest/check.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { SAMPLES = 48, LARGE = 3000, SAMPLES_LARGE = 6 }; /* a sample costs two runs of the reference */

struct check {
    struct scene s;
    double *out[OUTPUTS], *above[OUTPUTS], *below[OUTPUTS]; /* [FLOATS] of the reference */
    unsigned char *may_change;                              /* [ARENA] */
};

int check_open(struct gpu *g, struct check **out, struct status *st)
{
    int rc = 0;
    struct check *c = mem_calloc(1, sizeof *c);
    if (!c)
        FAIL(st, RC_NOMEM, "no memory for references");
    for (size_t o = 0; o < OUTPUTS; o++) {
        c->out[o] = mem_calloc(FLOATS, sizeof(double));
        c->above[o] = mem_calloc(FLOATS, sizeof(double));
        c->below[o] = mem_calloc(FLOATS, sizeof(double));
        if (!c->out[o] || !c->above[o] || !c->below[o])
            FAIL(st, RC_NOMEM, "no memory for references");
    }
    c->may_change = mem_calloc(ARENA, 1);
    if (!c->may_change)
        FAIL(st, RC_NOMEM, "no memory for references");
    TRY(scene_open(g, &c->s, st));
    *out = c;
    c = NULL;
out:
    check_close(c);
    return rc;
}

void check_close(struct check *c)
{
    if (!c)
        return;
    scene_close(&c->s);
    for (size_t o = 0; o < OUTPUTS; o++) {
        mem_free(c->out[o]);
        mem_free(c->above[o]);
        mem_free(c->below[o]);
    }
    mem_free(c->may_change);
    mem_free(c);
}

struct scene *check_scene(struct check *c)
{
    return &c->s;
}

/* ---- comparison ---- */

static void allow(struct check *c, const struct tensor *t)
{
    for (size_t i = 0; i < t->n; i++)
        memset(&c->may_change[t->at + tensor_place(t, i) * sizeof(float)], 1, sizeof(float));
}

static int canaries_check(struct check *c, enum pass pass, struct status *st)
{
    int rc = 0;
    const struct scene *s = &c->s;
    memset(c->may_change, 0, s->end);
    for (const char *p = SPECS[s->row->op].p[pass]; *p; p++) {
        if (*p >= 'A' && *p <= 'E')
            allow(c, &s->grad[*p - 'A']);
        if (*p >= 'w' && *p <= 'z' && pass == PASS_fwd)
            allow(c, &s->out[scene_output(*p)]);
    }
    for (size_t i = 0; i < s->end; i++)
        if (s->after[i] != s->before[i] && !c->may_change[i])
            FAIL(st, RC_VERIFY, "byte %zu was written, outside the output", i);
out:
    return rc;
}

static int same_check(struct check *c, enum pass pass, enum variant variant, const char *how,
                      struct status *st)
{
    int rc = 0;
    struct scene *s = &c->s;
    memcpy(s->again, s->after, s->end);
    TRY(scene_run(s, pass, variant, st));
    if (memcmp(s->again, s->after, s->end) != 0)
        FAIL(st, RC_VERIFY, "other bits %s", how);
out:
    return rc;
}

/* Relative to 1 + |want|, and NaN counts as infinitely wrong. */
static double error_of(double have, double want)
{
    double e = fabs(have - want) / (1 + fabs(want));
    return isnan(e) ? (double)INFINITY : e;
}

static int forward_check(struct check *c, double *worst, struct status *st)
{
    int rc = 0;
    const struct scene *s = &c->s;
    const struct row *row = s->row;
    SPECS[row->op].ref(s, c->out);
    for (size_t o = 0; o < OUTPUTS; o++) {
        const struct tensor *t = &s->out[o];
        for (size_t i = 0; i < t->n; i++) {
            double want = c->out[o][i], have = (double)tensor_get(s->after, t, i);
            if (t->before == BEFORE_RANDOM)
                want += (double)tensor_get(s->before, t, i);
            if ((row->op == OP_xent || (row->op == OP_kl && o > 0)) &&
                i % 8 == 3) { /* the id is a whole number */
                uint32_t id;
                memcpy(&id, &s->after[t->at + i * 4], 4);
                have = id;
            }
            double e = error_of(have, want);
            *worst = fmax(*worst, e);
            if (e > row->fwd && rc == 0)
                rc = status_fail(st, RC_VERIFY, "output %zu [%zu] is %.9g, not %.9g", o, i, have, want);
        }
    }
    return rc;
}

/* d(sum of y dy) / d(input[j]), by central difference of the reference. */
static double slope(struct check *c, size_t input, size_t j)
{
    struct scene *s = &c->s;
    const struct spec *spec = &SPECS[s->row->op];
    const double h = 1e-5, x = s->ref_in[input][j];
    double sum = 0;
    for (int side = 0; side < 2; side++) {
        double *const *to = side ? c->below : c->above;
        s->ref_in[input][j] = side ? x - h : x + h;
        if (spec->more)
            sum += (side ? -1 : 1) * spec->more(s) / (2 * h);
        if (spec->loss)
            spec->loss(s, to[0]);
        else
            spec->ref(s, to);
    }
    s->ref_in[input][j] = x;
    for (size_t i = 0; i < s->dy.n; i++)
        sum += (c->above[0][i] - c->below[0][i]) / (2 * h) * scene_cotangent(s, i);
    return sum;
}

static int gradient_check(struct check *c, size_t input, double *worst, struct status *st)
{
    int rc = 0;
    struct scene *s = &c->s;
    const struct tensor *t = &s->grad[input];
    const size_t samples = t->n > LARGE ? SAMPLES_LARGE : t->n > SAMPLES ? SAMPLES : t->n;
    for (size_t k = 0; k < samples; k++) {
        size_t j = samples == t->n ? k : uniform_below(s, (uint32_t)t->n);
        double want = slope(c, input, j), have = (double)tensor_get(s->after, t, j);
        if (t->before == BEFORE_RANDOM)
            want += (double)tensor_get(s->before, t, j);
        double e = error_of(have, want);
        *worst = fmax(*worst, e);
        if (e > s->row->bwd && rc == 0)
            rc = status_fail(st, RC_VERIFY, "gradient of input %zu [%zu] is %.9g, not %.9g", input, j, have,
                             want);
    }
    return rc;
}

static int backward_check(struct check *c, enum pass pass, double *worst, struct status *st)
{
    int rc = 0;
    for (const char *p = SPECS[c->s.row->op].p[pass]; *p; p++)
        if (*p >= 'A' && *p <= 'E')
            TRY(gradient_check(c, (size_t)(*p - 'A'), worst, st));
out:
    return rc;
}

static void row_name(const struct row *row, enum pass pass, enum variant variant, struct status *st)
{
    const uint32_t *n = row->n;
    status_prefix(st, "%s.%s.%s at %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32,
                  op_name(row->op), variant_name(variant), pass_name(pass), n[0], n[1], n[2], n[3], n[4],
                  n[5]);
}

int check_pass(struct check *c, const struct row *row, enum pass pass, enum variant variant, uint64_t seed,
               double *worst, struct status *st)
{
    int rc = 0;
    struct scene *s = &c->s;
    *worst = 0;
    scene_make(s, row, seed);
    s->pass = pass;
    /* A product of two halves is exact in f32, so the tolerances of the row stay. */
    if (variant == VARIANT_coop)
        scene_halve(s);
    if (pass == PASS_bwd1 && s->no_bwd1)
        return 0;
    if (pass != PASS_fwd && SPECS[row->op].needs_forward) {
        TRY(scene_run(s, PASS_fwd, VARIANT_plain, st));
        memcpy(s->before, s->after, s->end);
    }
    TRY(scene_run(s, pass, variant, st));
    TRY(pass == PASS_fwd ? forward_check(c, worst, st) : backward_check(c, pass, worst, st));
    TRY(canaries_check(c, pass, st));
    TRY(same_check(c, pass, variant, "on a second run", st));
    /* On a CPU no driver fuses a product with its sum: bits depend on the order of a sum alone. */
    if (variant != VARIANT_plain && variant != VARIANT_coop && SPECS[row->op].same_bits &&
        strcmp(gpu_get_info(s->gpu)->type, "cpu") == 0)
        TRY(same_check(c, pass, VARIANT_plain, "in its plain form", st));
out:
    if (rc != 0)
        row_name(row, pass, variant, st);
    return rc;
}

int check_all(struct check *c, enum op op, enum pass pass, enum variant variant, struct check_sum *out,
              struct status *st)
{
    int rc = 0;
    struct check_sum sum = { 0 };
    for (size_t i = 0; i < ROWS_N; i++) {
        const struct row *row = &ROWS[i];
        const double tolerance = pass == PASS_fwd ? row->fwd : row->bwd;
        double worst;
        struct status why = { 0 };
        if (row->op != op || row->full || !scene_serves(&c->s, row, pass, variant))
            continue;
        rc = check_pass(c, row, pass, variant, 0, &worst, &why);
        if (rc != 0 && rc != RC_VERIFY)
            FAIL(st, (enum rc)rc, "%s", why.msg);
        if (rc == RC_VERIFY && sum.wrong++ == 0)
            sum.why = why;
        if (sum.rows++ == 0 || worst / tolerance > sum.worst / sum.tolerance) {
            sum.worst = worst;
            sum.tolerance = tolerance;
        }
        rc = 0;
    }
    *out = sum;
out:
    return rc;
}
