/* lethe info: what a model is, and what it takes to score and to tune it. No device is opened. */
#include "cli/info.h"

#include "cli/cli.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/hyper.h"
#include "model/lm.h"
#include "model/quant.h"
#include "model/source.h"
#include "model/tokenizer.h"

#include <inttypes.h>
#include <string.h>

static const struct usage USAGE = {
    .forms = "lethe info MODEL [--json]",
    .does = "Architecture, parameters, tensor types, tokenizer, chat template, digests, and the device "
            "memory that scoring\n"
            "needs.",
    .example = "lethe info model.gguf",
};

struct facts {
    struct source from;
    struct model_hyper hyper;
    struct tokenizer *tokenizer;
    struct path_digest digest;
    struct model_plan plan;
    struct gguf_text chat; /* n 0: none */
};

static int facts_open(const char *path, struct facts *f, struct status *st)
{
    int rc = 0;
    TRY(source_open(path, &f->from, st));
    rc = hyper_parse(&f->from.gguf, &f->hyper, st);
    if (!rc)
        rc = tokenizer_open(&f->from.gguf, &f->tokenizer, st);
    if (rc)
        status_prefix(st, "%s", path);
    TRY(rc);
    TRY(model_plan(path, &f->plan, st));
    TRY(path_digest(path, &f->digest, st));
    if (gguf_find(&f->from.gguf, "tokenizer.chat_template"))
        TRY(gguf_get_text(&f->from.gguf, "tokenizer.chat_template", &f->chat, st));
out:
    return rc;
}

static void facts_close(struct facts *f)
{
    tokenizer_close(f->tokenizer);
    path_digest_release(&f->digest);
    source_close(&f->from);
}

void info_types(const struct gguf *file, struct str *out)
{
    enum { TYPES_MAX = 64 };
    size_t count[TYPES_MAX] = { 0 };
    for (size_t i = 0; i < file->tensors_n; i++)
        if (file->tensors[i].type < TYPES_MAX)
            count[file->tensors[i].type]++;
    for (uint32_t t = 0; t < TYPES_MAX; t++) {
        if (!count[t])
            continue;
        const struct quant_type *type = quant_find(t);
        str_printf(out, "%s%s %zu", out->size ? ", " : "", type ? type->name : "?", count[t]);
    }
}

static int facts_print(const struct facts *f, bool as_json, struct status *st)
{
    int rc = 0;
    struct str types = { 0 }, out = { 0 };
    struct json *root = json_object();
    const struct model_hyper *h = &f->hyper;
    struct hash tokens = tokenizer_digest(f->tokenizer);
    struct hash chat = sha256_of(f->chat.s ? f->chat.s : "", f->chat.n);
    uint64_t scoring = model_lm_plan(h, &(struct lm_options){ 0 }, 0);
    info_types(&f->from.gguf, &types);
    json_put_text(root, "architecture", h->arch);
    json_put_int(root, "parameters", (int64_t)f->plan.parameters);
    json_put_int(root, "blocks", h->blocks);
    json_put_int(root, "width", h->width);
    json_put_int(root, "heads", h->heads);
    json_put_int(root, "kv_heads", h->kv_heads);
    json_put_int(root, "mlp", h->mlp);
    json_put_int(root, "context", h->context);
    json_put_int(root, "vocabulary", h->vocab);
    json_put_text(root, "types", str_text(&types));
    json_put_text(root, "sha256", hash_hex(&f->digest.hash).s);
    json_put_text(root, "tokenizer", hash_hex(&tokens).s);
    if (f->chat.n)
        json_put_text(root, "template", hash_hex(&chat).s);
    json_put_int(root, "weight_bytes", (int64_t)f->plan.weight_bytes);
    json_put_int(root, "scoring_bytes", (int64_t)scoring);
    TRY(json_check(root, st));
    if (as_json) {
        TRY(json_write_canonical(root, &out, st));
        str_putc(&out, '\n');
    } else {
        for (const struct json *m = json_first(root); m; m = json_next(m)) {
            if (json_text(m))
                str_printf(&out, "%-14s %s\n", json_key(m), json_text(m));
            else
                str_printf(&out, "%-14s %" PRId64 "\n", json_key(m), json_int(m));
        }
    }
    TRY(cli_print(&out, st));
out:
    json_free(root);
    str_release(&types);
    str_release(&out);
    return rc;
}

int cmd_info(int argc, char **argv, struct status *st)
{
    int rc = 0;
    struct common common = { 0 };
    struct facts facts = { 0 };
    struct opt_list words = { 0 };
    const struct opt table[] = {
        { "json", OPT_FLAG, &common.json, NULL, "one JSON document on stdout" },
        { "help", OPT_FLAG, &common.help, NULL, "this text" },
        { 0 },
    };
    TRY(opts_parse(table, argc, argv, &words, st));
    if (cli_help(&common, &USAGE, table))
        goto out;
    if (words.n != 1)
        FAIL(st, RC_ARG, "one MODEL is wanted: lethe info MODEL");
    TRY(facts_open(words.v[0], &facts, st));
    TRY(facts_print(&facts, common.json, st));
out:
    facts_close(&facts);
    opts_release(table, &words);
    return rc;
}
