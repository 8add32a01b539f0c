/* fma.h over lanes.h: included by one file for each instruction set, which defines FMA_ROWS, the
 * rows of a tile of fma_gemm.
 *
 * A sparse product goes by tiles of B's rows and, within one, row by row of S: PANEL vectors of
 * sums stay in registers while the row's picks are walked, and wait in C for the next tile. */
#include <stdbool.h>

#include "math/fma_table.h"
#include "math/lanes.h"

#define PANEL 4

/* c = (or, unless it is the first tile, +=) n picks times n_vectors vectors of B's columns, of the
 * last of which `some` lanes are there when it is cut. */
LANES_BODY void s_walk(int n_vectors, bool cut, lanes_mask_t some, bool first,
                       const fma_pick_t *picks, size_t n, const float *values, const float *b,
                       size_t ldb, float *c)
{
    lanes_t sum[PANEL];
    for (int v = 0; v < n_vectors; v++) {
        if (first)
            sum[v] = lanes_zero();
        else if (cut && v == n_vectors - 1)
            sum[v] = lanes_load_some(c + v * LANES, some);
        else
            sum[v] = lanes_load(c + v * LANES);
    }
    for (size_t i = 0; i < n; i++) {
        lanes_t x = lanes_all_from(&values[picks[i] >> 8]);
        const float *row = b + (picks[i] & 255) * ldb;
        for (int v = 0; v < n_vectors; v++) {
            bool last = cut && v == n_vectors - 1;
            lanes_t w = last ? lanes_load_some(row + v * LANES, some) : lanes_load(row + v * LANES);
            sum[v] = lanes_fma(x, w, sum[v]);
        }
    }
    for (int v = 0; v < n_vectors; v++) {
        if (cut && v == n_vectors - 1)
            lanes_store_some(c + v * LANES, some, sum[v]);
        else
            lanes_store(c + v * LANES, sum[v]);
    }
}

/* All n columns of one row and tile. */
LANES_BODY void s_walk_row(size_t n, bool first, const fma_pick_t *picks, size_t n_picks,
                           const float *values, const float *b, size_t ldb, float *c)
{
    for (; n >= (size_t)PANEL * LANES; n -= PANEL * LANES, b += PANEL * LANES, c += PANEL * LANES)
        s_walk(PANEL, false, lanes_first(0), first, picks, n_picks, values, b, ldb, c);
    lanes_mask_t some = lanes_first(n % LANES);
    switch (n / LANES * 2 + (n % LANES > 0)) {
    case 1:
        s_walk(1, true, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 2:
        s_walk(1, false, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 3:
        s_walk(2, true, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 4:
        s_walk(2, false, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 5:
        s_walk(3, true, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 6:
        s_walk(3, false, some, first, picks, n_picks, values, b, ldb, c);
        break;
    case 7:
        s_walk(4, true, some, first, picks, n_picks, values, b, ldb, c);
        break;
    default:
        break;
    }
}

static void s_walk_all(const fma_pick_t *picks, const uint32_t *starts, const uint32_t *rows,
                       size_t n_rows, bool first, size_t n, const float *values, const float *b,
                       size_t ldb, float *c, size_t ldc)
{
    for (size_t i = 0; i < n_rows; i++) {
        size_t list = rows ? rows[i] : i;
        size_t count = starts[list + 1] - starts[list];
        if (rows)
            __builtin_prefetch(picks + starts[list] + FMA_SOON);
        if (first || count > 0)
            s_walk_row(n, first, picks + starts[list], count, values, b, ldb, c + i * ldc);
    }
}

/* n_rows rows of A times one vector of B's columns. */
LANES_BODY void s_tile(int n_rows, bool cut, lanes_mask_t some, size_t k, const float *a,
                       size_t a_row, size_t a_column, const float *b, size_t ldb, float *c,
                       size_t ldc)
{
    lanes_t sum[FMA_ROWS];
    for (int r = 0; r < n_rows; r++)
        sum[r] = lanes_zero();
    for (size_t j = 0; j < k; j++) {
        lanes_t w = cut ? lanes_load_some(b + j * ldb, some) : lanes_load(b + j * ldb);
        for (int r = 0; r < n_rows; r++)
            sum[r] = lanes_fma(lanes_all(a[(size_t)r * a_row + j * a_column]), w, sum[r]);
    }
    for (int r = 0; r < n_rows; r++) {
        if (cut)
            lanes_store_some(c + (size_t)r * ldc, some, sum[r]);
        else
            lanes_store(c + (size_t)r * ldc, sum[r]);
    }
}

/* All m rows of A times one vector of B's columns. */
LANES_BODY void s_strip(bool cut, lanes_mask_t some, size_t m, size_t k, const float *a,
                        size_t a_row, size_t a_column, const float *b, size_t ldb, float *c,
                        size_t ldc)
{
    size_t i = 0;
    for (; i + FMA_ROWS <= m; i += FMA_ROWS)
        s_tile(FMA_ROWS, cut, some, k, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc);
    for (; i + 2 <= m; i += 2)
        s_tile(2, cut, some, k, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc);
    if (i < m)
        s_tile(1, cut, some, k, a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc);
}

static void s_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                   const float *b, size_t ldb, float *c, size_t ldc)
{
    size_t column = 0;
    for (; column + LANES <= n; column += LANES)
        s_strip(false, lanes_first(0), m, k, a, a_row, a_column, b + column, ldb, c + column, ldc);
    if (column < n)
        s_strip(true, lanes_first(n - column), m, k, a, a_row, a_column, b + column, ldb,
                c + column, ldc);
}

/* fma_table_t's keep, a pick at a time. */
static inline void s_keep_each(const fma_pick_t *picks, const uint32_t *starts, size_t n_lists,
                               const uint8_t *ranks, fma_pick_t *to, uint32_t *to_starts)
{
    uint32_t kept = 0;
    for (size_t l = 0; l < n_lists; l++) {
        to_starts[l] = kept;
        for (uint32_t i = starts[l]; i < starts[l + 1]; i++) {
            unsigned rank = ranks[picks[i] & (FMA_TILE - 1)];
            to[kept] = (fma_pick_t)((picks[i] & 0xff00u) | (rank & (FMA_KEPT - 1)));
            kept += rank >= FMA_KEPT;
        }
    }
    to_starts[n_lists] = kept;
}
