/* fma.h in plain C. */
#define FMA_ROWS 4
#include "math/fma_impl.h"

static size_t s_pick(const uint8_t *s, size_t n, fma_pick_t *picks)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        picks[count] = (fma_pick_t)(i | (size_t)s[i] << 8);
        count += s[i] != 0;
    }
    return count;
}

static void s_sparse(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows,
                     size_t lds, const float *values, const float *b, size_t ldb, float *c,
                     size_t ldc, uint16_t *room)
{
    s_sparse_with(s_pick, m, n, k, s, rows, lds, values, b, ldb, c, ldc, room);
}

const fma_table_t fma_table_c = {s_gemm, s_sparse};
