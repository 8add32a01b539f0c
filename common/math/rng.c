/* See rng.h. */
#include "math/rng.h"

#define ROUNDS 10
#define M0     0xD2511F53u
#define M1     0xCD9E8D57u
#define W0     0x9E3779B9u
#define W1     0xBB67AE85u

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t p0 = (uint64_t)M0 * c0;
        uint64_t p1 = (uint64_t)M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += W0;
        k1 += W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void rng_fill(uint64_t seed, rng_purpose_t purpose, uint32_t step, uint64_t first, size_t n,
              uint32_t *out)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t word[4];
    uint64_t group = first / 4;
    size_t lane = first % 4;
    for (size_t i = 0; i < n; group++, lane = 0) {
        const uint32_t counter[4] = {(uint32_t)group, (uint32_t)(group >> 32), step,
                                     (uint32_t)purpose};
        rng_philox(counter, key, word);
        for (; lane < 4 && i < n; lane++)
            out[i++] = word[lane];
    }
}
