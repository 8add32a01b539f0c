/* See activation.h. */
#include "math/activation.h"

#include <stdint.h>
#include <string.h>

#include "math/elementary.h"
#include "math/simd.h"

#define LEAK 0.01f

/* sqrt(2 / pi) and the cubic coefficient of gelu's approximation */
#define GELU_SCALE 0.79788456080286536f
#define GELU_CUBE  0.044715f

static const char *const s_names[ACTIVATION_COUNT] = {
    [ACTIVATION_TANH] = "tanh", [ACTIVATION_SIGMOID] = "sigmoid",
    [ACTIVATION_RELU] = "relu", [ACTIVATION_LEAKY_RELU] = "leaky_relu",
    [ACTIVATION_GELU] = "gelu", [ACTIVATION_SOFTMAX] = "softmax",
};

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

bool activation_has_slope(activation_t activation)
{
    return activation == ACTIVATION_GELU;
}

SIMD_BODY float s_relu(float x)
{
    return x > 0.0f ? x : 0.0f;
}

SIMD_BODY float s_leaky_relu(float x)
{
    return x > 0.0f ? x : LEAK * x;
}

/* name(z, n): z(n) = f(z). */
#define ELEMENTWISE(name, f)                                                                       \
    SIMD_BODY void name##_body(float *z, size_t n)                                                 \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            z[i] = f(z[i]);                                                                        \
    }                                                                                              \
    SIMD_VARIANTS(static void, name, (float *z, size_t n), (z, n))

ELEMENTWISE(s_forward_tanh, elementary_tanh)
ELEMENTWISE(s_forward_sigmoid, elementary_sigmoid)
ELEMENTWISE(s_forward_relu, s_relu)
ELEMENTWISE(s_forward_leaky_relu, s_leaky_relu)
ELEMENTWISE(s_exp, elementary_exp)

/* With t = tanh(u): f' = (1 + t) / 2 + z / 2 (1 - t^2) u'. */
SIMD_BODY void s_forward_gelu_body(float *restrict z, float *restrict slope, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = z[i], x2 = x * x;
        float t = elementary_tanh(GELU_SCALE * (x + GELU_CUBE * x * x2));
        float du = GELU_SCALE * (1.0f + 3.0f * GELU_CUBE * x2);
        z[i] = 0.5f * x * (1.0f + t);
        slope[i] = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * du;
    }
}
SIMD_VARIANTS(static void, s_forward_gelu, (float *z, float *slope, size_t n), (z, slope, n))

SIMD_BODY void s_value_gelu_body(float *z, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = z[i], x2 = x * x;
        float t = elementary_tanh(GELU_SCALE * (x + GELU_CUBE * x * x2));
        z[i] = 0.5f * x * (1.0f + t);
    }
}
SIMD_VARIANTS(static void, s_value_gelu, (float *z, size_t n), (z, n))

/* name(delta, a, n): delta(n) *= f', which is a function of a = f. */
#define BACKWARD(name, derivative)                                                                 \
    SIMD_BODY void name##_body(float *restrict delta, const float *restrict a, size_t n)           \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            delta[i] *= (derivative);                                                              \
    }                                                                                              \
    SIMD_VARIANTS(static void, name, (float *delta, const float *a, size_t n), (delta, a, n))

BACKWARD(s_backward_tanh, 1.0f - a[i] * a[i])
BACKWARD(s_backward_sigmoid, a[i] * (1.0f - a[i]))
BACKWARD(s_backward_relu, a[i] > 0.0f ? 1.0f : 0.0f)
BACKWARD(s_backward_leaky_relu, a[i] > 0.0f ? 1.0f : LEAK)
BACKWARD(s_backward_slope, a[i])

double activation_softmax(float *z, size_t C)
{
    float most = z[0];
    double sum = 0.0;
    for (size_t c = 1; c < C; c++)
        most = z[c] > most ? z[c] : most;
    for (size_t c = 0; c < C; c++)
        z[c] -= most;
    s_exp(z, C);
    for (size_t c = 0; c < C; c++)
        sum += (double)z[c];
    for (size_t c = 0; c < C; c++)
        z[c] = (float)((double)z[c] / sum);
    return elementary_log(sum) + (double)most;
}

/* dE/dz_c = a_c (dE/da_c - sum over k of a_k dE/da_k) */
static void s_backward_softmax(float *delta, const float *a, size_t C)
{
    double sum = 0.0;
    for (size_t c = 0; c < C; c++)
        sum += (double)a[c] * (double)delta[c];
    for (size_t c = 0; c < C; c++)
        delta[c] = (float)((double)a[c] * ((double)delta[c] - sum));
}

void activation_forward(activation_t activation, float *z, size_t B, size_t H, float *slope)
{
    switch (activation) {
    case ACTIVATION_TANH:
        s_forward_tanh(z, B * H);
        break;
    case ACTIVATION_SIGMOID:
        s_forward_sigmoid(z, B * H);
        break;
    case ACTIVATION_RELU:
        s_forward_relu(z, B * H);
        break;
    case ACTIVATION_LEAKY_RELU:
        s_forward_leaky_relu(z, B * H);
        break;
    case ACTIVATION_GELU:
        if (slope)
            s_forward_gelu(z, slope, B * H);
        else
            s_value_gelu(z, B * H);
        break;
    case ACTIVATION_SOFTMAX:
        for (size_t r = 0; r < B; r++)
            (void)activation_softmax(z + r * H, H);
        break;
    }
}

void activation_backward(activation_t activation, float *delta, const float *a, const float *slope,
                         size_t B, size_t H)
{
    switch (activation) {
    case ACTIVATION_TANH:
        s_backward_tanh(delta, a, B * H);
        break;
    case ACTIVATION_SIGMOID:
        s_backward_sigmoid(delta, a, B * H);
        break;
    case ACTIVATION_RELU:
        s_backward_relu(delta, a, B * H);
        break;
    case ACTIVATION_LEAKY_RELU:
        s_backward_leaky_relu(delta, a, B * H);
        break;
    case ACTIVATION_GELU:
        s_backward_slope(delta, slope, B * H);
        break;
    case ACTIVATION_SOFTMAX:
        for (size_t r = 0; r < B; r++)
            s_backward_softmax(delta + r * H, a + r * H, H);
        break;
    }
}
