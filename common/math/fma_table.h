/* What the files of the instruction sets give to fma.c. */
#ifndef DROVER_MATH_FMA_TABLE_H
#define DROVER_MATH_FMA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many of B's rows at a time: with 64 columns these are 32 KB, which stay in the first cache. */
#define FMA_TILE 128

typedef uint16_t fma_pick_t; /* position within the tile + 256 byte */

/* Picks are written with others behind them that do not count. */
#define FMA_PICK_SLACK 32

/* So far ahead picks are fetched, which come from main memory. */
#define FMA_SOON 1024

/* In keep: most lists at a time; the rank of a position that is kept. */
#define FMA_LISTS 32
#define FMA_KEPT  128

typedef struct {
    void (*gemm)(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                 const float *b, size_t ldb, float *c, size_t ldc);
    /* Writes the picks of n <= FMA_TILE bytes, in order; returns how many. */
    size_t (*pick)(const uint8_t *s, size_t n, fma_pick_t *picks);
    /* Row i of C = or, unless it is the first tile, += the list number rows[i] (i when NULL) times
     * B. List l is picks[starts[l]] up to picks[starts[l + 1]]; values(256) are what bytes stand
     * for. */
    void (*walk)(const fma_pick_t *picks, const uint32_t *starts, const uint32_t *rows,
                 size_t n_rows, bool first, size_t n, const float *values, const float *b,
                 size_t ldb, float *c, size_t ldc);
    /* Copies of n_lists <= FMA_LISTS lists the picks whose ranks(FMA_TILE) is FMA_KEPT + r, with r
     * for their position; to_starts(n_lists + 1) are the lists' starts in `to`. */
    void (*keep)(const fma_pick_t *picks, const uint32_t *starts, size_t n_lists,
                 const uint8_t *ranks, fma_pick_t *to, uint32_t *to_starts);
} fma_table_t;

/* That of simd_path. */
const fma_table_t *fma_table(void);

extern const fma_table_t fma_table_c;
#if defined(__x86_64__)
extern const fma_table_t fma_table_avx2;
extern const fma_table_t fma_table_avx512;
extern const fma_table_t fma_table_vbmi2; /* AVX-512 with its permutations of bytes */
#endif

#endif
