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

const fma_table_t fma_table_c = {s_gemm, s_pick, s_walk_all, s_keep_each};
