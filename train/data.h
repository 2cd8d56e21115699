/* Training files (docs/formats 2): lines of JSON to sequences of tokens with their supervised targets. */
#ifndef LETHE_TRAIN_DATA_H
#define LETHE_TRAIN_DATA_H

#include "base/str.h"
#include "model/encode.h"
#include "train/recipe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATA_LINES_MAX = 1 << 20 };
#define DATA_BYTES_MAX ((uint64_t)4 << 30)

struct data_options {
    struct encoder encoder; /* its len_max is the recipe's length */
    enum on_long on_long;
    enum on_empty on_empty;
};

/* A line of a file: a row of run/supervision.jsonl. */
struct data_line {
    char *id;
    uint32_t file;   /* which of the files */
    uint32_t number; /* in it, from 1 */
    uint32_t tokens, supervised, first;
    uint32_t flags; /* LM_NONPREFIX | LM_TRUNCATED */
    bool dropped;   /* not trained on; supervised is 0 */
    enum line_form form;
    uint32_t turns;      /* messages: assistant turns in the line */
    uint32_t turn_first; /* messages: index of the first assistant turn, 1 or 2 */
};

/* What one update counts in: ids[0 … n) with mask[i] 1 where token i is a target (mask[0] is 0). */
struct data_sequence {
    uint32_t line;
    uint32_t n, supervised;
    uint32_t scored_before; /* supervised tokens of the line in earlier sequences of a text that was split */
    const int32_t *ids;
    const uint8_t *mask;
};

struct data_file {
    char *path;
    enum line_form form;
    uint64_t size;
    struct hash sha256;
    uint32_t examples, used; /* lines, and those trained on */
    uint32_t dropped_empty;  /* no supervised token */
    uint64_t tokens, supervised;
    uint32_t nonprefix, truncated;
    uint64_t bytes_without_token;
};

struct data {
    struct data_file *files;
    size_t files_n;
    struct data_line *lines; /* in plan order: file after file */
    size_t lines_n;
    struct data_sequence *sequences; /* in the same order */
    size_t sequences_n;
    uint32_t longest; /* tokens of a sequence */
    uint64_t tokens, supervised;
    size_t lines_cap, sequences_cap;
    struct encoded_line *encoded; /* private [lines_n]: what ids and mask point into */
    size_t encoded_cap;
};

/* Loads all or nothing. Errors begin with FILE:LINE: RC_FORMAT (form, keys, roles, an id used twice, no
 * supervised token, an empty file), RC_LIMIT (a sequence or file too long). */
MUST_USE int data_load(const char *const *paths, size_t n, const struct data_options *options,
                       struct data *out, struct status *st);
/* One file's bytes, for tests and fuzzing; `name` stands in messages. */
MUST_USE int data_parse(const char *name, const char *bytes, size_t size, const struct data_options *options,
                        struct data *out, struct status *st);
void data_release(struct data *d);

/* Calls `take` with every line of a file, read as JSON and no further. Errors, those of `take` too, begin
 * with FILE:LINE. */
MUST_USE int data_lines(const char *path, int (*take)(void *self, const struct json *line, struct status *st),
                        void *self, struct status *st);

/* Every text of a line in order: prompt and completion, contents of all turns, the text. RC_LIMIT: over
 * DATA_TEXTS_MAX turns. */
enum { DATA_TEXTS_MAX = 4096 };
MUST_USE int data_line_texts(const struct json *line, const char *texts[DATA_TEXTS_MAX], size_t *n,
                             struct status *st);
/* The same of all lines of a file, for the contamination check. Calls `take` once a line. */
MUST_USE int data_texts(const char *path,
                        int (*take)(void *self, const char *const *texts, size_t n, struct status *st),
                        void *self, struct status *st);

#endif
