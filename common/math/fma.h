/* Matrix products of our own, whose bits are the same on every CPU.
 *
 * Each element of a product is a sum by fused multiply-adds in the order of k, from +0:
 * c = fma(a[k], b[k], c). Nothing else fixes its bits: neither the width of the vectors nor the
 * size of the tiles, so AVX-512, AVX2 and plain C agree (tests/unit/test_fma.c).
 */
#ifndef DROVER_MATH_FMA_H
#define DROVER_MATH_FMA_H

#include <stddef.h>
#include <stdint.h>

/* C(m,n) = A(m,k) B(k,n). A's element (i,j) is a[i * a_row + j * a_column]; rows of B and C are ldb
 * and ldc floats apart, their elements neighbours. */
void fma_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
              const float *b, size_t ldb, float *c, size_t ldc);

#endif
