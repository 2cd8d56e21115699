/* Archive files from anywhere, and tar streams inside a good frame (random bytes seldom are a frame). A
 * stream that is accepted is, byte for byte, the one that its members give. */
#include "reports/container.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 512, PIECE = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take_begin(void *self, const char *name, uint64_t size, struct status *st)
{
    uint8_t header[BLOCK];
    assert(container_name_valid(name, strlen(name)));
    container_header(name, size, header);
    str_add(self, header, BLOCK);
    return str_check(self, st);
}

static int take_chunk(void *self, const void *data, size_t n, struct status *st)
{
    str_add(self, data, n);
    return str_check(self, st);
}

static int take_end(void *self, struct status *st)
{
    static const uint8_t zero[BLOCK];
    struct str *tar = self;
    str_add(tar, zero, (BLOCK - tar->size % BLOCK) % BLOCK);
    return str_check(tar, st);
}

static void put_frame(struct str *out, const uint8_t *data, size_t size)
{
    str_add(out, "\x28\xb5\x2f\xfd\x00\x38", 6);
    for (size_t at = 0; at == 0 || at < size; at += PIECE) {
        size_t n = size - at < PIECE ? size - at : PIECE;
        uint32_t head = (uint32_t)(n << 3) | (at + n == size);
        uint8_t bytes[3] = { (uint8_t)head, (uint8_t)(head >> 8), (uint8_t)(head >> 16) };
        str_add(out, bytes, sizeof bytes);
        str_add(out, data + at, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t end[2 * BLOCK];
    const struct container_sink none = { 0 };
    struct str file = { 0 }, tar = { 0 };
    const struct container_sink sink = {
        .self = &tar, .begin = take_begin, .chunk = take_chunk, .end = take_end
    };
    struct status st = { 0 };
    int rc = container_walk_memory((struct bytes){ data, size }, &none, &st);
    assert((rc == 0) == (st.msg[0] == 0));
    put_frame(&file, data, size);
    if (!file.failed && container_walk_memory((struct bytes){ file.data, file.size }, &sink, NULL) == 0) {
        str_add(&tar, end, sizeof end);
        assert(tar.size == size && memcmp(tar.data, data, size) == 0);
    }
    str_release(&file);
    str_release(&tar);
    return 0;
}
