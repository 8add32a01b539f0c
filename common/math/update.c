/* See update.h. sqrtf is the CPU's (-fno-math-errno): IEEE 754 has it rounded correctly, so that
 * its bits are the same everywhere. */
#include "math/update.h"

#include <math.h>

#include "math/simd.h"

SIMD_BODY void update_add_squares_body(double *restrict sums, const float *restrict a, size_t n)
{
    double local[UPDATE_SUMS];
    size_t i = 0;
    for (int j = 0; j < UPDATE_SUMS; j++)
        local[j] = sums[j];
    for (; i + UPDATE_SUMS <= n; i += UPDATE_SUMS)
        for (int j = 0; j < UPDATE_SUMS; j++)
            local[j] += (double)a[i + (size_t)j] * (double)a[i + (size_t)j];
    for (int j = 0; i < n; i++, j++)
        local[j] += (double)a[i] * (double)a[i];
    for (int j = 0; j < UPDATE_SUMS; j++)
        sums[j] = local[j];
}
SIMD_VARIANTS(void, update_add_squares, (double sums[UPDATE_SUMS], const float *a, size_t n),
              (sums, a, n))

SIMD_BODY void update_add_magnitudes_body(double *restrict sums, const float *restrict a, size_t n)
{
    double local[UPDATE_SUMS];
    size_t i = 0;
    for (int j = 0; j < UPDATE_SUMS; j++)
        local[j] = sums[j];
    for (; i + UPDATE_SUMS <= n; i += UPDATE_SUMS)
        for (int j = 0; j < UPDATE_SUMS; j++)
            local[j] += fabs((double)a[i + (size_t)j]);
    for (int j = 0; i < n; i++, j++)
        local[j] += fabs((double)a[i]);
    for (int j = 0; j < UPDATE_SUMS; j++)
        sums[j] = local[j];
}
SIMD_VARIANTS(void, update_add_magnitudes, (double sums[UPDATE_SUMS], const float *a, size_t n),
              (sums, a, n))

double update_total(const double sums[UPDATE_SUMS])
{
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

SIMD_BODY void update_scale_body(float *out, const float *a, float scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = scale * a[i];
}
SIMD_VARIANTS(void, update_scale, (float *out, const float *a, float scale, size_t n),
              (out, a, scale, n))

SIMD_BODY void update_penalise_body(float *restrict g, const float *restrict w, float l1, float l2,
                                    size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sign = (float)(w[i] > 0.0f) - (float)(w[i] < 0.0f);
        g[i] = g[i] + (l2 * w[i] + l1 * sign);
    }
}
SIMD_VARIANTS(void, update_penalise, (float *g, const float *w, float l1, float l2, size_t n),
              (g, w, l1, l2, n))

SIMD_BODY void update_blend_body(float *out, const float *a, float decay, const float *b,
                                 float part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = decay * a[i] + part * b[i];
}
SIMD_VARIANTS(void, update_blend,
              (float *out, const float *a, float decay, const float *b, float part, size_t n),
              (out, a, decay, b, part, n))

SIMD_BODY void update_adam_body(const update_adam_t *adam, float *out, const float *w,
                                const float *restrict g, float *restrict m,
                                const float *restrict m0, float *restrict v,
                                const float *restrict v0, size_t n)
{
    update_adam_t a = *adam;
    for (size_t i = 0; i < n; i++) {
        float first = a.beta1 * m0[i] + a.rest1 * g[i];
        float second = a.beta2 * v0[i] + a.rest2 * g[i] * g[i];
        m[i] = first;
        v[i] = second;
        out[i] = a.keep * w[i] - a.rate * first / (sqrtf(second) / a.root + a.epsilon);
    }
}
SIMD_VARIANTS(void, update_adam,
              (const update_adam_t *adam, float *out, const float *w, const float *g, float *m,
               const float *m0, float *v, const float *v0, size_t n),
              (adam, out, w, g, m, m0, v, v0, n))
