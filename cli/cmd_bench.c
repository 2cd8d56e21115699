/* lethe bench: how fast a device is, and how much of what it can do the kernels reach. */
#include "cli/bench.h"

#include "base/file.h"
#include "cli/info.h"
#include "cli/session.h"
#include "cli/synthetic.h"
#include "model/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct usage USAGE = {
    .forms =
        "lethe bench --shape S [--weights T] [--blocks N] [--tokens N] [--rank R | --full] [--submit FILE]\n"
        "       lethe bench --model M [--tokens N] [--rank R | --full] [--submit FILE]\n"
        "       lethe bench --peak",
    .does = "Times forward passes and LoRA steps (or full ones) on one sequence, prints for each kernel of a "
            "step its rate and "
            "its\n"
            "share of what the device does at best, and where the most time is lost. A shape has random "
            "weights and\n"
            "needs no file; where not all of its blocks fit the device, the first are measured. Timings "
            "decide nothing.",
    .example = "lethe bench --shape smollm2-135m --tokens 512",
};

struct bench {
    struct common common;
    const char *model, *shape_name, *weights, *submit;
    bool peak;
    uint32_t blocks;
    struct bench_options o;
    const struct synthetic_shape *shape; /* NULL: a model file */
    struct synthetic synthetic;
    struct session session;
    struct str types;
    uint32_t blocks_whole;
};

static int options_check(struct bench *b, const struct opt_list *words, struct status *st)
{
    int rc = 0;
    struct str names = { 0 };
    synthetic_names(&names);
    if (words->n)
        FAIL(st, RC_ARG, "lethe bench takes options alone, and here is '%s'", words->v[0]);
    if ((b->model != NULL) + (b->shape_name != NULL) + b->peak != 1)
        FAIL(st, RC_ARG, "one of --shape, --model and --peak is wanted");
    if (b->peak && (b->submit || b->weights || b->blocks || b->o.tokens || b->o.rank || b->o.rounds ||
                    b->o.again || b->o.full))
        FAIL(st, RC_ARG,
             "--peak measures no model: --submit, --weights, --blocks, --tokens, --rank, --full, --again and "
             "--rounds do not go with it");
    if (b->o.full && b->o.rank)
        FAIL(st, RC_ARG, "--rank is of an adapter, and --full trains none");
    if (b->model && (b->weights || b->blocks))
        FAIL(st, RC_ARG, "--weights and --blocks are of a --shape; a --model has its own");
    b->shape = b->shape_name ? synthetic_find(b->shape_name) : NULL;
    if (b->shape_name && !b->shape)
        FAIL(st, RC_ARG, "no shape '%.40s': there are %s", b->shape_name, str_text(&names));
    if (b->shape && b->blocks > b->shape->blocks)
        FAIL(st, RC_ARG, "--blocks %" PRIu32 ", and %s has %" PRIu32, b->blocks, b->shape->name,
             b->shape->blocks);
    if (b->o.tokens == 1)
        FAIL(st, RC_ARG, "--tokens 1 leaves nothing to train on: 2 are the least");
    if (b->o.rounds > BENCH_ROUNDS_MAX)
        FAIL(st, RC_ARG, "--rounds %" PRIu32 ", over %d", b->o.rounds, BENCH_ROUNDS_MAX);
    if (b->submit && path_exists(b->submit))
        FAIL(st, RC_ARG, "%s is there already", b->submit);
    b->weights = b->weights ? b->weights : "Q4_1";
    b->o.tokens = b->o.tokens ? b->o.tokens : 512;
    b->o.rank = b->o.rank ? b->o.rank : 8;
    b->o.rounds = b->o.rounds ? b->o.rounds : 3;
out:
    str_release(&names);
    return rc;
}

/* ---- a shape: as many blocks as fit ---- */

/* A failure names the shape, where its file without a name would stand. Returns rc. */
static int shape_named(const struct bench *b, const struct synthetic *s, int rc, struct status *st)
{
    const size_t n = strlen(s->path);
    if (rc != 0 && n > 0 && strncmp(st->msg, s->path, n) == 0) {
        struct status named = { .rc = st->rc };
        snprintf(named.msg, sizeof named.msg, "%s%s", b->shape->name, st->msg + n);
        *st = named;
    }
    return rc;
}

/* Bytes that `blocks` of the shape take on the device, and types of its tensors. */
static int need_of(struct bench *b, uint32_t blocks, uint64_t *out, struct status *st)
{
    int rc = 0;
    struct synthetic empty = { 0 };
    struct gguf file = { 0 };
    struct model_hyper h;
    struct model_plan plan;
    uint64_t beside = 0;
    TRY(synthetic_open(b->shape, blocks, b->weights, false, &empty, st));
    TRY(model_plan(empty.path, &plan, st));
    TRY(gguf_open(empty.path, &file, st));
    TRY(hyper_parse(&file, &h, st));
    TRY(bench_plan(&h, &b->o, &beside, st));
    str_clear(&b->types);
    info_types(&file, &b->types);
    *out = (b->o.full ? plan.parameters * sizeof(float) : plan.weight_bytes) + beside;
out:
    rc = shape_named(b, &empty, rc, st);
    gguf_close(&file);
    synthetic_close(&empty);
    return rc;
}

static int blocks_fit(struct bench *b, struct status *st)
{
    int rc = 0;
    const uint32_t wanted = b->blocks ? b->blocks : b->shape->blocks;
    const uint64_t room = gpu_bytes_free(b->session.gpu);
    uint64_t all = 0, one = 0;
    b->blocks = wanted;
    TRY(need_of(b, wanted, &all, st));
    if (all <= room)
        goto out;
    TRY(need_of(b, 1, &one, st));
    if (one > room)
        FAIL(st, RC_NOMEM, "one block of %s needs %.2f GiB, and there are %.2f GiB", b->shape->name,
             (double)one / 0x1p30, (double)room / 0x1p30);
    b->blocks = 1 + (uint32_t)((room - one) / ((all - one) / (wanted - 1)));
    TRY(need_of(b, b->blocks, &all, st));
    cli_say(&b->common,
            "%" PRIu32 " of %" PRIu32 " blocks fit the %.2f GiB here: head and embedding weigh more "
            "than in the whole model",
            b->blocks, wanted, (double)room / 0x1p30);
out:
    return rc;
}

static int model_file_open(struct bench *b, struct status *st)
{
    int rc = 0;
    struct source from = { 0 };
    TRY(session_open(&b->common, b->model, &(struct model_options){ .train = true, .f32 = b->o.full }, NULL,
                     &b->session, st));
    TRY(source_open(b->model, &from, st));
    info_types(&from.gguf, &b->types);
    b->blocks_whole = model_get_hyper(b->session.model)->blocks;
out:
    source_close(&from);
    return rc;
}

static int shape_open(struct bench *b, struct status *st)
{
    int rc = 0;
    TRY(cli_gpu_open(&b->common, &b->session.gpu, st));
    TRY(blocks_fit(b, st));
    b->blocks_whole = b->shape->blocks;
    TRY(synthetic_open(b->shape, b->blocks, b->weights, true, &b->synthetic, st));
    TRY(model_open(b->synthetic.path, b->session.gpu,
                   &(struct model_options){ .train = true, .f32 = b->o.full }, &b->session.model, st));
out:
    return shape_named(b, &b->synthetic, rc, st);
}

/* ---- what comes out ---- */

static int document_write(const struct json *root, struct str *out, struct status *st)
{
    int rc = 0;
    TRY(json_check(root, st));
    TRY(json_write_canonical(root, out, st));
    str_putc(out, '\n');
    TRY(str_check(out, st));
out:
    return rc;
}

static int peak_print(struct bench *b, struct status *st)
{
    int rc = 0;
    struct bench_peak peak = { 0 };
    struct json *root = NULL;
    struct str out = { 0 };
    TRY(cli_gpu_open(&b->common, &b->session.gpu, st));
    TRY(bench_peak(b->session.gpu, &peak, st));
    if (b->common.json) {
        root = bench_peak_json(b->session.gpu, &peak);
        TRY(document_write(root, &out, st));
    } else {
        bench_peak_text(&peak, &out);
    }
    TRY(cli_print(&out, st));
out:
    json_free(root);
    str_release(&out);
    return rc;
}

static int model_print(struct bench *b, struct status *st)
{
    int rc = 0;
    struct bench_result r = { 0 };
    struct json *root = NULL;
    struct str document = { 0 }, text = { 0 };
    TRY(b->shape ? shape_open(b, st) : model_file_open(b, st));
    const struct bench_subject subject = { .shape = b->shape ? b->shape->name : NULL,
                                           .weights = str_text(&b->types),
                                           .h = model_get_hyper(b->session.model),
                                           .blocks_whole = b->blocks_whole,
                                           .o = &b->o };
    if (b->o.again >= subject.h->blocks)
        FAIL(st, RC_ARG, "--again %" PRIu32 ": of %" PRIu32 " blocks, the top one is never computed again",
             b->o.again, subject.h->blocks);
    TRY(bench_run(b->session.model, &b->o, &r, st));
    root = bench_json(b->session.gpu, &subject, &r);
    TRY(document_write(root, &document, st));
    bench_text(&subject, &r, &text);
    if (b->submit)
        TRY(file_create(b->submit, document.data, document.size, 0644, st));
    TRY(cli_print(b->common.json ? &document : &text, st));
    if (b->submit)
        cli_say(&b->common, "%s holds the result: device, driver, sizes and rates, no name of a host or path",
                b->submit);
out:
    bench_release(&r);
    json_free(root);
    str_release(&document);
    str_release(&text);
    return rc;
}

int cmd_bench(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct bench b = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "shape", OPT_TEXT, &b.shape_name, "S", "llama-1.2b, qwen-7b or smollm2-135m, with random weights" },
        { "model", OPT_TEXT, &b.model, "M", "a model file or directory instead" },
        { "peak", OPT_FLAG, &b.peak, NULL, "only what the device does at best" },
        { "weights", OPT_TEXT, &b.weights, "T",
          "type of a shape's linears: F32, F16, Q8_0, Q4_0, Q4_1 (default), Q4_K, Q6_K" },
        { "blocks", OPT_COUNT, &b.blocks, "N", "only the first N blocks of a shape" },
        { "tokens", OPT_COUNT, &b.o.tokens, "N", "length of the sequence (default 512)" },
        { "rank", OPT_COUNT, &b.o.rank, "R", "of the adapter (default 8)" },
        { "full", OPT_FLAG, &b.o.full, NULL, "steps train every weight, in f32, instead of an adapter" },
        { "again", OPT_COUNT, &b.o.again, "N", "blocks whose activations a step computes again (none)" },
        { "rounds", OPT_COUNT, &b.o.rounds, "N", "timed runs, of which the median counts (default 3)" },
        { "submit", OPT_TEXT, &b.submit, "FILE", "writes the result as JSON, to be sent" },
        COMMON_OPTIONS(&b.common),
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&b.common, &USAGE, table))
        goto out;
    TRY(options_check(&b, &words, st));
    cli_signals();
    TRY(b.peak ? peak_print(&b, st) : model_print(&b, st));
out:
    session_close(&b.session);
    synthetic_close(&b.synthetic);
    str_release(&b.types);
    opts_release(table, &words);
    return rc;
}
