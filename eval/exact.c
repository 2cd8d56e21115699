#include "eval/exact.h"

#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles are computed as doubles");

int micronats(double ll, int64_t *out, struct status *st)
{
    if (!(ll >= -LL_ABS_MAX && ll <= LL_ABS_MAX))
        return status_fail(st, RC_LIMIT, "a log-likelihood of %g nats, wanted at most %g either way", ll,
                           LL_ABS_MAX);
    *out = (int64_t)rint(ll * 1e6);
    return 0;
}

int exact_exp(double x, double *out, struct status *st)
{
    if (!(x <= 709))
        return status_fail(st, RC_LIMIT, "exp of %g, over 709", x);
    if (x < -708) {
        *out = 0;
        return 0;
    }
    // 13! and what is below it is exact in a double, so every coefficient is one correctly rounded division.
    double factorial = 6227020800.0;
    double k = rint(x * 1.4426950408889634);
    double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
    double p = 1 / factorial;
    for (int i = 12; i >= 0; i--) {
        factorial = factorial / (i + 1);
        p = p * r + 1 / factorial;
    }
    *out = ldexp(p, (int)k);
    return 0;
}

double exact_mcnemar(uint64_t b, uint64_t c)
{
    const uint64_t n = b + c, k = b < c ? b : c;
    if (n == 0)
        return 1;
    // C(n, k) as p * 2^e, then the tail's other terms as shares of it: no overflow at any n.
    double p = 1, s = 1, t = 1;
    int64_t e = 0;
    for (uint64_t i = 1; i <= k; i++) {
        int x = 0;
        p = frexp(p * (double)(n - k + i) / (double)i, &x);
        e += x;
    }
    for (uint64_t i = k; i >= 1; i--) {
        t = t * (double)i / (double)(n - i + 1);
        s = s + t;
    }
    double value = ldexp(2 * s * p, (int)(e - (int64_t)n));
    return value < 1 ? value : 1;
}

void exact_wilson(uint64_t k, uint64_t n, double *lower, double *upper)
{
    const double z = 1.959963984540054, of = (double)n;
    double p = (double)k / of;
    double z2 = z * z;
    double den = 1 + z2 / of;
    double mid = (p + z2 / (2 * of)) / den;
    double half = z * sqrt(p * (1 - p) / of + z2 / (4 * of * of)) / den;
    *lower = mid - half > 0 ? mid - half : 0;
    *upper = mid + half < 1 ? mid + half : 1;
}
