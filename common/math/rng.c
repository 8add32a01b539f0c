/* See rng.h. */
#include "math/rng.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "math/simd.h"

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

/* Words [first, first + n) of one block, n at most what it has from there. */
static void s_some(uint64_t seed, rng_purpose_t purpose, uint32_t step, uint64_t first, size_t n,
                   uint32_t *out)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)(first / 4), (uint32_t)(first / 4 >> 32), step,
                                 (uint32_t)purpose};
    uint32_t word[4];
    rng_philox(counter, key, word);
    memcpy(out, word + first % 4, n * sizeof(*out));
}

#if defined(__x86_64__)
#define VECTOR 4 /* blocks */

/* The words of four blocks, (4,4), the first of which is `block`; a word is the lower half of a
 * lane, the other half is anything. */
__attribute__((target("avx2"))) static void s_four(uint64_t seed, uint32_t purpose, uint32_t step,
                                                   uint64_t block, uint32_t *out)
{
    const __m256i m0 = _mm256_set1_epi64x(M0), m1 = _mm256_set1_epi64x(M1);
    __m256i c0 =
        _mm256_add_epi64(_mm256_set1_epi64x((long long)block), _mm256_setr_epi64x(0, 1, 2, 3));
    __m256i c1 = _mm256_srli_epi64(c0, 32);
    __m256i c2 = _mm256_set1_epi64x(step), c3 = _mm256_set1_epi64x(purpose);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < ROUNDS; i++) {
        __m256i p0 = _mm256_mul_epu32(m0, c0), p1 = _mm256_mul_epu32(m1, c2);
        c0 = _mm256_xor_si256(_mm256_srli_epi64(p1, 32),
                              _mm256_xor_si256(c1, _mm256_set1_epi64x(k0)));
        c2 = _mm256_xor_si256(_mm256_srli_epi64(p0, 32),
                              _mm256_xor_si256(c3, _mm256_set1_epi64x(k1)));
        c1 = p1;
        c3 = p0;
        k0 += W0;
        k1 += W1;
    }
    __m256i low = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa);
    __m256i high = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
    __m256i even = _mm256_unpacklo_epi64(low, high), odd = _mm256_unpackhi_epi64(low, high);
    _mm256_storeu_si256((void *)out, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((void *)(out + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}

/* Whole blocks from `first`, a multiple of four, on, as many as vectors take; returns how many
 * words these are. */
__attribute__((target("avx2"))) static size_t
s_vectors(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t first, size_t n, uint32_t *out)
{
    size_t i = 0;
    for (; n - i >= VECTOR * 4; i += VECTOR * 4)
        s_four(seed, purpose, step, (first + i) / 4, out + i);
    return i;
}
#endif

void rng_fill(uint64_t seed, rng_purpose_t purpose, uint32_t step, uint64_t first, size_t n,
              uint32_t *out)
{
    for (size_t i = 0, some; i < n; i += some) {
        uint64_t at = first + i;
        some = 4 - at % 4 < n - i ? 4 - at % 4 : n - i;
#if defined(__x86_64__)
        if (at % 4 == 0 && n - i >= VECTOR * 4 && simd_path() >= SIMD_AVX2) {
            some = s_vectors(seed, (uint32_t)purpose, step, at, n - i, out + i);
            continue;
        }
#endif
        s_some(seed, purpose, step, at, some, out + i);
    }
}
