/* fma.h with AVX2 and FMA; compiled for them, and called on CPUs that have them only. */
#define LANES_256
#define FMA_ROWS 6
#include "math/fma_impl.h"

/* Which bits of a mask of 8 are set, a byte each, the lowest first. */
#define SET(mask, i)         (((uint64_t)(mask) >> (i)) & 1)
#define FROM(mask, i, above) ((above) << (8 * SET(mask, i)) | (i)*SET(mask, i))
#define FROM_4(mask, above)  FROM(mask, 4, FROM(mask, 5, FROM(mask, 6, above)))
#define POSITIONS(mask)                                                                            \
    FROM(mask, 0, FROM(mask, 1, FROM(mask, 2, FROM(mask, 3, FROM_4(mask, 7 * SET(mask, 7))))))
#define POSITIONS_4(mask)                                                                          \
    POSITIONS(mask), POSITIONS((mask) + 1), POSITIONS((mask) + 2), POSITIONS((mask) + 3)
#define POSITIONS_16(mask)                                                                         \
    POSITIONS_4(mask), POSITIONS_4((mask) + 4), POSITIONS_4((mask) + 8), POSITIONS_4((mask) + 12)
#define POSITIONS_64(mask)                                                                         \
    POSITIONS_16(mask), POSITIONS_16((mask) + 16), POSITIONS_16((mask) + 32),                      \
        POSITIONS_16((mask) + 48)

static const uint64_t s_positions[256] = {POSITIONS_64(0), POSITIONS_64(64), POSITIONS_64(128),
                                          POSITIONS_64(192)};

static size_t s_pick(const uint8_t *s, size_t n, fma_pick_t *picks)
{
    const __m128i zero = _mm_setzero_si128();
    fma_pick_t *next = picks;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(s + i));
        unsigned none = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, zero));
        unsigned some = ~none & 0xff;
        __m128i which = _mm_loadl_epi64((const __m128i *)(const void *)&s_positions[some]);
        __m128i left = _mm_shuffle_epi8(bytes, which);
        which = _mm_add_epi8(which, _mm_set1_epi8((char)i));
        _mm_storeu_si128((__m128i *)(void *)next, _mm_unpacklo_epi8(which, left));
        next += _mm_popcnt_u32(some);
    }
    for (; i < n; i++) {
        *next = (fma_pick_t)(i | (size_t)s[i] << 8);
        next += s[i] != 0;
    }
    return (size_t)(next - picks);
}

const fma_table_t fma_table_avx2 = {s_gemm, s_pick, s_walk_all, s_keep_each};
