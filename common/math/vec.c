/* See vec.h. */
#include "math/vec.h"

#include <string.h>

#include "math/simd.h"

SIMD_BODY void vec_add_body(float *restrict a, const float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] += b[i];
}
SIMD_VARIANTS(void, vec_add, (float *a, const float *b, size_t n), (a, b, n))

SIMD_BODY void vec_descend_body(float *out, const float *w, const float *g, float scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = w[i] - scale * g[i];
}
SIMD_VARIANTS(void, vec_descend,
              (float *out, const float *w, const float *g, float scale, size_t n),
              (out, w, g, scale, n))

/* A vector division is slow and a product with the rounded 1/255 is off by a bit for some bytes.
 * 1/255 as a sum of 16 bits and the rest: the first product is exact, the second tiny, so that the
 * one rounding of their sum is the rounding of b/255 (test_math.c holds all 256 to it). */
#define RECIPROCAL_HIGH 0x1.0101p-8f
#define RECIPROCAL_LOW  ((float)(1.0 / 255.0 - (double)RECIPROCAL_HIGH))

SIMD_BODY void vec_from_bytes_body(float *restrict out, const uint8_t *restrict bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float b = (float)bytes[i];
        out[i] = b * RECIPROCAL_HIGH + b * RECIPROCAL_LOW;
    }
}
SIMD_VARIANTS(void, vec_from_bytes, (float *out, const uint8_t *bytes, size_t n), (out, bytes, n))

SIMD_BODY void vec_or_bytes_body(uint8_t *restrict any, const uint8_t *restrict bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        any[i] |= bytes[i];
}
SIMD_VARIANTS(void, vec_or_bytes, (uint8_t * any, const uint8_t *bytes, size_t n), (any, bytes, n))

SIMD_BODY void vec_add_to_rows_body(float *restrict a, const float *restrict b, size_t n_rows,
                                    size_t n_cols)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_cols; c++)
            a[r * n_cols + c] += b[c];
}
SIMD_VARIANTS(void, vec_add_to_rows, (float *a, const float *b, size_t n_rows, size_t n_cols),
              (a, b, n_rows, n_cols))

SIMD_BODY void vec_multiply_body(float *out, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
}
SIMD_VARIANTS(void, vec_multiply, (float *out, const float *a, const float *b, size_t n),
              (out, a, b, n))

SIMD_BODY void vec_sum_rows_body(float *restrict out, const float *restrict a, size_t n_rows,
                                 size_t n_cols)
{
    memset(out, 0, n_cols * sizeof(float));
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_cols; c++)
            out[c] += a[r * n_cols + c];
}
SIMD_VARIANTS(void, vec_sum_rows, (float *out, const float *a, size_t n_rows, size_t n_cols),
              (out, a, n_rows, n_cols))

/* A value is finite when its exponent is not all ones; OR-ing the tests keeps the loop branchless.
 */
SIMD_BODY void s_count_wild_body(const float *a, size_t n, uint32_t *wild)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &a[i], sizeof(bits));
        any |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    *wild = any;
}
SIMD_VARIANTS(static void, s_count_wild, (const float *a, size_t n, uint32_t *wild), (a, n, wild))

bool vec_all_finite(const float *a, size_t n)
{
    uint32_t wild;
    s_count_wild(a, n, &wild);
    return wild == 0;
}
