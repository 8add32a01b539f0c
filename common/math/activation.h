/* Activation functions and their derivatives, elementwise over (B,H) matrices.
 *
 * Own tanh and sigmoid, vectorised and with the same bits on every CPU, since the C library picks
 * its variants by CPU. Largest error: tanh 2 ulp, sigmoid 3 ulp (tests/unit/test_math.c tries every
 * 101st float).
 */
#ifndef DROVER_MATH_ACTIVATION_H
#define DROVER_MATH_ACTIVATION_H

#include <stddef.h>

typedef enum {
    ACTIVATION_TANH = 0,
    ACTIVATION_SIGMOID = 1,
} activation_t;

#define ACTIVATION_COUNT 2

/* "tanh", "sigmoid". */
const char *activation_name(activation_t activation);

/* The activation of that name into *activation; 0, or -1 when there is none. */
int activation_parse(const char *name, activation_t *activation);

/* z(B,H)[r][c] = f(z[r][c] + bias[c]), in place. bias is (H). */
void activation_forward(activation_t activation, float *z, const float *bias, size_t B, size_t H);

/* delta(n) *= f'(z), with a(n) = f(z) the activation's own output: 1 - a^2 for tanh,
 * a (1 - a) for sigmoid. */
void activation_backward(activation_t activation, float *delta, const float *a, size_t n);

#endif
