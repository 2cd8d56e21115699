/* Arithmetic that decides (docs/formats 0.6): integers and IEEE-754 double + - * / sqrt in a fixed order,
 * so that two programs agree in every bit. No exp, log or pow of a C library. */
#ifndef LETHE_EVAL_EXACT_H
#define LETHE_EVAL_EXACT_H

#include "base/status.h"

#include <stdint.h>

#define MICRONATS_PER_BIT 693147.18055994531 /* 10^6 ln 2 */
#define LL_ABS_MAX        1e6

/* ll in nats to whole micro-nats, half to even. RC_LIMIT: |ll| over a million, or not a number. */
MUST_USE int micronats(double ll, int64_t *out, struct status *st);
/* e^x, error at most 2 ulp; 0 below -708. RC_LIMIT: x over 709. */
MUST_USE int exact_exp(double x, double *out, struct status *st);
/* Two-sided exact McNemar test of b against c discordant items; 1 when there are none. */
double exact_mcnemar(uint64_t b, uint64_t c);
/* Wilson's interval at 95 % for k of n, n > 0. */
void exact_wilson(uint64_t k, uint64_t n, double *lower, double *upper);

#endif
