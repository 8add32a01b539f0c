/* fma.h with AVX-512; compiled for it, and called on CPUs that have it only. */
#define LANES_512
#define FMA_ROWS 8
#include "math/fma_impl.h"

static const uint8_t s_ascending[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                        11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                        22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static size_t s_pick(const uint8_t *s, size_t n, fma_pick_t *picks)
{
    const __m512i step = _mm512_set1_epi32(16);
    __m512i which = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    fma_pick_t *next = picks;
    for (size_t i = 0; i < n; i += 16) {
        __m128i bytes =
            _mm_maskz_loadu_epi8(n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff, s + i);
        __mmask16 some = _mm_test_epi8_mask(bytes, bytes);
        __m512i pairs = _mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 8);
        pairs = _mm512_maskz_compress_epi32(some, _mm512_or_si512(pairs, which));
        _mm256_storeu_si256((__m256i *)(void *)next, _mm512_cvtepi32_epi16(pairs));
        which = _mm512_add_epi32(which, step);
        next += _mm_popcnt_u32(some);
    }
    return (size_t)(next - picks);
}

/* The lists are copied as one; each start in the copy follows from how many were kept up to there.
 */
typedef struct {
    uint32_t before; /* picks kept before these */
    uint32_t kept;   /* which of these are */
} some_t;

#define MOST_PICKS (FMA_LISTS * FMA_TILE)

LANES_BODY void s_find_starts(const some_t *some, unsigned width, const uint32_t *starts,
                              size_t n_lists, uint32_t *to_starts)
{
    for (size_t l = 0; l <= n_lists; l++) {
        uint32_t at = starts[l] - starts[0];
        uint32_t below = (1u << at % width) - 1;
        to_starts[l] =
            some[at / width].before + (uint32_t)_mm_popcnt_u32(some[at / width].kept & below);
    }
}

/* 16 picks at a time: the ranks are bytes of 32 words, which one permutation looks up. */
static void s_keep(const fma_pick_t *picks, const uint32_t *starts, size_t n_lists,
                   const uint8_t *ranks, fma_pick_t *to, uint32_t *to_starts)
{
    const __m512i low = _mm512_loadu_si512(ranks), high = _mm512_loadu_si512(ranks + 64);
    some_t some[MOST_PICKS / 16 + 1];
    uint32_t n = starts[n_lists] - starts[0], kept = 0;
    for (uint32_t i = 0; i <= n; i += 16) {
        __m256i pairs = _mm256_loadu_si256((const void *)(picks + starts[0] + i));
        __m512i pick = _mm512_cvtepu16_epi32(pairs);
        __m512i word = _mm512_and_si512(_mm512_srli_epi32(pick, 2), _mm512_set1_epi32(31));
        __m512i shift = _mm512_slli_epi32(_mm512_and_si512(pick, _mm512_set1_epi32(3)), 3);
        __m512i rank = _mm512_srlv_epi32(_mm512_permutex2var_epi32(low, word, high), shift);
        __mmask16 which = _mm512_test_epi32_mask(rank, _mm512_set1_epi32(FMA_KEPT));
        rank = _mm512_and_si512(rank, _mm512_set1_epi32(FMA_KEPT - 1));
        pick = _mm512_or_si512(_mm512_and_si512(pick, _mm512_set1_epi32(0xff00)), rank);
        pick = _mm512_maskz_compress_epi32(which, pick);
        _mm256_storeu_si256((void *)(to + kept), _mm512_cvtepi32_epi16(pick));
        some[i / 16] = (some_t){kept, which};
        kept += (uint32_t)_mm_popcnt_u32(which);
    }
    s_find_starts(some, 16, starts, n_lists, to_starts);
}

const fma_table_t fma_table_avx512 = {s_gemm, s_pick, s_walk_all, s_keep};

#define WITH_VBMI2 __attribute__((target("avx512vbmi,avx512vbmi2")))

WITH_VBMI2 static size_t s_pick_32(const uint8_t *s, size_t n, fma_pick_t *picks)
{
    const __m512i step = _mm512_set1_epi16(32);
    __m512i which = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)s_ascending));
    fma_pick_t *next = picks;
    for (size_t i = 0; i < n; i += 32) {
        __mmask32 there = n - i < 32 ? (1u << (n - i)) - 1 : ~0u;
        __m512i bytes = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(there, s + i));
        __mmask32 some = _mm512_test_epi16_mask(bytes, bytes);
        __m512i pairs = _mm512_or_si512(_mm512_slli_epi16(bytes, 8), which);
        _mm512_storeu_si512(next, _mm512_maskz_compress_epi16(some, pairs));
        which = _mm512_add_epi16(which, step);
        next += _mm_popcnt_u32(some);
    }
    return (size_t)(next - picks);
}

/* 32 at a time: the ranks are bytes, of which one permutation looks up 64. */
WITH_VBMI2 static void s_keep_32(const fma_pick_t *picks, const uint32_t *starts, size_t n_lists,
                                 const uint8_t *ranks, fma_pick_t *to, uint32_t *to_starts)
{
    const __m512i low = _mm512_loadu_si512(ranks), high = _mm512_loadu_si512(ranks + 64);
    some_t some[MOST_PICKS / 32 + 1];
    uint32_t n = starts[n_lists] - starts[0], kept = 0;
    for (uint32_t i = 0; i <= n; i += 32) {
        __m512i pick = _mm512_loadu_si512(picks + starts[0] + i);
        __builtin_prefetch(picks + starts[0] + i + FMA_SOON);
        __m512i rank = _mm512_permutex2var_epi8(low, pick, high);
        __mmask32 which = _mm512_test_epi16_mask(rank, _mm512_set1_epi16(FMA_KEPT));
        /* where a bit is set the rank's, elsewhere the pick's */
        pick = _mm512_ternarylogic_epi32(_mm512_set1_epi16(FMA_KEPT - 1), rank, pick, 0xca);
        _mm512_storeu_si512(to + kept, _mm512_maskz_compress_epi16(which, pick));
        some[i / 32] = (some_t){kept, which};
        kept += (uint32_t)_mm_popcnt_u32(which);
    }
    s_find_starts(some, 32, starts, n_lists, to_starts);
}

const fma_table_t fma_table_vbmi2 = {s_gemm, s_pick_32, s_walk_all, s_keep_32};
