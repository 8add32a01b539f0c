/* From a step's summed gradient to the next weights: gradient descent under the bold driver. */
#ifndef DROVER_MATH_OPTIMIZER_H
#define DROVER_MATH_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "math/bold_driver.h"

typedef struct optimizer optimizer_t;

/* For n_params parameters. Never NULL. */
optimizer_t *optimizer_new(size_t n_params, bold_driver_t driver);
void optimizer_destroy(optimizer_t **self_p);

/* next(P) from weights(P), gradient(P) summed over `rows` rows and the batch's mean cost:
 * next = weights - rate / rows * gradient, or, when the bold driver undoes the last step, the same
 * from the weights and gradient that it kept. next must not be weights. rows >= 1. Returns the
 * learning rate used. */
double optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                      double mean_cost, float *next);

const bold_driver_t *optimizer_driver(const optimizer_t *self);

#endif
