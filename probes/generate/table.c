#include "probes/generate/table.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"

#include <ctype.h>
#include <string.h>

static const char *const folders[] = { "probes/sets/facts", "demo/facts" };

/* Cuts one line into cells at its tabs, in place. */
static int line_cut(char *line, const char **cells, size_t *n, struct status *st)
{
    int rc = 0;
    *n = 0;
    for (char *at = line; at != NULL;) {
        char *tab = strchr(at, '\t');
        if (*n == TABLE_COLUMNS_MAX)
            FAIL(st, RC_LIMIT, "over %d columns", TABLE_COLUMNS_MAX);
        cells[(*n)++] = at;
        if (tab != NULL)
            *tab++ = 0;
        at = tab;
    }
out:
    return rc;
}

static int table_parse(struct table *t, struct status *st)
{
    int rc = 0;
    size_t number = 0;
    t->cells = mem_calloc((size_t)TABLE_ROWS_MAX * TABLE_COLUMNS_MAX, sizeof *t->cells);
    if (t->cells == NULL)
        FAIL(st, RC_NOMEM, "no memory for a table");
    for (char *line = t->text.data; line != NULL && *line != 0;) {
        const char *cells[TABLE_COLUMNS_MAX];
        size_t n = 0;
        char *end = strchr(line, '\n');
        if (end == NULL)
            FAIL(st, RC_FORMAT, "the last line does not end");
        *end = 0;
        number++;
        if (*line != '#') {
            TRY(line_cut(line, cells, &n, st));
            if (t->n_columns != 0 && n != t->n_columns)
                FAIL(st, RC_FORMAT, "line %zu: %zu cells, wanted %zu", number, n, t->n_columns);
            if (t->rows == TABLE_ROWS_MAX)
                FAIL(st, RC_LIMIT, "over %d rows", TABLE_ROWS_MAX);
            if (t->n_columns == 0) {
                memcpy(t->columns, cells, n * sizeof *cells);
                t->n_columns = n;
            } else {
                memcpy(t->cells + t->rows * n, cells, n * sizeof *cells);
                t->rows++;
            }
        }
        line = end + 1;
    }
    if (t->rows == 0)
        FAIL(st, RC_FORMAT, "no rows");
out:
    return rc;
}

int tables_get(struct tables *all, const char *name, const struct table **out, struct status *st)
{
    int rc = 0;
    struct str path = { 0 };
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->table[i].name, name) == 0) {
            *out = &all->table[i];
            return 0;
        }
    if (all->n == TABLES_MAX || strlen(name) >= TABLE_NAME_MAX)
        FAIL(st, RC_LIMIT, "table '%s': over %d tables, or its name is too long", name, TABLES_MAX);
    struct table *t = &all->table[all->n];
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        str_clear(&path);
        str_printf(&path, "%s/%s/%s.tsv", all->root, folders[i], name);
        TRY(str_check(&path, st));
        if (path_exists(path.data))
            break;
    }
    all->n++; /* so that a broken table is released too */
    str_clear(&t->text);
    memcpy(t->name, name, strlen(name) + 1);
    TRY(file_read(path.data, TABLE_BYTES_MAX, &t->text, st));
    rc = table_parse(t, st);
    if (rc != 0)
        status_prefix(st, "%s", path.data);
    else
        *out = t;
out:
    str_release(&path);
    return rc;
}

void tables_release(struct tables *all)
{
    for (size_t i = 0; i < all->n; i++) {
        str_release(&all->table[i].text);
        mem_free(all->table[i].cells);
    }
    all->n = 0;
}

int table_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i], name) == 0)
            return (int)i;
    return -1;
}

int table_cell(const struct table *t, size_t row, const char *column, const char **out, struct status *st)
{
    int at = table_column(t, column);
    if (at < 0)
        return status_fail(st, RC_FORMAT, "table '%s' has no column '%s'", t->name, column);
    *out = t->cells[row * t->n_columns + (size_t)at];
    return 0;
}

void draws_init(struct draws *d, uint64_t seed, const char *name)
{
    struct hash h = sha256_of(name, strlen(name));
    *d = (struct draws){ .seed = seed };
    for (int i = 3; i >= 0; i--)
        d->stream = d->stream << 8 | h.b[i];
}

uint32_t draws_below(struct draws *d, uint32_t n)
{
    /* The purpose "suit" is no purpose of a run: suites are made before any. */
    uint32_t counter[4] = { d->at++, d->stream, 0, 0x73756974 };
    struct rng_block b = philox(counter, d->seed);
    return rng_below((uint64_t)b.w[1] << 32 | b.w[0], n);
}

void draws_shuffle(struct draws *d, size_t n, uint32_t *order)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        uint32_t j = draws_below(d, (uint32_t)i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* Row bound to a key ("people", "people2"), drawn at its first use; a table's keys get different rows. */
static int bound_row(struct expansion *e, const char *key, const struct table *t, uint32_t *row,
                     struct status *st)
{
    struct bindings *b = &e->bindings;
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->bound[i].key, key) == 0) {
            *row = b->bound[i].row;
            return 0;
        }
    if (b->n == sizeof b->bound / sizeof *b->bound)
        return status_fail(st, RC_LIMIT, "over 16 slots in a template");
    size_t stem = strlen(t->name);
    for (bool taken = true; taken;) {
        *row = draws_below(e->draws, (uint32_t)t->rows);
        taken = false;
        for (size_t i = 0; i < b->n; i++)
            taken |= strncmp(b->bound[i].key, t->name, stem) == 0 && b->bound[i].row == *row && t->rows > 1;
    }
    memcpy(b->bound[b->n].key, key, strlen(key) + 1);
    b->bound[b->n++].row = *row;
    return 0;
}

static int slot_fill(struct expansion *e, char *slot, struct str *out, struct status *st)
{
    int rc = 0;
    const char *cell = NULL;
    char name[TABLE_NAME_MAX];
    char *dot = strchr(slot, '.');
    if (dot == NULL) {
        if (e->own == NULL)
            FAIL(st, RC_FORMAT, "slot '%s' without a table", slot);
        TRY(table_cell(e->own, e->row, slot, &cell, st));
    } else {
        const struct table *t = NULL;
        uint32_t row = 0;
        *dot = 0;
        size_t stem = strlen(slot);
        memcpy(name, slot, stem + 1);
        while (stem > 1 && isdigit((unsigned char)name[stem - 1]))
            name[--stem] = 0;
        TRY(tables_get(e->tables, name, &t, st));
        TRY(bound_row(e, slot, t, &row, st));
        TRY(table_cell(t, row, dot + 1, &cell, st));
    }
    str_puts(out, cell);
out:
    return rc;
}

int expand(struct expansion *e, const char *text, struct str *out, struct status *st)
{
    int rc = 0;
    for (const char *at = text; *at != 0; at++) {
        char slot[TABLE_NAME_MAX];
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        if (end == NULL) {
            const bool feed = at[0] == '\\' && at[1] == 'n';
            str_putc(out, feed ? '\n' : *at);
            at += feed;
            continue;
        }
        size_t n = (size_t)(end - at) - 1;
        if (n >= sizeof slot)
            FAIL(st, RC_LIMIT, "slot of %zu bytes in '%s'", n, text);
        memcpy(slot, at + 1, n);
        slot[n] = 0;
        TRY(slot_fill(e, slot, out, st));
        at = end;
    }
    TRY(str_check(out, st));
out:
    return rc;
}
