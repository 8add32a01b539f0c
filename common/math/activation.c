/* See activation.h. The exponential and tanh follow Cephes (Moshier, single precision): argument
 * reduction by n ln 2 and a polynomial; tanh by an odd polynomial near 0 and by exp beyond. */
#include "math/activation.h"

#include <stdint.h>
#include <string.h>

#include "math/simd.h"

static const char *const s_names[ACTIVATION_COUNT] = {"tanh", "sigmoid"};

const char *activation_name(activation_t activation)
{
    return s_names[activation];
}

int activation_parse(const char *name, activation_t *activation)
{
    for (int i = 0; i < ACTIVATION_COUNT; i++) {
        if (strcmp(name, s_names[i]) == 0) {
            *activation = (activation_t)i;
            return 0;
        }
    }
    return -1;
}

/* e^x for x in [-87, 88], clamped outside; NaN stays NaN. */
SIMD_BODY float s_exp(float x)
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

SIMD_BODY float s_tanh(float x)
{
    float z = x < 0.0f ? -x : x;
    float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s + -5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s + -3.33332819422e-1f;
    float near = p * s * x + x;
    float far = 1.0f - 2.0f / (s_exp(2.0f * z) + 1.0f);
    far = x < 0.0f ? -far : far;
    return z < 0.625f ? near : far;
}

SIMD_BODY float s_sigmoid(float x)
{
    return 1.0f / (1.0f + s_exp(-x));
}

SIMD_BODY void s_forward_tanh_body(float *restrict z, const float *restrict bias, size_t B,
                                   size_t H)
{
    for (size_t r = 0; r < B; r++)
        for (size_t c = 0; c < H; c++)
            z[r * H + c] += bias[c];
    for (size_t i = 0; i < B * H; i++)
        z[i] = s_tanh(z[i]);
}
SIMD_VARIANTS(static void, s_forward_tanh, (float *z, const float *bias, size_t B, size_t H),
              (z, bias, B, H))

SIMD_BODY void s_forward_sigmoid_body(float *restrict z, const float *restrict bias, size_t B,
                                      size_t H)
{
    for (size_t r = 0; r < B; r++)
        for (size_t c = 0; c < H; c++)
            z[r * H + c] += bias[c];
    for (size_t i = 0; i < B * H; i++)
        z[i] = s_sigmoid(z[i]);
}
SIMD_VARIANTS(static void, s_forward_sigmoid, (float *z, const float *bias, size_t B, size_t H),
              (z, bias, B, H))

SIMD_BODY void s_backward_tanh_body(float *restrict delta, const float *restrict a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        delta[i] *= 1.0f - a[i] * a[i];
}
SIMD_VARIANTS(static void, s_backward_tanh, (float *delta, const float *a, size_t n), (delta, a, n))

SIMD_BODY void s_backward_sigmoid_body(float *restrict delta, const float *restrict a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        delta[i] *= a[i] * (1.0f - a[i]);
}
SIMD_VARIANTS(static void, s_backward_sigmoid, (float *delta, const float *a, size_t n),
              (delta, a, n))

void activation_forward(activation_t activation, float *z, const float *bias, size_t B, size_t H)
{
    switch (activation) {
    case ACTIVATION_TANH:
        s_forward_tanh(z, bias, B, H);
        break;
    case ACTIVATION_SIGMOID:
        s_forward_sigmoid(z, bias, B, H);
        break;
    }
}

void activation_backward(activation_t activation, float *delta, const float *a, size_t n)
{
    switch (activation) {
    case ACTIVATION_TANH:
        s_backward_tanh(delta, a, n);
        break;
    case ACTIVATION_SIGMOID:
        s_backward_sigmoid(delta, a, n);
        break;
    }
}
