/* An operator at a shape, in device memory, beside its reference in double precision.
 *
 * A row says operator, sizes and tolerances. scene_make lays its tensors out in an arena, fills inputs with
 * random numbers and everything else with canaries; scene_run lets the device run a pass over it; check.h
 * compares.
 */
#ifndef LETHE_SELFTEST_SCENE_H
#define LETHE_SELFTEST_SCENE_H

#include "gpu/device.h"
#include "gpu/op.h"
#include "gpu/weight.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INPUTS = 5, OUTPUTS = 4, SIZES = 8, FLOATS = 1 << 20, GUARD = 1024, ARENA = 16 << 20 };
enum { PAGE = 4096, EDGES = INPUTS * 2 + OUTPUTS + 2 };

/* What an output or gradient holds before the operator runs, and so what it holds after. */
enum before {
    BEFORE_CANARY, /* the operator sets it */
    BEFORE_RANDOM, /* the operator adds to it */
    BEFORE_ZERO,   /* it sets part of it */
    BEFORE_INPUT,  /* it works in place, on the input (a gradient: on dy) */
    BEFORE_A,      /* a gradient in place of input 0 */
};

/* [n / width, width] floats, in rows of `stride`, or packed as weights are: units, groups, units turned. */
struct tensor {
    size_t n, width, stride;
    size_t room; /* floats behind it that kernels may read */
    bool packed;
    enum weight format;
    enum before before;
    size_t at, floats;           /* first byte in the arena; size there */
    size_t groups_at, turned_at; /* bytes, of a packed one */
};

struct row {
    enum op op;
    uint32_t n[SIZES];
    double fwd, bwd; /* tolerances, relative to 1 + |value| */
    bool full;       /* too slow for every change */
    bool widths;     /* one of those that tests/cli/widths.sh runs */
};
extern const struct row ROWS[];
extern const size_t ROWS_N;

struct panel;

struct scene {
    struct gpu *gpu;
    struct gpu_buffer arena;
    unsigned char *before, *after, *again; /* [ARENA] what was written there, and read from there */
    double (*ref_in)[FLOATS];              /* [INPUTS] the inputs for the reference */
    struct panel *panel;                   /* of a packed tensor, while it is filled */
    uint32_t *words;                       /* [FLOATS] integers of the arena, for the reference */
    double *scratch;                       /* [FLOATS] of a reference */
    uint64_t stream;                       /* of uniform() */
    /* For tests on software drivers, where a device address is one of this process: every tensor ends where a
     * page does, and the next page cannot be touched while the device runs. */
    bool edges;
    uint64_t edge_pages[EDGES];
    size_t edge_pages_n;

    const struct row *row;
    struct tensor in[INPUTS], out[OUTPUTS], dy, grad[INPUTS];
    struct tensor ints;              /* of 32-bit words, in `words` */
    size_t block;                    /* byte of the block of addresses */
    size_t end;                      /* of the arena that is in use */
    struct op_args args[PASS_COUNT]; /* sizes and scalars */
    uint64_t seed;
    enum pass pass; /* under way */
    bool no_bwd1;
    bool halves; /* scene_halve */
};

/* What stands behind an operator of the table. */
struct spec {
    void (*shape)(struct scene *s);
    void (*ref)(const struct scene *s, double *const out[OUTPUTS]);
    void (*values)(struct scene *s); /* changes ref_in where not everything in [-2, 2) makes sense */
    /* What dy is the cotangent of, where that is not output 0. */
    void (*loss)(const struct scene *s, double *out);
    /* A part of the loss with cotangents of its own. */
    double (*more)(const struct scene *s);
    /* Pointers of each pass: a-e inputs, g groups and t turned units of the packed one, i words, w-z outputs,
     * + dy, A-E gradients, 0 nothing, & a block of all that follow. */
    const char *p[PASS_COUNT];
    bool needs_forward; /* its backward passes read outputs */
    bool same_bits;     /* every variant adds in the same order */
    const char *by_row; /* pointers to what has a row for each row of output 0 */
};
extern const struct spec SPECS[OP_COUNT];

double uniform(struct scene *s); /* in [-2, 2), of the row's own stream */
uint32_t uniform_below(struct scene *s, uint32_t n);

/* Takes the arena and room for the references: some 200 MB of addresses, of which rows touch a part. */
MUST_USE int scene_open(struct gpu *g, struct scene *s, struct status *st);
void scene_close(struct scene *s);

/* Whether the variant has the pass, on this device and for the row's sizes. The scene is no longer of use. */
bool scene_serves(struct scene *s, const struct row *row, enum pass pass, enum variant variant);
/* Another row, or the same with other numbers. A row that does not fit is our mistake (assert). */
void scene_make(struct scene *s, const struct row *row, uint64_t seed);
uint64_t scene_pointer(const struct scene *s, char c); /* of a letter of spec.p */
size_t scene_output(char c);                           /* number of the output of w-z */
/* Rounds the factors of a product to f16 for the reference, dy among them; the device's stay. */
void scene_halve(struct scene *s);
double scene_cotangent(const struct scene *s, size_t i); /* element of dy, for the reference */
/* Writes `before` to the device, runs the pass, reads `after`. */
MUST_USE int scene_run(struct scene *s, enum pass pass, enum variant variant, struct status *st);
/* The same with the caller's addresses and sizes. */
MUST_USE int scene_call(struct scene *s, const struct op_call *call, struct status *st);

size_t tensor_place(const struct tensor *t, size_t i); /* of element i, in floats from the tensor's start */
float tensor_get(const unsigned char *bytes, const struct tensor *t, size_t i);

#endif
