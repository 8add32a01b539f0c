/* fma: products whose bits are those of their definition, on each path that this CPU has. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/fma.h"
#include "math/simd.h"

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
    {1, 1, 1},    {1, 16, 5},   {2, 10, 64},  {3, 15, 9},   {7, 17, 33},   {9, 33, 128},
    {13, 48, 31}, {33, 64, 40}, {40, 65, 70}, {5, 100, 17}, {65, 129, 12}, {8, 79, 300},
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

static void test_sparse_is_its_definition_on_each_path(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(s_sizes) / sizeof(s_sizes[0]); t++) {
        size_t m = s_sizes[t][0], n = s_sizes[t][1], k = s_sizes[t][2];
        float *b = s_matrix(k * n), *c = malloc(m * n * sizeof(float));
        uint16_t *room = malloc(fma_sparse_room(k) * sizeof(uint16_t));
        uint32_t *rows = malloc(m * sizeof(uint32_t));
        for (uint32_t often = 1; often < 8; often += 3) {
            uint8_t *s = s_bytes(m, k, often);
            for (size_t i = 0; i < m; i++)
                rows[i] = (uint32_t)(m - 1 - i);
            simd_path_t path = simd_limit(SIMD_AVX512);
            do {
                for (int picked = 0; picked < 2; picked++) {
                    memset(c, 0xff, m * n * sizeof(float));
                    fma_sparse(m, n, k, s, picked ? rows : NULL, k, b, n, c, n, room);
                    for (size_t i = 0; i < m; i++) {
                        const uint8_t *row = s + (picked ? rows[i] : i) * k;
                        for (size_t j = 0; j < n; j++) {
                            float sum = 0;
                            for (size_t l = 0; l < k; l++)
                                if (row[l])
                                    sum = fmaf((float)row[l] / 255.0f, b[l * n + j], sum);
                            assert_memory_equal(&c[i * n + j], &sum, sizeof(float));
                        }
                    }
                }
            } while (s_next_path(&path));
            free(s);
        }
        free(b);
        free(c);
        free(room);
        free(rows);
    }
    simd_limit(SIMD_AVX512);
}

static void test_transpose(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(s_sizes) / sizeof(s_sizes[0]); t++) {
        size_t m = s_sizes[t][0], k = s_sizes[t][2], ldt = (m + 15) / 16 * 16;
        uint8_t *s = s_bytes(m, k, 1), *out = malloc(k * ldt);
        uint32_t *rows = malloc(m * sizeof(uint32_t));
        for (size_t i = 0; i < m; i++)
            rows[i] = (uint32_t)((i + 1) % m);
        for (int picked = 0; picked < 2; picked++) {
            memset(out, 0xff, k * ldt);
            fma_transpose(m, k, s, picked ? rows : NULL, k, out, ldt);
            for (size_t j = 0; j < k; j++)
                for (size_t i = 0; i < ldt; i++)
                    assert_int_equal(out[j * ldt + i],
                                     i < m ? s[(picked ? rows[i] : i) * k + j] : 0);
        }
        free(s);
        free(out);
        free(rows);
    }
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
        cmocka_unit_test(test_transpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
