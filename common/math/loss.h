/* What a row costs. */
#ifndef DROVER_MATH_LOSS_H
#define DROVER_MATH_LOSS_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    LOSS_SSE = 0,           /* 1/2 sum over classes of (y - y*)^2 */
    LOSS_CROSS_ENTROPY = 1, /* -ln of the label's softmax */
} loss_t;

#define LOSS_COUNT 2

/* "sse", "cross_entropy". */
const char *loss_name(loss_t loss);

/* The loss of that name into *loss; 0, or -1 when there is none. */
int loss_parse(const char *name, loss_t *loss);

/* y is (B,C), labels (B), each below C; weights(C), of classes, or NULL: all 1. Returns E, the cost
 * of a row times its class's weight, summed in double over rows in order, and delta(B,C) = dE/dy =
 * w (y - y*). *n_correct gets the rows whose largest output (the first of equals) is the label's.
 */
double loss_sse(const float *y, const uint8_t *labels, const float *weights, size_t B, size_t C,
                float *delta, uint32_t *n_correct);

/* The same behind a softmax: z(B,C) is what the softmax takes (bias included) and becomes its
 * output; delta = dE/dz = w (y - y*). E = sum of w (ln sum e^z - z_label), the logarithm of the sum
 * at once, so that no small probability is lost. */
double loss_cross_entropy(float *z, const uint8_t *labels, const float *weights, size_t B, size_t C,
                          float *delta, uint32_t *n_correct);

/* The index of the largest of C values, the first of equals. */
size_t loss_argmax(const float *y, size_t C);

#endif
