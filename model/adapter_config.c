/* adapter_config.json. A key is read, is without effect on what an adapter computes, or must be off (absent,
 * null, false or empty): so what a later PEFT adds is refused by name, and never ignored. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/adapter_own.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "model/safetensors.h"

#include <pcre2.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PEFT's own defaults, for keys that are not there. */
enum { PEFT_RANK = 8, PEFT_ALPHA = 8 };

static bool among(const char *const *list, const char *text)
{
    while (*list && strcmp(*list, text) != 0)
        list++;
    return *list != NULL;
}

/* ---- reading ---- */

static int keys_check(const struct json *tree, struct status *st)
{
    static const char *const read[] = { "peft_type",  "task_type",     "target_modules", "r",
                                        "lora_alpha", "use_rslora",    "lora_dropout",   "init_lora_weights",
                                        "bias",       "alpha_pattern", "rank_pattern",   "use_dora",
                                        NULL };
    /* Where the adapter came from, and how it began. */
    static const char *const idle[] = { "auto_mapping",      "base_model_name_or_path",
                                        "eva_config",        "inference_mode",
                                        "megatron_core",     "peft_version",
                                        "revision",          "runtime_config",
                                        "qalora_group_size", NULL };
    for (const struct json *m = json_first(tree); m; m = json_next(m)) {
        const char *key = json_key(m);
        if (!among(read, key) && !among(idle, key) && !json_is_off(m))
            return status_fail(st, RC_UNSUPPORTED, "key '%.60s' is set: it is not honoured", key);
    }
    return 0;
}

/* A text that must be `want`; missing and null are fine. */
static int text_check(const struct json *tree, const char *key, const char *want, struct status *st)
{
    const struct json *value = json_find(tree, key);
    if (!value || json_type(value) == JSON_NULL)
        return 0;
    const char *text = json_text(value);
    if (!text)
        return status_fail(st, RC_FORMAT, "key '%s': a text is wanted", key);
    if (strcmp(text, want) != 0)
        return status_fail(st, RC_UNSUPPORTED, "key '%s' is '%.40s', only '%s' is honoured", key, text, want);
    return 0;
}

/* Other ways to begin change the weights of the base, which the adapter's file does not hold. */
static int init_check(const struct json *tree, struct status *st)
{
    static const char *const honoured[] = { "gaussian", "eva", "orthogonal", NULL };
    const struct json *value = json_find(tree, "init_lora_weights");
    if (!value || json_type(value) == JSON_BOOL || json_type(value) == JSON_NULL)
        return 0;
    const char *text = json_text(value);
    if (!text)
        return status_fail(st, RC_FORMAT, "key 'init_lora_weights': a boolean or a text is wanted");
    if (!among(honoured, text))
        return status_fail(st, RC_UNSUPPORTED,
                           "key 'init_lora_weights' is '%.40s', which changes the weights of the base", text);
    return 0;
}

static int number_read(const struct json *tree, const char *key, double *out, struct status *st)
{
    const struct json *value = json_find(tree, key);
    if (!value)
        return 0;
    if (json_type(value) != JSON_NUMBER)
        return status_fail(st, RC_FORMAT, "key '%s': a number is wanted", key);
    *out = json_double(value);
    return 0;
}

static int flag_read(const struct json *tree, const char *key, bool *out, struct status *st)
{
    const struct json *value = json_find(tree, key);
    if (value && json_type(value) != JSON_BOOL)
        return status_fail(st, RC_FORMAT, "key '%s': true or false is wanted", key);
    *out = value && json_bool(value);
    return 0;
}

static int targets_get(const struct json *tree, const struct json **out, struct status *st)
{
    const struct json *value = json_find(tree, "target_modules");
    if (!value)
        return status_fail(st, RC_FORMAT, "key 'target_modules' is missing");
    const char *text = json_text(value);
    if (text && strcmp(text, "all-linear") == 0)
        return 0;
    if (text) {
        *out = value;
        return 0;
    }
    if (json_type(value) != JSON_ARRAY || json_size(value) == 0)
        return status_fail(st, RC_FORMAT, "key 'target_modules': a list of modules is wanted");
    if (json_size(value) > SAFETENSORS_TENSORS_MAX)
        return status_fail(st, RC_LIMIT, "key 'target_modules': %zu modules, over %d", json_size(value),
                           SAFETENSORS_TENSORS_MAX);
    for (const struct json *m = json_first(value); m; m = json_next(m))
        if (!json_text(m))
            return status_fail(st, RC_FORMAT, "key 'target_modules': a list of texts is wanted");
    *out = value;
    return 0;
}

static int patterns_get(const struct json *tree, const char *key, const struct json **out, struct status *st)
{
    const struct json *value = json_find(tree, key);
    if (!value || json_type(value) == JSON_NULL)
        return 0;
    if (json_type(value) != JSON_OBJECT)
        return status_fail(st, RC_FORMAT, "key '%s': an object is wanted", key);
    for (const struct json *m = json_first(value); m; m = json_next(m)) {
        const char *pattern = json_key(m);
        if (json_type(m) != JSON_NUMBER)
            return status_fail(st, RC_FORMAT, "key '%s', '%.40s': a number is wanted", key, pattern);
    }
    *out = value;
    return 0;
}

static int config_read(const struct json *tree, struct adapter_config *out, struct status *st)
{
    int rc = 0;
    int64_t r = PEFT_RANK;
    *out = (struct adapter_config){ .alpha = PEFT_ALPHA, .targets = ROLE_BITS_LINEAR };
    if (json_find(tree, "r"))
        TRY(json_get_int(tree, "r", 1, ADAPTER_RANK_MAX, &r, st));
    out->r = (uint32_t)r;
    TRY(number_read(tree, "lora_alpha", &out->alpha, st));
    TRY(number_read(tree, "lora_dropout", &out->dropout, st));
    if (!(out->dropout >= 0 && out->dropout < 1))
        FAIL(st, RC_FORMAT, "key 'lora_dropout' is %g, 0 to less than 1 is wanted", out->dropout);
    TRY(flag_read(tree, "use_rslora", &out->rslora, st));
    TRY(flag_read(tree, "use_dora", &out->dora, st));
out:
    return rc;
}

int adapter_peft_parse(const char *data, size_t size, struct adapter_peft *out, struct status *st)
{
    int rc = 0;
    struct adapter_peft p = { 0 };
    const char *type = NULL;
    TRY(json_parse(data, size, &p.tree, st));
    if (json_type(p.tree) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "an object is wanted");
    TRY(json_get_text(p.tree, "peft_type", &type, st));
    TRY(text_check(p.tree, "peft_type", "LORA", st));
    TRY(text_check(p.tree, "task_type", "CAUSAL_LM", st));
    TRY(text_check(p.tree, "bias", "none", st));
    TRY(keys_check(p.tree, st));
    TRY(init_check(p.tree, st));
    TRY(config_read(p.tree, &p.config, st));
    TRY(targets_get(p.tree, &p.rules.targets, st));
    TRY(patterns_get(p.tree, "rank_pattern", &p.rules.rank, st));
    TRY(patterns_get(p.tree, "alpha_pattern", &p.rules.alpha, st));
    *out = p;
    p = (struct adapter_peft){ 0 };
out:
    adapter_peft_release(&p);
    return rc;
}

void adapter_peft_release(struct adapter_peft *p)
{
    json_free(p->tree);
    *p = (struct adapter_peft){ 0 };
}

/* ---- rules for single modules ---- */

/* Whether "<before>(<expression>)" matches a path from its start to its end, as Python's `re` matches it. */
static int expression_matches(const char *before, const char *expression, const char *path, bool *out,
                              struct status *st)
{
    int rc = 0, error = 0;
    PCRE2_SIZE at = 0;
    struct str whole = { 0 };
    pcre2_code *code = NULL;
    pcre2_match_data *match = NULL;
    str_printf(&whole, "%s(?:%s)\\z", before, expression);
    TRY(str_check(&whole, st));
    code = pcre2_compile((PCRE2_SPTR)whole.data, whole.size, PCRE2_ANCHORED | PCRE2_UTF, &error, &at, NULL);
    if (!code)
        FAIL(st, RC_UNSUPPORTED, "'%.60s' is no expression that is read (error %d)", expression, error);
    match = pcre2_match_data_create(1, NULL);
    if (!match)
        FAIL(st, RC_NOMEM, "no memory for an expression");
    error = pcre2_match(code, (PCRE2_SPTR)path, strlen(path), 0, 0, match, NULL);
    if (error < 0 && error != PCRE2_ERROR_NOMATCH)
        FAIL(st, RC_LIMIT, "'%.60s' takes too long to match (error %d)", expression, error);
    *out = error >= 0;
out:
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    str_release(&whole);
    return rc;
}

/* A target of a list is a whole path, or its end from behind a dot: "q_proj", "mlp.up_proj". */
static bool target_matches(const char *target, const char *path)
{
    const size_t n = strlen(target), all = strlen(path);
    return n <= all && strcmp(path + all - n, target) == 0 && (n == all || path[all - n - 1] == '.');
}

int adapter_rules_target(const struct adapter_rules *rules, enum tensor_role role, uint32_t block, bool *out,
                         struct status *st)
{
    char path[ROLE_PATH_MAX];
    *out = true;
    if (!rules->targets)
        return 0;
    role_path(role, block, path);
    if (json_text(rules->targets))
        return expression_matches("", json_text(rules->targets), path, out, st);
    const struct json *m = json_first(rules->targets);
    while (m && !target_matches(json_text(m), path))
        m = json_next(m);
    *out = m != NULL;
    return 0;
}

static bool target_exists(const char *target, const struct model_hyper *h)
{
    char path[ROLE_PATH_MAX];
    for (uint32_t block = 0; block < h->blocks; block++)
        for (int role = 0; role < ROLES; role++) {
            role_path((enum tensor_role)role, block, path);
            if ((ROLE_BITS_LINEAR & ROLE_BIT(role)) && target_matches(target, path))
                return true;
        }
    return false;
}

/* An expression may match what is no linear of the model: whatever it adapted there then is a tensor that no
 * part takes, and is refused by its name. */
int adapter_rules_check(const struct adapter_rules *rules, const struct model_hyper *h, struct status *st)
{
    const bool listed = rules->targets && !json_text(rules->targets);
    for (const struct json *m = listed ? json_first(rules->targets) : NULL; m; m = json_next(m))
        if (!target_exists(json_text(m), h))
            return status_fail(st, RC_UNSUPPORTED,
                               "key 'target_modules' has '%.60s', which is no linear that is honoured",
                               json_text(m));
    return 0;
}

/* PEFT takes a pattern as an expression for the end of a path, from its start or from behind a dot. */
static int pattern_find(const struct json *patterns, const char *key, const char *path,
                        const struct json **out, struct status *st)
{
    int rc = 0;
    bool found = false;
    *out = NULL;
    for (const struct json *m = patterns ? json_first(patterns) : NULL; m; m = json_next(m)) {
        rc = expression_matches("(?:.*\\.)?", json_key(m), path, &found, st);
        if (rc)
            status_prefix(st, "key '%s'", key);
        TRY(rc);
        if (found) {
            *out = m;
            break;
        }
    }
out:
    return rc;
}

int adapter_rules_apply(const struct adapter_rules *rules, struct adapter_part *p, struct status *st)
{
    char path[ROLE_PATH_MAX];
    role_path(p->role, p->block, path);
    const struct json *rank = NULL, *alpha = NULL;
    int rc = pattern_find(rules->rank, "rank_pattern", path, &rank, st);
    if (!rc)
        rc = pattern_find(rules->alpha, "alpha_pattern", path, &alpha, st);
    if (rc)
        return rc;
    if (rank && (!json_is_int(rank) || json_int(rank) < 1 || json_int(rank) > ADAPTER_RANK_MAX))
        return status_fail(st, RC_FORMAT, "key 'rank_pattern', '%.40s' is %g, 1 to %d is wanted",
                           json_key(rank), json_double(rank), ADAPTER_RANK_MAX);
    if (rank)
        p->r = (uint32_t)json_int(rank);
    if (alpha)
        p->alpha = json_double(alpha);
    return 0;
}

/* ---- writing ---- */

/* A whole number as such, else the shortest decimal that reads back equal; `point` makes 0 a float, 0.0. */
static void put_number(struct str *s, double x, bool point)
{
    char text[40];
    int digits = 1;
    if (x == floor(x) && fabs(x) < 1e15) {
        str_printf(s, point ? "%.1f" : "%.0f", x + 0.0);
        return;
    }
    do
        snprintf(text, sizeof text, "%.*g", digits, x);
    while (strtod(text, NULL) != x && ++digits <= 17);
    str_puts(s, text);
}

static void put_patterns(struct str *s, const struct adapter *x, bool rank)
{
    bool any = false;
    str_putc(s, '{');
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        char path[ROLE_PATH_MAX];
        if (rank ? p->r == x->r : p->alpha == x->alpha)
            continue;
        role_path(p->role, p->block, path);
        str_printf(s, "%s\n    \"%s\": ", any ? "," : "", path);
        put_number(s, rank ? (double)p->r : p->alpha, false);
        any = true;
    }
    str_puts(s, any ? "\n  }" : "}");
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names where a role is adapted in every block, else whole paths; in byte order. */
static int put_targets(struct str *s, const struct adapter *x, const struct model_hyper *h, struct status *st)
{
    int rc = 0;
    size_t n = 0;
    char(*names)[ROLE_PATH_MAX] = mem_calloc(x->n, sizeof *names);
    if (!names)
        FAIL(st, RC_NOMEM, "no memory for %zu names", x->n);
    const bool whole = x->n == (size_t)h->blocks * (uint32_t)__builtin_popcount(x->targets);
    for (size_t i = 0; i < x->n; i++) {
        const struct adapter_part *p = &x->parts[i];
        if (!whole)
            role_path(p->role, p->block, names[n++]);
        else if (p->block == 0)
            snprintf(names[n++], sizeof *names, "%s", role_name(p->role));
    }
    qsort(names, n, sizeof *names, names_compare);
    for (size_t i = 0; i < n; i++)
        str_printf(s, "%s\n    \"%s\"", i ? "," : "[", names[i]);
    str_puts(s, "\n  ]");
out:
    mem_free(names);
    return rc;
}

int adapter_peft_write(const struct adapter *x, const struct model_hyper *h, const char *base_name,
                       struct str *out, struct status *st)
{
    int rc = 0;
    if (base_name && !utf8_valid(base_name, strlen(base_name)))
        FAIL(st, RC_ARG, "the base's name is not UTF-8");
    str_puts(out, "{\n  \"alpha_pattern\": ");
    put_patterns(out, x, false);
    str_puts(out, ",\n  \"base_model_name_or_path\": ");
    if (base_name && *base_name)
        str_json_string(out, base_name, strlen(base_name));
    else
        str_puts(out, "null");
    str_puts(out, ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true"
                  ",\n  \"init_lora_weights\": true,\n  \"layers_pattern\": null"
                  ",\n  \"layers_to_transform\": null,\n  \"lora_alpha\": ");
    put_number(out, x->alpha, false);
    str_puts(out, ",\n  \"lora_dropout\": ");
    put_number(out, x->dropout, true);
    str_printf(out, ",\n  \"modules_to_save\": null,\n  \"peft_type\": \"LORA\",\n  \"r\": %" PRIu32, x->r);
    str_puts(out, ",\n  \"rank_pattern\": ");
    put_patterns(out, x, true);
    str_puts(out, ",\n  \"revision\": null,\n  \"target_modules\": ");
    TRY(put_targets(out, x, h, st));
    str_printf(out, ",\n  \"task_type\": \"CAUSAL_LM\",\n  \"use_dora\": false,\n  \"use_rslora\": %s\n}\n",
               x->rslora ? "true" : "false");
    TRY(str_check(out, st));
out:
    return rc;
}
