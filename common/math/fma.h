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

/* How many elements the room for a product with rows of k bytes has. */
size_t fma_sparse_room(size_t k);

/* C(m,n) = (S / 255)(m,k) B(k,n) for bytes S of which few are not zero: only these are multiplied,
 * each as the float nearest byte / 255. Row i of S starts at s + rows[i] * lds, or at s + i * lds
 * when rows is NULL. room is (fma_sparse_room(k)). */
void fma_sparse(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
                const float *b, size_t ldb, float *c, size_t ldc, uint16_t *room);

/* t(k, ldt) = the transpose of S(m,k), whose rows are found as above; columns from m to ldt, a
 * multiple of 16, become zero. */
void fma_transpose(size_t m, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
                   uint8_t *t, size_t ldt);

#endif
