#include "cli/opt.h"

#include "base/alloc.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct opt *opt_find(const struct opt *table, const char *name, size_t n)
{
    for (; table->name; table++)
        if (strlen(table->name) == n && memcmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

static int list_push(struct opt_list *list, const char *word, struct status *st)
{
    const char **more = mem_realloc(list->v, list->n + 1, sizeof *more);
    if (!more)
        return status_fail(st, RC_NOMEM, "no memory for arguments");
    list->v = more;
    list->v[list->n++] = word;
    return 0;
}

static int number_read(const struct opt *o, const char *text, struct status *st)
{
    char *end;
    errno = 0;
    if (o->kind == OPT_REAL) {
        double x = strtod(text, &end);
        if (*end || end == text || !isfinite(x))
            return status_fail(st, RC_ARG, "--%s: '%s' is not a number", o->name, text);
        *(double *)o->to = x;
        return 0;
    }
    unsigned long long n = strtoull(text, &end, 10);
    bool digits = text[0] >= '0' && text[0] <= '9' && !*end && errno == 0;
    if (o->kind == OPT_SEED) {
        if (!digits || n > UINT64_C(9007199254740991))
            return status_fail(st, RC_ARG, "--%s: '%s' is not an integer from 0 to 2^53 - 1", o->name, text);
        *(uint64_t *)o->to = n;
        return 0;
    }
    if (!digits || n == 0 || n > 1000000000)
        return status_fail(st, RC_ARG, "--%s: '%s' is not a count from 1 to 1000000000", o->name, text);
    *(uint32_t *)o->to = (uint32_t)n;
    return 0;
}

/* Stores the value of one option; *at is the index of its word and moves over what it takes. */
static int opt_take(const struct opt *o, const char *value, int argc, char **argv, int *at, struct status *st)
{
    if (o->kind == OPT_FLAG) {
        if (value)
            return status_fail(st, RC_ARG, "--%s takes no value", o->name);
        *(bool *)o->to = true;
        return 0;
    }
    if (!value && *at + 1 < argc && strncmp(argv[*at + 1], "--", 2) != 0)
        value = argv[++*at];
    if (!value)
        return status_fail(st, RC_ARG, "--%s needs a value: %s", o->name, o->arg);
    if (o->kind == OPT_TEXT) {
        *(const char **)o->to = value;
        return 0;
    }
    if (o->kind != OPT_LIST)
        return number_read(o, value, st);
    int rc = list_push(o->to, value, st);
    while (!rc && *at + 1 < argc && strncmp(argv[*at + 1], "--", 2) != 0)
        rc = list_push(o->to, argv[++*at], st);
    return rc;
}

int opts_parse(const struct opt *table, int argc, char **argv, struct opt_list *words, struct status *st)
{
    int rc = 0;
    uint64_t seen = 0; /* one bit a row: an option that is given twice contradicts itself, a list goes on */
    bool only_words = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (only_words || word[0] != '-' || !word[1]) {
            TRY(list_push(words, word, st));
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (strcmp(word, "-o") == 0)
            word = "--out"; /* the one short form; every command that writes a file has it */
        else if (strcmp(word, "-h") == 0)
            word = "--help";
        const char *equals = strchr(word, '=');
        size_t n = equals ? (size_t)(equals - word) : strlen(word);
        const struct opt *o = strncmp(word, "--", 2) == 0 ? opt_find(table, word + 2, n - 2) : NULL;
        if (!o)
            FAIL(st, RC_ARG, "unknown option %.*s", (int)n, word);
        uint64_t bit = UINT64_C(1) << (o - table);
        if ((seen & bit) && o->kind != OPT_LIST)
            FAIL(st, RC_ARG, "--%s is given twice", o->name);
        seen |= bit;
        TRY(opt_take(o, equals ? equals + 1 : NULL, argc, argv, &at, st));
    }
out:
    return rc;
}

void opts_release(const struct opt *table, struct opt_list *words)
{
    for (; table->name; table++) {
        if (table->kind == OPT_LIST) {
            struct opt_list *list = table->to;
            mem_free(list->v);
            *list = (struct opt_list){ 0 };
        }
    }
    mem_free(words->v);
    *words = (struct opt_list){ 0 };
}

void opts_help(const struct usage *usage, const struct opt *table, struct str *out)
{
    str_printf(out, "usage: %s\n\n%s\n\n", usage->forms, usage->does);
    for (; table->name; table++) {
        struct str left = { 0 };
        str_printf(&left, "--%s%s%s", table->name, table->arg ? " " : "", table->arg ? table->arg : "");
        str_printf(out, "  %-24s %s\n", str_text(&left), table->help);
        str_release(&left);
    }
    str_printf(out, "\nexample: %s\n", usage->example);
}
