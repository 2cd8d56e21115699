/* Fact tables: text files with tabs. The first line that does not begin with "#" names the columns; "-" is a
 * cell that is not known. Private to probes/generate. */
#ifndef LETHE_GENERATE_TABLE_H
#define LETHE_GENERATE_TABLE_H

#include "base/status.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum { TABLE_COLUMNS_MAX = 12, TABLE_ROWS_MAX = 1024, TABLE_NAME_MAX = 32, TABLES_MAX = 128 };
#define TABLE_BYTES_MAX ((size_t)1 << 20)

struct table {
    char name[TABLE_NAME_MAX];
    struct str text; /* what the cells point into */
    const char *columns[TABLE_COLUMNS_MAX];
    size_t n_columns;
    const char **cells; /* [rows * n_columns] */
    size_t rows;
};
/* Tables by name, read from <folder>/<name>.tsv when first asked for: facts of suites, then of the demo. */
struct tables {
    const char *root;
    struct table table[TABLES_MAX];
    size_t n;
};

MUST_USE int tables_get(struct tables *all, const char *name, const struct table **out, struct status *st);
void tables_release(struct tables *all);
/* Index of a column, or -1. */
int table_column(const struct table *t, const char *name);
/* Cell of a column that must exist. RC_FORMAT naming table and column. */
MUST_USE int table_cell(const struct table *t, size_t row, const char *column, const char **out,
                        struct status *st);

/* Random numbers of one suite: draw k is the block of counter k, so a suite does not depend on the others. */
struct draws {
    uint64_t seed;
    uint32_t stream, at;
};
void draws_init(struct draws *d, uint64_t seed, const char *name);
uint32_t draws_below(struct draws *d, uint32_t n);
void draws_shuffle(struct draws *d, size_t n, uint32_t *order); /* writes 0 … n-1, shuffled */

/* Slots of a template and the rows drawn for them, so that two sentences can share their draws. */
struct bindings {
    struct {
        char key[TABLE_NAME_MAX];
        uint32_t row;
    } bound[16];
    size_t n;
};
/* Appends `text` with \n as a line break and its slots filled: {column} from row `row` of `own` (may be
 * NULL), {table.column} and {table2.column} from drawn rows, different for different digits. */
struct expansion {
    struct tables *tables;
    struct draws *draws;
    const struct table *own;
    size_t row;
    struct bindings bindings;
};
MUST_USE int expand(struct expansion *e, const char *text, struct str *out, struct status *st);

#endif
