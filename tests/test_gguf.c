/* GGUF files, good and broken: a refusal is one sentence that names the place, and nothing is read beyond the
 * end.
 * tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "model/gguf.h"
#include "model/hyper.h"
#include "model/quant.h"
#include "tests/fixture.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) ck_assert_msg((call) == 0, "%s", st.msg)

/* ---- files made here ---- */

static void u32(struct str *s, uint32_t x)
{
    str_add(s, &x, sizeof x);
}

static void u64(struct str *s, uint64_t x)
{
    str_add(s, &x, sizeof x);
}

static void text(struct str *s, const char *t)
{
    u64(s, strlen(t));
    str_puts(s, t);
}

static void header(struct str *s, uint64_t tensors, uint64_t entries)
{
    str_add(s, "GGUF", 4);
    u32(s, 3);
    u64(s, tensors);
    u64(s, entries);
}

static void entry_u32(struct str *s, const char *key, uint32_t x)
{
    text(s, key);
    u32(s, GGUF_U32);
    u32(s, x);
}

static void entry_text(struct str *s, const char *key, const char *x)
{
    text(s, key);
    u32(s, GGUF_STRING);
    text(s, x);
}

static void tensor(struct str *s, const char *name, uint64_t columns, uint64_t rows, uint32_t type,
                   uint64_t at)
{
    text(s, name);
    u32(s, 2);
    u64(s, columns);
    u64(s, rows);
    u32(s, type);
    u64(s, at);
}

static void pad(struct str *s, size_t to)
{
    while (s->size % to)
        str_putc(s, 0);
}

/* Parses a copy of exactly that many bytes, so that a byte read behind them is seen by the sanitizer. */
static int parse(const void *bytes, size_t n, struct gguf *out, struct status *st)
{
    uint8_t *copy = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(copy);
    if (n)
        memcpy(copy, bytes, n);
    int rc = gguf_parse(copy, n, out, st);
    if (rc == 0)
        gguf_close(out);
    free(copy);
    return rc;
}

static void refused(const struct str *s, int rc, const char *sentence)
{
    struct gguf g;
    struct gguf untouched;
    memset(&g, 0x5a, sizeof g);
    untouched = g;
    struct status st = { 0 };
    ck_assert_int_eq(str_check(s, &st), 0);
    ck_assert_int_eq(parse(s->data, s->size, &g, &st), rc);
    ck_assert_str_eq(st.msg, sentence);
    ck_assert_mem_eq(&g, &untouched, sizeof g);
}

/* A file of each kind of value, and two tensors. */
static struct str sample(void)
{
    struct str s = { 0 };
    int8_t minus = -5;
    double half = 0.5;
    header(&s, 2, 7);
    entry_u32(&s, "n", 77);
    entry_text(&s, "name", "abc");
    text(&s, "small");
    u32(&s, GGUF_I8);
    str_add(&s, &minus, 1);
    text(&s, "half");
    u32(&s, GGUF_F64);
    str_add(&s, &half, sizeof half);
    text(&s, "yes");
    u32(&s, GGUF_BOOL);
    str_putc(&s, 1);
    text(&s, "words");
    u32(&s, GGUF_ARRAY);
    u32(&s, GGUF_STRING);
    u64(&s, 3);
    text(&s, "a");
    text(&s, "");
    text(&s, "ccc");
    text(&s, "numbers");
    u32(&s, GGUF_ARRAY);
    u32(&s, GGUF_I32);
    u64(&s, 2);
    u32(&s, 4);
    u32(&s, (uint32_t)-9);
    tensor(&s, "w.b", 4, 2, QUANT_F32, 0);
    tensor(&s, "w.a", 32, 3, QUANT_Q4_1, 32);
    pad(&s, 32);
    for (int i = 0; i < 8; i++) {
        float x = (float)i;
        str_add(&s, &x, sizeof x);
    }
    for (int i = 0; i < 60; i++)
        str_putc(&s, (char)i);
    return s;
}

START_TEST(values_and_tensors_are_found)
{
    struct status st = { 0 };
    struct str s = sample();
    struct gguf g;
    OK(gguf_parse((const uint8_t *)s.data, s.size, &g, &st));
    uint32_t n = 0;
    float half = 0;
    bool yes = false;
    struct gguf_text name, *words;
    int32_t *numbers;
    size_t words_n = 0, numbers_n = 0;
    OK(gguf_get_u32(&g, "n", &n, &st));
    ck_assert_uint_eq(n, 77);
    OK(gguf_get_f32(&g, "half", &half, &st));
    ck_assert_float_eq(half, 0.5f);
    OK(gguf_get_bool(&g, "yes", &yes, &st));
    ck_assert(yes);
    OK(gguf_get_text(&g, "name", &name, &st));
    ck_assert(gguf_text_is(name, "abc") && !gguf_text_is(name, "ab") && !gguf_text_is(name, "abcd"));
    OK(gguf_get_texts(&g, "words", &words, &words_n, &st));
    ck_assert_uint_eq(words_n, 3);
    ck_assert(gguf_text_is(words[0], "a") && gguf_text_is(words[1], "") && gguf_text_is(words[2], "ccc"));
    OK(gguf_get_ints(&g, "numbers", &numbers, &numbers_n, &st));
    ck_assert_uint_eq(numbers_n, 2);
    ck_assert_int_eq(numbers[1], -9);
    const struct gguf_tensor *t = gguf_tensor_find(&g, "w.a");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->shape[0], 32);
    ck_assert_uint_eq(t->rows, 3);
    ck_assert_uint_eq(t->size, 60);
    ck_assert_uint_eq(t->data[59], 59);
    ck_assert_ptr_nonnull(gguf_tensor_find(&g, "w.b"));
    ck_assert_ptr_null(gguf_tensor_find(&g, "w"));
    ck_assert_ptr_null(gguf_tensor_find(&g, "w.c"));
    n = 5;
    OK(gguf_opt_u32(&g, "absent", &n, &st));
    ck_assert_uint_eq(n, 5);
    mem_free(words);
    mem_free(numbers);
    gguf_close(&g);
    gguf_close(&g);
    str_release(&s);
}
END_TEST

START_TEST(a_getter_says_what_is_wrong)
{
    struct str s = sample();
    struct gguf g;
    struct status st = { 0 };
    uint32_t n = 9;
    OK(gguf_parse((const uint8_t *)s.data, s.size, &g, &st));
    ck_assert_int_eq(gguf_get_u32(&g, "absent", &n, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "metadata 'absent' is missing");
    st = (struct status){ 0 };
    ck_assert_int_eq(gguf_get_u32(&g, "name", &n, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "metadata 'name' is of type string, an integer was wanted");
    st = (struct status){ 0 };
    ck_assert_int_eq(gguf_get_u32(&g, "small", &n, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, "metadata 'small' is -5");
    ck_assert_uint_eq(n, 9);
    gguf_close(&g);
    str_release(&s);
}
END_TEST

/* ---- broken ones ---- */

START_TEST(heads_are_refused)
{
    struct str s = { 0 };
    str_puts(&s, "GGU");
    refused(&s, RC_FORMAT, "byte 0: the file ends, the magic of 4 bytes was wanted");
    str_clear(&s);
    str_puts(&s, "GGML1234");
    refused(&s, RC_FORMAT, "byte 0: not a GGUF file");
    str_clear(&s);
    header(&s, 0, 0);
    s.data[4] = 2;
    refused(&s, RC_UNSUPPORTED, "byte 4: version 2, this reads 3");
    memcpy(s.data + 4, "\0\0\0\3", 4);
    refused(&s, RC_UNSUPPORTED, "byte 4: a big-endian file, this reads little-endian ones");
    str_clear(&s);
    header(&s, 65537, 0);
    refused(&s, RC_LIMIT, "byte 8: 65537 tensors, over 65536");
    str_clear(&s);
    header(&s, 0, UINT64_MAX);
    refused(&s, RC_LIMIT, "byte 16: 18446744073709551615 metadata entries, over 65536");
    str_clear(&s);
    header(&s, 60000, 0);
    refused(&s, RC_FORMAT, "byte 8: 60000 tensors do not fit into 0 bytes");
    str_clear(&s);
    header(&s, 0, 60000);
    u64(&s, 0);
    refused(&s, RC_FORMAT, "byte 16: 60000 metadata entries do not fit into 8 bytes");
    str_release(&s);
}
END_TEST

/* One entry whose bytes behind the key are given. */
static void entry_refused(const char *key, const void *rest, size_t n, int rc, const char *sentence)
{
    struct str s = { 0 };
    header(&s, 0, 1);
    text(&s, key);
    str_add(&s, rest, n);
    refused(&s, rc, sentence);
    str_release(&s);
}

START_TEST(entries_are_refused)
{
    static const uint32_t KIND[] = { 99, 0 }, NESTED[] = { GGUF_ARRAY, GGUF_ARRAY, 1, 0, 1 };
    static const uint32_t MANY[] = { GGUF_ARRAY, GGUF_U8, 0, 1, 0 },
                          SHORT[] = { GGUF_ARRAY, GGUF_U64, 3, 0, 1 };
    static const uint32_t LONG[] = { GGUF_STRING, 7, 0, 1 }, HUGE[] = { GGUF_STRING, 0, 7, 1 };
    static const uint8_t MAYBE[] = { GGUF_BOOL, 0, 0, 0, 2 };
    entry_refused("k", KIND, sizeof KIND, RC_UNSUPPORTED,
                  "metadata 'k': byte 33: the type of value 99 is unknown");
    entry_refused("k", NESTED, sizeof NESTED, RC_UNSUPPORTED, "metadata 'k': byte 37: an array of arrays");
    entry_refused("k", MANY, sizeof MANY, RC_LIMIT,
                  "metadata 'k': byte 41: 4294967296 elements, over 16777216");
    entry_refused("k", SHORT, sizeof SHORT, RC_FORMAT,
                  "metadata 'k': byte 49: 3 values of type u64, and the file has 4 bytes more");
    entry_refused("k", LONG, sizeof LONG, RC_FORMAT,
                  "metadata 'k': byte 37: a string of 7 bytes, and the file has 4 more");
    entry_refused("k", HUGE, sizeof HUGE, RC_LIMIT,
                  "metadata 'k': byte 37: a string of 30064771072 bytes, over 16777216");
    entry_refused("k", MAYBE, sizeof MAYBE, RC_FORMAT, "metadata 'k': byte 37: a bool is 2");
    entry_refused("", KIND, sizeof KIND, RC_FORMAT, "byte 24: a key is empty");
    entry_refused("a\tb", KIND, sizeof KIND, RC_FORMAT, "byte 24: a key holds the byte 0x09");
}
END_TEST

START_TEST(a_key_stands_once)
{
    struct str s = { 0 };
    header(&s, 0, 3);
    entry_u32(&s, "k", 1);
    entry_u32(&s, "a", 1);
    entry_u32(&s, "k", 2);
    refused(&s, RC_FORMAT, "metadata 'k' stands twice");
    str_release(&s);
}
END_TEST

START_TEST(alignments_are_refused)
{
    static const uint32_t BAD[] = { 0, 24, 1u << 17 };
    for (size_t i = 0; i < 3; i++) {
        char sentence[128];
        struct str s = { 0 };
        header(&s, 0, 1);
        entry_u32(&s, "general.alignment", BAD[i]);
        snprintf(sentence, sizeof sentence,
                 "metadata 'general.alignment' is %" PRIu32 ", a power of two up to 65536 was wanted",
                 BAD[i]);
        refused(&s, RC_FORMAT, sentence);
        str_release(&s);
    }
}
END_TEST

struct bad_tensor {
    const char *name;
    uint64_t columns, rows;
    uint32_t type;
    uint64_t at;
    int rc;
    const char *sentence;
};
static const struct bad_tensor BAD_TENSORS[] = {
    { "t", 4, 1, 4, 0, RC_UNSUPPORTED,
      "tensor 't': byte 53: type 4 (unknown), this reads F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K "
      "Q6_K" },
    { "t", 256, 1, 10, 0, RC_UNSUPPORTED,
      "tensor 't': byte 53: type 10 (Q2_K), this reads F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K "
      "Q6_K" },
    { "t", 33, 1, QUANT_Q8_0, 0, RC_FORMAT, "tensor 't': byte 53: rows of 33 values, Q8_0 has blocks of 32" },
    { "t", 0, 1, QUANT_F32, 0, RC_FORMAT, "tensor 't': byte 37: dimension 0 is 0" },
    { "t", 4, UINT64_MAX, QUANT_F32, 0, RC_FORMAT,
      "tensor 't': byte 45: dimension 1 is 18446744073709551615" },
    { "t", UINT64_C(1) << 40, UINT64_C(1) << 40, QUANT_F32, 0, RC_FORMAT,
      "tensor 't': byte 53: the size overflows" },
    { "t", 4, 1, QUANT_F32, 8, RC_FORMAT, "tensor 't': offset 8 is not a multiple of 32" },
    { "t", 4, 1, QUANT_F32, UINT64_MAX - 31, RC_FORMAT,
      "byte 96: the file ends, tensor 't' has 16 bytes from byte 96 + 18446744073709551584" },
    { "t", 4, 1, QUANT_F32, 0, RC_FORMAT,
      "byte 96: the file ends, tensor 't' has 16 bytes from byte 96 + 0" },
    { "", 4, 1, QUANT_F32, 0, RC_FORMAT, "byte 24: a tensor's name is empty" },
    { "0123456789012345678901234567890123456789012345678901234567890123x", 4, 1, QUANT_F32, 0, RC_LIMIT,
      "byte 24: a tensor's name of 65 bytes, over 64" },
};
enum { BAD_TENSORS_N = sizeof BAD_TENSORS / sizeof BAD_TENSORS[0] };

START_TEST(tensors_are_refused)
{
    const struct bad_tensor *b = &BAD_TENSORS[_i];
    struct str s = { 0 };
    header(&s, 1, 0);
    tensor(&s, b->name, b->columns, b->rows, b->type, b->at);
    pad(&s, 32);
    refused(&s, b->rc, b->sentence);
    str_release(&s);
}
END_TEST

START_TEST(a_name_stands_once_and_has_few_dimensions)
{
    struct str s = { 0 };
    header(&s, 3, 0);
    tensor(&s, "b", 4, 1, QUANT_F32, 0);
    tensor(&s, "a", 4, 1, QUANT_F32, 0);
    tensor(&s, "b", 4, 1, QUANT_F32, 0);
    refused(&s, RC_FORMAT, "tensor 'b' stands twice");
    str_clear(&s);
    header(&s, 1, 0);
    text(&s, "t");
    u32(&s, 5);
    for (int i = 0; i < 7; i++)
        u64(&s, 1);
    refused(&s, RC_LIMIT, "tensor 't': byte 33: 5 dimensions, 1 to 4 are read");
    str_release(&s);
}
END_TEST

/* Every length of the small file, and of the fixture every 97th and each around the start of a section. */
START_TEST(cut_files_are_refused)
{
    struct status st = { 0 };
    struct str s = sample();
    struct gguf g;
    for (size_t n = 0; n < s.size; n++) {
        st = (struct status){ 0 };
        ck_assert_int_eq(parse(s.data, n, &g, &st), RC_FORMAT);
        ck_assert_msg(strstr(st.msg, "byte ") != NULL && strchr(st.msg, '\n') == NULL, "%zu: %s", n, st.msg);
    }
    str_release(&s);
    st = (struct status){ 0 };
    OK(file_read(FIXTURE_MODEL, 1 << 20, &s, &st));
    OK(gguf_parse((const uint8_t *)s.data, s.size, &g, &st));
    size_t tried = 0;
    for (size_t n = 0; n < s.size; n++) {
        bool edge = n % 97 == 0 || n < 40;
        for (size_t i = 0; i < g.tensors_n && !edge; i++) {
            size_t first = (size_t)(g.tensors[i].data - (const uint8_t *)s.data);
            edge = n + 1 >= first && n <= first + 1;
        }
        for (size_t i = 0; i < g.entries_n && !edge; i++)
            edge = n == (size_t)(g.entries[i].data - (const uint8_t *)s.data);
        if (!edge)
            continue;
        struct gguf cut;
        struct status why = { 0 };
        ck_assert_msg(parse(s.data, n, &cut, &why) == RC_FORMAT, "%zu bytes: %s", n, why.msg);
        tried++;
    }
    ck_assert_uint_gt(tried, s.size / 97);
    gguf_close(&g);
    str_release(&s);
}
END_TEST

/* A changed byte in front of the data is read or refused, never more. */
START_TEST(changed_bytes_do_no_harm)
{
    struct str s = sample();
    for (size_t i = 0; i < s.size - 92; i++)
        for (int k = 0; k < 4; k++) {
            static const uint8_t VALUES[] = { 0, 0x7f, 0x80, 0xff };
            char kept = s.data[i];
            struct gguf g;
            struct status st = { 0 };
            s.data[i] = (char)VALUES[k];
            int rc = parse(s.data, s.size, &g, &st);
            ck_assert_int_eq(rc == 0, st.msg[0] == 0);
            s.data[i] = kept;
        }
    str_release(&s);
}
END_TEST

START_TEST(without_memory)
{
    struct str s = { 0 };
    struct status st = { 0 };
    struct gguf g = { 0 };
    struct model_hyper h;
    OK(file_read(FIXTURE_MODEL, 1 << 20, &s, &st));
    int rc = RC_NOMEM;
    size_t nth = 0;
    while (rc == RC_NOMEM && nth < 1000) {
        st = (struct status){ 0 };
        mem_fail_at(++nth);
        rc = gguf_parse((const uint8_t *)s.data, s.size, &g, &st);
        mem_fail_at(0);
        ck_assert(rc == 0 || g.tensors == NULL);
    }
    OK(rc);
    ck_assert_uint_gt(nth, 4);
    OK(hyper_parse(&g, &h, &st));
    gguf_close(&g);
    str_release(&s);
}
END_TEST

START_TEST(paths_stand_in_front)
{
    struct gguf g;
    struct status st = { 0 };
    ck_assert_int_eq(gguf_open("/nowhere/x.gguf", &g, &st), RC_IO);
    ck_assert_ptr_nonnull(strstr(st.msg, "/nowhere/x.gguf"));
    char path[] = "/tmp/lethe-gguf-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "GGML....", 8), 8);
    close(fd);
    char sentence[128];
    snprintf(sentence, sizeof sentence, "%s: byte 0: not a GGUF file", path);
    st = (struct status){ 0 };
    ck_assert_int_eq(gguf_open(path, &g, &st), RC_FORMAT);
    ck_assert_str_eq(st.msg, sentence);
    unlink(path);
}
END_TEST

/* ---- flags ---- */

START_TEST(flags_of_the_fixture)
{
    struct status st = { 0 };
    struct gguf g;
    struct model_hyper h;
    char path[ROLE_PATH_MAX];
    OK(gguf_open(FIXTURE_MODEL, &g, &st));
    OK(hyper_parse(&g, &h, &st));
    ck_assert_uint_eq(h.blocks, 2);
    ck_assert_uint_eq(h.width, 64);
    ck_assert_uint_eq(h.mlp, 96);
    ck_assert_uint_eq(h.heads, 4);
    ck_assert_uint_eq(h.kv_heads, 2);
    ck_assert_uint_eq(h.head_size, 16);
    ck_assert_uint_eq(h.context, 256);
    ck_assert_uint_eq(h.vocab, 384);
    ck_assert_float_eq(h.norm_eps, 1e-5f);
    ck_assert_float_eq(h.rope_base, 10000.0f);
    ck_assert(h.tied_head && !h.biases && !h.qk_norm && !h.norm_plus_one);
    ck_assert_int_eq(h.rope_pairing, ROPE_NEIGHBOURS);
    ck_assert_uint_eq(hyper_tensors(&h), g.tensors_n);
    ck_assert_uint_eq(role_index(&h, ROLE_EMBEDDING, 0), 0);
    ck_assert_uint_eq(role_index(&h, ROLE_Q, 1), 11);
    ck_assert_uint_eq(role_index(&h, ROLE_DOWN, 1), 18);
    ck_assert_uint_eq(role_index(&h, ROLE_FINAL_NORM, 0), 19);
    role_path(ROLE_Q, 3, path);
    ck_assert_str_eq(path, "model.layers.3.self_attn.q_proj");
    role_path(ROLE_DOWN, 0, path);
    ck_assert_str_eq(path, "model.layers.0.mlp.down_proj");
    uint64_t values = 0;
    for (size_t i = 0; i < g.tensors_n; i++)
        values += g.tensors[i].shape[0] * g.tensors[i].rows;
    ck_assert_uint_eq(hyper_parameters(&h), values);
    gguf_close(&g);
}
END_TEST

/* Row 2i + j of a head there is row i + j size/2 in Hugging Face's order, a permutation of each head. */
START_TEST(rows_of_q_and_k)
{
    const struct model_hyper h = { .head_size = 6, .heads = 2, .kv_heads = 1 };
    static const uint32_t WANT[] = { 0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11 };
    for (uint32_t row = 0; row < 12; row++) {
        ck_assert_uint_eq(role_row_hf(&h, ROLE_Q, row), WANT[row]);
        ck_assert_uint_eq(role_row_hf(&h, ROLE_V, row), row);
    }
    struct model_hyper halves = h;
    halves.rope_pairing = ROPE_HALVES;
    ck_assert_uint_eq(role_row_hf(&halves, ROLE_K, 1), 1);
}
END_TEST

/* The fixture with an entry or a tensor more or changed: the head is built anew in front of the same data. */
struct change {
    const char *key, *value; /* a text entry in place of the one there, or one more */
    uint32_t number;         /* or a number, when value is NULL */
    const char *more, *gone; /* a tensor added, one left out */
    int rc;
    const char *sentence;
};
static const struct change CHANGES[] = {
    { .key = "general.architecture",
      .value = "qwen2",
      .rc = RC_UNSUPPORTED,
      .sentence = "architecture 'qwen2', this reads llama" },
    { .key = "general.type",
      .value = "adapter",
      .rc = RC_UNSUPPORTED,
      .sentence = "metadata 'general.type' is 'adapter', a model was wanted" },
    { .key = "llama.rope.scaling.type",
      .value = "yarn",
      .rc = RC_UNSUPPORTED,
      .sentence = "metadata 'llama.rope.scaling.type' is 'yarn': only none is honoured" },
    { .key = "llama.expert_count",
      .number = 8,
      .rc = RC_UNSUPPORTED,
      .sentence = "metadata 'llama.expert_count' is 8: only 0 is honoured" },
    { .key = "llama.attention.clamp_kqv",
      .number = 1,
      .rc = RC_UNSUPPORTED,
      .sentence = "metadata 'llama.attention.clamp_kqv' is not honoured" },
    { .key = "llama.attention.head_count_kv",
      .number = 3,
      .rc = RC_FORMAT,
      .sentence = "4 heads do not share 3 key heads evenly" },
    { .key = "llama.block_count",
      .number = 3,
      .rc = RC_FORMAT,
      .sentence = "tensor 'blk.2.attn_norm.weight' is missing" },
    { .key = "llama.block_count",
      .number = 1,
      .rc = RC_UNSUPPORTED,
      .sentence = "tensor 'blk.1.attn_norm.weight' is not honoured: no part of this decoder" },
    { .key = "llama.block_count",
      .number = 100000,
      .rc = RC_LIMIT,
      .sentence = "metadata 'llama.block_count' is 100000, 1 to 512 are read" },
    { .key = "llama.feed_forward_length",
      .number = 95,
      .rc = RC_FORMAT,
      .sentence = "tensor 'blk.0.ffn_gate.weight' is 96 x 64, the metadata want 95 x 64" },
    { .key = "llama.rope.dimension_count",
      .number = 8,
      .rc = RC_UNSUPPORTED,
      .sentence = "keys of size 16, values of 16, RoPE over 8: only equal sizes are honoured" },
    { .key = "llama.vocab_size",
      .number = 385,
      .rc = RC_FORMAT,
      .sentence = "the embedding has 384 tokens, the metadata 385, the tokenizer 384" },
    { .more = "rope_freqs.weight",
      .rc = RC_UNSUPPORTED,
      .sentence = "tensor 'rope_freqs.weight' is not honoured: no part of this decoder" },
    { .more = "blk.0.attn_q.bias",
      .rc = RC_UNSUPPORTED,
      .sentence = "tensor 'blk.0.attn_q.bias' is not honoured: no part of this decoder" },
    { .more = "blk.00.attn_q.weight",
      .rc = RC_UNSUPPORTED,
      .sentence = "tensor 'blk.00.attn_q.weight' is not honoured: no part of this decoder" },
    { .gone = "blk.1.ffn_down.weight",
      .rc = RC_FORMAT,
      .sentence = "tensor 'blk.1.ffn_down.weight' is missing" },
    { .gone = "token_embd.weight", .rc = RC_FORMAT, .sentence = "tensor 'token_embd.weight' is missing" },
};
enum { CHANGES_N = sizeof CHANGES / sizeof CHANGES[0] };

static void entry_copy(struct str *out, const struct gguf_entry *e)
{
    u64(out, e->key.n);
    str_add(out, e->key.s, e->key.n);
    u32(out, e->kind);
    if (e->kind == GGUF_ARRAY) {
        u32(out, e->element);
        u64(out, e->n);
    }
    str_add(out, e->data, e->size);
}

static struct str changed(const struct gguf *g, const struct change *c)
{
    struct str out = { 0 }, data = { 0 };
    bool there = c->key && gguf_find(g, c->key);
    header(&out, g->tensors_n + (c->more != NULL) - (c->gone != NULL), g->entries_n + (c->key && !there));
    for (size_t i = 0; i < g->entries_n; i++)
        if (!c->key || !gguf_text_is(g->entries[i].key, c->key))
            entry_copy(&out, &g->entries[i]);
    if (c->key && c->value)
        entry_text(&out, c->key, c->value);
    else if (c->key)
        entry_u32(&out, c->key, c->number);
    for (size_t i = 0; i < g->tensors_n; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        if (c->gone && gguf_text_is(t->name, c->gone))
            continue;
        u64(&out, t->name.n);
        str_add(&out, t->name.s, t->name.n);
        u32(&out, t->dims);
        for (uint32_t d = 0; d < t->dims; d++)
            u64(&out, t->shape[d]);
        u32(&out, t->type);
        u64(&out, data.size);
        str_add(&data, t->data, t->size);
        pad(&data, 32);
    }
    if (c->more)
        tensor(&out, c->more, 8, 1, QUANT_F32, 0);
    pad(&out, 32);
    str_add(&out, data.data, data.size);
    str_release(&data);
    return out;
}

START_TEST(what_is_not_honoured_is_refused)
{
    const struct change *c = &CHANGES[_i];
    struct status st = { 0 };
    struct gguf g, other;
    struct model_hyper h;
    OK(gguf_open(FIXTURE_MODEL, &g, &st));
    struct str same = changed(&g, &(struct change){ 0 }), s = changed(&g, c);
    OK(gguf_parse((const uint8_t *)same.data, same.size, &other, &st));
    OK(hyper_parse(&other, &h, &st));
    gguf_close(&other);
    OK(gguf_parse((const uint8_t *)s.data, s.size, &other, &st));
    ck_assert_int_eq(hyper_parse(&other, &h, &st), c->rc);
    ck_assert_str_eq(st.msg, c->sentence);
    gguf_close(&other);
    gguf_close(&g);
    str_release(&same);
    str_release(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *tc = tcase_create("files");
    tcase_add_test(tc, values_and_tensors_are_found);
    tcase_add_test(tc, a_getter_says_what_is_wrong);
    tcase_add_test(tc, heads_are_refused);
    tcase_add_test(tc, entries_are_refused);
    tcase_add_test(tc, a_key_stands_once);
    tcase_add_test(tc, alignments_are_refused);
    tcase_add_loop_test(tc, tensors_are_refused, 0, BAD_TENSORS_N);
    tcase_add_test(tc, a_name_stands_once_and_has_few_dimensions);
    tcase_add_test(tc, cut_files_are_refused);
    tcase_add_test(tc, changed_bytes_do_no_harm);
    tcase_add_test(tc, without_memory);
    tcase_add_test(tc, paths_stand_in_front);
    tcase_add_test(tc, flags_of_the_fixture);
    tcase_add_test(tc, rows_of_q_and_k);
    tcase_add_loop_test(tc, what_is_not_honoured_is_refused, 0, CHANGES_N);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || run == 0;
}
