/* lethe export: a model in another form. */
#include "cli/convert.h"

static const struct usage USAGE = {
    .forms = "lethe export MODEL OUT --to gguf|hf [--type f32|f16|q8_0] [--probes F...]",
    .does =
        "Writes a model as a GGUF file or as a Hugging Face directory (config.json, model.safetensors and "
        "the\n"
        "tokenizer's files), then scores it against MODEL and says whether it is equivalent: exit 1 where "
        "it is not.",
    .example = "lethe export model.gguf model-hf --to hf",
};

int cmd_export(int argc, char **argv, struct status *st)
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
    if (words.n != 2)
        FAIL(st, RC_ARG, "a model and a name are wanted: lethe export MODEL OUT --to gguf|hf");
    if (!c.to)
        FAIL(st, RC_ARG, "--to says in which form: gguf or hf");
    c.model = words.v[0];
    c.out = words.v[1];
    cli_signals();
    TRY(convert_run(&c, st));
out:
    opts_release(table, &words);
    return rc;
}
