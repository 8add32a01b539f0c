/* From a step's summed gradient to the next weights: gradient descent under the bold driver. */
#ifndef DROVER_MATH_OPTIMIZER_H
#define DROVER_MATH_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "math/bold_driver.h"

typedef struct optimizer optimizer_t;

/* All that an optimizer remembers between steps, besides the weights. */
typedef struct {
    bold_driver_t driver;
    /* With rollback, the last step that stands: weights(P) and summed gradient(P), buffers of
     * base/pool.h that are not written to; NULL before the first step and without rollback. */
    float *kept_weights;
    float *kept_gradient;
    uint64_t kept_rows;
} optimizer_state_t;

/* A copy that owns its references to the buffers; optimizer_state_clear lets go of them. */
optimizer_state_t optimizer_state_share(const optimizer_state_t *state);
void optimizer_state_clear(optimizer_state_t *state);

/* For n_params parameters, going on from *state, whose buffers it takes over; *state is emptied.
 * Never NULL. */
optimizer_t *optimizer_new(size_t n_params, optimizer_state_t *state);
void optimizer_destroy(optimizer_t **self_p);

/* next(P) from weights(P), gradient(P) summed over `rows` rows and the batch's mean cost:
 * next = weights - rate / rows * gradient, or, when the bold driver undoes the last step, the same
 * from the weights and gradient that it kept. next may be gradient or weights. rows >= 1. *digest
 * is that of next (math/digest.h). Returns the learning rate used. */
double optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                      double mean_cost, float *next, uint64_t *digest);

/* Borrowed. */
const optimizer_state_t *optimizer_state(const optimizer_t *self);

#endif
