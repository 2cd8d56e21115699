/* What the files row*.c share; nobody else includes this. */
#ifndef LETHE_EVAL_ROW_PRIVATE_H
#define LETHE_EVAL_ROW_PRIVATE_H

#include "eval/row.h"

#define IN(kind) (1u << PROBE_##kind)
enum {
    ROW_ALL = IN(choice) | IN(pair) | IN(cloze) | IN(exact) | IN(text),
    ROW_RIGHT = IN(choice) | IN(pair) | IN(cloze) | IN(exact),
    ROW_MANY = IN(choice) | IN(pair) | IN(cloze), /* one number a choice or answer */
    ROW_STOPS = 3,
    ROW_FLAGS = 2,
};
extern const char *const row_stop_names[ROW_STOPS];
extern const char *const row_flag_names[ROW_FLAGS]; /* in the order of their bits */

/* The arrays of n that the row's kind has, zeroed. */
MUST_USE int row_take_arrays(struct item_row *row, bool unconditional, struct pool *pool, struct status *st);

#endif
