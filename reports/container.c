/* Reading and writing the one frame around the one tar stream. libarchive compresses, decompresses and writes
 * headers; which bytes may stand where is decided here, because its readers also take several frames,
 * skippable ones, and tar dialects that an archive must not have.
 */
#include "reports/container.h"

#include "base/alloc.h"
#include "base/file.h"

#include <archive.h>
#include <archive_entry.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { BLOCK = 512, NAME = CONTAINER_NAME_BYTES_MAX, SIZE_AT = 124, SUM_AT = 148 };

bool container_name_valid(const char *name, size_t n)
{
    bool first = true; /* of a part */
    if (n == 0 || n > NAME)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (c == '/' ? first : !(word || (!first && (c == '_' || c == '.' || c == '-'))))
            return false;
        first = c == '/';
    }
    return !first;
}

void container_header(const char *name, uint64_t size, uint8_t out[CONTAINER_HEADER_BYTES])
{
    char octal[16];
    memset(out, 0, BLOCK);
    memcpy(out, name, strnlen(name, NAME));
    memcpy(out + 100, "000644 ", 8); /* mode, uid, gid: six digits, a space, a zero byte */
    memcpy(out + 108, "000000 ", 8);
    memcpy(out + 116, "000000 ", 8);
    snprintf(octal, sizeof octal, "%011" PRIo64 " ", size & UINT64_C(077777777777));
    memcpy(out + SIZE_AT, octal, 12);
    memcpy(out + 136, "00000000000 ", 12); /* mtime */
    memset(out + SUM_AT, ' ', 8);
    out[156] = '0';
    memcpy(out + 257,
           "ustar\0"
           "00",
           8);
    memcpy(out + 329, "000000 ", 8); /* device numbers */
    memcpy(out + 337, "000000 ", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += out[i];
    snprintf(octal, sizeof octal, "%06o", sum);
    memcpy(out + SUM_AT, octal, 7);
}

/* ---- writing ---- */

static const char suffix[] = ".########"; /* of the temporary file */

struct container_writer {
    struct archive *a;
    int fd;
    char *path, *temporary; /* temporary is NULL once renamed */
    char last[NAME + 1];
    size_t members;
    uint64_t expanded;
};

static int libarchive_failed(struct archive *a, const char *what, struct status *st)
{
    const char *why = archive_error_string(a);
    return status_fail(st, archive_errno(a) == ENOMEM ? RC_NOMEM : RC_IO, "%s: %s", what,
                       why ? why : "libarchive gives no reason");
}

static char *joined(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    char *text = mem_calloc(na + nb + 1, 1);
    if (text) {
        memcpy(text, a, na);
        memcpy(text + na, b, nb);
    }
    return text;
}

/* Like mkstemp, but with the mode that the user's mask leaves. */
static int writer_open_file(struct container_writer *w, struct status *st)
{
    size_t at = strlen(w->path);
    int why = EEXIST;
    for (int tries = 0; tries < 100 && why == EEXIST; tries++) {
        uint32_t number = 0;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            break;
        snprintf(w->temporary + at, sizeof suffix, ".%08" PRIx32, number);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0)
            return 0;
        why = errno;
    }
    mem_free(w->temporary);
    w->temporary = NULL; /* nothing to remove */
    return status_fail(st, RC_IO, "%s: %s", w->path, strerror(why));
}

int container_create(const char *path, struct container_writer **out, struct status *st)
{
    int rc = 0;
    struct container_writer *w = mem_calloc(1, sizeof *w);
    if (!w)
        FAIL(st, RC_NOMEM, "no memory for an archive");
    w->fd = -1;
    w->path = joined(path, "");
    w->temporary = joined(path, suffix);
    w->a = archive_write_new();
    if (!w->path || !w->temporary || !w->a) {
        mem_free(w->temporary);
        w->temporary = NULL;
        FAIL(st, RC_NOMEM, "no memory for an archive");
    }
    TRY(writer_open_file(w, st));
    if (archive_write_set_format_ustar(w->a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(w->a) != ARCHIVE_OK ||
        archive_write_set_options(w->a, "zstd:compression-level=12") != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(w->a, 1) != ARCHIVE_OK ||
        archive_write_open_fd(w->a, w->fd) != ARCHIVE_OK) {
        rc = libarchive_failed(w->a, path, st);
        goto out;
    }
    *out = w;
    w = NULL;
out:
    container_close(w);
    return rc;
}

static int add_entry(struct container_writer *w, const char *name, struct bytes data, struct status *st)
{
    int rc = 0;
    struct archive_entry *e = archive_entry_new();
    if (!e)
        FAIL(st, RC_NOMEM, "no memory for member '%s'", name);
    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, (int64_t)data.size);
    archive_entry_set_mtime(e, 0, 0);
    archive_entry_set_uid(e, 0);
    archive_entry_set_gid(e, 0);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    if (archive_write_header(w->a, e) != ARCHIVE_OK) {
        rc = libarchive_failed(w->a, w->path, st);
        goto out;
    }
    for (size_t at = 0; at < data.size;) {
        la_ssize_t n = archive_write_data(w->a, (const char *)data.data + at, data.size - at);
        if (n <= 0) {
            rc = libarchive_failed(w->a, w->path, st);
            goto out;
        }
        at += (size_t)n;
    }
out:
    archive_entry_free(e);
    return rc;
}

int container_add(struct container_writer *w, const char *name, struct bytes data, struct status *st)
{
    int rc = 0;
    size_t n = strnlen(name, NAME + 1);
    if (!container_name_valid(name, n))
        FAIL(st, RC_ARG, "'%.120s' is no name for a member", name);
    if (w->members > 0 && strcmp(w->last, name) >= 0)
        FAIL(st, RC_ARG, "member '%s' does not follow '%s'", name, w->last);
    if (data.size > CONTAINER_MEMBER_BYTES_MAX)
        FAIL(st, RC_LIMIT, "member '%s' is over 2 GiB", name);
    uint64_t grown = w->expanded + BLOCK + (data.size + BLOCK - 1) / BLOCK * BLOCK;
    if (w->members == CONTAINER_MEMBERS_MAX || grown + 2 * BLOCK > CONTAINER_EXPANDED_BYTES_MAX)
        FAIL(st, RC_LIMIT, "member '%s': over %d members or 16 GiB", name, CONTAINER_MEMBERS_MAX);
    TRY(add_entry(w, name, data, st));
    memcpy(w->last, name, n + 1);
    w->members++;
    w->expanded = grown;
out:
    return rc;
}

static int sync_folder(const char *path, struct status *st)
{
    int rc = 0, fd = -1;
    char *folder = joined(path, "");
    if (!folder)
        FAIL(st, RC_NOMEM, "no memory for a path");
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0; /* of "/x" the slash stays */
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
out:
    if (fd >= 0)
        close(fd);
    mem_free(folder);
    return rc;
}

int container_finish(struct container_writer *w, struct status *st)
{
    int rc = 0;
    if (archive_write_close(w->a) != ARCHIVE_OK) {
        rc = libarchive_failed(w->a, w->path, st);
        goto out;
    }
    if (fsync(w->fd) != 0 || rename(w->temporary, w->path) != 0)
        FAIL(st, RC_IO, "%s: %s", w->path, strerror(errno));
    mem_free(w->temporary);
    w->temporary = NULL;
    TRY(sync_folder(w->path, st));
out:
    return rc;
}

void container_close(struct container_writer *w)
{
    if (!w)
        return;
    if (w->a)
        archive_write_free(w->a);
    if (w->fd >= 0)
        close(w->fd);
    if (w->temporary)
        unlink(w->temporary);
    mem_free(w->temporary);
    mem_free(w->path);
    mem_free(w);
}

/* ---- reading: the frame ---- */

/* RFC 8878 3.1.1: magic, descriptor, window, blocks, checksum. One frame is the whole file. */
static int frame_check(struct bytes file, struct status *st)
{
    const uint8_t *p = file.data;
    uint64_t at = 6;
    if (file.size > CONTAINER_FILE_BYTES_MAX)
        return status_fail(st, RC_LIMIT, "the file is over 4 GiB");
    if (file.size < 9 || memcmp(p, "\x28\xb5\x2f\xfd", 4) != 0)
        return status_fail(st, RC_FORMAT, "byte 0: not an archive (no zstd frame)");
    if (p[4] != 0x00 && p[4] != 0x04)
        return status_fail(st, RC_FORMAT, "byte 4: frame descriptor %02x, 00 or 04 is wanted", p[4]);
    uint64_t window = UINT64_C(1) << (10 + (p[5] >> 3));
    window += window / 8 * (p[5] & 7);
    if (window > CONTAINER_WINDOW_BYTES_MAX)
        return status_fail(st, RC_LIMIT, "byte 5: a window over 128 MiB");
    for (bool last = false; !last;) {
        if (file.size - at < 3)
            return status_fail(st, RC_FORMAT, "byte %" PRIu64 ": the file ends inside the frame", at);
        uint32_t head = (uint32_t)p[at] | (uint32_t)p[at + 1] << 8 | (uint32_t)p[at + 2] << 16;
        uint32_t type = head >> 1 & 3, size = type == 1 ? 1 : head >> 3;
        last = head & 1;
        if (type == 3)
            return status_fail(st, RC_FORMAT, "byte %" PRIu64 ": a block of reserved type", at);
        if (file.size - at - 3 < size)
            return status_fail(st, RC_FORMAT, "byte %" PRIu64 ": the file ends inside a block", at);
        at += 3 + (uint64_t)size;
    }
    if (p[4] == 0x04) {
        if (file.size - at < 4)
            return status_fail(st, RC_FORMAT, "byte %" PRIu64 ": the file ends before the checksum", at);
        at += 4;
    }
    if (at != file.size)
        return status_fail(st, RC_FORMAT, "byte %" PRIu64 ": bytes after the frame", at);
    return 0;
}

/* ---- reading: the tar stream, in pieces of any size ---- */

enum place { AT_HEADER, AT_DATA, AT_PADDING, AT_END };

struct walk {
    const struct container_sink *sink;
    enum place place;
    uint64_t at, bytes_max; /* of the tar stream */
    uint8_t header[BLOCK];
    size_t filled; /* bytes of the header so far */
    uint64_t left; /* of data, padding, or the zero bytes at the end */
    uint64_t padding;
    char name[NAME + 1]; /* of this member; compared with the next */
    size_t members;
};

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Eleven octal digits and a space. */
static bool size_read(const uint8_t *field, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < 11; i++) {
        if (field[i] < '0' || field[i] > '7')
            return false;
        *out = *out << 3 | (uint64_t)(field[i] - '0');
    }
    return field[11] == ' ';
}

static int member_end(struct walk *w, struct status *st)
{
    w->place = w->padding ? AT_PADDING : AT_HEADER;
    w->left = w->padding;
    w->filled = 0;
    return w->sink->end ? w->sink->end(w->sink->self, st) : 0;
}

static int member_begin(struct walk *w, struct status *st)
{
    int rc = 0;
    uint8_t wanted[BLOCK];
    char name[NAME + 1] = { 0 };
    uint64_t size = 0, at = w->at - BLOCK;
    if (all_zero(w->header, BLOCK)) {
        w->place = AT_END;
        w->left = BLOCK;
        return 0;
    }
    memcpy(name, w->header, NAME);
    if (!container_name_valid(name, strlen(name)))
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": a name that no member may have", at);
    if (!size_read(w->header + SIZE_AT, &size))
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": the size of '%s' is not a plain number", at, name);
    container_header(name, size, wanted);
    if (memcmp(w->header, wanted, BLOCK) != 0)
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": the header of '%s' is not the one it must have", at, name);
    if (w->members > 0 && strcmp(w->name, name) >= 0)
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": '%s' does not follow '%s'", at, name, w->name);
    if (size > CONTAINER_MEMBER_BYTES_MAX)
        FAIL(st, RC_LIMIT, "tar byte %" PRIu64 ": '%s' is over 2 GiB", at, name);
    if (w->members == CONTAINER_MEMBERS_MAX)
        FAIL(st, RC_LIMIT, "tar byte %" PRIu64 ": over %d members", at, CONTAINER_MEMBERS_MAX);
    memcpy(w->name, name, sizeof name);
    w->members++;
    w->place = AT_DATA;
    w->left = size;
    w->padding = (BLOCK - size % BLOCK) % BLOCK;
    if (w->sink->begin)
        TRY(w->sink->begin(w->sink->self, w->name, size, st));
    if (size == 0)
        TRY(member_end(w, st));
out:
    return rc;
}

/* Takes at most n bytes, n > 0; *used says how many. */
static int walk_step(struct walk *w, const uint8_t *p, size_t n, size_t *used, struct status *st)
{
    int rc = 0;
    size_t want = w->place == AT_HEADER ? BLOCK - w->filled : w->left < n ? (size_t)w->left : n;
    size_t take = want < n ? want : n;
    *used = take;
    w->at += take;
    if (w->place == AT_HEADER) {
        memcpy(w->header + w->filled, p, take);
        w->filled += take;
        if (w->filled == BLOCK)
            TRY(member_begin(w, st));
        goto out;
    }
    if (take == 0)
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": bytes after the two zero blocks", w->at);
    if (w->place != AT_DATA && !all_zero(p, take))
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": %s is not zero", w->at - take,
             w->place == AT_END ? "the end of the stream" : "padding");
    w->left -= take;
    if (w->place == AT_DATA && w->sink->chunk)
        TRY(w->sink->chunk(w->sink->self, p, take, st));
    if (w->place == AT_DATA && w->left == 0)
        TRY(member_end(w, st));
    else if (w->place == AT_PADDING && w->left == 0)
        w->place = AT_HEADER;
out:
    return rc;
}

static int walk_bytes(struct walk *w, const uint8_t *p, size_t n, struct status *st)
{
    int rc = 0;
    if (n > w->bytes_max - w->at)
        FAIL(st, RC_LIMIT, "the archive expands to over %" PRIu64 " bytes", w->bytes_max);
    while (n > 0) {
        size_t used = 0;
        TRY(walk_step(w, p, n, &used, st));
        p += used;
        n -= used;
    }
out:
    return rc;
}

/* ---- reading: both ---- */

static int decode_failed(struct archive *a, struct status *st)
{
    const char *why = archive_error_string(a);
    return status_fail(st, archive_errno(a) == ENOMEM ? RC_NOMEM : RC_FORMAT, "the zstd frame is broken: %s",
                       why ? why : "no reason given");
}

static int decode_open(struct archive *a, struct bytes file, struct status *st)
{
    struct archive_entry *e = NULL;
    if (archive_read_support_filter_zstd(a) != ARCHIVE_OK || archive_read_support_format_raw(a) != ARCHIVE_OK)
        return status_fail(st, RC_UNSUPPORTED, "this libarchive reads no zstd");
    if (archive_read_open_memory(a, file.data, file.size) != ARCHIVE_OK ||
        archive_read_next_header(a, &e) != ARCHIVE_OK)
        return decode_failed(a, st);
    /* Two filters are zstd and the end of the chain; three would be a frame within the frame. */
    if (archive_filter_code(a, 0) != ARCHIVE_FILTER_ZSTD || archive_filter_count(a) != 2)
        return status_fail(st, RC_FORMAT, "the file is not exactly one zstd frame around a tar stream");
    return 0;
}

static int decode_all(struct archive *a, struct walk *w, struct status *st)
{
    int rc = 0;
    for (;;) {
        const void *data = NULL;
        size_t n = 0;
        la_int64_t offset = 0;
        int got = archive_read_data_block(a, &data, &n, &offset);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK) {
            rc = decode_failed(a, st);
            goto out;
        }
        if (offset != (la_int64_t)w->at)
            FAIL(st, RC_FORMAT, "the stream has a hole");
        TRY(walk_bytes(w, data, n, st));
    }
    if (w->place != AT_END || w->left != 0)
        FAIL(st, RC_FORMAT, "tar byte %" PRIu64 ": the stream ends too early", w->at);
out:
    return rc;
}

int container_walk_memory(struct bytes file, const struct container_sink *sink, struct status *st)
{
    int rc = 0;
    struct archive *a = NULL;
    struct walk *w = NULL;
    TRY(frame_check(file, st));
    a = archive_read_new();
    w = mem_calloc(1, sizeof *w);
    if (!a || !w)
        FAIL(st, RC_NOMEM, "no memory to read an archive");
    w->sink = sink;
    w->bytes_max = 200 * (uint64_t)file.size + (UINT64_C(64) << 20);
    if (w->bytes_max > CONTAINER_EXPANDED_BYTES_MAX)
        w->bytes_max = CONTAINER_EXPANDED_BYTES_MAX;
    TRY(decode_open(a, file, st));
    TRY(decode_all(a, w, st));
out:
    if (a)
        archive_read_free(a);
    mem_free(w);
    return rc;
}

int container_walk(const char *path, const struct container_sink *sink, struct status *st)
{
    int rc = 0;
    struct file_map map = { 0 };
    TRY(file_map_open(path, &map, st));
    rc = container_walk_memory((struct bytes){ map.data, map.size }, sink, st);
    if (rc)
        status_prefix(st, "%s", path);
    file_map_close(&map);
out:
    return rc;
}

const char *container_library_version(void)
{
    return archive_version_string();
}

const char *container_compressor_version(void)
{
    return archive_libzstd_version();
}
