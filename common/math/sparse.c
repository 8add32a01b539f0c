/* See sparse.h. */
#include "math/sparse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "math/fma_table.h"
#include "math/vec.h"

#define CACHE_LINE 64

static size_t s_tiles(size_t k)
{
    return (k + FMA_TILE - 1) / FMA_TILE;
}

static size_t s_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void *s_room(void *array, size_t n, size_t *room, size_t size)
{
    if (n <= *room)
        return array;
    free(array);
    array = malloc(n * size);
    if (!array)
        abort();
    *room = n;
    return array;
}

static size_t s_n_starts(const sparse_t *self)
{
    return s_tiles(self->k) * self->m + 1;
}

/* Makes room for a matrix without a zero. Memory that is not written costs nothing. */
static void s_begin(sparse_t *self, size_t m, size_t k)
{
    assert(m * k < UINT32_MAX);
    self->m = m;
    self->k = k;
    self->picks = s_room(self->picks, m * k + FMA_PICK_SLACK, &self->picks_room, sizeof(uint16_t));
    self->starts = s_room(self->starts, s_n_starts(self), &self->starts_room, sizeof(uint32_t));
    self->starts[0] = 0;
}

/* Takes a tile's rows, n bytes each. */
static void s_take_tile(sparse_t *self, size_t tile, size_t n, const uint8_t *s, size_t lds)
{
    const fma_table_t *table = fma_table();
    uint32_t *starts = self->starts + tile * self->m;
    for (size_t i = 0; i < self->m; i++)
        starts[i + 1] = starts[i] + (uint32_t)table->pick(s + i * lds, n, self->picks + starts[i]);
}

void sparse_set(sparse_t *self, size_t m, size_t k, const uint8_t *s, size_t lds)
{
    s_begin(self, m, k);
    for (size_t first = 0; first < k; first += FMA_TILE)
        s_take_tile(self, first / FMA_TILE, s_least(k - first, FMA_TILE), s + first, lds);
}

#define SQUARE 16

typedef uint8_t bytes_t __attribute__((vector_size(SQUARE)));

/* 16 rows of 16 bytes, lds apart, to columns at t, FMA_TILE apart. Four rounds that interleave row
 * r with row r + 8 bring byte (r, c) to (c, r). */
static void s_transpose_square(const uint8_t *s, size_t lds, uint8_t *t)
{
    bytes_t x[SQUARE], y[SQUARE];
    for (size_t r = 0; r < SQUARE; r++)
        memcpy(&x[r], s + r * lds, SQUARE);
    for (int round = 0; round < 4; round++) {
        for (int r = 0; r < SQUARE / 2; r++) {
            y[2 * r] = __builtin_shufflevector(x[r], x[r + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                               21, 6, 22, 7, 23);
            y[2 * r + 1] = __builtin_shufflevector(x[r], x[r + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(x, y, sizeof(x));
    }
    for (size_t c = 0; c < SQUARE; c++)
        memcpy(t + c * FMA_TILE, &x[c], SQUARE);
}

/* n <= FMA_TILE rows of m bytes to t(m, FMA_TILE). */
static void s_transpose(size_t n, size_t m, const uint8_t *s, size_t lds, uint8_t *t)
{
    size_t n_even = n / SQUARE * SQUARE, m_even = m / SQUARE * SQUARE;
    for (size_t row = 0; row < n_even; row += SQUARE)
        for (size_t column = 0; column < m_even; column += SQUARE)
            s_transpose_square(s + row * lds + column, lds, t + column * FMA_TILE + row);
    for (size_t row = 0; row < n; row++)
        for (size_t column = row < n_even ? m_even : 0; column < m; column++)
            t[column * FMA_TILE + row] = s[row * lds + column];
}

void sparse_set_transposed(sparse_t *self, size_t m, size_t k, const uint8_t *s, size_t lds)
{
    uint8_t *t = malloc(m * FMA_TILE);
    if (!t)
        abort();
    s_begin(self, m, k);
    for (size_t first = 0; first < k; first += FMA_TILE) {
        size_t n = s_least(k - first, FMA_TILE);
        s_transpose(n, m, s + first * lds, lds, t);
        s_take_tile(self, first / FMA_TILE, n, t, FMA_TILE);
    }
    free(t);
}

static size_t s_n_picks(const sparse_t *self)
{
    return self->starts[s_n_starts(self) - 1] + FMA_PICK_SLACK;
}

size_t sparse_bytes(const sparse_t *self)
{
    size_t n = s_n_starts(self) * sizeof(*self->starts) + s_n_picks(self) * sizeof(*self->picks);
    return (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

sparse_t sparse_copy(const sparse_t *from, void *memory)
{
    sparse_t copy = {.m = from->m, .k = from->k, .starts = memory};
    copy.picks = (void *)(copy.starts + s_n_starts(from));
    memcpy(copy.starts, from->starts, s_n_starts(from) * sizeof(*copy.starts));
    memcpy(copy.picks, from->picks, s_n_picks(from) * sizeof(*copy.picks));
    return copy;
}

void sparse_clear(sparse_t *self)
{
    free(self->picks);
    free(self->starts);
    memset(self, 0, sizeof(*self));
}

static void s_values(float values[256])
{
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    vec_from_bytes(values, bytes, 256);
}

void sparse_gemm_rows(const sparse_t *s, const uint32_t *rows, size_t n_rows, size_t n,
                      const float *b, size_t ldb, float *c, size_t ldc)
{
    float values[256];
    s_values(values);
    for (size_t tile = 0; tile < s_tiles(s->k); tile++)
        fma_table()->walk(s->picks, s->starts + tile * s->m, rows, n_rows, tile == 0, n, values,
                          b + tile * FMA_TILE * ldb, ldb, c, ldc);
}

void sparse_gemm_columns(const sparse_t *s, const uint32_t *columns, size_t n_columns, size_t n,
                         const float *b, size_t ldb, float *c, size_t ldc)
{
    float values[256];
    uint8_t ranks[FMA_TILE];
    fma_pick_t kept[FMA_LISTS * FMA_TILE + FMA_PICK_SLACK];
    uint32_t starts[FMA_LISTS + 1];
    size_t next = 0; /* of columns, and so of B's rows */
    s_values(values);
    for (size_t tile = 0; tile < s_tiles(s->k); tile++) {
        size_t begin = next;
        memset(ranks, 0, sizeof(ranks));
        for (; next < n_columns; next++) {
            size_t column = columns ? columns[next] : next;
            if (column >= (tile + 1) * FMA_TILE)
                break;
            ranks[column % FMA_TILE] = (uint8_t)(FMA_KEPT + (next - begin));
        }
        for (size_t i = 0; i < s->m; i += FMA_LISTS) {
            size_t n_lists = s_least(s->m - i, FMA_LISTS);
            fma_table()->keep(s->picks, s->starts + tile * s->m + i, n_lists, ranks, kept, starts);
            fma_table()->walk(kept, starts, NULL, n_lists, tile == 0, n, values, b + begin * ldb,
                              ldb, c + i * ldc, ldc);
        }
    }
}
