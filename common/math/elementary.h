/* Elementary functions of our own: by IEEE operations that are rounded one by one, so that their
 * bits are the same on every CPU, as those of the C library are not.
 */
#ifndef DROVER_MATH_ELEMENTARY_H
#define DROVER_MATH_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

#include "math/simd.h"

/* e^x for x in [-87, 88], clamped outside; NaN stays NaN. At most 1 ulp off, by Cephes (Moshier,
 * single precision): argument reduction by n ln 2 and a polynomial. */
SIMD_BODY float elementary_exp(float x)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer, in the low mantissa bits */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float shifted = x * 1.44269504088896341f + shift;
    int32_t n;
    memcpy(&n, &shifted, sizeof(n));
    float rounded = shifted - shift;
    float r = x - rounded * 0.693359375f;
    r = r - rounded * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t scale_bits = ((uint32_t)n + 127u) << 23;
    float scale;
    memcpy(&scale, &scale_bits, sizeof(scale));
    return p * scale;
}

/* tanh x, at most 2 ulp off: by an odd polynomial near 0 (Cephes) and by exp beyond. */
SIMD_BODY float elementary_tanh(float x)
{
    float z = x < 0.0f ? -x : x;
    float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    float near = p * s * x + x;
    float far = 1.0f - 2.0f / (elementary_exp(2.0f * z) + 1.0f);
    far = x < 0.0f ? -far : far;
    return z < 0.625f ? near : far;
}

/* 1 / (1 + e^-x), at most 3 ulp off. */
SIMD_BODY float elementary_sigmoid(float x)
{
    return 1.0f / (1.0f + elementary_exp(-x));
}

/* ln x of a finite x > 0, normal; at most 2 ulp off. */
double elementary_log(double x);

#endif
