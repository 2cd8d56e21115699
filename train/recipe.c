#include "train/recipe.h"

#include "base/alloc.h"
#include "train/method.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EPOCHS_MAX = 1000,
    STEPS_MAX = 10000000,
    BATCH_MAX = 65536,
    MICRO_BATCH_MAX = 1024,
    LENGTH_MAX = 1 << 20,
};

static const struct method *const METHODS[] = {
#define METHOD(x) &method_##x,
#include "train/methods.def"
#undef METHOD
};
enum { METHODS_N = sizeof METHODS / sizeof *METHODS };

static const char *const SCHEDULE_NAMES[SCHEDULES] = { "constant", "linear", "cosine" };
static const char *const ON_LONG_NAMES[] = { [ON_LONG_REFUSE] = "refuse", [ON_LONG_CUT] = "cut" };
static const char *const ON_EMPTY_NAMES[] = { [ON_EMPTY_REFUSE] = "refuse", [ON_EMPTY_DROP] = "drop" };

/* What every method reads. */
static const char *const COMMON_KEYS[] = {
    "name",  "seed",    "lr",       "schedule",     "warmup_steps", "warmup_ratio", "epochs",
    "steps", "batch",   "length",   "weight_decay", "beta1",        "beta2",        "eps",
    "clip",  "on_long", "on_empty", "micro_batch",  NULL,
};
enum { KEYS_MAX = 64 };

const struct method *method_find(const char *name)
{
    for (size_t i = 0; i < METHODS_N; i++)
        if (strcmp(METHODS[i]->name, name) == 0)
            return METHODS[i];
    return NULL;
}

void method_names(struct str *out)
{
    for (size_t i = 0; i < METHODS_N; i++)
        str_printf(out, "%s%s", i ? ", " : "", METHODS[i]->name);
}

const char *schedule_name(enum schedule s)
{
    return SCHEDULE_NAMES[s];
}

/* ---- reals ---- */

int decimal_parse(const char *text, struct decimal *out, struct status *st)
{
    int rc = 0;
    char *end = NULL;
    char written[64];
    struct decimal d = { 0 };
    d.value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(d.value))
        FAIL(st, RC_ARG, "'%.40s' is not a number", text);
    snprintf(written, sizeof written, "%.12f", d.value);
    size_t n = strlen(written);
    while (written[n - 1] == '0')
        n--;
    n -= written[n - 1] == '.';
    written[n] = '\0';
    if (n >= sizeof d.text || strtod(written, NULL) != d.value)
        FAIL(st, RC_ARG, "'%.40s' needs more than 12 digits behind the point", text);
    snprintf(d.text, sizeof d.text, "%s", strcmp(written, "-0") == 0 ? "0" : written);
    d.value = strtod(d.text, NULL);
    *out = d;
out:
    return rc;
}

int decimal_read(const struct json *object, const char *key, const char *range, double min, double max,
                 struct decimal *out, struct status *st)
{
    int rc = 0;
    struct decimal d = { 0 };
    const char *text = NULL;
    if (!json_find(object, key))
        goto out;
    TRY(json_get_decimal(object, key, &text, &d.value, st));
    if (strlen(text) >= sizeof d.text)
        FAIL(st, RC_FORMAT, "key '%s': %.40s has too many digits", key, text);
    if (!(d.value >= min && d.value <= max))
        FAIL(st, RC_ARG, "key '%s' is %s, wanted %s", key, text, range);
    snprintf(d.text, sizeof d.text, "%s", text);
    *out = d;
out:
    return rc;
}

int count_read(const struct json *object, const char *key, uint32_t min, uint32_t max, uint32_t *out,
               struct status *st)
{
    int rc = 0;
    int64_t n = 0;
    if (!json_find(object, key))
        goto out;
    TRY(json_get_int(object, key, min, max, &n, st));
    *out = (uint32_t)n;
out:
    return rc;
}

/* Exactly f n: the digits of f as an integer over a power of ten (methods 4.1). */
static uint64_t product_of(const char *decimal, uint64_t n, bool up)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t digits = 0, power = 1;
    bool point = false;
    for (const char *c = decimal; *c; c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*c - '0');
        power *= point ? 10 : 1;
    }
    const wide product = (wide)digits * n;
    return (uint64_t)(product / power) + (up && product % power != 0 ? 1 : 0);
}

uint64_t share_of(const char *decimal, uint64_t n)
{
    return product_of(decimal, n, false);
}

uint64_t share_up(const char *decimal, uint64_t n)
{
    return product_of(decimal, n, true);
}

/* ---- defaults ---- */

static struct decimal decimal_of(const char *text)
{
    struct decimal d = { .value = strtod(text, NULL) };
    snprintf(d.text, sizeof d.text, "%s", text);
    return d;
}

struct decimal decimal_default(const char *text)
{
    return decimal_of(text);
}

static void common_defaults(struct recipe *r)
{
    *r = (struct recipe){
        .lr = decimal_of("0.0001"),
        .clip = decimal_of("1"),
        .weight_decay = decimal_of("0"),
        .beta1 = decimal_of("0.9"),
        .beta2 = decimal_of("0.999"),
        .eps = decimal_of("0.00000001"),
        .schedule = SCHEDULE_linear,
        .warmup = WARMUP_DEFAULT,
        .epochs = 3,
        .batch = 16,
        .micro_batch = 1,
        .length = 1024,
    };
}

int recipe_init(const char *method, struct recipe *out, struct status *st)
{
    int rc = 0;
    struct recipe r;
    struct str names = { 0 };
    const struct method *m = method_find(method);
    method_names(&names);
    if (!m)
        FAIL(st, RC_ARG, "no method '%.40s': there is %s", method, str_text(&names));
    common_defaults(&r);
    r.method = m;
    m->defaults(&r);
    *out = r;
out:
    str_release(&names);
    return rc;
}

/* ---- reading ---- */

static int name_read(const struct json *object, const char *key, const char *const *names, int n, int *out,
                     struct status *st)
{
    int rc = 0;
    const char *text = NULL;
    struct str wanted = { 0 };
    if (!json_find(object, key))
        goto out;
    TRY(json_get_text(object, key, &text, st));
    for (int i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            goto out;
        }
        str_printf(&wanted, "%s%s", i ? ", " : "", names[i]);
    }
    FAIL(st, RC_ARG, "key '%s' is '%.40s', wanted one of %s", key, text, str_text(&wanted));
out:
    str_release(&wanted);
    return rc;
}

static int keys_check(const struct json *object, const struct method *m, struct status *st)
{
    const char *keys[KEYS_MAX + 1] = { 0 };
    size_t n = 0;
    for (size_t i = 0; COMMON_KEYS[i] && n < KEYS_MAX; i++)
        keys[n++] = COMMON_KEYS[i];
    for (size_t i = 0; m->keys[i] && n < KEYS_MAX; i++)
        keys[n++] = m->keys[i];
    return json_only(object, keys, st);
}

static int length_read(const struct json *object, struct recipe *r, struct status *st)
{
    int rc = 0;
    if (json_find(object, "epochs") && json_find(object, "steps"))
        FAIL(st, RC_ARG, "keys 'epochs' and 'steps' cannot both count");
    if (json_find(object, "warmup_steps") && json_find(object, "warmup_ratio"))
        FAIL(st, RC_ARG, "keys 'warmup_steps' and 'warmup_ratio' cannot both count");
    TRY(count_read(object, "epochs", 1, EPOCHS_MAX, &r->epochs, st));
    TRY(count_read(object, "steps", 1, STEPS_MAX, &r->steps, st));
    if (r->steps)
        r->epochs = 0;
    TRY(count_read(object, "warmup_steps", 0, STEPS_MAX, &r->warmup_steps, st));
    TRY(decimal_read(object, "warmup_ratio", "0 to below 1", 0, nextafter(1, 0), &r->warmup_ratio, st));
    if (json_find(object, "warmup_steps"))
        r->warmup = WARMUP_STEPS;
    if (json_find(object, "warmup_ratio"))
        r->warmup = WARMUP_RATIO;
    TRY(count_read(object, "batch", 1, BATCH_MAX, &r->batch, st));
    TRY(count_read(object, "micro_batch", 1, MICRO_BATCH_MAX, &r->micro_batch, st));
    TRY(count_read(object, "length", 2, LENGTH_MAX, &r->length, st));
out:
    return rc;
}

static int common_read(const struct json *object, struct recipe *r, struct status *st)
{
    int rc = 0;
    int64_t seed = 0;
    int schedule = (int)r->schedule, on_long = (int)r->on_long, on_empty = (int)r->on_empty;
    if (!json_find(object, "seed"))
        FAIL(st, RC_FORMAT, "key 'seed' is missing: it must be stated");
    TRY(json_get_int(object, "seed", 0, JSON_INT_MAX, &seed, st));
    r->seed = (uint64_t)seed;
    TRY(decimal_read(object, "lr", "0 to 1", 0, 1, &r->lr, st));
    TRY(decimal_read(object, "clip", "0 (never) or more", 0, 1e6, &r->clip, st));
    TRY(decimal_read(object, "weight_decay", "0 to 1", 0, 1, &r->weight_decay, st));
    TRY(decimal_read(object, "beta1", "0 to below 1", 0, nextafter(1, 0), &r->beta1, st));
    TRY(decimal_read(object, "beta2", "0 to below 1", 0, nextafter(1, 0), &r->beta2, st));
    TRY(decimal_read(object, "eps", "above 0, at most 1", 1e-12, 1, &r->eps, st));
    TRY(name_read(object, "schedule", SCHEDULE_NAMES, SCHEDULES, &schedule, st));
    TRY(name_read(object, "on_long", ON_LONG_NAMES, 2, &on_long, st));
    TRY(name_read(object, "on_empty", ON_EMPTY_NAMES, 2, &on_empty, st));
    r->schedule = (enum schedule)schedule;
    r->on_long = (enum on_long)on_long;
    r->on_empty = (enum on_empty)on_empty;
    TRY(length_read(object, r, st));
out:
    return rc;
}

int recipe_parse(const struct json *object, struct recipe *out, struct status *st)
{
    int rc = 0;
    struct recipe r;
    const char *name = NULL;
    if (json_type(object) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "a recipe is an object");
    TRY(json_get_text(object, "name", &name, st));
    TRY(recipe_init(name, &r, st));
    TRY(keys_check(object, r.method, st));
    TRY(common_read(object, &r, st));
    TRY(r.method->parse(object, &r, st));
    *out = r;
out:
    return rc;
}

bool recipe_wants_f32(const struct recipe *r)
{
    return r->method == &method_full;
}

/* ---- writing ---- */

struct json *recipe_write(const struct recipe *r)
{
    struct json *o = json_object();
    json_put_text(o, "name", r->method->name);
    json_put_int(o, "seed", (int64_t)r->seed);
    json_put_text(o, "lr", r->lr.text);
    json_put_text(o, "schedule", SCHEDULE_NAMES[r->schedule]);
    if (r->warmup == WARMUP_STEPS)
        json_put_int(o, "warmup_steps", r->warmup_steps);
    if (r->warmup == WARMUP_RATIO)
        json_put_text(o, "warmup_ratio", r->warmup_ratio.text);
    json_put_int(o, r->steps ? "steps" : "epochs", r->steps ? r->steps : r->epochs);
    json_put_int(o, "batch", r->batch);
    json_put_int(o, "micro_batch", r->micro_batch);
    json_put_int(o, "length", r->length);
    json_put_text(o, "clip", r->clip.text);
    json_put_text(o, "weight_decay", r->weight_decay.text);
    json_put_text(o, "beta1", r->beta1.text);
    json_put_text(o, "beta2", r->beta2.text);
    json_put_text(o, "eps", r->eps.text);
    json_put_text(o, "on_long", ON_LONG_NAMES[r->on_long]);
    json_put_text(o, "on_empty", ON_EMPTY_NAMES[r->on_empty]);
    r->method->write(r, o);
    return o;
}

int recipe_check(const struct recipe *r, const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    if (r->length > h->context)
        FAIL(st, RC_ARG, "key 'length' is %" PRIu32 ", but the model's context is %" PRIu32, r->length,
             h->context);
    TRY(r->method->check(r, h, st));
out:
    return rc;
}
