/* Files and folders under construction: they stand beside their place under another name, and take their own
 * when they are whole and on disk. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART ".part-" /* of the name of what is not whole yet; six characters follow */

/* ---- files ---- */

int file_out_open(const char *path, struct file_out *out, struct status *st)
{
    int rc = 0;
    struct file_out f = { .fd = -1 };
    str_puts(&f.path, path);
    str_printf(&f.temporary, "%s" PART "XXXXXX", path);
    TRY(str_check(&f.path, st));
    TRY(str_check(&f.temporary, st));
    f.fd = mkstemp(f.temporary.data);
    if (f.fd < 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    *out = f;
    f = (struct file_out){ .fd = -1 };
out:
    str_release(&f.path);
    str_release(&f.temporary);
    return rc;
}

int file_out_add(struct file_out *f, const void *bytes, size_t n, struct status *st)
{
    const char *data = bytes;
    while (n > 0) {
        ssize_t put = write(f->fd, data, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return status_fail(st, RC_IO, "%s: %s", f->path.data,
                               put < 0 ? strerror(errno) : "the disk is full");
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
        return unlink(temporary);
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -1;
    return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
}

int file_out_commit(struct file_out *f, unsigned mode, bool over, struct status *st)
{
    int rc = 0;
    const char *path = f->path.data;
    if (fchmod(f->fd, mode) != 0 || fsync(f->fd) != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    const int closed = close(f->fd);
    f->fd = -1;
    if (closed != 0)
        FAIL(st, RC_IO, "%s: %s", path, strerror(errno));
    if ((over ? rename(f->temporary.data, path) : name_take(f->temporary.data, path)) != 0)
        FAIL(st, RC_IO, "%s: %s", path, !over && errno == EEXIST ? "is there already" : strerror(errno));
    folder_sync(path);
    str_release(&f->temporary); /* nothing is left of it */
out:
    return rc;
}

void file_out_close(struct file_out *f)
{
    if (f->temporary.data) {
        if (f->fd >= 0)
            close(f->fd);
        unlink(f->temporary.data);
    }
    str_release(&f->path);
    str_release(&f->temporary);
    *f = (struct file_out){ 0 };
}

/* over: an existing file may be replaced. */
static int whole_write(const char *path, const void *data, size_t n, unsigned mode, bool over,
                       struct status *st)
{
    int rc = 0;
    struct file_out f = { 0 };
    TRY(file_out_open(path, &f, st));
    TRY(file_out_add(&f, data, n, st));
    TRY(file_out_commit(&f, mode, over, st));
out:
    file_out_close(&f);
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

/* ---- what killed processes left ---- */

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
