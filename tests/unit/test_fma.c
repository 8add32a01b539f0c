/* fma: products whose bits are those of their definition, on each path that this CPU has. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/fma.h"
#include "math/fma_table.h"
#include "math/simd.h"
#include "math/sparse.h"

static uint32_t s_bits = 1;

static uint32_t s_draw(void)
{
    s_bits = s_bits * 1664525 + 1013904223;
    return s_bits >> 8;
}

static float *s_matrix(size_t n)
{
    float *a = malloc((n ? n : 1) * sizeof(float));
    for (size_t i = 0; i < n; i++)
        a[i] = ldexpf((float)s_draw() - 0x1p23f, -23 - (int)(s_draw() % 8));
    return a;
}

/* The next path down to plain C; false at the end. */
static bool s_next_path(simd_path_t *path)
{
    if (*path == SIMD_C)
        return false;
    *path = simd_limit((simd_path_t)(*path - 1));
    return true;
}

static const size_t s_sizes[][3] = {
    {1, 1, 1},     {1, 16, 5},   {2, 10, 64},   {3, 15, 9},    {7, 17, 33},
    {9, 33, 128},  {13, 48, 31}, {33, 64, 40},  {40, 65, 70},  {5, 100, 17},
    {65, 129, 12}, {8, 79, 300}, {129, 33, 20}, {290, 17, 35},
};

static void test_gemm_is_its_definition_on_each_path(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(s_sizes) / sizeof(s_sizes[0]); t++) {
        size_t m = s_sizes[t][0], n = s_sizes[t][1], k = s_sizes[t][2];
        float *a = s_matrix(m * k), *b = s_matrix(k * n), *c = malloc(m * n * sizeof(float));
        for (int transposed = 0; transposed < 2; transposed++) {
            size_t row = transposed ? 1 : k, column = transposed ? m : 1;
            simd_path_t path = simd_limit(SIMD_AVX512);
            do {
                memset(c, 0xff, m * n * sizeof(float));
                fma_gemm(m, n, k, a, row, column, b, n, c, n);
                for (size_t i = 0; i < m; i++) {
                    for (size_t j = 0; j < n; j++) {
                        float sum = 0;
                        for (size_t l = 0; l < k; l++)
                            sum = fmaf(a[i * row + l * column], b[l * n + j], sum);
                        assert_memory_equal(&c[i * n + j], &sum, sizeof(float));
                    }
                }
            } while (s_next_path(&path));
        }
        free(a);
        free(b);
        free(c);
    }
    simd_limit(SIMD_AVX512);
}

/* Bytes of which one in `often` is not zero; with a column and a row that are empty and full. */
static uint8_t *s_bytes(size_t m, size_t k, uint32_t often)
{
    uint8_t *s = malloc(m * k);
    for (size_t i = 0; i < m * k; i++)
        s[i] = s_draw() % often == 0 ? (uint8_t)s_draw() : 0;
    for (size_t j = 0; j < k; j++) {
        s[j] = 0;
        s[(m - 1) * k + j] = 255;
    }
    for (size_t i = 0; i < m; i++)
        s[i * k + k / 2] = 0;
    return s;
}

/* sum over l of s[l] / 255 * b[l * n], of what is not zero, for n_bytes bytes that are `step` apart
 * and those l that are taken. */
static float s_sum(const uint8_t *s, size_t step, size_t n_bytes, const uint32_t *taken,
                   const float *b, size_t n)
{
    float sum = 0;
    for (size_t l = 0; l < n_bytes; l++) {
        uint8_t byte = s[(taken ? taken[l] : l) * step];
        if (byte)
            sum = fmaf((float)byte / 255.0f, b[l * n], sum);
    }
    return sum;
}

/* Some of n numbers, ascending, or all (NULL). Of many those of the first tile are left out. */
static uint32_t *s_some(size_t n, bool all, size_t *n_taken)
{
    *n_taken = n;
    if (all)
        return NULL;
    uint32_t *taken = malloc(n * sizeof(uint32_t));
    *n_taken = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s_draw() % 3 && (n < 280 || i > 140))
            taken[(*n_taken)++] = i;
    return taken;
}

static void s_check_rows(size_t m, size_t n, size_t k, const uint8_t *s, bool all)
{
    size_t n_rows;
    uint32_t *rows = s_some(m, all, &n_rows);
    float *b = s_matrix(k * n), *c = malloc(m * n * sizeof(float));
    simd_path_t path = simd_limit(SIMD_AVX512);
    do {
        sparse_t sparse = {.picks = NULL};
        memset(c, 0xff, m * n * sizeof(float));
        sparse_set(&sparse, m, k, s, k);
        sparse_gemm_rows(&sparse, rows, n_rows, n, b, n, c, n);
        for (size_t i = 0; i < n_rows; i++) {
            for (size_t j = 0; j < n; j++) {
                float sum = s_sum(s + (rows ? rows[i] : i) * k, 1, k, NULL, b + j, n);
                assert_memory_equal(&c[i * n + j], &sum, sizeof(float));
            }
        }
        sparse_clear(&sparse);
    } while (s_next_path(&path));
    free(rows);
    free(b);
    free(c);
}

/* The product with the transpose of S. */
static void s_check_columns(size_t m, size_t n, size_t k, const uint8_t *s, bool all)
{
    size_t n_columns;
    uint32_t *columns = s_some(m, all, &n_columns);
    float *b = s_matrix(m * n), *c = malloc(k * n * sizeof(float));
    simd_path_t path = simd_limit(SIMD_AVX512);
    do {
        sparse_t sparse = {.picks = NULL};
        memset(c, 0xff, k * n * sizeof(float));
        sparse_set_transposed(&sparse, k, m, s, k);
        sparse_gemm_columns(&sparse, columns, n_columns, n, b, n, c, n);
        for (size_t i = 0; i < k; i++) {
            for (size_t j = 0; j < n; j++) {
                float sum = s_sum(s + i, k, n_columns, columns, b + j, n);
                assert_memory_equal(&c[i * n + j], &sum, sizeof(float));
            }
        }
        sparse_clear(&sparse);
    } while (s_next_path(&path));
    free(columns);
    free(b);
    free(c);
}

static void test_sparse_is_its_definition_on_each_path(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(s_sizes) / sizeof(s_sizes[0]); t++) {
        size_t m = s_sizes[t][0], n = s_sizes[t][1], k = s_sizes[t][2];
        for (uint32_t often = 1; often < 8; often += 3) {
            uint8_t *s = s_bytes(m, k, often);
            for (int all = 0; all < 2; all++) {
                s_check_rows(m, n, k, s, all);
                s_check_columns(m, n, k, s, all);
            }
            free(s);
        }
    }
    simd_limit(SIMD_AVX512);
}

/* A matrix that was larger leaves nothing behind, and a smaller one can grow. */
static void test_sparse_used_again(void **state)
{
    (void)state;
    sparse_t sparse = {.picks = NULL};
    const uint8_t large[4 * 300] = {[0] = 1, [299] = 2, [3 * 300 + 7] = 3, [3 * 300 + 299] = 4};
    const uint8_t small[2] = {0, 9};
    for (int round = 0; round < 2; round++) {
        sparse_set(&sparse, 4, 300, large, 300);
        assert_int_equal(sparse.starts[3 * 4], 4); /* behind the last of three tiles */
        assert_int_equal(sparse.picks[0], 1 << 8);
        assert_int_equal(sparse.picks[3], (299 - 256) | 4 << 8);
        sparse_set(&sparse, 1, 2, small, 2);
        assert_int_equal(sparse.starts[1], 1);
        assert_int_equal(sparse.picks[0], 1 | 9 << 8);
    }
    sparse_clear(&sparse);
}

/* Each table's copy is that of plain C, also those which the CPU's best hides. */
static void s_check_keep(const fma_table_t *table)
{
    enum {
        LISTS = 29
    };
    for (int round = 0; round < 50; round++) {
        fma_pick_t picks[LISTS * FMA_TILE + FMA_PICK_SLACK];
        fma_pick_t expected[LISTS * FMA_TILE + FMA_PICK_SLACK];
        fma_pick_t seen[LISTS * FMA_TILE + FMA_PICK_SLACK];
        uint32_t starts[LISTS + 1], expected_starts[LISTS + 1], seen_starts[LISTS + 1];
        uint8_t ranks[FMA_TILE];
        uint8_t rank = 0;
        for (int i = 0; i < FMA_TILE; i++)
            ranks[i] = s_draw() % 10 < (unsigned)round / 4 ? (uint8_t)(FMA_KEPT + rank++) : 0;
        starts[0] = s_draw() % 40;
        for (uint32_t l = 0; l < LISTS; l++)
            starts[l + 1] = starts[l] + (l % 5 == 1 ? 0 : s_draw() % (FMA_TILE - 1));
        for (size_t i = 0; i < sizeof(picks) / sizeof(picks[0]); i++)
            picks[i] = (fma_pick_t)(s_draw() % FMA_TILE | (s_draw() & 0xff) << 8);
        fma_table_c.keep(picks, starts, LISTS, ranks, expected, expected_starts);
        table->keep(picks, starts, LISTS, ranks, seen, seen_starts);
        assert_memory_equal(seen_starts, expected_starts, sizeof(seen_starts));
        assert_memory_equal(seen, expected, seen_starts[LISTS] * sizeof(fma_pick_t));
    }
}

static void test_keep_of_each_table(void **state)
{
    (void)state;
    s_check_keep(&fma_table_c);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        s_check_keep(&fma_table_avx2);
    if (__builtin_cpu_supports("avx512bw"))
        s_check_keep(&fma_table_avx512);
    if (__builtin_cpu_supports("avx512vbmi2"))
        s_check_keep(&fma_table_vbmi2);
#endif
}

static void test_paths(void **state)
{
    (void)state;
    simd_path_t best = simd_limit(SIMD_AVX512);
    assert_int_equal(simd_path(), best);
    assert_int_equal(simd_limit(SIMD_C), SIMD_C);
    assert_int_equal(simd_path(), SIMD_C);
    assert_int_equal(simd_limit(SIMD_AVX512), best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_gemm_is_its_definition_on_each_path),
        cmocka_unit_test(test_sparse_is_its_definition_on_each_path),
        cmocka_unit_test(test_sparse_used_again),
        cmocka_unit_test(test_keep_of_each_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
