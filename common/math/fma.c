/* See fma.h. */
#include "math/fma.h"

#include "math/fma_table.h"
#include "math/simd.h"

const fma_table_t *fma_table(void)
{
#if defined(__x86_64__)
    switch (simd_path()) {
    case SIMD_AVX512:
        return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")
                   ? &fma_table_vbmi2
                   : &fma_table_avx512;
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
    fma_table()->gemm(m, n, k, a, a_row, a_column, b, ldb, c, ldc);
}
