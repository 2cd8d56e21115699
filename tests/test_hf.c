/* Hugging Face directories and GGUF files of the same models (tests/golden/make_hf.py): every bit of the
 * logits, every token, the values of merged adapters; what is written is read again; what is not honoured is
 * refused.
 * tier: quick   device: yes */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "model/export.h"
#include "model/gguf_write.h"
#include "model/graph.h"
#include "model/source.h"
#include "model/tokenizer.h"
#include "tests/fixture.h"
#include "tests/model_path.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HF          TESTS_DIR "/golden/hf/"
#define OK(call)    ck_assert_msg((call) == 0, "%s", st.msg)
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

enum { ROWS = 16 };

static struct status st;
static struct gpu *gpu;
static char scratch[] = "/tmp/lethe-hf-XXXXXX";

static void opened(void)
{
    st = (struct status){ 0 };
}

static void device_opened(void)
{
    opened();
    OK(gpu_open(NULL, &gpu, &st));
}

static void device_closed(void)
{
    gpu_close(gpu);
}

static const char *in_scratch(const char *name)
{
    static char path[4][256];
    static int next;
    char *to = path[next++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", scratch, name);
    return to;
}

/* ---- logits ---- */

/* Logits of the golden ids; mem_free. */
static float *logits_of(const char *path, size_t *values)
{
    int32_t targets[ROWS] = { 0 };
    uint32_t at[ROWS];
    struct graph_span spans[ROWS];
    struct graph_pick picks[ROWS];
    struct model *m = NULL;
    struct graph *g = NULL;
    struct safetensors golden = { 0 };
    size_t n = 0;
    OK(safetensors_open(HF "golden.safetensors", &golden, &st));
    int32_t *ids = golden_ids(&golden, "ids", &n);
    ck_assert_uint_le(n, ROWS);
    for (uint32_t i = 0; i < n; i++) {
        at[i] = i;
        spans[i] = (struct graph_span){ .self_first = 0, .end = (uint32_t)n };
    }
    const struct graph_batch batch = { .rows = (uint32_t)n,
                                       .ids = ids,
                                       .positions = at,
                                       .spans = spans,
                                       .picks = (uint32_t)n,
                                       .pick_rows = at,
                                       .targets = targets };
    OK(model_open(path, gpu, NULL, &m, &st));
    *values = n * model_get_hyper(m)->vocab;
    float *out = mem_calloc(*values, sizeof *out);
    OK(graph_open(m, &(struct graph_options){ .rows_max = ROWS, .rank_max = 8 }, &g, &st));
    OK(graph_forward(g, &batch, picks, &st));
    OK(graph_logits(g, 0, (uint32_t)n, out, &st));
    graph_close(g);
    model_close(m);
    mem_free(ids);
    safetensors_close(&golden);
    return out;
}

/* Largest difference from a golden tensor, as a share of its largest value. */
static double apart(const char *name, const float *is, size_t n)
{
    struct safetensors golden = { 0 };
    size_t want_n = 0;
    double most = 0, worst = 0;
    OK(safetensors_open(HF "golden.safetensors", &golden, &st));
    float *want = golden_f32(&golden, name, &want_n);
    ck_assert_uint_eq(want_n, n);
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)is[i] - (double)want[i]));
        most = fmax(most, fabs((double)want[i]));
    }
    mem_free(want);
    safetensors_close(&golden);
    return worst / most;
}

START_TEST(both_forms_have_the_bits_of_each_other)
{
    static const char *const NAMES[] = { "sharded", "single" };
    for (size_t i = 0; i < 2; i++) {
        char file[256], folder[256], name[64];
        size_t n = 0, again = 0;
        snprintf(file, sizeof file, HF "%s.gguf", NAMES[i]);
        snprintf(folder, sizeof folder, HF "%s", NAMES[i]);
        snprintf(name, sizeof name, "%s.logits", NAMES[i]);
        float *a = logits_of(file, &n), *b = logits_of(folder, &again);
        ck_assert_uint_eq(n, again);
        ck_assert_mem_eq(a, b, n * sizeof *a);
        const double far = apart(name, b, n);
        ck_assert_msg(far < 1e-5, "%s: %g apart from transformers", NAMES[i], far); /* 9.9e-7 on lavapipe */
        mem_free(a);
        mem_free(b);
    }
}
END_TEST

/* ---- writing ---- */

struct written {
    struct source from;
    struct model_hyper hyper;
    struct adapter adapter;
    struct merge merge;
    struct export job;
};

static void written_open(struct written *w, const char *model, const char *adapter, enum quant_type_id type)
{
    *w = (struct written){ 0 };
    OK(source_open(model, &w->from, &st));
    OK(hyper_parse(&w->from.gguf, &w->hyper, &st));
    if (adapter)
        OK(adapter_load(adapter, &w->hyper, &w->adapter, &st));
    w->merge = (struct merge){ &w->from, &w->hyper, adapter ? &w->adapter : NULL };
    w->job = (struct export){ .from = &w->from,
                              .from_path = model,
                              .hyper = &w->hyper,
                              .type = type,
                              .rows = merge_rows,
                              .self = &w->merge };
}

static void written_close(struct written *w)
{
    adapter_release(&w->adapter);
    source_close(&w->from);
}

static struct hash tokens_digest(const struct source *s)
{
    struct tokenizer *t = NULL;
    OK(tokenizer_open(&s->gguf, &t, &st));
    const struct hash d = tokenizer_digest(t);
    tokenizer_close(t);
    return d;
}

/* All values in the order of a GGUF file, as f32. */
static float *values_of(const char *path, size_t *n)
{
    struct source s = { 0 };
    struct model_hyper h;
    OK(source_open(path, &s, &st));
    OK(hyper_parse(&s.gguf, &h, &st));
    float *out = mem_calloc(hyper_parameters(&h), sizeof *out);
    *n = 0;
    for (int r = 0; r < ROLES; r++) {
        const struct tensor_shape shape = role_shape(&h, (enum tensor_role)r);
        const uint32_t blocks = role_is_block((enum tensor_role)r) ? h.blocks : 1;
        for (uint32_t b = 0; b < blocks && (r != ROLE_HEAD || !h.tied_head); b++) {
            source_f32(&s, &h, (enum tensor_role)r, b, 0, shape.rows, out + *n);
            *n += (size_t)shape.rows * shape.columns;
        }
    }
    ck_assert_uint_eq(*n, hyper_parameters(&h));
    source_close(&s);
    return out;
}

/* Flags, tokenizer, template and values of what is written are those of what it was written from. */
static void same_model(const char *a, const char *b, bool exact)
{
    struct source x = { 0 }, y = { 0 };
    struct model_hyper hx, hy;
    struct gguf_keys kx = { 0 }, ky = { 0 };
    struct gguf_text tx, ty;
    size_t n = 0, m = 0;
    OK(source_open(a, &x, &st));
    OK(source_open(b, &y, &st));
    OK(hyper_parse(&x.gguf, &hx, &st));
    OK(hyper_parse(&y.gguf, &hy, &st));
    hyper_keys(&hx, &kx);
    hyper_keys(&hy, &ky);
    ck_assert(kx.bytes.size == ky.bytes.size && memcmp(kx.bytes.data, ky.bytes.data, kx.bytes.size) == 0);
    ck_assert_int_eq(hx.tied_head, hy.tied_head);
    str_release(&kx.bytes);
    str_release(&ky.bytes);
    const struct hash dx = tokens_digest(&x), dy = tokens_digest(&y);
    ck_assert(hash_equal(&dx, &dy));
    OK(gguf_get_text(&x.gguf, "tokenizer.chat_template", &tx, &st));
    OK(gguf_get_text(&y.gguf, "tokenizer.chat_template", &ty, &st));
    ck_assert(tx.n == ty.n && memcmp(tx.s, ty.s, tx.n) == 0);
    float *vx = values_of(a, &n), *vy = values_of(b, &m);
    ck_assert_uint_eq(n, m);
    if (exact)
        ck_assert_mem_eq(vx, vy, n * sizeof *vx);
    mem_free(vx);
    mem_free(vy);
    source_close(&x);
    source_close(&y);
}

START_TEST(what_is_written_is_the_same_model)
{
    static const struct {
        const char *model, *out;
        enum quant_type_id type;
        bool hf, exact;
    } rows[] = {
        { HF "sharded", "a.gguf", QUANT_F32, false, true },
        { HF "sharded", "b.gguf", QUANT_F16, false, true }, /* the values are f16 */
        { HF "sharded", "c.gguf", QUANT_Q8_0, false, false },
        { HF "sharded", "a", QUANT_F32, true, true },
        { HF "sharded.gguf", "b", QUANT_F16, true, true },
        { HF "single", "d.gguf", QUANT_F32, false, true },
        { HF "single.gguf", "c", QUANT_F32, true, true },
        { FIXTURE_MODEL, "d", QUANT_F32, true, true },
        { TESTS_DIR "/golden/tiny/tiny-q4_1.gguf", "e", QUANT_F32, true, true },
        { FIXTURE_MODEL, "e.gguf", QUANT_Q8_0, false, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct written w;
        const char *path = in_scratch(rows[i].out);
        written_open(&w, rows[i].model, NULL, rows[i].type);
        OK(rows[i].hf ? export_hf(&w.job, path, &st) : export_gguf(&w.job, path, &st));
        written_close(&w);
        same_model(rows[i].model, path, rows[i].exact);
    }
    same_model(in_scratch("e.gguf"), TESTS_DIR "/golden/tiny/tiny-q8_0.gguf", true); /* its blocks, too */
    same_model(HF "sharded", HF "sharded.gguf", true); /* python's gguf against our own reading */
    same_model(HF "single", HF "single.gguf", true);
}
END_TEST

/* Writing twice gives the same bytes, and a name that is taken stays as it is. */
START_TEST(names_are_taken_once)
{
    struct written w;
    struct str a = { 0 }, b = { 0 };
    written_open(&w, HF "sharded", NULL, QUANT_F32);
    OK(export_gguf(&w.job, in_scratch("once.gguf"), &st));
    OK(export_gguf(&w.job, in_scratch("again.gguf"), &st));
    OK(file_read(in_scratch("once.gguf"), 1 << 24, &a, &st));
    OK(file_read(in_scratch("again.gguf"), 1 << 24, &b, &st));
    ck_assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    ck_assert_int_eq(export_gguf(&w.job, in_scratch("once.gguf"), &st), RC_IO);
    st = (struct status){ 0 };
    OK(export_hf(&w.job, in_scratch("once"), &st));
    ck_assert_int_eq(export_hf(&w.job, in_scratch("once"), &st), RC_IO);
    st = (struct status){ 0 };
    w.job.type = QUANT_Q8_0;
    ck_assert_int_eq(export_hf(&w.job, in_scratch("none"), &st), RC_UNSUPPORTED);
    ck_assert(!path_exists(in_scratch("none")));
    written_close(&w);
    str_release(&a);
    str_release(&b);
}
END_TEST

static int over_f16(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n, float *out,
                    struct status *status)
{
    (void)first;
    (void)block;
    (void)status;
    const struct model_hyper *h = self;
    for (size_t i = 0; i < (size_t)n * role_shape(h, role).columns; i++)
        out[i] = role == ROLE_DOWN ? 65520.0f : 1.0f;
    return 0;
}

START_TEST(values_that_do_not_fit_are_refused)
{
    struct written w;
    written_open(&w, HF "single", NULL, QUANT_F16);
    w.job.rows = over_f16;
    w.job.self = &w.hyper;
    ck_assert_int_eq(export_hf(&w.job, in_scratch("over"), &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "tensor 'model.layers.0.mlp.down_proj.weight' holds 65520, over what f16 holds");
    ck_assert(!path_exists(in_scratch("over")));
    written_close(&w);
}
END_TEST

/* An allocation that fails: no memory is said, and nothing is left in the folder. */
START_TEST(without_memory_nothing_is_left)
{
    struct written w;
    bool done = false;
    written_open(&w, HF "single.gguf", NULL, QUANT_F32);
    ck_assert_int_eq(mkdir(in_scratch("torture"), 0777), 0);
    for (size_t nth = 1; !done; nth += 7) {
        struct status why = { 0 };
        char command[128];
        mem_fail_at(nth);
        const int rc = export_hf(&w.job, in_scratch("torture/x"), &why);
        mem_fail_at(0);
        done = rc == 0;
        ck_assert_msg(done || rc == RC_NOMEM, "%d: %s", rc, why.msg);
        snprintf(command, sizeof command, "test -z \"$(ls %s)\"", in_scratch("torture"));
        ck_assert(done || system(command) == 0);
    }
    written_close(&w);
}
END_TEST

/* ---- adapters ---- */

START_TEST(merged_adapters_are_those_of_peft)
{
    static const char *const NAMES[] = { "dora", "pattern" };
    for (size_t i = 0; i < 2; i++)
        for (int hf = 0; hf < 2; hf++) {
            struct written w;
            char adapter[256], out[64], name[64];
            size_t n = 0;
            snprintf(adapter, sizeof adapter, HF "%s", NAMES[i]);
            snprintf(out, sizeof out, "%s%s", NAMES[i], hf ? "" : ".gguf");
            snprintf(name, sizeof name, "%s.logits", NAMES[i]);
            written_open(&w, HF "sharded", adapter, QUANT_F32);
            OK(hf ? export_hf(&w.job, in_scratch(out), &st) : export_gguf(&w.job, in_scratch(out), &st));
            written_close(&w);
            float *is = logits_of(in_scratch(out), &n);
            const double far = apart(name, is, n);
            ck_assert_msg(far < 1e-5, "%s: %g apart from peft", out, far); /* 8.0e-7 on lavapipe */
            ck_assert_double_gt(apart("sharded.logits", is, n), 0.01);
            mem_free(is);
        }
}
END_TEST

START_TEST(magnitudes_run_merged_alone)
{
    struct model *m = NULL;
    struct adapter x = { 0 };
    struct lora l = { 0 };
    struct str config = { 0 }, weights = { 0 };
    OK(model_open(HF "sharded", gpu, NULL, &m, &st));
    OK(adapter_load(HF "dora", model_get_hyper(m), &x, &st));
    ck_assert(x.dora && x.parts[0].m);
    ck_assert_int_eq(lora_open(m, &x, &l, &st), RC_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "DoRA"));
    ck_assert_int_eq(adapter_write(&x, model_get_hyper(m), "x", &config, &weights, NULL), RC_UNSUPPORTED);
    adapter_release(&x);
    model_close(m);
    str_release(&config);
    str_release(&weights);
}
END_TEST

/* ---- tokens ---- */

static void ids_equal(const struct tokenizer *t, const char *s, const struct json *want, const char *which)
{
    struct tokens got = { 0 };
    size_t i = 0;
    OK(tokenizer_raw(t, s, strlen(s), &got, &st));
    ck_assert_msg(json_size(want) == got.n, "%s: %zu tokens, not %zu: %s", which, got.n, json_size(want), s);
    for (const struct json *id = json_first(want); id; id = json_next(id), i++)
        ck_assert_msg(json_int(id) == got.ids[i], "%s: token %zu of %s", which, i, s);
    tokens_release(&got);
}

/* Every line of a golden file: its text `s`, the ids under `key`. */
static void lines_equal(const char *model, const char *file, const char *key, size_t want)
{
    struct source s = { 0 };
    struct tokenizer *t = NULL;
    struct str text = { 0 };
    const char *line;
    size_t n, count = 0;
    OK(source_open(model, &s, &st));
    OK(tokenizer_open(&s.gguf, &t, &st));
    OK(file_read(file, 1 << 24, &text, &st));
    struct lines lines = { .data = str_text(&text), .size = text.size };
    for (; lines_next(&lines, &line, &n, &st); count++) {
        struct json *j = NULL;
        OK(json_parse(line, n, &j, &st));
        ids_equal(t, json_text(json_find(j, "s")), json_find(j, key), model);
        json_free(j);
    }
    ck_assert_uint_eq(count, want);
    tokenizer_close(t);
    source_close(&s);
    str_release(&text);
}

START_TEST(tokens_are_those_of_the_library)
{
    struct source s = { 0 };
    struct tokenizer *t = NULL;
    struct tokens got = { 0 };
    lines_equal(HF "sharded", HF "tokens.jsonl", "sharded", 104);
    lines_equal(HF "single", HF "tokens.jsonl", "single", 104);
    OK(source_open(HF "single", &s, &st));
    OK(tokenizer_open(&s.gguf, &t, &st));
    ck_assert(tokenizer_adds_bos(t) && tokenizer_bos(t) == 1 && tokenizer_eos(t) == 2);
    OK(tokenizer_tok(t, "a", 1, &got, &st));
    ck_assert(got.n == 2 && got.ids[0] == 1 && got.ids[1] == 67);
    uint32_t turn = 0;
    OK(gguf_get_u32(&s.gguf, "tokenizer.ggml.eot_token_id", &turn, &st));
    ck_assert_uint_eq(turn, 0);
    tokens_release(&got);
    tokenizer_close(t);
    source_close(&s);
}
END_TEST

/* A head of one row and no blocks' worth of weights: only the tokenizer of the real model is of interest. */
static int zeros(void *self, enum tensor_role role, uint32_t block, uint32_t first, uint32_t n, float *out,
                 struct status *status)
{
    (void)block;
    (void)first;
    (void)status;
    memset(out, 0, (size_t)n * role_shape(self, role).columns * sizeof *out);
    return 0;
}

START_TEST(the_real_vocabulary_as_a_directory)
{
    struct source from = { 0 }, back = { 0 };
    struct model_hyper h;
    OK(source_open(model_path(), &from, &st));
    OK(hyper_parse(&from.gguf, &h, &st));
    struct model_hyper small = h;
    small.blocks = 1;
    small.width = small.mlp = 32;
    small.heads = small.kv_heads = 1;
    small.head_size = 32;
    const struct export e = {
        .from = &from, .hyper = &small, .type = QUANT_F16, .rows = zeros, .self = &small
    };
    OK(export_hf(&e, in_scratch("real"), &st));
    OK(source_open(in_scratch("real"), &back, &st));
    const struct hash a = tokens_digest(&from), b = tokens_digest(&back);
    ck_assert(hash_equal(&a, &b));
    source_close(&from);
    source_close(&back);
    lines_equal(in_scratch("real"), TESTS_DIR "/golden/tokens/smollm2.jsonl", "ids", 2000);
}
END_TEST

/* ---- what is refused ---- */

static const struct wrong {
    const char *file, *from, *to; /* the first `from` in the file becomes `to`; NULL: the file goes */
    int rc;
    const char *words;
} WRONG[] = {
#define CONFIG(from, to, rc, words)                                                                          \
    {                                                                                                        \
        "config.json", from, to, rc, words                                                                   \
    }
    CONFIG("LlamaForCausalLM", "Qwen2ForCausalLM", RC_UNSUPPORTED, "architecture 'Qwen2ForCausalLM'"),
    CONFIG("\"llama\"", "\"mistral\"", RC_UNSUPPORTED, "key 'model_type' is 'mistral', this reads llama"),
    CONFIG("\"attention_bias\": false", "\"attention_bias\": true", RC_UNSUPPORTED,
           "key 'attention_bias' is set: it is not honoured"),
    CONFIG("\"mlp_bias\": false", "\"mlp_bias\": true", RC_UNSUPPORTED, "key 'mlp_bias' is set"),
    CONFIG("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}",
           RC_UNSUPPORTED, "key 'rope_scaling' has rope_type 'llama3': only default is honoured"),
    CONFIG("\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}",
           RC_UNSUPPORTED, "key 'rope_scaling' has type 'linear'"),
    CONFIG("\"rope_scaling\": null", "\"rope_parameters\": {\"partial_rotary_factor\": 0.5}", RC_UNSUPPORTED,
           "key 'rope_parameters' has partial_rotary_factor 0.5"),
    CONFIG("\"rope_scaling\": null", "\"sliding_window\": 4096", RC_UNSUPPORTED, "key 'sliding_window'"),
    CONFIG("\"rope_scaling\": null", "\"quantization_config\": {\"bits\": 4}", RC_UNSUPPORTED,
           "key 'quantization_config' is set"),
    CONFIG("\"silu\"", "\"gelu\"", RC_UNSUPPORTED, "key 'hidden_act' is 'gelu': only silu is honoured"),
    CONFIG("\"attention_dropout\": 0.0", "\"attention_dropout\": 0.1", RC_UNSUPPORTED,
           "key 'attention_dropout' is 0.1"),
    CONFIG("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0", RC_FORMAT, "key 'num_hidden_layers'"),
    CONFIG("\"num_hidden_layers\": 2", "\"layers\": false", RC_FORMAT, "key 'num_hidden_layers' is missing"),
    CONFIG("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", RC_FORMAT, "4 heads do not share 3"),
    CONFIG("\"head_dim\": 8", "\"head_dim\": 7", RC_FORMAT, "heads of size 7"),
    CONFIG("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": \"small\"", RC_FORMAT, "key 'rms_norm_eps'"),
    CONFIG("\"rope_theta\": 10000.0", "\"rope_theta\": 0.5", RC_FORMAT, "key 'rope_theta' is 0.5"),
    CONFIG("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1", RC_FORMAT, "'tie_word_embeddings'"),
    CONFIG("\"eos_token_id\": 2", "\"eos_token_id\": \"</s>\"", RC_FORMAT, "key 'eos_token_id'"),
    CONFIG("{", "[", RC_FORMAT, "byte "),
    { "config.json", NULL, NULL, RC_IO, "No such file" },
    { "config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", RC_FORMAT,
      "single: tensor 'lm_head.weight' is missing" },
    { "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", RC_UNSUPPORTED,
      "tensor 'model.layers.1." },
    { "config.json", "\"intermediate_size\": 32", "\"intermediate_size\": 48", RC_FORMAT,
      "config.json wants 48 x 32" },
    { "config.json", "\"vocab_size\": 304", "\"vocab_size\": 290", RC_FORMAT, "the model has 290 tokens" },
    { "model.safetensors", NULL, NULL, RC_IO, "holds neither model.safetensors nor" },
    { "model.safetensors", "BF16", "I163", RC_UNSUPPORTED, "type 'I163'" },
    { "model.safetensors", "model.norm.weight", "model.nrom.weight", RC_FORMAT,
      "tensor 'model.norm.weight' is missing" },
#define TOKENS(from, to, rc, words)                                                                          \
    {                                                                                                        \
        "tokenizer.json", from, to, rc, words                                                                \
    }
    { "tokenizer.json", NULL, NULL, RC_IO, "No such file" },
    TOKENS("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", RC_UNSUPPORTED,
           "normalizer 'NFC' is not honoured"),
    TOKENS("\"type\": \"BPE\"", "\"type\": \"Unigram\"", RC_UNSUPPORTED, "tokenizer model 'Unigram'"),
    TOKENS("\"type\": \"Split\"", "\"type\": \"Metaspace\"", RC_UNSUPPORTED,
           "pre_tokenizer 'Metaspace' is not honoured"),
    TOKENS("\"Regex\": \"'s|", "\"Regex\": \"(?i:'s)|", RC_UNSUPPORTED, "pre_tokenizer Split by '(?i:'s)|"),
    TOKENS("\"Isolated\"", "\"MergedWithNext\"", RC_UNSUPPORTED, "behavior 'MergedWithNext'"),
    TOKENS("\"add_prefix_space\": false", "\"add_prefix_space\": true", RC_UNSUPPORTED,
           "pre_tokenizer ByteLevel adds a space"),
    TOKENS("\"use_regex\": false", "\"use_regex\": true", RC_UNSUPPORTED,
           "pre_tokenizer's sequence of 2 steps is neither"),
    TOKENS("\"ignore_merges\": false", "\"ignore_merges\": true", RC_UNSUPPORTED, "'ignore_merges' is set"),
    TOKENS("\"byte_fallback\": false", "\"byte_fallback\": true", RC_UNSUPPORTED, "'byte_fallback' is set"),
    TOKENS("\"dropout\": null", "\"dropout\": 0.1", RC_UNSUPPORTED, "'dropout' is set"),
    TOKENS("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"##\"", RC_UNSUPPORTED,
           "'continuing_subword_prefix' is set"),
    TOKENS("\"lstrip\": false", "\"lstrip\": true", RC_UNSUPPORTED, "added token '<unk>' has lstrip"),
    TOKENS("\"single_word\": false", "\"single_word\": true", RC_UNSUPPORTED, "has single_word"),
    TOKENS("\"added_tokens\": [",
           "\"added_tokens\": [{\"id\": 303, \"content\": \"x<s\", \"normalized\": true}, ", RC_UNSUPPORTED,
           "added token 'x<s' is normalized and can stand across '<s>'"),
    TOKENS("\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"WordPiece\"", RC_UNSUPPORTED,
           "decoder 'WordPiece' is not honoured"),
    TOKENS("\"type\": \"TemplateProcessing\"", "\"type\": \"RobertaProcessing\"", RC_UNSUPPORTED,
           "post_processor 'RobertaProcessing' is not honoured"),
    TOKENS("\"!\": 3", "\"!\": 4", RC_FORMAT, "have the id 4"),
    TOKENS("\"!\": 3", "\"!\": -1", RC_FORMAT, "token '!' has no id"),
    TOKENS("\"merges\": [\"", "\"merges\": [7, \"", RC_FORMAT, "merge 0 is neither"),
    TOKENS("\"merges\": [\"", "\"merges\": [[\"a\", \"b\", \"c\"], \"", RC_FORMAT, "merge 0 is neither"),
#define SETTINGS(from, to, rc, words)                                                                        \
    {                                                                                                        \
        "tokenizer_config.json", from, to, rc, words                                                         \
    }
    SETTINGS("\"eos_token\": \"</s>\"", "\"eos_token\": \"<end>\"", RC_UNSUPPORTED,
             "key 'eos_token' names '<end>', which is no token"),
    SETTINGS("\"eos_token\": \"</s>\"", "\"add_prefix_space\": true", RC_UNSUPPORTED, "'add_prefix_space'"),
    SETTINGS("\"<s>\"", "\"</s>\"", RC_UNSUPPORTED, "post_processor puts token 1 first, and the BOS is 2"),
    SETTINGS("\"eos_token\": \"</s>\"", "\"added_tokens_decoder\": {\"9\": {\"content\": \"<x>\"}}",
             RC_UNSUPPORTED, "added_tokens_decoder has '9'"),
    SETTINGS("\"name\": \"default\"", "\"name\": 7", RC_FORMAT, "key 'name'"),
};

/* The directory `single` with one change. */
static const char *changed_folder(const struct wrong *w)
{
    static const char *const FILES[] = { "config.json", "generation_config.json", "tokenizer.json",
                                         "tokenizer_config.json", "model.safetensors" };
    const char *folder = in_scratch("wrong/single");
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s && mkdir -p %s", folder, folder);
    ck_assert_int_eq(system(command), 0);
    for (size_t i = 0; i < COUNT(FILES); i++) {
        struct str text = { 0 }, out = { 0 }, path = { 0 };
        OK(path_join(HF "single", FILES[i], &path, &st));
        OK(file_read(path.data, 1 << 20, &text, &st));
        OK(path_join(folder, FILES[i], &path, &st));
        const bool here = strcmp(FILES[i], w->file) == 0;
        const char *at = here && w->from ? memmem(text.data, text.size, w->from, strlen(w->from)) : NULL;
        ck_assert_msg(!here || !w->from || at, "%s holds no %s", w->file, w->from);
        if (at) {
            str_add(&out, text.data, (size_t)(at - text.data));
            str_puts(&out, w->to);
            str_add(&out, at + strlen(w->from), (size_t)(text.data + text.size - at) - strlen(w->from));
        } else {
            str_add(&out, text.data, text.size);
        }
        if (!here || w->from)
            OK(file_create(path.data, out.data, out.size, 0644, &st));
        str_release(&text);
        str_release(&out);
        str_release(&path);
    }
    return folder;
}

START_TEST(what_is_not_honoured_is_refused)
{
    const struct wrong *w = &WRONG[_i];
    struct source s = { 0 };
    struct tokenizer *t = NULL;
    const char *folder = changed_folder(w);
    const int rc = source_open(folder, &s, &st);
    ck_assert_msg(rc == w->rc && strstr(st.msg, w->words), "%s: %s -> %s: %d: %s", w->file, w->from, w->to,
                  rc, st.msg);
    ck_assert_msg(strncmp(st.msg, folder, strlen(folder)) == 0, "%s", st.msg);
    ck_assert(!s.gguf.entries && !s.shards);
    tokenizer_close(t);
}
END_TEST

/* Shards that the index does not describe. */
START_TEST(the_index_is_checked)
{
    static const struct {
        const char *from, *to, *words;
    } rows[] = {
        { "\"model.norm.weight\": \"model-00001", "\"model.norm.weight\": \"model-00002",
          "'model.norm.weight' is" },
        { "\"model.norm.weight\": \"model-0000", "\"model.norm.weight\": \"../model-0000",
          "which is no file" },
        { "\"model.norm.weight\": \"model-0000", "\"model.norm.weight\": \"other-0000", "No such file" },
        { "\"model.norm.weight\": \"model-", "\"model.norm.wait\": \"model-", "'model.norm.wait' is not in" },
        { "\"weight_map\"", "\"map\"", "key 'weight_map' is missing" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct source s = { 0 };
        struct str text = { 0 }, out = { 0 };
        char command[256];
        st = (struct status){ 0 };
        snprintf(command, sizeof command, "rm -rf %s && cp -r " HF "sharded %s", in_scratch("index"),
                 in_scratch("index"));
        ck_assert_int_eq(system(command), 0);
        OK(file_read(in_scratch("index/model.safetensors.index.json"), 1 << 20, &text, &st));
        const char *at = strstr(text.data, rows[i].from);
        if (!at && i == 0) { /* the other way round */
            at = strstr(text.data, "\"model.norm.weight\": \"model-00002");
            ck_assert_ptr_nonnull(at);
            str_add(&out, text.data, (size_t)(at - text.data));
            str_puts(&out, "\"model.norm.weight\": \"model-00001");
            str_puts(&out, at + strlen(rows[i].from));
        } else {
            ck_assert_msg(at != NULL, "%s", rows[i].from);
            str_add(&out, text.data, (size_t)(at - text.data));
            str_puts(&out, rows[i].to);
            str_puts(&out, at + strlen(rows[i].from));
        }
        OK(file_write(in_scratch("index/model.safetensors.index.json"), out.data, out.size, 0644, &st));
        ck_assert_int_ne(source_open(in_scratch("index"), &s, &st), 0);
        ck_assert_msg(strstr(st.msg, rows[i].words), "%s", st.msg);
        str_release(&text);
        str_release(&out);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hf");
    TCase *device = tcase_create("device"), *host = tcase_create("host");
    tcase_add_checked_fixture(device, device_opened, device_closed);
    tcase_add_test(device, both_forms_have_the_bits_of_each_other);
    tcase_add_test(device, merged_adapters_are_those_of_peft);
    tcase_add_test(device, magnitudes_run_merged_alone);
    tcase_add_checked_fixture(host, opened, NULL);
    tcase_add_test(host, what_is_written_is_the_same_model);
    tcase_add_test(host, names_are_taken_once);
    tcase_add_test(host, values_that_do_not_fit_are_refused);
    tcase_add_test(host, without_memory_nothing_is_left);
    tcase_add_test(host, tokens_are_those_of_the_library);
    tcase_add_test(host, the_real_vocabulary_as_a_directory);
    tcase_add_loop_test(host, what_is_not_honoured_is_refused, 0, (int)COUNT(WRONG));
    tcase_add_test(host, the_index_is_checked);
    suite_add_tcase(suite, device);
    suite_add_tcase(suite, host);
    SRunner *runner = srunner_create(suite);
    if (!mkdtemp(scratch))
        return 1;
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command) != 0 || failed || run == 0;
}
