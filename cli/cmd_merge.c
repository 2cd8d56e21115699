/* lethe merge: an adapter merged into the weights. */
#include "cli/convert.h"

static const struct usage USAGE = {
    .forms = "lethe merge MODEL ADAPTER OUT [--to gguf|hf] [--type f32|f16|q8_0] [--probes F...]",
    .does =
        "Merges a PEFT adapter into a model's weights and writes OUT, in MODEL's form where --to does not "
        "say. Then\n"
        "scores OUT against MODEL with the adapter on it, and says whether OUT is equivalent, or has lost "
        "the adapter\n"
        "(erased), or is neither (drifted): exit 1. The sum is taken in double and rounded once.",
    .example = "lethe merge model.gguf adapter merged.gguf --type f16",
};

int cmd_merge(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct convert c = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        CONVERT_OPTIONS(&c),
        COMMON_OPTIONS(&c.common),
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&c.common, &USAGE, table))
        goto out;
    if (words.n != 3)
        FAIL(st, RC_ARG, "a model, an adapter and a name are wanted: lethe merge MODEL ADAPTER OUT");
    c.model = words.v[0];
    c.adapter = words.v[1];
    c.out = words.v[2];
    cli_signals();
    TRY(convert_run(&c, st));
out:
    opts_release(table, &words);
    return rc;
}
