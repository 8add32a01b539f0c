/* See fma.h. */
#include "math/fma.h"

#include <string.h>

#include "math/fma_table.h"
#include "math/simd.h"
#include "math/vec.h"

#define TILE 16

static const fma_table_t *s_table(void)
{
#if defined(__x86_64__)
    switch (simd_path()) {
    case SIMD_AVX512:
        return __builtin_cpu_supports("avx512vbmi2") ? &fma_table_vbmi2 : &fma_table_avx512;
    case SIMD_AVX2:
        return &fma_table_avx2;
    case SIMD_C:
        break;
    }
#endif
    return &fma_table_c;
}

void fma_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
              const float *b, size_t ldb, float *c, size_t ldc)
{
    s_table()->gemm(m, n, k, a, a_row, a_column, b, ldb, c, ldc);
}

size_t fma_sparse_room(size_t k)
{
    size_t n_tiles = (k + FMA_TILE - 1) / FMA_TILE;
    return FMA_GROUP * (n_tiles + k) + FMA_PICK_SLACK;
}

void fma_sparse(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
                const float *b, size_t ldb, float *c, size_t ldc, uint16_t *room)
{
    uint8_t bytes[256];
    float values[256];

    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    vec_from_bytes(values, bytes, 256);
    s_table()->sparse(m, n, k, s, rows, lds, values, b, ldb, c, ldc, room);
}

typedef uint8_t bytes_t __attribute__((vector_size(TILE)));

/* One tile: from(r) are 16 rows of 16 bytes; row c of the result goes to t + c * ldt. Four rounds
 * that interleave row r with row r + 8 bring byte (r, c) to (c, r). */
static void s_tile(const uint8_t *const *from, size_t column, uint8_t *t, size_t ldt)
{
    bytes_t x[TILE], y[TILE];
    for (int r = 0; r < TILE; r++)
        memcpy(&x[r], from[r] + column, TILE);
    for (int round = 0; round < 4; round++) {
        for (int r = 0; r < TILE / 2; r++) {
            y[2 * r] = __builtin_shufflevector(x[r], x[r + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                               21, 6, 22, 7, 23);
            y[2 * r + 1] = __builtin_shufflevector(x[r], x[r + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(x, y, sizeof(x));
    }
    for (size_t c = 0; c < TILE; c++)
        memcpy(t + c * ldt, &x[c], TILE);
}

void fma_transpose(size_t m, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
                   uint8_t *t, size_t ldt)
{
    static const uint8_t none[65536];
    for (size_t first = 0; first < ldt; first += TILE) {
        const uint8_t *from[TILE];
        for (size_t r = 0; r < TILE; r++) {
            size_t row = first + r;
            from[r] = row < m ? s + (rows ? rows[row] : row) * lds : none;
        }
        size_t column = 0;
        for (; column + TILE <= k; column += TILE)
            s_tile(from, column, t + column * ldt + first, ldt);
        for (; column < k; column++)
            for (size_t r = 0; r < TILE; r++)
                t[column * ldt + first + r] = from[r][column];
    }
}
