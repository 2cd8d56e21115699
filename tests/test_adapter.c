/* safetensors and adapters: PEFT's own file, round trips, equal bytes, drawn values, refusals by name.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "model/adapter.h"
#include "model/safetensors.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN        TESTS_DIR "/golden/adapter"
#define PREFIX        "base_model.model.model.layers."
#define OK(call)      ck_assert_msg((call) == 0, "%s", st.msg)
#define COUNT(things) (sizeof(things) / sizeof *(things))

static struct status st;

static struct model_hyper model_of(uint32_t blocks, uint32_t width, uint32_t mlp, uint32_t heads, uint32_t kv)
{
    return (struct model_hyper){ .arch = "llama",
                                 .blocks = blocks,
                                 .width = width,
                                 .mlp = mlp,
                                 .heads = heads,
                                 .kv_heads = kv,
                                 .vocab = 16,
                                 .head_size = width / heads,
                                 .context = 32,
                                 .tied_head = true,
                                 .rope_pairing = ROPE_NEIGHBOURS };
}

static struct model_hyper golden_model(void)
{
    return model_of(2, 16, 24, 2, 1);
}

static struct model_hyper smol_model(void)
{
    return model_of(30, 576, 1536, 9, 3);
}

/* Must fail with this code and words. */
static void refused(int rc, int want, const char *words)
{
    ck_assert_msg(rc == want && strstr(st.msg, words), "%d, not %d: \"%s\" has no \"%s\"", rc, want, st.msg,
                  words);
    st = (struct status){ 0 };
}

/* ---- a folder for each test ---- */

static char folder[64];

static void folder_make(void)
{
    st = (struct status){ 0 };
    snprintf(folder, sizeof folder, "/tmp/test_adapter_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void file_put(const char *name, const void *data, size_t n)
{
    struct str path = { 0 };
    OK(path_join(folder, name, &path, &st));
    OK(file_write(str_text(&path), data, n, 0644, &st));
    str_release(&path);
}

static void file_get(const char *from, const char *name, struct str *out)
{
    struct str path = { 0 };
    OK(path_join(from, name, &path, &st));
    OK(file_read(str_text(&path), (size_t)1 << 26, out, &st));
    str_release(&path);
}

static void folder_remove(void)
{
    static const char *const names[] = { "adapter_config.json", "adapter_model.safetensors" };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct str path = { 0 };
        OK(path_join(folder, names[i], &path, &st));
        unlink(str_text(&path));
        str_release(&path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- safetensors ---- */

static void file_of(const char *header, size_t data, struct str *out)
{
    uint64_t n = strlen(header);
    str_add(out, &n, sizeof n);
    str_puts(out, header);
    for (size_t i = 0; i < data; i++)
        str_putc(out, 1);
}

static int parse(const struct str *bytes, struct safetensors *out)
{
    return safetensors_parse((const uint8_t *)bytes->data, bytes->size, out, &st);
}

#define TENSOR(name, type, shape, span)                                                                      \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" span "}"

START_TEST(broken_files_are_refused)
{
    static const struct {
        const char *header;
        size_t data;
        int rc;
        const char *words;
    } rows[] = {
        { "", 0, RC_FORMAT, "begins with {" },
        { "[]", 0, RC_FORMAT, "begins with {" },
        { " {}", 0, RC_FORMAT, "begins with {" },
        { "{", 0, RC_FORMAT, "header" },
        { "{}x", 0, RC_FORMAT, "header" },
        { "{\"__metadata__\":[]}", 0, RC_FORMAT, "__metadata__" },
        { "{\"__metadata__\":{\"a\":1}}", 0, RC_FORMAT, "__metadata__" },
        { "{\"a\":1}", 0, RC_FORMAT, "tensor 'a'" },
        { "{\"\":{}}", 0, RC_FORMAT, "0 bytes" },
        { "{\"\\u001b\":{}}", 0, RC_FORMAT, "0x1b" },
        { "{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, RC_FORMAT,
          "header" },
        { "{" TENSOR("a", "F64", "[1]", "[0,8]") "}", 8, RC_UNSUPPORTED, "tensor 'a': type 'F64'" },
        { "{" TENSOR("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, RC_LIMIT, "5 dimensions" },
        { "{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, RC_FORMAT, "'shape'" },
        { "{" TENSOR("a", "F32", "[1.5]", "[0,4]") "}", 4, RC_FORMAT, "'shape'" },
        { "{" TENSOR("a", "F32", "[\"1\"]", "[0,4]") "}", 4, RC_FORMAT, "'shape'" },
        { "{" TENSOR("a", "F32", "[9007199254740991,9007199254740991]", "[0,4]") "}", 4, RC_FORMAT,
          "64 bits" },
        { "{" TENSOR("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0, RC_FORMAT, "'shape'" },
        { "{" TENSOR("a", "F32", "[4503599627370496,1024]", "[0,0]") "}", 0, RC_FORMAT, "values of 4 bytes" },
        { "{" TENSOR("a", "F32", "[1]", "[0,8]") "}", 4, RC_FORMAT, "0 to 8 of data" },
        { "{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, RC_FORMAT, "4 to 0 of data" },
        { "{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, RC_FORMAT, "'data_offsets' has 1" },
        { "{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 4, RC_FORMAT, "2 values of 4 bytes in 4" },
        { "{" TENSOR("a", "F32", "[1]", "[4,8]") "}", 8, RC_FORMAT, "byte 0 of data belongs to no" },
        { "{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 8, RC_FORMAT, "byte 4 of data belongs to no" },
        { "{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[0,4]") "}", 4, RC_FORMAT,
          "byte 0 of data belongs to two" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, RC_FORMAT, "'x'" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, RC_FORMAT, "'data_offsets' is missing" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str bytes = { 0 };
        struct safetensors file = { 0 };
        file_of(rows[i].header, rows[i].data, &bytes);
        refused(parse(&bytes, &file), rows[i].rc, rows[i].words);
        ck_assert(!file.tensors && file.n == 0);
        str_release(&bytes);
    }
}
END_TEST

START_TEST(lengths_are_not_trusted)
{
    struct str bytes = { 0 };
    struct safetensors file = { 0 };
    static const struct {
        uint64_t length;
        int rc;
    } rows[] = { { 3, RC_FORMAT }, { UINT64_MAX, RC_LIMIT }, { SAFETENSORS_HEADER_BYTES_MAX, RC_FORMAT } };
    file_of("{}", 0, &bytes);
    OK(parse(&bytes, &file));
    ck_assert_uint_eq(file.n, 0);
    safetensors_close(&file);
    for (size_t i = 0; i < COUNT(rows); i++) {
        memcpy(bytes.data, &rows[i].length, sizeof rows[i].length);
        refused(parse(&bytes, &file), rows[i].rc, "byte 0: a header of");
    }
    bytes.size = 7;
    refused(parse(&bytes, &file), RC_FORMAT, "7 bytes are no safetensors file");
    str_release(&bytes);
}
END_TEST

START_TEST(every_type_is_read)
{
    static const uint8_t data[] = {
        0,   0,   192, 63,  0, 0, 0, 192, 0,   62,  0,   192, 192, 63,  0,   192,
        254, 255, 255, 255, 7, 0, 0, 0,   251, 255, 255, 255, 255, 255, 255, 255
    };
    static const char *const reals[] = { "f", "h", "b" };
    struct str bytes = { 0 };
    struct safetensors file = { 0 };
    float real[2];
    int32_t whole[2];
    file_of(
        "{" TENSOR("f", "F32", "[2]", "[0,8]") "," TENSOR("h", "F16", "[2]", "[8,12]") "," TENSOR(
            "b", "BF16", "[1,2]",
            "[12,16]") "," TENSOR("i", "I32", "[2]", "[16,24]") "," TENSOR("l", "I64", "[]", "[24,32]") "}",
        0, &bytes);
    str_add(&bytes, data, sizeof data);
    OK(parse(&bytes, &file));
    ck_assert_uint_eq(file.n, 5);
    for (size_t i = 0; i < COUNT(reals); i++) {
        OK(safetensors_f32(safetensors_find(&file, reals[i]), real, &st));
        ck_assert(real[0] == 1.5f && real[1] == -2.0f);
    }
    OK(safetensors_i32(safetensors_find(&file, "i"), whole, &st));
    ck_assert(whole[0] == -2 && whole[1] == 7);
    OK(safetensors_i32(safetensors_find(&file, "l"), whole, &st));
    ck_assert_int_eq(whole[0], -5);
    const struct safetensors_tensor *scalar = safetensors_find(&file, "l");
    ck_assert(scalar->dims == 0 && scalar->n == 1 && scalar->shape[3] == 1);
    ck_assert_ptr_null(safetensors_find(&file, "x"));
    refused(safetensors_f32(scalar, real, &st), RC_UNSUPPORTED, "tensor 'l' is I64");
    refused(safetensors_i32(safetensors_find(&file, "f"), whole, &st), RC_UNSUPPORTED, "tensor 'f' is F32");
    bytes.data[bytes.size - 1] = 0; /* -5 becomes a number of 56 bits */
    refused(safetensors_i32(scalar, whole, &st), RC_FORMAT, "does not fit");
    safetensors_close(&file);
    safetensors_close(&file);
    str_release(&bytes);
}
END_TEST

START_TEST(written_bytes_are_fixed)
{
    static const float one[] = { 1, 2 }, two[] = { 3, 4, 5 };
    static const struct safetensors_part parts[] = { { "b", { 1, 2 }, one }, { "B", { 3, 1 }, two } };
    static const struct safetensors_part swapped[] = { { "B", { 3, 1 }, two }, { "b", { 1, 2 }, one } };
    static const char HEADER[] = "{\"B\":{\"data_offsets\":[0,12],\"dtype\":\"F32\",\"shape\":[3,1]},"
                                 "\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"b\":{\"data_offsets\":[12,20],\"dtype\":\"F32\",\"shape\":[1,2]}}";
    struct str a = { 0 }, b = { 0 };
    uint64_t length = 0;
    OK(safetensors_write(parts, 2, &a, &st));
    OK(safetensors_write(swapped, 2, &b, &st));
    ck_assert(a.size == b.size && memcmp(a.data, b.data, a.size) == 0);
    memcpy(&length, a.data, sizeof length);
    ck_assert(length % 8 == 0 && length >= strlen(HEADER) && length < strlen(HEADER) + 8);
    ck_assert(memcmp(a.data + 8, HEADER, strlen(HEADER)) == 0);
    ck_assert(strspn(a.data + 8 + strlen(HEADER), " ") == length - strlen(HEADER));
    ck_assert_uint_eq(a.size, 8 + length + sizeof one + sizeof two);
    ck_assert(memcmp(a.data + 8 + length, two, sizeof two) == 0);
    ck_assert(memcmp(a.data + a.size - sizeof one, one, sizeof one) == 0);
    const struct safetensors_part twice[] = { parts[0], parts[0] };
    refused(safetensors_write(twice, 2, &a, &st), RC_ARG, "'b' is there twice");
    const struct safetensors_part taken = { "__metadata__", { 1, 2 }, one };
    refused(safetensors_write(&taken, 1, &a, &st), RC_ARG, "taken");
    str_release(&a);
    str_release(&b);
}
END_TEST

/* ---- in memory ---- */

static const struct adapter_part *part_of(const struct adapter *x, enum tensor_role role, uint32_t block)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->parts[i].role == role && x->parts[i].block == block)
            return &x->parts[i];
    ck_abort_msg("no %s in block %u", role_name(role), (unsigned)block);
    return NULL;
}

START_TEST(drawn_values)
{
    static const float first[] = { 0.0358603448f, 0.0340682343f, -0.00204749405f, -0.000666464388f };
    const struct model_hyper h = smol_model();
    const struct adapter_config config = { .r = 8, .alpha = 16, .targets = ROLE_BITS_LINEAR };
    struct adapter x = { 0 };
    OK(adapter_init(&h, &config, &x, &st));
    ck_assert_uint_eq(adapter_parameters(&x), 2442240);
    x.parts[0].b[5] = 1;
    adapter_draw(&x, 7);
    const struct adapter_part *q = part_of(&x, ROLE_Q, 0);
    ck_assert(q->tensor == 2 && q->in == 576 && q->out == 576 && q->scale == 2.0f);
    for (int i = 0; i < 4; i++)
        ck_assert(q->a[i] == first[i]);
    for (size_t i = 0; i < x.n; i++) {
        const struct adapter_part *p = &x.parts[i];
        double sum = 0, bound = 1 / sqrt(p->in), n = (double)p->r * p->in;
        size_t outside = 0;
        for (size_t k = 0; k < (size_t)p->r * p->in; k++) {
            outside += fabs((double)p->a[k]) >= bound;
            sum += (double)p->a[k] * (double)p->a[k];
        }
        for (size_t k = 0; k < (size_t)p->r * p->out; k++)
            outside += p->b[k] != 0;
        ck_assert_uint_eq(outside, 0);
        /* Squares have mean bound²/3 and standard deviation bound² 2/sqrt(45). */
        ck_assert(fabs(sum / n - bound * bound / 3) < 5 * bound * bound * 2 / sqrt(45 * n));
        ck_assert(i == 0 || p->a[0] != x.parts[i - 1].a[0]);
    }
    const float before = q->a[0];
    adapter_draw(&x, 7 + (UINT64_C(1) << 40));
    ck_assert(q->a[0] != before);
    adapter_release(&x);
    adapter_release(&x);
}
END_TEST

START_TEST(init_in_model_order)
{
    const struct model_hyper h = smol_model();
    struct adapter_config config = {
        .r = 4, .alpha = 16, .rslora = true, .dropout = 0.5, .targets = ROLE_BIT(ROLE_V) | ROLE_BIT(ROLE_Q)
    };
    struct adapter x = { 0 };
    OK(adapter_init(&h, &config, &x, &st));
    ck_assert_uint_eq(x.n, 60);
    ck_assert(x.targets == config.targets && x.rslora && x.dropout == 0.5);
    for (size_t i = 0; i < x.n; i++) {
        ck_assert_uint_eq(x.parts[i].tensor, 9 * (i / 2) + (i % 2 ? 4 : 2));
        ck_assert(x.parts[i].scale == 8.0f);
    }
    ck_assert_uint_eq(adapter_parameters(&x), 230400);
    adapter_release(&x);
    config.r = 193;
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "rank 193 for v_proj of 192 x 576");
    config.r = 0;
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "rank 0");
    config = (struct adapter_config){ .r = 1, .alpha = 1 };
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "needs linear layers");
    config.targets = ROLE_BIT(ROLE_EMBEDDING) | ROLE_BIT(ROLE_Q);
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "needs linear layers");
    config = (struct adapter_config){ .r = 1, .alpha = (double)INFINITY, .targets = ROLE_BIT(ROLE_Q) };
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "alpha of q_proj");
    config = (struct adapter_config){ .r = 1, .alpha = 1, .dropout = 1, .targets = ROLE_BIT(ROLE_Q) };
    refused(adapter_init(&h, &config, &x, &st), RC_ARG, "dropout of 1");
    ck_assert(x.n == 0 && !x.parts);
}
END_TEST

/* ---- PEFT's own file ---- */

/* What a part adds to its weights, against PEFT's answer with rows moved by llama.cpp's rule. */
static void delta_check(const struct adapter *x, const struct safetensors *expected, enum tensor_role role)
{
    const struct safetensors_tensor *t = safetensors_find(expected, role_name(role));
    const struct adapter_part *p = part_of(x, role, 1);
    ck_assert_ptr_nonnull(t);
    ck_assert(t->shape[0] == p->out && t->shape[1] == p->in);
    float *want = mem_calloc(t->n, sizeof *want);
    OK(safetensors_f32(t, want, &st));
    for (uint32_t o = 0; o < p->out; o++)
        for (uint32_t i = 0; i < p->in; i++) {
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < p->r; k++) {
                const double term =
                    (double)p->b[o * p->r + k] * (double)p->a[k * p->in + i] * (double)p->scale;
                sum += term;
                size += fabs(term);
            }
            ck_assert_double_eq_tol(sum, (double)want[o * p->in + i], 4 * (double)FLT_EPSILON * size + 1e-12);
        }
    mem_free(want);
}

START_TEST(peft_adapter_means_the_same)
{
    const struct model_hyper h = golden_model();
    struct adapter x = { 0 };
    struct safetensors expected = { 0 };
    OK(adapter_load(GOLDEN, &h, &x, &st));
    OK(safetensors_open(GOLDEN "/expected.safetensors", &expected, &st));
    ck_assert(x.n == 14 && x.targets == ROLE_BITS_LINEAR && x.r == 4 && x.alpha == 6 && x.dropout == 0.05);
    ck_assert(x.rslora && expected.n == 7);
    ck_assert(part_of(&x, ROLE_Q, 0)->r == 4 && part_of(&x, ROLE_Q, 1)->r == 3);
    ck_assert(part_of(&x, ROLE_DOWN, 0)->r == 2 && part_of(&x, ROLE_DOWN, 1)->r == 2);
    ck_assert(part_of(&x, ROLE_K, 0)->alpha == 5 && part_of(&x, ROLE_K, 1)->scale == 2.5f);
    ck_assert(part_of(&x, ROLE_Q, 1)->scale == (float)(6 / sqrt(3)));
    for (int role = 0; role < ROLES; role++)
        if (ROLE_BITS_LINEAR & ROLE_BIT(role))
            delta_check(&x, &expected, (enum tensor_role)role);
    adapter_release(&x);
    safetensors_close(&expected);
}
END_TEST

START_TEST(peft_weights_come_back)
{
    const struct model_hyper h = golden_model();
    struct adapter x = { 0 };
    struct str config = { 0 }, weights = { 0 };
    struct safetensors theirs = { 0 }, ours = { 0 };
    OK(adapter_load(GOLDEN, &h, &x, &st));
    OK(adapter_write(&x, &h, "base", &config, &weights, &st));
    OK(parse(&weights, &ours));
    OK(safetensors_open(GOLDEN "/adapter_model.safetensors", &theirs, &st));
    ck_assert_uint_eq(ours.n, theirs.n);
    for (size_t i = 0; i < theirs.n; i++) {
        const struct safetensors_tensor *a = &theirs.tensors[i], *b = safetensors_find(&ours, a->name);
        ck_assert_msg(b && a->n == b->n && a->shape[0] == b->shape[0], "%s", a->name);
        ck_assert_msg(memcmp(a->data, b->data, a->n * sizeof(float)) == 0, "%s", a->name);
    }
    safetensors_close(&ours);
    safetensors_close(&theirs);
    adapter_release(&x);
    str_release(&config);
    str_release(&weights);
}
END_TEST

/* ---- writing ---- */

static void same_adapter(const struct adapter *a, const struct adapter *b)
{
    ck_assert(a->n == b->n && a->r == b->r && a->alpha == b->alpha && a->dropout == b->dropout);
    ck_assert(a->rslora == b->rslora && a->targets == b->targets);
    for (size_t i = 0; i < a->n; i++) {
        const struct adapter_part *p = &a->parts[i], *q = &b->parts[i];
        ck_assert(p->role == q->role && p->block == q->block && p->r == q->r && p->alpha == q->alpha);
        ck_assert(p->scale == q->scale && p->tensor == q->tensor);
        ck_assert(memcmp(p->a, q->a, (size_t)p->r * p->in * sizeof *p->a) == 0);
        ck_assert(memcmp(p->b, q->b, (size_t)p->r * p->out * sizeof *p->b) == 0);
    }
}

/* B gets other values in every row, so that a row in the wrong place is seen. */
static void number_rows(struct adapter *x)
{
    for (size_t i = 0; i < x->n; i++)
        for (uint32_t k = 0; k < x->parts[i].out * x->parts[i].r; k++)
            x->parts[i].b[k] = (float)k + (float)i / 16;
}

START_TEST(saved_adapter_comes_back)
{
    static const struct adapter_config configs[] = {
        { .r = 3, .alpha = 0.1, .dropout = 0.05, .targets = ROLE_BITS_LINEAR },
        { .r = 10, .alpha = 10, .rslora = true, .targets = ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_DOWN) },
    };
    const struct model_hyper h = model_of(2, 32, 48, 4, 2);
    for (size_t i = 0; i < COUNT(configs); i++) {
        struct adapter x = { 0 }, y = { 0 };
        struct str config = { 0 }, weights = { 0 }, config2 = { 0 }, weights2 = { 0 };
        OK(adapter_init(&h, &configs[i], &x, &st));
        adapter_draw(&x, 1);
        number_rows(&x);
        OK(adapter_save(&x, &h, "a \"base\"", folder, &st));
        OK(adapter_load(folder, &h, &y, &st));
        same_adapter(&x, &y);
        file_get(folder, "adapter_config.json", &config);
        file_get(folder, "adapter_model.safetensors", &weights);
        OK(adapter_write(&y, &h, "a \"base\"", &config2, &weights2, &st));
        ck_assert_str_eq(str_text(&config), str_text(&config2));
        ck_assert(weights.size == weights2.size && memcmp(weights.data, weights2.data, weights.size) == 0);
        adapter_release(&x);
        adapter_release(&y);
        str_release(&config);
        str_release(&weights);
        str_release(&config2);
        str_release(&weights2);
    }
}
END_TEST

START_TEST(rows_are_moved_in_q_and_k_only)
{
    const struct model_hyper h = golden_model();
    const struct adapter_config config = { .r = 1,
                                           .alpha = 1,
                                           .targets = ROLE_BIT(ROLE_K) | ROLE_BIT(ROLE_V) };
    static const float k_rows[] = { 0, 2, 4, 6, 1, 3, 5, 7 };
    struct adapter x = { 0 };
    struct str json = { 0 }, weights = { 0 };
    struct safetensors file = { 0 };
    float rows[8];
    OK(adapter_init(&h, &config, &x, &st));
    for (size_t i = 0; i < x.n; i++)
        for (uint32_t k = 0; k < 8; k++)
            x.parts[i].b[k] = (float)k;
    OK(adapter_write(&x, &h, "", &json, &weights, &st));
    OK(parse(&weights, &file));
    OK(safetensors_f32(safetensors_find(&file, PREFIX "0.self_attn.k_proj.lora_B.weight"), rows, &st));
    ck_assert(memcmp(rows, k_rows, sizeof rows) == 0);
    OK(safetensors_f32(safetensors_find(&file, PREFIX "0.self_attn.v_proj.lora_B.weight"), rows, &st));
    for (int k = 0; k < 8; k++)
        ck_assert(rows[k] == (float)k);
    safetensors_close(&file);
    adapter_release(&x);
    str_release(&json);
    str_release(&weights);
}
END_TEST

START_TEST(written_config_is_fixed)
{
    static const char TEXT[] = "{\n"
                               "  \"alpha_pattern\": {\n"
                               "    \"model.layers.1.self_attn.v_proj\": 2.5\n"
                               "  },\n"
                               "  \"base_model_name_or_path\": \"b\\\"\",\n"
                               "  \"bias\": \"none\",\n"
                               "  \"fan_in_fan_out\": false,\n"
                               "  \"inference_mode\": true,\n"
                               "  \"init_lora_weights\": true,\n"
                               "  \"layers_pattern\": null,\n"
                               "  \"layers_to_transform\": null,\n"
                               "  \"lora_alpha\": 10,\n"
                               "  \"lora_dropout\": 0.0,\n"
                               "  \"modules_to_save\": null,\n"
                               "  \"peft_type\": \"LORA\",\n"
                               "  \"r\": 1,\n"
                               "  \"rank_pattern\": {},\n"
                               "  \"revision\": null,\n"
                               "  \"target_modules\": [\n"
                               "    \"q_proj\",\n"
                               "    \"v_proj\"\n"
                               "  ],\n"
                               "  \"task_type\": \"CAUSAL_LM\",\n"
                               "  \"use_dora\": false,\n"
                               "  \"use_rslora\": false\n"
                               "}\n";
    const struct model_hyper h = golden_model(), other = smol_model();
    const struct adapter_config config = { .r = 1,
                                           .alpha = 10,
                                           .targets = ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_V) };
    struct adapter x = { 0 };
    struct str json = { 0 }, weights = { 0 };
    OK(adapter_init(&h, &config, &x, &st));
    x.parts[3].alpha = 2.5;
    OK(adapter_write(&x, &h, "b\"", &json, &weights, &st));
    ck_assert_str_eq(str_text(&json), TEXT);
    refused(adapter_write(&x, &h, "\xff", &json, &weights, &st), RC_ARG, "not UTF-8");
    refused(adapter_write(&x, &other, "", &json, &weights, &st), RC_ARG, "is not this model's");
    str_clear(&json);
    OK(adapter_write(&x, &h, NULL, &json, &weights, &st));
    ck_assert_ptr_nonnull(strstr(str_text(&json), "\"base_model_name_or_path\": null"));
    adapter_release(&x);
    refused(adapter_write(&x, &h, "", &json, &weights, &st), RC_ARG, "without parts");
    str_release(&json);
    str_release(&weights);
}
END_TEST

/* ---- configurations ---- */

static int load_config(const char *text, struct adapter *out)
{
    const struct model_hyper h = golden_model();
    file_put("adapter_config.json", text, strlen(text));
    return adapter_load(folder, &h, out, &st);
}

/* `x` as weights in the folder. */
static void weights_put(const struct adapter *x)
{
    const struct model_hyper h = golden_model();
    struct str config = { 0 }, weights = { 0 };
    OK(adapter_write(x, &h, "", &config, &weights, &st));
    file_put("adapter_model.safetensors", weights.data, weights.size);
    str_release(&config);
    str_release(&weights);
}

static void weights_of(uint32_t r, uint32_t targets)
{
    const struct model_hyper h = golden_model();
    const struct adapter_config config = { .r = r, .alpha = 1, .targets = targets };
    struct adapter x = { 0 };
    OK(adapter_init(&h, &config, &x, &st));
    weights_put(&x);
    adapter_release(&x);
}

START_TEST(what_changes_the_mathematics_is_refused)
{
    static const struct {
        const char *key, *value;
        int rc;
    } rows[] = {
        { "bias", "\"all\"", RC_UNSUPPORTED },
        { "bias", "true", RC_FORMAT },
        { "task_type", "\"SEQ_CLS\"", RC_UNSUPPORTED },
        { "modules_to_save", "[\"lm_head\"]", RC_UNSUPPORTED },
        { "fan_in_fan_out", "true", RC_UNSUPPORTED },
        { "target_parameters", "[\"x\"]", RC_UNSUPPORTED },
        { "trainable_token_indices", "[1]", RC_UNSUPPORTED },
        { "layer_replication", "[[0,1]]", RC_UNSUPPORTED },
        { "layers_to_transform", "[0]", RC_UNSUPPORTED },
        { "layers_to_transform", "0", RC_UNSUPPORTED },
        { "layers_pattern", "\"h\"", RC_UNSUPPORTED },
        { "exclude_modules", "[\"q_proj\"]", RC_UNSUPPORTED },
        { "use_dora", "1", RC_FORMAT },
        { "lora_bias", "true", RC_UNSUPPORTED },
        { "use_qalora", "true", RC_UNSUPPORTED },
        { "use_bdlora", "{\"x\":1}", RC_UNSUPPORTED },
        { "alora_invocation_tokens", "[1]", RC_UNSUPPORTED },
        { "arrow_config", "{\"top_k\":3}", RC_UNSUPPORTED },
        { "corda_config", "{\"x\":1}", RC_UNSUPPORTED },
        { "loftq_config", "{\"loftq_bits\":4}", RC_UNSUPPORTED },
        { "megatron_config", "{\"x\":1}", RC_UNSUPPORTED },
        { "ensure_weight_tying", "true", RC_UNSUPPORTED },
        { "not_known_yet", "\"x\"", RC_UNSUPPORTED },
        { "not_known_yet", "0", RC_UNSUPPORTED },
        { "init_lora_weights", "\"pissa\"", RC_UNSUPPORTED },
        { "init_lora_weights", "\"pissa_niter_16\"", RC_UNSUPPORTED },
        { "init_lora_weights", "\"olora\"", RC_UNSUPPORTED },
        { "init_lora_weights", "\"corda\"", RC_UNSUPPORTED },
        { "init_lora_weights", "\"loftq\"", RC_UNSUPPORTED },
        { "init_lora_weights", "\"not_known_yet\"", RC_UNSUPPORTED },
        { "init_lora_weights", "1", RC_FORMAT },
        { "r", "0", RC_FORMAT },
        { "r", "1025", RC_FORMAT },
        { "r", "1.5", RC_FORMAT },
        { "r", "\"2\"", RC_FORMAT },
        { "lora_alpha", "\"2\"", RC_FORMAT },
        { "lora_dropout", "1", RC_FORMAT },
        { "lora_dropout", "-0.1", RC_FORMAT },
        { "use_rslora", "1", RC_FORMAT },
        { "rank_pattern", "[]", RC_FORMAT },
        { "rank_pattern", "{\"q_proj\":0}", RC_FORMAT },
        { "rank_pattern", "{\"q_proj\":\"2\"}", RC_FORMAT },
        { "rank_pattern", "{\"(q_proj\":2}", RC_UNSUPPORTED },
        { "alpha_pattern", "{\"[q-\":2}", RC_UNSUPPORTED },
    };
    weights_of(2, ROLE_BIT(ROLE_Q));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[256], words[80];
        struct adapter x = { 0 };
        snprintf(text, sizeof text, "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]%s,\"%s\":%s}",
                 strcmp(rows[i].key, "r") == 0 ? "" : ",\"r\":2", rows[i].key, rows[i].value);
        snprintf(words, sizeof words, "adapter_config.json: key '%s'", rows[i].key);
        refused(load_config(text, &x), rows[i].rc, words);
        ck_assert(!x.parts);
    }
}
END_TEST

START_TEST(targets_are_refused_by_name)
{
    static const struct {
        const char *text;
        int rc;
        const char *words;
    } rows[] = {
        { "{\"r\":2}", RC_FORMAT, "'peft_type' is missing" },
        { "[]", RC_FORMAT, "an object is wanted" },
        { "{\"peft_type\":\"IA3\"}", RC_UNSUPPORTED, "'peft_type' is 'IA3'" },
        { "{\"peft_type\":\"LORA\"}", RC_FORMAT, "'target_modules' is missing" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":\".*(proj\"}", RC_UNSUPPORTED, "'.*(proj'" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":null}", RC_FORMAT, "a list of modules" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[]}", RC_FORMAT, "a list of modules" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[1]}", RC_FORMAT, "a list of texts" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\",\"lm_head\"]}", RC_UNSUPPORTED,
          "'lm_head'" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"embed_tokens\"]}", RC_UNSUPPORTED,
          "'embed_tokens'" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"\"]}", RC_UNSUPPORTED, "has ''" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"proj\"]}", RC_UNSUPPORTED, "'proj'" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"model.layers.2.self_attn.q_proj\"]}", RC_UNSUPPORTED,
          "'model.layers.2.self_attn.q_proj'" },
        { "{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"],\"r\":17}", RC_FORMAT,
          "rank 17 for q_proj" },
        { "{\"peft_type\":\"LORA\",\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", RC_FORMAT,
          "adapter_config.json" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct adapter x = { 0 };
        refused(load_config(rows[i].text, &x), rows[i].rc, rows[i].words);
    }
}
END_TEST

START_TEST(defaults_are_peft_defaults)
{
    struct adapter x = { 0 };
    weights_of(8, ROLE_BIT(ROLE_Q));
    OK(load_config("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", &x));
    ck_assert(x.r == 8 && x.alpha == 8 && x.dropout == 0 && !x.rslora && x.parts[0].scale == 1.0f);
    adapter_release(&x);
    OK(load_config(
        "{\"peft_type\":\"LORA\",\"target_modules\":[\"self_attn.q_proj\"],\"lora_alpha\":4,"
        "\"init_lora_weights\":\"gaussian\",\"task_type\":null,\"bias\":\"none\",\"revision\":\"x\","
        "\"later_key\":false,\"another\":null,\"and\":{},\"last\":[]}",
        &x));
    ck_assert(x.n == 2 && x.parts[0].scale == 0.5f);
    adapter_release(&x);
    weights_of(8, ROLE_BITS_LINEAR);
    OK(load_config("{\"peft_type\":\"LORA\",\"target_modules\":\"all-linear\"}", &x));
    ck_assert_uint_eq(x.n, 14);
    adapter_release(&x);
}
END_TEST

START_TEST(patterns_match_ends_of_paths)
{
    struct adapter x = { 0 };
    weights_of(8, ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_V));
    OK(load_config("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\",\"v_proj\"],\"alpha_pattern\":{"
                   "\"proj\":1,\"1.self_attn.q_proj\":2,\"q.proj\":3,\"model.layers.0.self_attn.v_proj\":4}}",
                   &x));
    ck_assert(part_of(&x, ROLE_Q, 0)->alpha == 3 && part_of(&x, ROLE_Q, 1)->alpha == 2);
    ck_assert(part_of(&x, ROLE_V, 0)->alpha == 4 && part_of(&x, ROLE_V, 1)->alpha == 8);
    adapter_release(&x);
    OK(load_config("{\"peft_type\":\"LORA\",\"target_modules\":\"model\\\\.layers\\\\.\\\\d+\\\\.self_"
                   "attn\\\\.[qv]_proj\","
                   "\"alpha_pattern\":{\"[kq]_proj|o_proj\":1,\"^self_attn.v_proj\":2,\"v_proj.*\":3}}",
                   &x));
    ck_assert(part_of(&x, ROLE_Q, 0)->alpha == 1 && part_of(&x, ROLE_V, 1)->alpha == 3);
    adapter_release(&x);
}
END_TEST

START_TEST(some_blocks_only)
{
    const struct model_hyper h = golden_model();
    struct adapter x = { 0 }, y = { 0 };
    const struct adapter_config config = { .r = 2,
                                           .alpha = 2,
                                           .targets = ROLE_BIT(ROLE_Q) | ROLE_BIT(ROLE_UP) };
    OK(adapter_init(&h, &config, &x, &st));
    number_rows(&x);
    /* Without q_proj of block 0. */
    struct adapter some = x;
    some.parts++;
    some.n--;
    OK(adapter_save(&some, &h, "", folder, &st));
    OK(adapter_load(folder, &h, &y, &st));
    same_adapter(&some, &y);
    adapter_release(&x);
    adapter_release(&y);
}
END_TEST

/* ---- weights ---- */

START_TEST(wrong_weights_are_refused)
{
    static const char CONFIG[] =
        "{\"peft_type\":\"LORA\",\"target_modules\":[\"layers.0.self_attn.q_proj\"],\"r\":1}";
    static const char A[] = PREFIX "0.self_attn.q_proj.lora_A.weight";
    static const char B[] = PREFIX "0.self_attn.q_proj.lora_B.weight";
    static const float zero[64], bad[16] = { [5] = NAN };
    static const struct {
        struct safetensors_part parts[3];
        size_t n;
        int rc;
        const char *words;
    } rows[] = {
        { { { A, { 1, 16 }, zero } }, 1, RC_FORMAT, "lora_B.weight' is missing" },
        { { { B, { 16, 1 }, zero } }, 1, RC_FORMAT, "lora_A.weight' is missing" },
        { { { A, { 2, 16 }, zero }, { B, { 16, 2 }, zero } }, 2, RC_FORMAT, "2 x 16" },
        { { { A, { 1, 16 }, zero }, { B, { 1, 16 }, zero } }, 2, RC_FORMAT, "1 x 16" },
        { { { A, { 1, 16 }, zero }, { B, { 16, 1 }, bad } }, 2, RC_FORMAT, "value 5 is not finite" },
        { { { A, { 1, 16 }, zero },
            { B, { 16, 1 }, zero },
            { "base_model.model.lm_head.lora_A.weight", { 1, 16 }, zero } },
          3,
          RC_UNSUPPORTED,
          "tensor 'base_model.model.lm_head.lora_A.weight'" },
        { { { A, { 1, 16 }, zero },
            { B, { 16, 1 }, zero },
            { PREFIX "0.self_attn.q_proj.lora_magnitude_vector", { 1, 16 }, zero } },
          3,
          RC_UNSUPPORTED,
          "lora_magnitude_vector'" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str bytes = { 0 };
        struct adapter x = { 0 };
        OK(safetensors_write(rows[i].parts, rows[i].n, &bytes, &st));
        file_put("adapter_model.safetensors", bytes.data, bytes.size);
        refused(load_config(CONFIG, &x), rows[i].rc, rows[i].words);
        ck_assert(!x.parts);
        str_release(&bytes);
    }
}
END_TEST

START_TEST(missing_files_are_named)
{
    const struct model_hyper h = golden_model();
    struct adapter x = { 0 };
    refused(adapter_load(folder, &h, &x, &st), RC_IO, "adapter_config.json");
    refused(load_config("{\"peft_type\":\"LORA\",\"target_modules\":[\"q_proj\"]}", &x), RC_IO,
            "adapter_model.safetensors");
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    const struct model_hyper h = golden_model();
    struct adapter x = { 0 };
    size_t failures = 0;
    for (int rc = -1; rc; failures++) {
        st = (struct status){ 0 };
        mem_fail_at(failures + 1);
        rc = adapter_load(GOLDEN, &h, &x, &st);
        ck_assert_msg(rc == 0 || (rc == RC_NOMEM && !x.parts), "allocation %zu: %d %s", failures + 1, rc,
                      st.msg);
    }
    mem_fail_at(0);
    ck_assert_uint_gt(failures, 30);
    size_t writes = 0;
    for (int rc = -1; rc; writes++) {
        struct str config = { 0 }, weights = { 0 };
        st = (struct status){ 0 };
        mem_fail_at(writes + 1);
        rc = adapter_write(&x, &h, "b", &config, &weights, &st);
        ck_assert_msg(rc == 0 || rc == RC_NOMEM, "allocation %zu: %d %s", writes + 1, rc, st.msg);
        str_release(&config);
        str_release(&weights);
    }
    mem_fail_at(0);
    ck_assert_uint_gt(writes, 10);
    adapter_release(&x);
}
END_TEST

static TCase *files_case(void)
{
    TCase *t = tcase_create("safetensors");
    tcase_add_test(t, broken_files_are_refused);
    tcase_add_test(t, lengths_are_not_trusted);
    tcase_add_test(t, every_type_is_read);
    tcase_add_test(t, written_bytes_are_fixed);
    return t;
}

int main(void)
{
    TCase *t = tcase_create("adapter");
    tcase_add_checked_fixture(t, folder_make, folder_remove);
    tcase_add_test(t, drawn_values);
    tcase_add_test(t, init_in_model_order);
    tcase_add_test(t, peft_adapter_means_the_same);
    tcase_add_test(t, peft_weights_come_back);
    tcase_add_test(t, saved_adapter_comes_back);
    tcase_add_test(t, rows_are_moved_in_q_and_k_only);
    tcase_add_test(t, written_config_is_fixed);
    tcase_add_test(t, what_changes_the_mathematics_is_refused);
    tcase_add_test(t, targets_are_refused_by_name);
    tcase_add_test(t, defaults_are_peft_defaults);
    tcase_add_test(t, patterns_match_ends_of_paths);
    tcase_add_test(t, some_blocks_only);
    tcase_add_test(t, wrong_weights_are_refused);
    tcase_add_test(t, missing_files_are_named);
    tcase_add_test(t, every_allocation_may_fail);
    Suite *s = suite_create("adapter");
    suite_add_tcase(s, files_case());
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r) || srunner_ntests_run(r) == 0;
    srunner_free(r);
    return bad;
}
