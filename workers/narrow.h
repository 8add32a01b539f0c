/* A block without the inputs that are zero in all of its rows.
 *
 * Such an input adds nothing to the first layer's sums, and the gradient of its weights is zero. Of
 * MNIST's 784 some 200 are like that in a block of 512 rows, the rim of the pictures, so the first
 * layer's two products, nearly all of a step, shrink by a quarter. Which inputs they are depends on
 * the block's sampled rows alone, and so do the bits (docs/determinism.md).
 *
 * D inputs, N of them left in (N <= D), H units of the first layer, P parameters.
 */
#ifndef DROVER_WORKERS_NARROW_H
#define DROVER_WORKERS_NARROW_H

#include <stdbool.h>
#include <stdint.h>

#include "math/model.h"

typedef struct narrow narrow_t;

/* One a thread. Never NULL. */
narrow_t *narrow_new(const model_t *model);
void narrow_destroy(narrow_t **self_p);

/* Finds the inputs that are not zero in all of these B rows of images (n_rows, D). False when it is
 * not worth while, and then none of the calls below is made for the block. */
bool narrow_begin(narrow_t *self, const uint8_t *images, const uint32_t *rows, uint32_t B);

/* x(B,N) = the rows' inputs that are left. */
void narrow_inputs(const narrow_t *self, const uint8_t *images, const uint32_t *rows, uint32_t B,
                   float *x);

/* The network with N inputs, and its parameters out of params(P); borrowed until narrow_begin. */
const model_t *narrow_model(const narrow_t *self);
const float *narrow_params(narrow_t *self, const float *params);

/* Room for the narrow network's gradient, and gradient(P) out of it. */
float *narrow_gradient(narrow_t *self);
void narrow_widen(const narrow_t *self, float *gradient);

#endif
