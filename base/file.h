/* Files: whole reads under a limit, writes that are either there or not. Messages name the path. */
#ifndef LETHE_BASE_FILE_H
#define LETHE_BASE_FILE_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RC_LIMIT: over bytes_max. RC_IO: cannot be read, or is not a plain file. */
MUST_USE int file_read(const char *path, size_t bytes_max, struct str *out, struct status *st);
/* A temporary file beside it, fsync, rename, fsync of the folder. On failure the old file is untouched and
 * nothing is left behind. mode as in open(2). */
MUST_USE int file_write(const char *path, const void *data, size_t n, unsigned mode, struct status *st);
/* As file_write, but RC_IO when the file is there. */
MUST_USE int file_create(const char *path, const void *data, size_t n, unsigned mode, struct status *st);
/* file_write for what does not fit memory: nothing is there before file_writer_finish, and then all of it. */
struct file_writer;
MUST_USE int file_writer_open(const char *path, struct file_writer **out, struct status *st);
MUST_USE int file_writer_put(struct file_writer *w, const void *data, size_t n, struct status *st);
MUST_USE int file_writer_finish(struct file_writer *w, unsigned mode, struct status *st);
void file_writer_close(struct file_writer *w); /* NULL is nothing; without finish it leaves nothing */
/* The same of a folder: its files are made below `temporary`. RC_IO: the name is taken. */
struct folder_out {
    struct str path, temporary;
};
MUST_USE int folder_out_open(const char *path, struct folder_out *out, struct status *st);
MUST_USE int folder_out_commit(struct folder_out *f, struct status *st);
void folder_out_close(struct folder_out *f); /* after either; a zeroed one is fine */
/* What killed processes left of files that they wrote, in a folder and those below it. */
void file_leftovers_remove(const char *folder);
MUST_USE int dir_make(const char *path, struct status *st); /* with its parents; there already is fine */
bool path_exists(const char *path);
bool path_is_dir(const char *path);
MUST_USE int path_join(const char *folder, const char *name, struct str *out, struct status *st);
const char *path_name(const char *path); /* what follows the last slash */

/* Read-only view of a whole file (mmap). */
struct file_map {
    const uint8_t *data;
    size_t size;
};
MUST_USE int file_map_open(const char *path, struct file_map *out, struct status *st);
void file_map_close(struct file_map *m);
/* The pages of a part of a view leave memory; a later look reads them from the file again. */
void file_map_forget(const uint8_t *from, size_t n);

/* Lines of a buffer. Every line must end in LF, none may be over JSON_LINE_BYTES_MAX. */
struct lines {
    const char *data;
    size_t size, at;
    size_t number; /* of the line that lines_next gave last, from 1 */
};
/* true: *line (without LF) and *n are set. false: at the end, or (with st->rc) a broken last line. */
bool lines_next(struct lines *l, const char **line, size_t *n, struct status *st);

struct time_text {
    char s[32];
};
struct time_text time_now_ms(void); /* 2026-11-24T12:10:00.000Z */
struct time_text time_now_s(void);  /* 2026-11-24T12:10:00Z */
bool time_is_valid(const char *text);
double clock_seconds(void); /* monotonic */

#endif
