/* Is what the device makes of an operator right?
 *
 *   forward   outputs are within fwd (1 + |y|) of the reference.
 *   backward  sampled elements of each gradient are within bwd (1 + |g|) of central differences of the
 *             reference, contracted with a random cotangent: nobody writes a second backward, and no gradient
 *             hides in a sum.
 *   repeat    a second run gives the same bits, and so does every variant of a product and of attention.
 *   canaries  no byte outside the outputs changed: inputs hold what they held, all else a hash of its offset.
 */
#ifndef LETHE_SELFTEST_CHECK_H
#define LETHE_SELFTEST_CHECK_H

#include "selftest/scene.h"

struct check;
MUST_USE int check_open(struct gpu *g, struct check **out, struct status *st);
void check_close(struct check *c);
struct scene *check_scene(struct check *c); /* for tests that look closer */

/* One pass of one variant at a row. *worst is the largest error, relative to 1 + |value|, also behind
 * RC_VERIFY: checked, and wrong, with the first wrong value in the sentence. A pass that the row has not is
 * right. */
MUST_USE int check_pass(struct check *c, const struct row *row, enum pass pass, enum variant variant,
                        uint64_t seed, double *worst, struct status *st);

/* All rows of an operator but those of the full tier. */
struct check_sum {
    size_t rows, wrong;      /* 0 rows: the device does not serve this */
    double worst, tolerance; /* of the row that comes nearest to its tolerance, or goes furthest beyond */
    struct status why;       /* of the first wrong row */
};
MUST_USE int check_all(struct check *c, enum op op, enum pass pass, enum variant variant,
                       struct check_sum *out, struct status *st);

#endif
