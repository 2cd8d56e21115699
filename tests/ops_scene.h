/* For test_ops.c: an operator at a shape, in device memory, beside its reference in double precision. */
#ifndef LETHE_TESTS_OPS_SCENE_H
#define LETHE_TESTS_OPS_SCENE_H

#include "gpu/device.h"
#include "gpu/op.h"
#include "gpu/weight.h"

enum { INPUTS = 5, OUTPUTS = 3, SIZES = 8, FLOATS = 1 << 20, GUARD = 1024, ARENA = 16 << 20 };

/* What an output or gradient holds before the operator runs, and so what it holds after. */
enum before {
    BEFORE_CANARY, /* the operator sets it */
    BEFORE_RANDOM, /* the operator adds to it */
    BEFORE_ZERO,   /* it sets part of it */
    BEFORE_INPUT,  /* it works in place, on the input (a gradient: on dy) */
    BEFORE_A,      /* a gradient in place of input 0 */
};

/* [n / width, width] floats, in rows of `stride`, or packed as weights are: units, groups, and units turned.
 * */
struct tensor {
    size_t n, width, stride;
    size_t room; /* floats behind it that kernels may read */
    bool packed;
    enum weight format;
    enum before before;
    size_t at, floats;           /* first byte in the arena; size there */
    size_t groups_at, turned_at; /* bytes, of a packed one */
};

struct row;

struct scene {
    const struct row *row;
    struct tensor in[INPUTS], out[OUTPUTS], dy, grad[INPUTS];
    struct tensor ints;              /* of 32-bit words, in `words` */
    size_t block;                    /* byte of the block of addresses */
    size_t end;                      /* of the arena that is in use */
    struct op_args args[PASS_COUNT]; /* sizes and scalars */
    uint64_t seed;
    enum pass pass; /* under way */
    bool no_bwd1;
};

struct row {
    enum op op;
    uint32_t n[SIZES];
    double fwd, bwd; /* tolerances */
    bool full;       /* too slow for every change: runs under LETHE_FULL */
};

/* What stands behind an operator of the table. */
struct spec {
    void (*shape)(struct scene *s);
    void (*ref)(const struct scene *s, double *const out[OUTPUTS]);
    void (*values)(void); /* changes ref_in where not everything in [-2, 2) makes sense */
    /* What dy is the cotangent of, where that is not output 0. */
    void (*loss)(const struct scene *s, double *out);
    /* A part of the loss with cotangents of its own. */
    double (*more)(const struct scene *s);
    /* Pointers of each pass: a-e inputs, g groups and t turned units of the packed one, i words, x-z outputs,
     * + dy, A-E gradients, 0 nothing, s seed, & a block of all that follow. */
    const char *p[PASS_COUNT];
    bool needs_forward; /* its backward passes read outputs */
    bool same_bits;     /* every variant adds in the same order */
    const char *by_row; /* pointers to what has a row for each row of output 0 */
};
extern const struct spec SPECS[OP_COUNT];

/* The same values for the reference. */
extern double ref_in[INPUTS][FLOATS];
extern uint32_t words[FLOATS];

double uniform(void); /* in [-2, 2), of the row's own stream */
uint32_t uniform_below(uint32_t n);
void uniform_seed(uint64_t seed);

#endif
