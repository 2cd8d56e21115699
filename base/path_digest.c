/* The digest of a model: of one file, or over the digests of a folder's files (docs/formats 0.5). */
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 65536, DEPTH_MAX = 32 };

/* Not part of a model, at the top level of its folder. */
static bool left_out(const char *name)
{
    static const char *const NAMES[] = { ".git", ".gitattributes", ".github", ".gitignore", "model.sig" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(name, NAMES[i]) == 0)
            return true;
    return false;
}

static int file_digest(const char *path, struct file_digest *out, struct status *st)
{
    struct file_map map;
    int rc = file_map_open(path, &map, st);
    if (!rc) {
        out->hash = sha256_of(map.size ? (const void *)map.data : "", map.size);
        out->size = map.size;
        file_map_close(&map);
    }
    return rc;
}

struct walk {
    const char *root;
    struct path_digest *out;
    size_t cap;
};

static int folder_walk(struct walk *w, const char *below, int depth, struct status *st);

static int entry_take(struct walk *w, const char *below, const char *name, int depth, struct status *st)
{
    int rc = 0;
    struct stat info;
    struct str relative = { 0 }, full = { 0 };
    TRY(path_join(below, name, &relative, st));
    TRY(path_join(w->root, str_text(&relative), &full, st));
    if (lstat(str_text(&full), &info) != 0)
        FAIL(st, RC_IO, "%s: %s", str_text(&full), strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        TRY(folder_walk(w, str_text(&relative), depth + 1, st));
        goto out;
    }
    if (!S_ISREG(info.st_mode))
        FAIL(st, RC_FORMAT, "%s: a model's folder holds plain files and folders only", str_text(&full));
    if (w->out->n >= FILES_MAX)
        FAIL(st, RC_LIMIT, "%s: over %d files", w->root, FILES_MAX);
    TRY(mem_grow(&w->out->files, w->out->n, &w->cap, sizeof *w->out->files, st));
    struct file_digest *f = &w->out->files[w->out->n];
    *f = (struct file_digest){ 0 };
    TRY(file_digest(str_text(&full), f, st));
    f->path = relative.data;
    relative = (struct str){ 0 };
    w->out->n++;
out:
    str_release(&relative);
    str_release(&full);
    return rc;
}

static int folder_walk(struct walk *w, const char *below, int depth, struct status *st)
{
    int rc = 0;
    DIR *folder = NULL;
    struct str full = { 0 };
    TRY(path_join(w->root, below, &full, st));
    if (depth > DEPTH_MAX)
        FAIL(st, RC_LIMIT, "%s: over %d folders deep", str_text(&full), DEPTH_MAX);
    folder = opendir(str_text(&full));
    if (!folder)
        FAIL(st, RC_IO, "%s: %s", str_text(&full), strerror(errno));
    for (struct dirent *e; (e = readdir(folder));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (depth == 0 && left_out(e->d_name)))
            continue;
        TRY(entry_take(w, below, e->d_name, depth, st));
    }
out:
    if (folder)
        closedir(folder);
    str_release(&full);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct file_digest *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int folder_digest(const char *path, struct path_digest *d, struct status *st)
{
    int rc = 0;
    struct sha256 *all = NULL;
    struct walk w = { .root = path, .out = d };
    TRY(folder_walk(&w, "", 0, st));
    if (d->n == 0)
        FAIL(st, RC_FORMAT, "%s: the folder holds no file", path);
    qsort(d->files, d->n, sizeof *d->files, by_path);
    TRY(sha256_open(&all, st));
    for (size_t i = 0; i < d->n; i++)
        sha256_add(all, d->files[i].hash.b, sizeof d->files[i].hash.b);
    d->hash = sha256_end(all);
    d->directory = true;
out:
    return rc;
}

int path_digest(const char *path, struct path_digest *out, struct status *st)
{
    int rc = 0;
    struct path_digest d = { 0 };
    if (path_is_dir(path)) {
        TRY(folder_digest(path, &d, st));
    } else {
        struct str dot = { 0 };
        d.files = mem_calloc(1, sizeof *d.files);
        str_puts(&dot, ".");
        if (!d.files || str_check(&dot, NULL))
            FAIL(st, RC_NOMEM, "%s: no memory for a digest", path);
        d.n = 1;
        d.files[0].path = dot.data;
        TRY(file_digest(path, &d.files[0], st));
        d.hash = d.files[0].hash;
    }
    *out = d;
    d = (struct path_digest){ 0 };
out:
    path_digest_release(&d);
    return rc;
}

void path_digest_release(struct path_digest *d)
{
    for (size_t i = 0; i < d->n; i++)
        mem_free(d->files[i].path);
    mem_free(d->files);
    *d = (struct path_digest){ 0 };
}
