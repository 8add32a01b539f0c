/* What the files of the instruction sets give to fma.c. */
#ifndef DROVER_MATH_FMA_TABLE_H
#define DROVER_MATH_FMA_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Rows of S whose bytes are picked before they are walked, and so many of B's rows at a time: with
 * 64 columns these are 32 KB, which stay in the first cache. A pick is a position within the tile
 * and a byte. */
#define FMA_GROUP 32
#define FMA_TILE  128

typedef uint16_t fma_pick_t; /* position + 256 byte */

/* A pick is stored with others behind it that do not count. */
#define FMA_PICK_SLACK 32

typedef struct {
    void (*gemm)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                 const float *b, size_t ldb, float *c, size_t ldc);
    /* values(256) are the floats that bytes stand for. */
    void (*sparse)(size_t m, size_t n, size_t k, const uint8_t *s, const uint32_t *rows, size_t lds,
                   const float *values, const float *b, size_t ldb, float *c, size_t ldc,
                   uint16_t *room);
} fma_table_t;

extern const fma_table_t fma_table_c;
#if defined(__x86_64__)
extern const fma_table_t fma_table_avx2;
extern const fma_table_t fma_table_avx512;
extern const fma_table_t fma_table_vbmi2; /* AVX-512 with its second set of byte permutations */
#endif

#endif
