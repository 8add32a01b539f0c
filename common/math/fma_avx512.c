/* fma.h with AVX-512; compiled for it, and called on CPUs that have it only. */
#define LANES_512
#define FMA_ROWS 8
#include "math/fma_impl.h"

/* The first n of 32 bytes. */
static inline __mmask32 s_first_32(size_t n)
{
    return n < 32 ? (__mmask32)((1u << n) - 1) : 0xffffffffu;
}

static size_t s_pick(const uint8_t *s, size_t n, fma_pick_t *picks)
{
    const __m512i step = _mm512_set1_epi32(16);
    __m512i which = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    fma_pick_t *next = picks;
    for (size_t i = 0; i < n; i += 16) {
        __m128i bytes = _mm_maskz_loadu_epi8((__mmask16)s_first_32(n - i), s + i);
        __mmask16 some = _mm_test_epi8_mask(bytes, bytes);
        __m512i pairs = _mm512_slli_epi32(_mm512_cvtepu8_epi32(bytes), 8);
        pairs = _mm512_maskz_compress_epi32(some, _mm512_or_si512(pairs, which));
        _mm256_storeu_si256((__m256i *)(void *)next, _mm512_cvtepi32_epi16(pairs));
        which = _mm512_add_epi32(which, step);
        next += _mm_popcnt_u32(some);
    }
    return (size_t)(next - picks);
}

static void s_sparse(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows,
                     size_t lds, const float *values, const float *b, size_t ldb, float *c,
                     size_t ldc, uint16_t *room)
{
    s_sparse_with(s_pick, m, n, k, s, rows, lds, values, b, ldb, c, ldc, room);
}

const fma_table_t fma_table_avx512 = {s_gemm, s_sparse};

__attribute__((target("avx512vbmi2"))) static size_t s_pick_32(const uint8_t *s, size_t n,
                                                               fma_pick_t *picks)
{
    const __m512i step = _mm512_set1_epi16(32);
    __m512i which = _mm512_cvtepu8_epi16(_mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                                                          13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
                                                          23, 24, 25, 26, 27, 28, 29, 30, 31));
    fma_pick_t *next = picks;
    for (size_t i = 0; i < n; i += 32) {
        __m256i bytes = _mm256_maskz_loadu_epi8(s_first_32(n - i), s + i);
        __mmask32 some = _mm256_test_epi8_mask(bytes, bytes);
        __m512i pairs = _mm512_slli_epi16(_mm512_cvtepu8_epi16(bytes), 8);
        pairs = _mm512_maskz_compress_epi16(some, _mm512_or_si512(pairs, which));
        _mm512_storeu_si512(next, pairs);
        which = _mm512_add_epi16(which, step);
        next += _mm_popcnt_u32(some);
    }
    return (size_t)(next - picks);
}

__attribute__((target("avx512vbmi2"))) static void
s_sparse_vbmi2(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
               const float *values, const float *b, size_t ldb, float *c, size_t ldc,
               uint16_t *room)
{
    s_sparse_with(s_pick_32, m, n, k, s, rows, lds, values, b, ldb, c, ldc, room);
}

const fma_table_t fma_table_vbmi2 = {s_gemm, s_sparse_vbmi2};
