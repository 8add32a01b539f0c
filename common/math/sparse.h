/* Matrices of bytes without their zeros, and their products.
 *
 * The products' sums are those of fma.h, without the terms of bytes that are zero.
 */
#ifndef DROVER_MATH_SPARSE_H
#define DROVER_MATH_SPARSE_H

#include <stddef.h>
#include <stdint.h>

/* S(m,k): compressed rows (CSR), cut into tiles of columns and laid out as products walk them, tile
 * by tile and in a tile row by row. Zero it before its first use. */
typedef struct {
    size_t m, k;
    uint16_t *picks;  /* owned; column within the tile + 256 byte */
    uint32_t *starts; /* owned; (tiles * m + 1), where a tile's row starts in picks */
    size_t picks_room, starts_room;
} sparse_t;

/* Takes the bytes of a matrix whose rows are lds apart, instead of those it had. */
void sparse_set(sparse_t *self, size_t m, size_t k, const uint8_t *s, size_t lds);

/* The same of the transpose: S(k,m) is at s. */
void sparse_set_transposed(sparse_t *self, size_t m, size_t k, const uint8_t *s, size_t lds);

/* The bytes of a copy: a multiple of 64. */
size_t sparse_bytes(const sparse_t *self);

/* A copy whose arrays are in memory(sparse_bytes(from)), aligned for uint32_t, which stays the
 * caller's: it is not to be set or cleared. */
sparse_t sparse_copy(const sparse_t *from, void *memory);
void sparse_clear(sparse_t *self);

/* C(n_rows,n) = (S / 255)(n_rows,k) B(k,n), each byte as the float nearest byte / 255; rows are
 * those numbered rows[], ascending, or the first ones when it is NULL. */
void sparse_gemm_rows(const sparse_t *s, const uint32_t *rows, size_t n_rows, size_t n,
                      const float *b, size_t ldb, float *c, size_t ldc);

/* C(m,n) = (S / 255)(m,n_columns) B(n_columns,n) for those columns of S, ascending, or
 * the first ones when it is NULL. */
void sparse_gemm_columns(const sparse_t *s, const uint32_t *columns, size_t n_columns, size_t n,
                         const float *b, size_t ldb, float *c, size_t ldc);

#endif
