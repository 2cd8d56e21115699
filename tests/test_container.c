/* The container: what is written is read, and nothing else is. Tar streams and frames are put together here,
 * so that every rule can be broken by itself. tier: quick */
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "reports/container.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct bytes of(const struct str *s)
{
    return (struct bytes){ str_text(s), s->size };
}

/* ---- a digest of everything a walk gives: names, sizes and bytes, so of the tar stream ---- */

static int see_begin(void *self, const char *name, uint64_t size, struct status *st)
{
    (void)st;
    sha256_add(self, name, strlen(name) + 1);
    sha256_add(self, &size, sizeof size);
    return 0;
}

static int see_chunk(void *self, const void *data, size_t n, struct status *st)
{
    (void)st;
    ck_assert_uint_gt(n, 0);
    sha256_add(self, data, n);
    return 0;
}

static int walk(struct bytes file, struct hash *seen, struct status *st)
{
    struct sha256 *sum = NULL;
    ck_assert_int_eq(sha256_open(&sum, NULL), 0);
    const struct container_sink sink = { .self = sum, .begin = see_begin, .chunk = see_chunk };
    int rc = container_walk_memory(file, &sink, st);
    struct hash all = sha256_end(sum);
    if (seen)
        *seen = all;
    return rc;
}

/* ---- broken by hand ---- */

enum { BLOCK = 512 };

static void put_member(struct str *tar, const char *name, const char *data, size_t n)
{
    uint8_t header[BLOCK], zero[BLOCK] = { 0 };
    container_header(name, n, header);
    str_add(tar, header, BLOCK);
    str_add(tar, data, n);
    str_add(tar, zero, (BLOCK - n % BLOCK) % BLOCK);
}

static void put_zero(struct str *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        str_putc(s, 0);
}

/* The checksum of a header that was changed, made right again. */
static void sum_again(struct str *tar, size_t at)
{
    char text[8];
    unsigned sum = 0;
    memset(tar->data + at + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)tar->data[at + i];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(tar->data + at + 148, text, 7);
}

/* A frame of plain blocks around any bytes. */
static struct str frame(const struct str *tar)
{
    struct str out = { 0 };
    str_add(&out, "\x28\xb5\x2f\xfd\x00\x38", 6); /* window 128 KiB */
    size_t at = 0;
    do {
        size_t n = tar->size - at < 1 << 16 ? tar->size - at : 1 << 16;
        uint32_t head = (uint32_t)(n << 3) | (at + n == tar->size);
        uint8_t bytes[3] = { (uint8_t)head, (uint8_t)(head >> 8), (uint8_t)(head >> 16) };
        str_add(&out, bytes, sizeof bytes);
        str_add(&out, str_text(tar) + at, n);
        at += n;
    } while (at < tar->size);
    return out;
}

/* "a" of 700 bytes at 0, "b" without any at 1536, the end at 2048. */
static struct str plain_tar(void)
{
    struct str tar = { 0 };
    char data[700];
    memset(data, 'x', sizeof data);
    put_member(&tar, "a", data, sizeof data);
    put_member(&tar, "b", "", 0);
    put_zero(&tar, 2 * BLOCK);
    return tar;
}

struct fault {
    size_t at;
    const char *bytes;
    size_t n;
    bool summed;
    int rc;
    const char *says;
};
#define PUT(at, text, summed, rc, says)                                                                      \
    {                                                                                                        \
        at, text, sizeof(text) - 1, summed, rc, says                                                         \
    }

/* Bytes put into the plain stream. */
/* clang-format off */
static const struct fault faults[] = {
    PUT(0, "../a", true, RC_FORMAT, "a name that no member may have"),
    PUT(0, "/a", true, RC_FORMAT, "a name"),
    PUT(0, "a/", true, RC_FORMAT, "a name"),
    PUT(0, "a//b", true, RC_FORMAT, "a name"),
    PUT(0, "a/../b", true, RC_FORMAT, "a name"),
    PUT(0, ".a", true, RC_FORMAT, "a name"),
    PUT(0, "A", true, RC_FORMAT, "a name"),
    PUT(0, "a\\b", true, RC_FORMAT, "a name"),
    PUT(0, "a\0b", true, RC_FORMAT, "is not the one it must have"),
    PUT(0, "b", true, RC_FORMAT, "'b' does not follow 'b'"),
    PUT(0, "c", true, RC_FORMAT, "'b' does not follow 'c'"),
    PUT(100, "000755 ", true, RC_FORMAT, "the header of 'a'"),
    PUT(100, "0000644", true, RC_FORMAT, "the header of 'a'"),
    PUT(108, "000001 ", true, RC_FORMAT, "the header of 'a'"),
    PUT(116, "000001 ", true, RC_FORMAT, "the header of 'a'"),
    PUT(124, "        1274", true, RC_FORMAT, "not a plain number"),
    PUT(124, "\x80\0\0\0\0\0\0\0\0\0\2\xbc", true, RC_FORMAT, "not a plain number"),
    PUT(124, "00000001274\0", true, RC_FORMAT, "not a plain number"),
    PUT(124, "00000001275 ", true, RC_OK, NULL), /* a zero of the padding may as well be data */
    PUT(124, "00000003274 ", true, RC_FORMAT, "the stream ends too early"),
    PUT(124, "20000000001 ", true, RC_LIMIT, "over 2 GiB"),
    PUT(136, "00000000001 ", true, RC_FORMAT, "the header of 'a'"),
    PUT(148, "000000", false, RC_FORMAT, "the header of 'a'"),
    PUT(156, "1", true, RC_FORMAT, "the header of 'a'"), /* link, symbolic link, folder, pipe, pax, GNU */
    PUT(156, "2", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "5", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "6", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "x", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "g", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "L", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "S", true, RC_FORMAT, "the header of 'a'"),
    PUT(156, "\0", true, RC_FORMAT, "the header of 'a'"),
    PUT(157, "b", true, RC_FORMAT, "the header of 'a'"),
    PUT(257, "ustar  ", true, RC_FORMAT, "the header of 'a'"),
    PUT(265, "root", true, RC_FORMAT, "the header of 'a'"),
    PUT(297, "root", true, RC_FORMAT, "the header of 'a'"),
    PUT(329, "000001", true, RC_FORMAT, "the header of 'a'"),
    PUT(345, "p", true, RC_FORMAT, "the header of 'a'"),
    PUT(511, "x", true, RC_FORMAT, "the header of 'a'"),
    PUT(512 + 700, "x", false, RC_FORMAT, "padding is not zero"),
    PUT(1535, "x", false, RC_FORMAT, "padding is not zero"),
    PUT(2048, "x", false, RC_FORMAT, NULL),
    PUT(2560, "x", false, RC_FORMAT, "the end of the stream is not zero"),
    PUT(3071, "x", false, RC_FORMAT, "the end of the stream is not zero"),
};
/* clang-format on */

START_TEST(fault_refused)
{
    const struct fault *f = &faults[_i];
    struct str tar = plain_tar();
    struct status st = { 0 };
    struct str good = frame(&tar);
    ck_assert_msg(walk(of(&good), NULL, &st) == 0, "%s", st.msg);
    memcpy(tar.data + f->at, f->bytes, f->n);
    if (f->summed)
        sum_again(&tar, 0);
    struct str bad = frame(&tar);
    bool same = good.size == bad.size && memcmp(good.data, bad.data, bad.size) == 0;
    int rc = walk(of(&bad), NULL, &st);
    ck_assert_int_eq(rc, f->rc);
    ck_assert(!same);
    if (f->says)
        ck_assert_msg(strstr(st.msg, f->says) != NULL, "'%s'", st.msg);
    str_release(&tar);
    str_release(&good);
    str_release(&bad);
}
END_TEST

START_TEST(stream_ends)
{
    static const struct {
        size_t from, zeros; /* bytes of the plain stream kept, then zero blocks */
        int rc;
    } ends[] = {
        { 2048, 0, RC_FORMAT },  { 2048, 1, RC_FORMAT }, { 2048, 2, 0 },         { 2048, 3, RC_FORMAT },
        { 2048, 20, RC_FORMAT }, { 1536, 2, 0 },         { 1024, 2, RC_FORMAT }, { 0, 2, 0 },
        { 0, 1, RC_FORMAT },     { 0, 0, RC_FORMAT },    { 100, 0, RC_FORMAT }
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct str tar = plain_tar();
        struct status st = { 0 };
        tar.size = ends[i].from;
        put_zero(&tar, ends[i].zeros * BLOCK);
        struct str file = frame(&tar);
        ck_assert_msg(walk(of(&file), NULL, &st) == ends[i].rc, "%zu: %s", i, st.msg);
        str_release(&tar);
        str_release(&file);
    }
}
END_TEST

START_TEST(frames)
{
    struct str tar = plain_tar(), one = frame(&tar), file = { 0 }, nested = { 0 };
    struct status st = { 0 };
    str_add(&file, one.data, one.size);
    str_add(&file, "\x50\x2a\x4d\x18\x01\0\0\0x", 9); /* a skippable frame */
    ck_assert_int_eq(walk(of(&file), NULL, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "bytes after the frame"));
    str_clear(&file);
    str_add(&file, "\x50\x2a\x4d\x18\x01\0\0\0x", 9);
    str_add(&file, one.data, one.size);
    ck_assert_int_eq(walk(of(&file), NULL, NULL), RC_FORMAT);
    str_clear(&file);
    str_add(&file, one.data, one.size);
    str_add(&file, one.data, one.size); /* two frames */
    ck_assert_int_eq(walk(of(&file), NULL, NULL), RC_FORMAT);
    nested = frame(&one); /* libarchive would undo both */
    st = (struct status){ 0 };
    ck_assert_int_eq(walk(of(&nested), NULL, &st), RC_FORMAT);
    ck_assert_ptr_nonnull(strstr(st.msg, "exactly one"));
    ck_assert_int_eq(walk(of(&tar), NULL, NULL), RC_FORMAT); /* not compressed */
    ck_assert_int_eq(walk((struct bytes){ "", 0 }, NULL, NULL), RC_FORMAT);
    for (int d = 1; d < 256; d++) { /* descriptors: with a checksum there must be one, all else is refused */
        one.data[4] = (char)d;
        ck_assert_int_eq(walk(of(&one), NULL, NULL), RC_FORMAT);
    }
    one.data[4] = 0;
    one.data[5] = (char)(18 << 3); /* 256 MiB */
    ck_assert_int_eq(walk(of(&one), NULL, NULL), RC_LIMIT);
    one.data[5] = (char)(17 << 3 | 1);
    ck_assert_int_eq(walk(of(&one), NULL, NULL), RC_LIMIT);
    one.data[5] = (char)(17 << 3);
    ck_assert_int_eq(walk(of(&one), NULL, NULL), 0);
    one.data[6] |= 6; /* reserved type */
    ck_assert_int_eq(walk(of(&one), NULL, NULL), RC_FORMAT);
    str_release(&tar);
    str_release(&one);
    str_release(&file);
    str_release(&nested);
}
END_TEST

/* Empty blocks of one repeated zero byte: 4 bytes of file for 128 KiB of stream. */
START_TEST(bomb)
{
    struct str file = { 0 };
    struct status st = { 0 };
    uint8_t header[BLOCK], block[4] = { 0x02, 0x00, 0x10, 0 }; /* 131,072 times */
    container_header("a", UINT64_C(1) << 30, header);
    str_add(&file, "\x28\xb5\x2f\xfd\x00\x38\x00\x10\x00", 9);
    str_add(&file, header, BLOCK);
    for (int i = 0; i < 2000; i++)
        str_add(&file, block, 4);
    block[0] |= 1;
    str_add(&file, block, 4);
    ck_assert_int_eq(walk(of(&file), NULL, &st), RC_LIMIT);
    ck_assert_ptr_nonnull(strstr(st.msg, "expands to over"));
    str_release(&file);
}
END_TEST

START_TEST(members_over)
{
    struct str tar = { 0 };
    struct status st = { 0 };
    for (int i = 0; i <= CONTAINER_MEMBERS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%05d", i);
        if (i == CONTAINER_MEMBERS_MAX) {
            struct str full = { 0 };
            str_add(&full, tar.data, tar.size);
            put_zero(&full, 2 * BLOCK);
            struct str file = frame(&full);
            ck_assert_msg(walk(of(&file), NULL, &st) == 0, "%s", st.msg);
            str_release(&file);
            str_release(&full);
        }
        put_member(&tar, name, "", 0);
    }
    put_zero(&tar, 2 * BLOCK);
    struct str file = frame(&tar);
    ck_assert_int_eq(walk(of(&file), NULL, &st), RC_LIMIT);
    str_release(&file);
    str_release(&tar);
}
END_TEST

/* ---- written, then read ---- */

struct place {
    char folder[64], path[80];
};

static void place_open(struct place *p)
{
    snprintf(p->folder, sizeof p->folder, "/tmp/lethe-container-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->folder));
    snprintf(p->path, sizeof p->path, "%s/a.lethe", p->folder);
}

static void place_close(struct place *p)
{
    unlink(p->path);
    ck_assert_int_eq(rmdir(p->folder), 0); /* so nothing else was left there */
}

static const char long_name[] = "n123456789/123456789_123456789-123456789.123456789"
                                "/123456789/123456789_123456789-123456789.123456789";

/* Sizes around a block and over a buffer, names of 1, 99 and 100 bytes. */
static void write_all(const char *path, struct status *st)
{
    static const size_t sizes[] = { 0, 1, 511, 512, 513, 1024, 700000 };
    struct container_writer *w = NULL;
    struct str data = { 0 };
    char name[128];
    for (size_t i = 0; i < 700000; i++)
        str_putc(&data, (char)(i * i >> 7));
    ck_assert_msg(container_create(path, &w, st) == 0, "%s", st->msg);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(name, sizeof name, "m/%zu.bin", i);
        struct bytes part = { data.data, sizes[i] };
        ck_assert_msg(container_add(w, name, part, st) == 0, "%s", st->msg);
    }
    snprintf(name, sizeof name, "%.99s", long_name);
    ck_assert_msg(container_add(w, name, of(&data), st) == 0, "%s", st->msg);
    ck_assert_uint_eq(strlen(long_name), 100);
    ck_assert_msg(container_add(w, long_name, of(&data), st) == 0, "%s", st->msg);
    ck_assert_msg(container_add(w, "z", (struct bytes){ "z", 1 }, st) == 0, "%s", st->msg);
    ck_assert_msg(container_finish(w, st) == 0, "%s", st->msg);
    container_close(w);
    str_release(&data);
}

START_TEST(round_trip)
{
    struct place p;
    struct status st = { 0 };
    struct container c;
    struct container_filter all = { .bytes_max = 1 << 24 };
    struct str member = { 0 };
    place_open(&p);
    write_all(p.path, &st);
    ck_assert_msg(container_load(p.path, &all, &c, &st) == 0, "%s", st.msg);
    ck_assert_uint_eq(c.n, 10);
    ck_assert_str_eq(c.members[0].name, "m/0.bin");
    ck_assert_uint_eq(container_find(&c, "m/4.bin")->data.size, 513);
    ck_assert_uint_eq(container_find(&c, long_name)->data.size, 700000);
    ck_assert_str_eq(container_find(&c, "z")->data.data, "z");
    ck_assert_ptr_null(container_find(&c, "m/7.bin"));
    for (size_t i = 0; i < 700000; i++)
        ck_assert_int_eq(container_find(&c, long_name)->data.data[i], (char)(i * i >> 7));
    ck_assert_int_eq(container_read_member(p.path, "m/3.bin", &member, NULL), 0);
    ck_assert_uint_eq(member.size, 512);
    ck_assert_int_eq(container_read_member(p.path, "m/33.bin", &member, &st), RC_ARG);
    ck_assert_int_eq(container_read_member("/nowhere/at/all", "z", &member, NULL), RC_IO);
    container_release(&c);
    container_release(&c);
    all.bytes_max = 1000;
    ck_assert_int_eq(container_load(p.path, &all, &c, NULL), RC_LIMIT);
    str_release(&member);
    place_close(&p);
}
END_TEST

START_TEST(same_twice)
{
    struct place p;
    struct status st = { 0 };
    struct str one = { 0 }, two = { 0 };
    place_open(&p);
    write_all(p.path, &st);
    ck_assert_int_eq(file_read(p.path, 1 << 24, &one, NULL), 0);
    write_all(p.path, &st); /* over the file that is there */
    ck_assert_int_eq(file_read(p.path, 1 << 24, &two, NULL), 0);
    ck_assert(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
    str_release(&one);
    str_release(&two);
    place_close(&p);
}
END_TEST

START_TEST(writer_refuses)
{
    static const char *const names[] = {
        "", "A", "../a", "/a", "a/", "a//b", "a b", "_a", "a/-b", "\xc3\xa9"
    };
    struct place p;
    struct container_writer *w = NULL;
    char name[102];
    place_open(&p);
    ck_assert_int_eq(container_create("/nowhere/at/all.lethe", &w, NULL), RC_IO);
    ck_assert_int_eq(container_create(p.path, &w, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_int_eq(container_add(w, names[i], (struct bytes){ "", 0 }, NULL), RC_ARG);
    memset(name, 'a', 101);
    name[101] = 0;
    ck_assert_int_eq(container_add(w, name, (struct bytes){ "", 0 }, NULL), RC_ARG);
    ck_assert_int_eq(container_add(w, "b", (struct bytes){ "", 0 }, NULL), 0);
    ck_assert_int_eq(container_add(w, "b", (struct bytes){ "", 0 }, NULL), RC_ARG);
    ck_assert_int_eq(container_add(w, "a", (struct bytes){ "", 0 }, NULL), RC_ARG);
    ck_assert(!path_exists(p.path));
    container_close(w); /* not finished: nothing is there, as place_close sees */
    place_close(&p);
}
END_TEST

static int stop_at(void *self, const void *data, size_t n, struct status *st)
{
    (void)data;
    size_t *left = self;
    if (*left <= n)
        return status_fail(st, RC_INTERRUPTED, "enough");
    *left -= n;
    return 0;
}

START_TEST(sink_stops)
{
    struct place p;
    struct status st = { 0 };
    size_t left = 5000;
    place_open(&p);
    write_all(p.path, &st);
    const struct container_sink sink = { .self = &left, .chunk = stop_at }, none = { 0 };
    ck_assert_int_eq(container_walk(p.path, &sink, &st), RC_INTERRUPTED);
    ck_assert_ptr_nonnull(strstr(st.msg, "a.lethe: enough"));
    ck_assert_int_eq(container_walk(p.path, &none, NULL), 0);
    place_close(&p);
}
END_TEST

/* ---- tampering with a file as the library writes it ---- */

static struct str small_file(void)
{
    struct place p;
    struct status st = { 0 };
    struct str out = { 0 }, text = { 0 };
    struct container_writer *w = NULL;
    place_open(&p);
    for (int i = 0; i < 200; i++)
        str_printf(&text, "{\"i\":%d,\"id\":\"item-%d\",\"acc\":%d}\n", i, i * 7919 % 1000, i % 3 == 0);
    ck_assert_int_eq(container_create(p.path, &w, NULL), 0);
    ck_assert_int_eq(container_add(w, "evidence/items.jsonl", of(&text), NULL), 0);
    ck_assert_int_eq(container_add(w, "manifest.json", (struct bytes){ "{}", 2 }, NULL), 0);
    ck_assert_msg(container_finish(w, &st) == 0, "%s", st.msg);
    container_close(w);
    ck_assert_int_eq(file_read(p.path, 1 << 20, &out, NULL), 0);
    place_close(&p);
    str_release(&text);
    return out;
}

START_TEST(bits_flipped)
{
    struct str file = small_file();
    struct hash good, seen;
    size_t same = 0;
    ck_assert_int_eq(walk(of(&file), &good, NULL), 0);
    for (size_t i = 0; i < 8 * file.size; i++) {
        struct status st = { 0 };
        file.data[i / 8] ^= (char)(1 << i % 8);
        int rc = walk(of(&file), &seen, &st);
        if (rc == 0)
            same += hash_equal(&good, &seen);
        else
            ck_assert(st.msg[0] && (rc == RC_FORMAT || rc == RC_LIMIT));
        file.data[i / 8] ^= (char)(1 << i % 8);
    }
    ck_assert_uint_lt(same, file.size / 10); /* flips that change nothing are rare */
    str_release(&file);
}
END_TEST

START_TEST(cut_anywhere)
{
    struct str file = small_file();
    for (size_t n = 0; n < file.size; n++)
        ck_assert_int_eq(walk((struct bytes){ file.data, n }, NULL, NULL), RC_FORMAT);
    str_putc(&file, 0);
    ck_assert_int_eq(walk(of(&file), NULL, NULL), RC_FORMAT);
    str_release(&file);
}
END_TEST

START_TEST(torture)
{
    struct str file = small_file();
    const struct container_filter all = { .bytes_max = 1 << 20 };
    int rc = RC_NOMEM;
    for (size_t nth = 1; rc == RC_NOMEM; nth++) {
        struct container c = { 0 };
        mem_fail_at(nth);
        rc = container_load_memory(of(&file), &all, &c, NULL);
        mem_fail_at(0);
        ck_assert(rc == 0 || (rc == RC_NOMEM && c.n == 0));
        container_release(&c);
    }
    ck_assert_int_eq(rc, 0);
    str_release(&file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("container");
    TCase *tc = tcase_create("container");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, fault_refused, 0, sizeof faults / sizeof *faults);
    tcase_add_test(tc, stream_ends);
    tcase_add_test(tc, frames);
    tcase_add_test(tc, bomb);
    tcase_add_test(tc, members_over);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, same_twice);
    tcase_add_test(tc, writer_refuses);
    tcase_add_test(tc, sink_stops);
    tcase_add_test(tc, bits_flipped);
    tcase_add_test(tc, cut_anywhere);
    tcase_add_test(tc, torture);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed != 0 || ran == 0;
}
