#include "base/rng.h"

enum { ROUNDS = 10 };

struct rng_block philox(const uint32_t counter[4], uint64_t key)
{
    struct rng_block c = { { counter[0], counter[1], counter[2], counter[3] } };
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t a = (uint64_t)c.w[0] * 0xD2511F53u, b = (uint64_t)c.w[2] * 0xCD9E8D57u;
        c = (struct rng_block){ { (uint32_t)(b >> 32) ^ c.w[1] ^ k0, (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ c.w[3] ^ k1, (uint32_t)a } };
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

struct rng_block rng_at(uint64_t seed, enum rng_purpose purpose, uint32_t a, uint32_t b, uint32_t c)
{
    return philox((const uint32_t[4]){ a, b, c, (uint32_t)purpose }, seed);
}

uint32_t rng_below(uint64_t u, uint32_t n)
{
    return (uint32_t)(((u >> 32) * n + (((u & 0xffffffffu) * n) >> 32)) >> 32);
}

float rng_uniform(uint32_t w)
{
    return ((float)(w >> 9) + 0.5f) * 0x1p-23f;
}

void rng_order(uint64_t seed, uint32_t epoch, uint32_t list, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        struct rng_block b = rng_at(seed, RNG_ORDER, i, epoch, list);
        uint32_t j = rng_below((uint64_t)b.w[1] << 32 | b.w[0], i + 1), swapped = out[i];
        out[i] = out[j];
        out[j] = swapped;
    }
}
