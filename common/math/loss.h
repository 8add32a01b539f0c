/* The sum of squared errors against one-hot targets. */
#ifndef DROVER_MATH_LOSS_H
#define DROVER_MATH_LOSS_H

#include <stddef.h>
#include <stdint.h>

/* y is (B,C), labels (B), each below C. delta(B,C) = dE/dy = y - y*. Returns E = 1/2 sum (y - y*)^2
 * summed in double over rows in order. *n_correct gets the rows whose largest output (the first of
 * equals) is the label's. */
double loss_sse(const float *y, const uint8_t *labels, size_t B, size_t C, float *delta,
                uint32_t *n_correct);

/* The index of the largest of C values, the first of equals. */
size_t loss_argmax(const float *y, size_t C);

#endif
