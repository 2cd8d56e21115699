#include "cli/synthetic.h"

#include "base/alloc.h"
#include "model/gguf_write.h"
#include "model/hyper.h"
#include "model/quant.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

/* qwen-7b: the sizes of Qwen2-7B in this decoder, so without the biases of q, k and v. */
static const struct synthetic_shape SHAPES[] = {
    { "llama-1.2b", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 500000, true },
    { "qwen-7b", 28, 3584, 18944, 28, 4, 128, 152064, 32768, 1000000, false },
    { "smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152, 8192, 100000, true },
};
enum { SHAPES_N = sizeof SHAPES / sizeof *SHAPES, ALIGN = 4096 };

/* What embedding and head have where linears have `weights`. */
static const struct {
    uint32_t weights, ends;
} TYPES[] = {
    { QUANT_F32, QUANT_F32 },   { QUANT_F16, QUANT_F16 },   { QUANT_Q8_0, QUANT_Q8_0 },
    { QUANT_Q4_0, QUANT_Q8_0 }, { QUANT_Q4_1, QUANT_Q8_0 }, { QUANT_Q4_K, QUANT_Q6_K },
    { QUANT_Q6_K, QUANT_Q6_K },
};
enum { TYPES_N = sizeof TYPES / sizeof *TYPES };

const struct synthetic_shape *synthetic_find(const char *name)
{
    for (size_t i = 0; i < SHAPES_N; i++)
        if (strcmp(SHAPES[i].name, name) == 0)
            return &SHAPES[i];
    return NULL;
}

void synthetic_names(struct str *out)
{
    for (size_t i = 0; i < SHAPES_N; i++)
        str_printf(out, "%s%s", i ? ", " : "", SHAPES[i].name);
}

/* ---- header ---- */

/* A tokenizer of two control tokens: nothing here reads text. */
static void tokenizer_add(struct gguf_keys *k)
{
    static const int32_t TYPES_OF_TWO[] = { 3, 3 };
    gguf_put_text(k, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_text(k, "tokenizer.ggml.pre", "gpt-2", 5);
    gguf_put_u32(k, "tokenizer.ggml.bos_token_id", 0);
    gguf_put_u32(k, "tokenizer.ggml.eos_token_id", 1);
    gguf_put_texts(k, "tokenizer.ggml.tokens", 2);
    gguf_put_item(k, "<s>", 3);
    gguf_put_item(k, "</s>", 4);
    gguf_put_i32s(k, "tokenizer.ggml.token_type", TYPES_OF_TWO, 2);
    gguf_put_texts(k, "tokenizer.ggml.merges", 0);
}

/* Where the tensors of a kind lie behind the header: all at one place. */
enum region { REGION_NORM, REGION_LINEAR, REGION_END, REGIONS };
struct layout {
    const struct quant_type *type[REGIONS];
    uint64_t at[REGIONS], bytes[REGIONS], end;
};

static enum region region_of(enum tensor_role role)
{
    if (role == ROLE_EMBEDDING || role == ROLE_HEAD)
        return REGION_END;
    return ROLE_BITS_LINEAR & ROLE_BIT(role) ? REGION_LINEAR : REGION_NORM;
}

static uint64_t tensor_bytes(const struct quant_type *type, struct tensor_shape s)
{
    return (uint64_t)s.rows * s.columns / type->block * type->bytes;
}

static int layout_make(const struct model_hyper *h, const char *weights, struct layout *out,
                       struct status *st)
{
    int rc = 0;
    size_t i = 0;
    while (i < TYPES_N && strcasecmp(quant_name(TYPES[i].weights), weights) != 0)
        i++;
    if (i == TYPES_N)
        FAIL(st, RC_ARG, "weights of type '%.20s': F32, F16, Q8_0, Q4_0, Q4_1, Q4_K and Q6_K are there",
             weights);
    struct layout l = { .type = { quant_find(QUANT_F32), quant_find(TYPES[i].weights),
                                  quant_find(TYPES[i].ends) } };
    for (int r = 0; r < ROLES; r++) {
        const enum tensor_role role = (enum tensor_role)r;
        const enum region region = region_of(role);
        const struct tensor_shape s = role_shape(h, role);
        const uint64_t bytes = tensor_bytes(l.type[region], s);
        if (s.columns % l.type[region]->block != 0)
            FAIL(st, RC_ARG, "%s has rows of %" PRIu32 ", and %s wants multiples of %" PRIu32,
                 role_name(role), s.columns, l.type[region]->name, l.type[region]->block);
        l.bytes[region] = bytes > l.bytes[region] ? bytes : l.bytes[region];
    }
    for (int r = 0; r < REGIONS; r++) {
        l.at[r] = l.end;
        l.end += (l.bytes[r] + ALIGN - 1) / ALIGN * ALIGN;
    }
    *out = l;
out:
    return rc;
}

static void places_fill(const struct model_hyper *h, const struct layout *l, struct gguf_place *places,
                        char (*names)[ROLE_PATH_MAX])
{
    size_t n = 0;
    for (int r = 0; r < ROLES; r++) {
        const enum tensor_role role = (enum tensor_role)r;
        const enum region region = region_of(role);
        const struct tensor_shape shape = role_shape(h, role);
        if (role == ROLE_HEAD && h->tied_head)
            continue;
        for (uint32_t block = 0; block < (role_is_block(role) ? h->blocks : 1); block++, n++) {
            role_tensor_name(role, block, names[n]);
            places[n] = (struct gguf_place){ .name = names[n],
                                             .type = l->type[region]->id,
                                             .rows = shape.rows,
                                             .columns = shape.columns,
                                             .vector = region == REGION_NORM,
                                             .at = l->at[region] };
        }
    }
}

static struct model_hyper hyper_of(const struct synthetic_shape *s, uint32_t blocks)
{
    return (struct model_hyper){ .arch = "llama",
                                 .blocks = blocks,
                                 .width = s->width,
                                 .mlp = s->mlp,
                                 .heads = s->heads,
                                 .kv_heads = s->kv_heads,
                                 .head_size = s->head_size,
                                 .context = s->context,
                                 .vocab = s->vocab,
                                 .norm_eps = 1e-5f,
                                 .rope_base = s->rope_base,
                                 .tied_head = s->tied_head };
}

static int header_make(const struct model_hyper *h, const struct layout *l, struct str *out,
                       struct status *st)
{
    int rc = 0;
    const size_t n = hyper_tensors(h);
    struct gguf_keys keys = { 0 };
    struct gguf_place *places = mem_calloc(n, sizeof *places);
    char(*names)[ROLE_PATH_MAX] = mem_calloc(n, sizeof *names);
    if (!places || !names)
        FAIL(st, RC_NOMEM, "no memory for %zu tensors", n);
    hyper_keys(h, &keys);
    gguf_put_u32(&keys, "general.alignment", ALIGN);
    tokenizer_add(&keys);
    places_fill(h, l, places, names);
    TRY(gguf_header_write(&keys, places, n, ALIGN, out, st));
out:
    mem_free(places);
    mem_free(names);
    str_release(&keys.bytes);
    return rc;
}

/* ---- weights ---- */

/* Scales that keep the activations of a deep model near one: where they stand in a block, and how large. */
static const struct {
    uint32_t type, at[2]; /* bytes of f16 values; the second may be the first again */
    float scale[2];
} SCALES[] = {
    { QUANT_Q8_0, { 0, 0 }, { 4e-4f, 4e-4f } },     { QUANT_Q4_0, { 0, 0 }, { 6e-3f, 6e-3f } },
    { QUANT_Q4_1, { 0, 2 }, { 6e-3f, -45e-3f } },   { QUANT_Q4_K, { 0, 2 }, { 2e-4f, 15e-4f } },
    { QUANT_Q6_K, { 208, 208 }, { 1e-5f, 1e-5f } },
};

static uint64_t random_next(uint64_t *state) /* xorshift64 */
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random codes under fixed scales, or random numbers. */
static void weights_draw(const struct quant_type *type, uint64_t bytes, uint8_t *out)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (uint64_t at = 0; at < bytes; at += sizeof state) {
        const uint64_t draw = random_next(&state);
        memcpy(out + at, &draw, bytes - at < sizeof draw ? bytes - at : sizeof draw);
    }
    for (size_t i = 0; i < sizeof SCALES / sizeof *SCALES; i++) {
        if (SCALES[i].type != type->id)
            continue;
        for (uint64_t at = 0; at < bytes; at += type->bytes) {
            for (int k = 0; k < 2; k++) {
                const uint16_t half = f16_of_f32(SCALES[i].scale[k]);
                memcpy(out + at + SCALES[i].at[k], &half, sizeof half);
            }
        }
    }
    for (uint64_t at = 0; type->id == QUANT_F32 && at < bytes; at += sizeof(float)) {
        const float x = ((float)out[at] + (float)out[at + 1] / 256 - 128) / 128 * 0.05f;
        memcpy(out + at, &x, sizeof x);
    }
    for (uint64_t at = 0; type->id == QUANT_F16 && at < bytes; at += sizeof(uint16_t)) {
        const uint16_t x = f16_of_f32(((float)out[at] - 128) / 128 * 0.05f);
        memcpy(out + at, &x, sizeof x);
    }
}

static int file_fill(int fd, const struct str *header, const struct layout *l, bool fill, struct status *st)
{
    int rc = 0;
    const uint64_t size = header->size + l->end;
    uint8_t *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) != 0)
        FAIL(st, RC_NOMEM, "%" PRIu64 " bytes of weights: %s", size, strerror(errno));
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        FAIL(st, RC_NOMEM, "%" PRIu64 " bytes of weights: %s", size, strerror(errno));
    memcpy(map, header->data, header->size);
    for (int r = 0; fill && r < REGIONS; r++) {
        uint8_t *to = map + header->size + l->at[r];
        const float one = 1;
        weights_draw(l->type[r], l->bytes[r], to);
        for (uint64_t at = 0; r == REGION_NORM && at < l->bytes[r]; at += sizeof one)
            memcpy(to + at, &one, sizeof one);
    }
out:
    if (map != MAP_FAILED)
        munmap(map, size);
    return rc;
}

int synthetic_open(const struct synthetic_shape *s, uint32_t blocks, const char *weights, bool fill,
                   struct synthetic *out, struct status *st)
{
    int rc = 0, fd = -1;
    struct str header = { 0 };
    struct layout layout = { 0 };
    const struct model_hyper h = hyper_of(s, blocks);
    TRY(layout_make(&h, weights, &layout, st));
    TRY(header_make(&h, &layout, &header, st));
    fd = memfd_create("lethe-weights", MFD_CLOEXEC);
    if (fd < 0)
        FAIL(st, RC_NOMEM, "no memory for weights: %s", strerror(errno));
    TRY(file_fill(fd, &header, &layout, fill, st));
    *out = (struct synthetic){ .fd = fd };
    snprintf(out->path, sizeof out->path, "/proc/self/fd/%d", fd);
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    str_release(&header);
    return rc;
}

void synthetic_close(struct synthetic *s)
{
    if (s->path[0])
        close(s->fd);
    *s = (struct synthetic){ 0 };
}
