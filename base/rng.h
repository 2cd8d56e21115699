/* Philox4x32-10 and what draws from it (docs/formats 0.7): any draw can be computed alone. */
#ifndef LETHE_BASE_RNG_H
#define LETHE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

enum rng_purpose {
    RNG_BOOTSTRAP = 0x626F6F74,
    RNG_ORDER = 0x6F726465,
    RNG_INIT = 0x696E6974,
    RNG_DROPOUT = 0x64726F70,
    RNG_SAMPLING = 0x73616D70,
    RNG_DARE = 0x64617265,
    RNG_PILOT = 0x70696C6F,
    RNG_NOISE = 0x6E6F6973,
    RNG_SEARCH = 0x73726368,
    RNG_STRATA = 0x73747261, /* which items of a stratum a sample takes */
    RNG_SPLIT = 0x73706C74,  /* which sources or tags are held out of training data */
};

struct rng_block {
    uint32_t w[4];
};
struct rng_block philox(const uint32_t counter[4], uint64_t key);
/* Block of a purpose at its coordinates. */
struct rng_block rng_at(uint64_t seed, enum rng_purpose purpose, uint32_t a, uint32_t b, uint32_t c);
/* Index below n from a 64-bit draw: the high half of u * n. n < 2^32. */
uint32_t rng_below(uint64_t u, uint32_t n);
/* Uniform in (0, 1), exact in f32. */
float rng_uniform(uint32_t w);
/* Order of examples of an epoch: a Fisher-Yates of 0 … n-1 into out[n]. list 0: training data, 1:
 * replay. */
void rng_order(uint64_t seed, uint32_t epoch, uint32_t list, uint32_t n, uint32_t *out);

#endif
