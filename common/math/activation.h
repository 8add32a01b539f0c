/* Activation functions and their derivatives over (B,H) matrices.
 *
 * All but softmax are elementwise. By the functions of elementary.h, vectorised and with the same
 * bits on every CPU.
 */
#ifndef DROVER_MATH_ACTIVATION_H
#define DROVER_MATH_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    ACTIVATION_TANH = 0,
    ACTIVATION_SIGMOID = 1,
    ACTIVATION_RELU = 2,       /* max(0, z) */
    ACTIVATION_LEAKY_RELU = 3, /* z, or 0.01 z below 0 */
    ACTIVATION_GELU = 4,       /* z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))): Hendrycks and
                                  Gimpel 2016, its approximation by tanh */
    ACTIVATION_SOFTMAX = 5,    /* e^z / sum of a row's e^z */
} activation_t;

#define ACTIVATION_COUNT 6

/* "tanh", "sigmoid", "relu", "leaky_relu", "gelu", "softmax". */
const char *activation_name(activation_t activation);

/* The activation of that name into *activation; 0, or -1 when there is none. */
int activation_parse(const char *name, activation_t *activation);

/* Is its derivative no function of its output? Then activation_forward writes it down. */
bool activation_has_slope(activation_t activation);

/* z(B,H) becomes f(z). slope(B,H) gets the derivative if activation_has_slope, unless it is NULL.
 */
void activation_forward(activation_t activation, float *z, size_t B, size_t H, float *slope);

/* delta(B,H), dE/da, becomes dE/dz; a(B,H) = f(z) is the activation's own output. */
void activation_backward(activation_t activation, float *delta, const float *a, const float *slope,
                         size_t B, size_t H);

/* Softmax of one row z(C), in place, as activation_forward does it. Returns ln of the sum of e^z
 * (log-sum-exp). */
double activation_softmax(float *z, size_t C);

#endif
