#include "base/file.h"

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- reading ---- */

static int plain_open(const char *path, int *fd, struct stat *info, struct status *st)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hold us */
    if (*fd < 0)
        return status_fail(st, RC_IO, "%s: %s", path, strerror(errno));
    if (fstat(*fd, info) == 0 && S_ISREG(info->st_mode))
        return 0;
    close(*fd);
    *fd = -1;
    return status_fail(st, RC_IO, "%s: not a plain file", path);
}

int file_read(const char *path, size_t bytes_max, struct str *out, struct status *st)
{
    int rc = 0, fd = -1;
    struct stat info;
    struct str got = { 0 };
    char part[1 << 16];
    TRY(plain_open(path, &fd, &info, st));
    for (;;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        if ((size_t)n > bytes_max - got.size)
            FAIL(st, RC_LIMIT, "%s: over %zu bytes", path, bytes_max);
        str_add(&got, part, (size_t)n);
        TRY(str_check(&got, st));
    }
    str_release(out);
    *out = got;
    got = (struct str){ 0 };
out:
    if (fd >= 0)
        close(fd);
    str_release(&got);
    return rc;
}

int file_map_open(const char *path, struct file_map *out, struct status *st)
{
    int rc = 0, fd = -1;
    struct stat info;
    TRY(plain_open(path, &fd, &info, st));
    struct file_map map = { .size = (size_t)info.st_size };
    if (map.size > 0) {
        void *at = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED)
            FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
        map.data = at;
    }
    *out = map;
out:
    if (fd >= 0)
        close(fd);
    return rc;
}

void file_map_close(struct file_map *m)
{
    if (m->data) {
        void *at;
        memcpy(&at, &m->data, sizeof at);
        munmap(at, m->size);
    }
    *m = (struct file_map){ 0 };
}

void file_map_forget(const uint8_t *from, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)from;
    const uintptr_t first = (at + page - 1) / page * page, end = (at + n) / page * page;
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_DONTNEED); /* whole pages of it alone */
}

/* ---- writing ---- */

#define PART ".part-" /* of the name of a file that is not whole yet; six characters follow */

static int all_write(int fd, const char *path, const char *data, size_t n, struct status *st)
{
    while (n > 0) {
        ssize_t put = write(fd, data, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return status_fail(st, RC_IO, "%s: %s", path, put < 0 ? strerror(errno) : "the disk is full");
        data += put;
        n -= (size_t)put;
    }
    return 0;
}

/* The new name is on disk only when its folder is. */
static void folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

/* Gives a finished temporary file its name, unless something has that name. link(2) never replaces; without
 * hard links, the flag of renameat2(2) does the same. */
static int name_take(const char *temporary, const char *path)
{
    if (link(temporary, path) == 0)
        return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
}

struct file_writer {
    struct str path, temporary;
    int fd;     /* -1: none */
    bool there; /* the temporary file */
};

int file_writer_open(const char *path, struct file_writer **out, struct status *st)
{
    int rc = 0;
    struct file_writer *w = mem_calloc(1, sizeof *w);
    if (!w)
        FAIL(st, RC_NOMEM, "%s: no memory to write it", path);
    w->fd = -1;
    str_puts(&w->path, path);
    str_printf(&w->temporary, "%s" PART "XXXXXX", path);
    TRY(str_check(&w->path, st));
    TRY(str_check(&w->temporary, st));
    w->fd = mkstemp(w->temporary.data);
    w->there = w->fd >= 0;
    if (!w->there)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    *out = w;
    w = NULL;
out:
    file_writer_close(w);
    return rc;
}

int file_writer_put(struct file_writer *w, const void *data, size_t n, struct status *st)
{
    return all_write(w->fd, str_text(&w->path), data, n, st);
}

/* over: an existing file may be replaced. */
static int writer_finish(struct file_writer *w, unsigned mode, bool over, struct status *st)
{
    int rc = 0;
    const char *path = str_text(&w->path), *temporary = str_text(&w->temporary);
    if (fchmod(w->fd, mode) != 0 || fsync(w->fd) != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    const int closed = close(w->fd);
    w->fd = -1;
    if (closed != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    if (over && rename(temporary, path) != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    if (!over && name_take(temporary, path) != 0)
        FAIL(st, RC_IO, "%s: %s", path, errno == EEXIST ? "is there already" : strerror(errno));
    w->there = !over; /* a link leaves its first name */
    folder_sync(path);
out:
    return rc;
}

int file_writer_finish(struct file_writer *w, unsigned mode, struct status *st)
{
    return writer_finish(w, mode, true, st);
}

void file_writer_close(struct file_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->there)
        unlink(str_text(&w->temporary));
    str_release(&w->path);
    str_release(&w->temporary);
    mem_free(w);
}

static int whole_write(const char *path, const void *data, size_t n, unsigned mode, bool over,
                       struct status *st)
{
    int rc = 0;
    struct file_writer *w = NULL;
    TRY(file_writer_open(path, &w, st));
    TRY(file_writer_put(w, data, n, st));
    TRY(writer_finish(w, mode, over, st));
out:
    file_writer_close(w);
    return rc;
}

int file_write(const char *path, const void *data, size_t n, unsigned mode, struct status *st)
{
    return whole_write(path, data, n, mode, true, st);
}

int file_create(const char *path, const void *data, size_t n, unsigned mode, struct status *st)
{
    return whole_write(path, data, n, mode, false, st);
}

static int leftover_remove(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)at;
    const size_t n = strlen(path), tail = strlen(PART) + 6;
    if (type == FTW_F && n > tail && memcmp(path + n - tail, PART, strlen(PART)) == 0)
        unlink(path);
    return 0;
}

void file_leftovers_remove(const char *folder)
{
    (void)!nftw(folder, leftover_remove, 16, FTW_PHYS);
}

/* ---- folders ---- */

int folder_out_open(const char *path, struct folder_out *out, struct status *st)
{
    int rc = 0;
    struct folder_out f = { 0 };
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    str_add(&f.path, path, n);
    str_add(&f.temporary, path, n);
    str_puts(&f.temporary, PART "XXXXXX");
    TRY(str_check(&f.path, st));
    TRY(str_check(&f.temporary, st));
    if (path_exists(f.path.data))
        FAIL(st, RC_IO, "%s: is there already", path);
    if (!mkdtemp(f.temporary.data))
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    *out = f;
    f = (struct folder_out){ 0 };
out:
    str_release(&f.path);
    str_release(&f.temporary);
    return rc;
}

int folder_out_commit(struct folder_out *f, struct status *st)
{
    int rc = 0;
    /* rename(2) replaces no folder that holds something. */
    if (chmod(f->temporary.data, 0755) != 0 || rename(f->temporary.data, f->path.data) != 0)
        FAIL(st, RC_IO, "%s: %s", f->path.data,
             errno == ENOTEMPTY || errno == ENOTDIR || errno == EEXIST ? "is there already"
                                                                       : strerror(errno));
    folder_sync(f->path.data);
    str_release(&f->temporary);
out:
    return rc;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

void folder_out_close(struct folder_out *f)
{
    if (f->temporary.data)
        (void)!nftw(f->temporary.data, entry_remove, 16, FTW_PHYS | FTW_DEPTH);
    str_release(&f->path);
    str_release(&f->temporary);
    *f = (struct folder_out){ 0 };
}

int dir_make(const char *path, struct status *st)
{
    int rc = 0;
    struct str part = { 0 };
    str_puts(&part, path);
    TRY(str_check(&part, st));
    for (size_t i = 1; i <= part.size; i++) {
        if (i < part.size && part.data[i] != '/')
            continue;
        char kept = part.data[i];
        part.data[i] = 0;
        if (mkdir(part.data, 0777) != 0 && (errno != EEXIST || !path_is_dir(part.data)))
            rc = status_fail(st, RC_IO, "%s: %s", part.data,
                             errno == EEXIST ? "is there and is not a folder" : strerror(errno));
        part.data[i] = kept;
        if (rc)
            break;
    }
out:
    str_release(&part);
    return rc;
}

/* ---- names ---- */

bool path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int path_join(const char *folder, const char *name, struct str *out, struct status *st)
{
    size_t n = strlen(folder);
    if (name[0] == '/')
        n = 0;
    str_clear(out);
    str_add(out, folder, n);
    if (n > 0 && folder[n - 1] != '/')
        str_putc(out, '/');
    str_puts(out, name);
    return str_check(out, st);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool lines_next(struct lines *l, const char **line, size_t *n, struct status *st)
{
    if (l->at >= l->size)
        return false;
    l->number++;
    const char *from = l->data + l->at;
    const char *end = memchr(from, '\n', l->size - l->at);
    if (!end) {
        status_fail(st, RC_FORMAT, "line %zu: the last line does not end in LF", l->number);
        return false;
    }
    if ((size_t)(end - from) > JSON_LINE_BYTES_MAX) {
        status_fail(st, RC_LIMIT, "line %zu: over %zu bytes", l->number, JSON_LINE_BYTES_MAX);
        return false;
    }
    *line = from;
    *n = (size_t)(end - from);
    l->at += *n + 1;
    return true;
}

/* ---- time ---- */

struct time_text time_now_ms(void)
{
    struct timespec now;
    struct tm utc;
    struct time_text t;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(t.s, sizeof t.s, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(t.s + n, sizeof t.s - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
    return t;
}

struct time_text time_now_s(void)
{
    struct time_text t = time_now_ms();
    t.s[19] = 'Z';
    t.s[20] = 0;
    return t;
}

/* YYYY-MM-DDThh:mm:ss, then Z or .mmmZ, and a day that its month has. */
bool time_is_valid(const char *text)
{
    static const char FORM[] = "dddd-dd-ddTdd:dd:dd";
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    size_t i = 0;
    for (; FORM[i]; i++)
        if (FORM[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != FORM[i])
            return false;
    const char *rest = text + i;
    if (rest[0] == '.') {
        for (i = 1; i <= 3; i++)
            if (rest[i] < '0' || rest[i] > '9')
                return false;
        rest += 4;
    }
#define TWO(at) ((text[at] - '0') * 10 + (text[(at) + 1] - '0'))
    int year = TWO(0) * 100 + TWO(2), month = TWO(5), day = TWO(8);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    bool date = month >= 1 && month <= 12 && day >= 1 && day <= DAYS[month - 1] + (month == 2 && leap);
    return strcmp(rest, "Z") == 0 && date && TWO(11) < 24 && TWO(14) < 60 && TWO(17) < 60;
#undef TWO
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
