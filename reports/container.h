/* The file that holds an archive: one zstd frame around a plain ustar stream, members in ascending order of
 * their names (docs/formats/archive.md, container).
 *
 * The reader trusts nothing: the frame is walked to the end of the file first, each tar header is built again
 * from its name and size and compared whole, and limits hold while bytes stream, before memory is taken.
 */
#ifndef LETHE_REPORTS_CONTAINER_H
#define LETHE_REPORTS_CONTAINER_H

#include "reports/keys.h"

enum { CONTAINER_NAME_BYTES_MAX = 100, CONTAINER_MEMBERS_MAX = 4096, CONTAINER_HEADER_BYTES = 512 };
#define CONTAINER_FILE_BYTES_MAX     (UINT64_C(4) << 30)
#define CONTAINER_EXPANDED_BYTES_MAX (UINT64_C(16) << 30) /* and 200 x file + 64 MiB */
#define CONTAINER_MEMBER_BYTES_MAX   (UINT64_C(2) << 30)
#define CONTAINER_WINDOW_BYTES_MAX   (UINT64_C(128) << 20)

/* part(/part)*, part = [a-z0-9][a-z0-9_.-]*, at most 100 bytes. */
bool container_name_valid(const char *name, size_t n);
/* The one header that a member of this name and size may have. name is valid, size under 8 GiB. */
void container_header(const char *name, uint64_t size, uint8_t out[CONTAINER_HEADER_BYTES]);

/* ---- writing: into a temporary file beside `path`, there under its name only after container_finish ---- */
struct container_writer;
MUST_USE int container_create(const char *path, struct container_writer **out, struct status *st);
/* RC_ARG: the name breaks the rule or does not follow the one before. RC_LIMIT: over a limit above. */
MUST_USE int container_add(struct container_writer *w, const char *name, struct bytes data,
                           struct status *st);
/* Replaces what is at path. The writer must still be closed. */
MUST_USE int container_finish(struct container_writer *w, struct status *st);
void container_close(struct container_writer *w); /* NULL is fine; removes what was not finished */

/* ---- reading ---- */
/* Gets the members in order. chunk comes any number of times with n > 0 and adds up to size. A nonzero answer
 * ends the walk with it. Functions may be NULL. A member's bytes are believed only when the walk ends with
 * 0. */
struct container_sink {
    void *self;
    int (*begin)(void *self, const char *name, uint64_t size, struct status *st);
    int (*chunk)(void *self, const void *data, size_t n, struct status *st);
    int (*end)(void *self, struct status *st);
};
/* Every rule of the container over the whole file. RC_FORMAT or RC_LIMIT with one sentence that names the
 * place. */
MUST_USE int container_walk(const char *path, const struct container_sink *sink, struct status *st);
MUST_USE int container_walk_memory(struct bytes file, const struct container_sink *sink, struct status *st);

/* Members whose names `wanted` accepts (NULL: all), whole in memory; RC_LIMIT when they are over bytes_max
 * together. */
struct container_member {
    char *name;
    struct str data;
};
struct container {
    size_t n;
    struct container_member *members; /* [n], in order of name */
    uint64_t bytes;
};
struct container_filter {
    void *self;
    bool (*wanted)(void *self, const char *name);
    uint64_t bytes_max;
};
MUST_USE int container_load(const char *path, const struct container_filter *filter, struct container *out,
                            struct status *st);
MUST_USE int container_load_memory(struct bytes file, const struct container_filter *filter,
                                   struct container *out, struct status *st);
void container_release(struct container *c);
const struct container_member *container_find(const struct container *c, const char *name); /* or NULL */

/* One member by name, appended to out after the whole file was walked. RC_ARG: there is none. */
MUST_USE int container_read_member(const char *path, const char *name, struct str *out, struct status *st);

const char *container_library_version(void);    /* of libarchive, as it runs */
const char *container_compressor_version(void); /* of libzstd */

#endif
