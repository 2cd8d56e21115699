/* lethe tune: train an adapter, or all weights, on a file. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "cli/session.h"
#include "train/data.h"
#include "train/recipe.h"
#include "train/train.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct usage USAGE = {
    .forms = "lethe tune RECIPE.json --out DIR [--resume]\n"
             "       lethe tune --base M --data F --method lora|full [--lr X] [--epochs N] [...] --out DIR "
             "[--resume]",
    .does = "Trains and writes a PEFT adapter (lora) or model.safetensors (full) into DIR, and\n"
            "DIR.events.jsonl beside it. RECIPE.json is\n"
            "{\"lethe_tune\":1,\"base\":PATH,\"data\":[PATH...],\"method\":{...}}, its paths relative to it. "
            "Ctrl-C saves the\n"
            "state; --resume goes on to the identical result. --plan-only prints what it would take.",
    .example = "lethe tune --base model.gguf --data train.jsonl --method lora --epochs 3 --out adapter",
};

struct tune {
    struct common common;
    const char *recipe_path, *base, *method, *out, *lr, *alpha, *dropout, *freeze, *layer_decay, *lr_bottom;
    struct opt_list data;
    bool resume, plan_only, rslora, train_head;
    uint32_t rank, epochs, batch, length;
    uint64_t seed;
    struct str base_path;
    struct str data_paths[16];
    size_t data_n;
    struct recipe recipe;
};
enum { TUNE_DATA_MAX = 16 };

/* ---- what to train ---- */

static int beside_recipe(const struct tune *t, const char *path, struct str *out, struct status *st)
{
    int rc = 0;
    const char *name = path_name(t->recipe_path);
    struct str folder = { 0 };
    str_add(&folder, t->recipe_path, (size_t)(name - t->recipe_path));
    str_puts(&folder, name == t->recipe_path ? "." : "");
    TRY(str_check(&folder, st));
    TRY(path_join(str_text(&folder), path, out, st));
out:
    str_release(&folder);
    return rc;
}

static int recipe_file_parse(struct tune *t, const struct json *root, struct status *st)
{
    int rc = 0;
    static const char *const KEYS[] = { "lethe_tune", "base", "data", "method", NULL };
    const char *base;
    const struct json *data, *method;
    int64_t version;
    TRY(json_only(root, KEYS, st));
    TRY(json_get_int(root, "lethe_tune", 1, 1, &version, st));
    TRY(json_get_text(root, "base", &base, st));
    TRY(json_get(root, "data", JSON_ARRAY, &data, st));
    TRY(json_get(root, "method", JSON_OBJECT, &method, st));
    TRY(beside_recipe(t, base, &t->base_path, st));
    for (const struct json *d = json_first(data); d; d = json_next(d)) {
        if (!json_text(d) || t->data_n == TUNE_DATA_MAX)
            FAIL(st, RC_FORMAT, "key 'data' wants 1 to %d paths", TUNE_DATA_MAX);
        TRY(beside_recipe(t, json_text(d), &t->data_paths[t->data_n++], st));
    }
    TRY(recipe_parse(method, &t->recipe, st));
out:
    return rc;
}

static int recipe_file_load(struct tune *t, struct status *st)
{
    int rc = 0;
    struct str text = { 0 };
    struct json *root = NULL;
    if (t->base || t->data.n || t->method || t->lr || t->alpha || t->dropout || t->rank || t->epochs ||
        t->batch || t->length || t->seed || t->rslora || t->freeze || t->layer_decay || t->lr_bottom ||
        t->train_head)
        FAIL(st, RC_ARG, "%s says what to train; options that say it too do not go with it", t->recipe_path);
    TRY(file_read(t->recipe_path, JSON_DOCUMENT_BYTES_MAX, &text, st));
    rc = json_parse(str_text(&text), text.size, &root, st);
    if (!rc)
        rc = recipe_file_parse(t, root, st);
    if (rc)
        status_prefix(st, "%s", t->recipe_path);
out:
    json_free(root);
    str_release(&text);
    return rc;
}

/* Options of a method that was not asked for. */
static int options_check(const struct tune *t, struct status *st)
{
    int rc = 0;
    const bool full = recipe_wants_f32(&t->recipe);
    const struct {
        const char *name;
        bool given, of_full;
    } OWN[] = {
        { "rank", t->rank != 0, false },
        { "alpha", t->alpha != NULL, false },
        { "dropout", t->dropout != NULL, false },
        { "rslora", t->rslora, false },
        { "freeze", t->freeze != NULL, true },
        { "layer-decay", t->layer_decay != NULL, true },
        { "lr-bottom", t->lr_bottom != NULL, true },
        { "train-head", t->train_head, true },
    };
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (OWN[i].given && OWN[i].of_full != full)
            FAIL(st, RC_ARG, "--%s does not go with method %s", OWN[i].name, t->method);
out:
    return rc;
}

static int recipe_of_options(struct tune *t, struct status *st)
{
    int rc = 0;
    if (!t->base || t->data.n == 0 || !t->method)
        FAIL(st, RC_ARG, "--base, --data and --method are wanted, or a recipe file");
    if (t->data.n > TUNE_DATA_MAX)
        FAIL(st, RC_LIMIT, "over %d data files", TUNE_DATA_MAX);
    TRY(recipe_init(t->method, &t->recipe, st));
    TRY(options_check(t, st));
    str_puts(&t->base_path, t->base);
    for (size_t i = 0; i < t->data.n; i++)
        str_puts(&t->data_paths[t->data_n++], t->data.v[i]);
    t->recipe.seed = t->seed;
    t->recipe.rslora = t->rslora;
    t->recipe.rank = t->rank ? t->rank : t->recipe.rank;
    t->recipe.epochs = t->epochs ? t->epochs : t->recipe.epochs;
    t->recipe.batch = t->batch ? t->batch : t->recipe.batch;
    t->recipe.length = t->length ? t->length : t->recipe.length;
    if (t->lr)
        TRY(decimal_parse(t->lr, &t->recipe.lr, st));
    const struct {
        const char *text;
        struct decimal *to;
    } OWN[] = { { t->alpha, &t->recipe.alpha },
                { t->dropout, &t->recipe.dropout },
                { t->freeze, &t->recipe.freeze },
                { t->layer_decay, &t->recipe.layer_decay },
                { t->lr_bottom, &t->recipe.lr_bottom } };
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++)
        if (OWN[i].text)
            TRY(decimal_parse(OWN[i].text, OWN[i].to, st));
    if (t->layer_decay && t->lr_bottom)
        FAIL(st, RC_ARG, "--layer-decay and --lr-bottom cannot both count");
    t->recipe.train_head = t->train_head;
    /* the one place that judges values reads them once more */
    struct json *written = recipe_write(&t->recipe);
    if (!written)
        FAIL(st, RC_NOMEM, "no memory for the recipe");
    rc = recipe_parse(written, &t->recipe, st);
    json_free(written);
out:
    return rc;
}

/* ---- training ---- */

static int plan_print(const struct tune *t, const struct train_plan *plan, const struct session *s,
                      struct status *st)
{
    struct str text = { 0 };
    const uint64_t weights = model_get_plan(s->model)->weight_bytes, free = gpu_bytes_free(s->gpu);
    const uint32_t again = train_plan_again(plan, free);
    if (t->common.json) {
        str_printf(&text,
                   "{\"again\":%" PRIu32 ",\"blocks\":%" PRIu32 ",\"device_bytes\":%" PRIu64
                   ",\"device_bytes_least\":%" PRIu64 ",\"free_bytes\":%" PRIu64 ",\"steps\":%" PRIu32
                   ",\"tokens\":%" PRIu64 ",\"trainable\":%" PRIu64 ",\"weight_bytes\":%" PRIu64 "}\n",
                   again, plan->blocks, plan->device_bytes, plan->device_bytes_least, free, plan->steps,
                   plan->tokens, plan->trainable, weights);
    } else {
        str_printf(&text,
                   "trains %" PRIu64 " of %" PRIu64 " parameters (%.3f %%) in %u updates, %" PRIu64
                   " tokens\n"
                   "device memory: weights %.0f MiB, training %.0f MiB, or %.0f MiB at least\n",
                   plan->trainable, plan->total, 100.0 * (double)plan->trainable / (double)plan->total,
                   plan->steps, plan->tokens, (double)weights / 0x1p20, (double)plan->device_bytes / 0x1p20,
                   (double)plan->device_bytes_least / 0x1p20);
        if (plan->device_bytes_least > free)
            str_printf(&text, "that does not fit: %.0f MiB are free\n", (double)free / 0x1p20);
        else if (again > 0)
            str_printf(&text,
                       "activations of %" PRIu32 " of %" PRIu32
                       " blocks would be computed again in each update: %.0f MiB are free\n",
                       again, plan->blocks, (double)free / 0x1p20);
    }
    int rc = cli_print(&text, st);
    str_release(&text);
    return rc;
}

static int result_print(const struct tune *t, const struct train_result *r, struct status *st)
{
    struct str text = { 0 };
    if (t->common.json) {
        str_printf(&text, "{\"%s\":", recipe_wants_f32(&t->recipe) ? "weights" : "adapter");
        str_json_string(&text, t->out, strlen(t->out));
        str_printf(&text,
                   ",\"loss_first\":\"%.6f\",\"loss_last\":\"%.6f\",\"steps\":%u,\"tokens\":%" PRIu64 "}\n",
                   r->loss_first, r->loss_last, r->steps, r->tokens);
    } else {
        str_printf(&text, "%s: %u updates, loss %.4f -> %.4f, %" PRIu64 " tokens, %" PRIu64 " supervised\n",
                   t->out, r->steps, r->loss_first, r->loss_last, r->tokens, r->supervised);
    }
    int rc = t->common.quiet && !t->common.json ? 0 : cli_print(&text, st);
    str_release(&text);
    return rc;
}

static int place_check(const struct tune *t, const char *state, struct status *st)
{
    int rc = 0;
    struct str weights = { 0 };
    const bool full = recipe_wants_f32(&t->recipe);
    str_printf(&weights, "%s/%s", t->out, full ? FULL_WEIGHTS_NAME : "adapter_model.safetensors");
    TRY(str_check(&weights, st));
    if (t->resume && !path_exists(state))
        FAIL(st, RC_ARG, "%s: no state to go on with", state);
    if (!t->resume && path_exists(state))
        FAIL(st, RC_ARG, "%s is there: --resume goes on with it, removing it starts anew", state);
    if (!t->resume && path_exists(str_text(&weights)))
        FAIL(st, RC_ARG, "%s holds %s already; another --out is wanted", t->out,
             full ? "weights" : "an adapter");
    if (t->resume)
        file_leftovers_remove(t->out);
out:
    str_release(&weights);
    return rc;
}

static int train(struct tune *t, struct session *s, const struct data *data, struct cli_sink *sink,
                 const char *state, struct status *st)
{
    int rc = 0;
    struct train *run = NULL;
    struct train_plan plan;
    struct train_result result;
    struct recipe_shape shape;
    struct path_digest base = { 0 };
    const struct model_hyper *h = model_get_hyper(s->model);
    TRY(path_digest(str_text(&t->base_path), &base, st));
    struct train_options options = {
        .recipe = &t->recipe,
        .data = data,
        .out_dir = t->out,
        .state_path = state,
        .base_name = path_name(str_text(&t->base_path)),
        .base = base.hash,
        .resume = t->resume,
        .sink = &sink->sink,
        .stop = &cli_stop,
    };
    TRY(recipe_check(&t->recipe, h, st));
    TRY(recipe_shape(&t->recipe, (uint32_t)data->sequences_n, &shape, st));
    TRY(recipe_advise(&t->recipe, h, &shape, false, &sink->sink, st));
    TRY(train_plan(h, &options, &plan, st));
    if (t->plan_only) {
        TRY(plan_print(t, &plan, s, st));
        goto out;
    }
    TRY(train_open(s->model, &options, &run, st));
    TRY(train_run(run, &result, st));
    cli_sink_line(sink);
    if (unlink(state) != 0 && path_exists(state))
        FAIL(st, RC_IO, "%s: cannot be removed", state);
    TRY(result_print(t, &result, st));
out:
    train_close(run);
    path_digest_release(&base);
    return rc;
}

static int tune_run(struct tune *t, struct status *st)
{
    int rc = 0;
    struct session s = { 0 };
    struct data data = { 0 };
    struct cli_sink sink;
    struct str events = { 0 }, state = { 0 }, variants = { 0 };
    const char *paths[TUNE_DATA_MAX];
    cli_sink_init(&sink, &t->common, NULL);
    str_printf(&events, "%s.events.jsonl", t->out);
    str_printf(&state, "%s.state", t->out);
    TRY(str_check(&events, st));
    TRY(str_check(&state, st));
    str_printf(&variants, "%s.variants", t->out);
    TRY(str_check(&variants, st));
    if (!t->plan_only)
        TRY(place_check(t, str_text(&state), st));
    for (size_t i = 0; i < t->data_n; i++)
        paths[i] = str_text(&t->data_paths[i]);
    const struct model_options options = { .train = true,
                                           .f32 = recipe_wants_f32(&t->recipe),
                                           .sink = &sink.sink };
    TRY(session_open(&t->common, str_text(&t->base_path), &options, t->resume ? str_text(&variants) : NULL,
                     &s, st));
    if (!t->plan_only && !t->resume)
        TRY(gpu_variants_save(s.gpu, str_text(&variants), st));
    uint32_t context = model_get_hyper(s.model)->context;
    if (!t->recipe_path && !t->length && t->recipe.length > context)
        t->recipe.length = context;
    struct data_options how = {
        .encoder = { .tokenizer = model_get_tokenizer(s.model),
                     .chat = model_get_template(s.model, NULL),
                     .len_max = t->recipe.length },
        .on_long = t->recipe.on_long,
        .on_empty = t->recipe.on_empty,
    };
    TRY(data_load(paths, t->data_n, &how, &data, st));
    for (size_t i = 0; i < data.files_n; i++)
        TRY(cli_dropped(&sink.sink, path_name(paths[i]), data.files[i].bytes_without_token, st));
    if (!t->plan_only)
        sink.log = str_text(&events);
    TRY(train(t, &s, &data, &sink, str_text(&state), st));
out:
    cli_sink_line(&sink);
    str_release(&variants);
    data_release(&data);
    session_close(&s);
    str_release(&events);
    str_release(&state);
    return rc;
}

int cmd_tune(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct tune t = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "base", OPT_TEXT, &t.base, "M", "base model" },
        { "data", OPT_LIST, &t.data, "F...", "training files" },
        { "method", OPT_TEXT, &t.method, "NAME", "lora, or full: every weight" },
        { "lr", OPT_TEXT, &t.lr, "X", "learning rate (0.0001; full 0.00002)" },
        { "epochs", OPT_COUNT, &t.epochs, "N", "passes over the data (3)" },
        { "batch", OPT_COUNT, &t.batch, "N", "sequences an update (16)" },
        { "length", OPT_COUNT, &t.length, "N", "tokens of a sequence (1024, or the model's context)" },
        { "rank", OPT_COUNT, &t.rank, "N", "rank of the adapter (8)" },
        { "alpha", OPT_TEXT, &t.alpha, "X", "scale is alpha / rank (16)" },
        { "dropout", OPT_TEXT, &t.dropout, "X", "of the adapter's inputs (0)" },
        { "rslora", OPT_FLAG, &t.rslora, NULL, "scale is alpha / sqrt(rank)" },
        { "freeze", OPT_TEXT, &t.freeze, "X",
          "full: share of the lowest blocks that stay, with the embedding (0)" },
        { "train-head", OPT_FLAG, &t.train_head, NULL,
          "full: a head that is the embedding is trained all the same" },
        { "layer-decay", OPT_TEXT, &t.layer_decay, "X",
          "full: factor of the rate from block to block below (1)" },
        { "lr-bottom", OPT_TEXT, &t.lr_bottom, "X", "full: rate of the lowest block; evenly up to --lr" },
        { "seed", OPT_SEED, &t.seed, "N", "of initial weights, data order and dropout (0)" },
        { "out", OPT_TEXT, &t.out, "DIR", "where the result goes (also -o)" },
        { "resume", OPT_FLAG, &t.resume, NULL, "go on from the saved state" },
        { "plan-only", OPT_FLAG, &t.plan_only, NULL, "print parameters, updates and memory, train nothing" },
        COMMON_OPTIONS(&t.common),
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&t.common, &USAGE, table))
        goto out;
    if (words.n > 1 || (!t.out && !t.plan_only))
        FAIL(st, RC_ARG, "a recipe file or --base, --data and --method are wanted, and --out DIR");
    t.recipe_path = words.n ? words.v[0] : NULL;
    TRY(t.recipe_path ? recipe_file_load(&t, st) : recipe_of_options(&t, st));
    TRY(tune_run(&t, st));
out:
    str_release(&t.base_path);
    for (size_t i = 0; i < TUNE_DATA_MAX; i++)
        str_release(&t.data_paths[i]);
    opts_release(table, &words);
    return rc;
}
