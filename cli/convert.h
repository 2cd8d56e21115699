/* A model written in another form, or with an adapter merged into it, and scored against what it was. */
#ifndef LETHE_CLI_CONVERT_H
#define LETHE_CLI_CONVERT_H

#include "cli/cli.h"
#include "cli/suites.h"
#include "eval/row.h"

struct convert {
    struct common common;
    const char *model, *adapter, *out; /* adapter: NULL for none */
    const char *to, *type;             /* as given: gguf or hf; f32, f16 or q8_0 */
    const char *margin;                /* decimal text; NULL: 0.03 */
    struct opt_list probes;
};
#define CONVERT_OPTIONS(c)                                                                                   \
    { "to", OPT_TEXT, &(c)->to, "FORM", "gguf (a file) or hf (a Hugging Face directory)" },                  \
        { "type", OPT_TEXT, &(c)->type, "T", "f32 (default), f16, or q8_0 (gguf alone)" },                   \
        { "probes", OPT_LIST, &(c)->probes, "F...", "suites of the check (the shipped ones)" },              \
    {                                                                                                        \
        "margin", OPT_TEXT, &(c)->margin, "X", "what a suite may lose: share of items, bits per byte (0.03)" \
    }
/* Writes and checks. 0: what was written is equivalent; RC_VERIFY: it is not. */
MUST_USE int convert_run(struct convert *c, struct status *st);

/* ---- the check (docs/formats, 8.5) ---- */

/* One model's rows of every suite. */
struct check_side {
    struct item_rows *rows; /* [n] */
    size_t n;
};
struct check_how {
    const struct common *common;
    struct gpu *gpu;
};
MUST_USE int check_score(const struct check_how *how, const char *model, const char *adapter,
                         const struct suites *suites, struct check_side *out, struct status *st);
void check_side_release(struct check_side *s);

struct check_result {
    bool held;            /* every suite HELD, or BLIND: nothing there to lose */
    double mean, worst;   /* differences of log-probabilities, nats a token */
    double before, after; /* perplexities of the texts by token, 0 without texts: for people */
    uint64_t flips;       /* items that were right on one side alone */
};
/* Appends a line a suite to `text` and an entry each to the array `list`. */
MUST_USE int check_pair(const struct suites *suites, const struct check_side *before,
                        const struct check_side *after, const char *margin, struct check_result *out,
                        struct str *text, struct json *list, struct status *st);

#endif
