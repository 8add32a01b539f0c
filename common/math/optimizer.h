/* From a step's summed gradient to the next weights.
 *
 * With g the gradient that is minimised by, r the learning rate, and t the updates up to this one:
 *
 *   gradient descent   w -= r g
 *   momentum           m = mu m + g, w -= r m             Polyak 1964
 *   nesterov           m = mu m + g, w -= r (g + mu m)    Nesterov 1983, Sutskever et al. 2013
 *   adam               m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
 *                      w -= r / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + epsilon)
 *                                                         Kingma & Ba, ICLR 2015
 *   adamw              w *= 1 - r weight_decay, then as adam: Loshchilov & Hutter, ICLR 2019
 *
 * in the forms of PyTorch's SGD (dampening 0), Adam and AdamW: the momentum is of gradients and not
 * of steps, so that a new rate acts on all of it, and AdamW decays biases too. m and v start at 0.
 *
 * g is the batch's mean gradient; plus l2 w + l1 sign(w) for the weights (no biases) of each layer;
 * times min(1, clip_norm / (|g| + 1e-6)) if it is clipped, |g| being the Euclidean norm of all of
 * it (Pascanu et al. 2013; PyTorch's clip_grad_norm_). With penalties the cost is that of the batch
 * plus l1 sum |w| + l2 / 2 sum w^2: what g is the gradient of, what the bold driver sees and what
 * is reported.
 *
 * The average of the weights, for whoever uses the model, is w after the first update and then
 * ema average + (1 - ema) w (Polyak & Juditsky 1992; PyTorch's get_ema_multi_avg_fn).
 *
 * All of it by update.h, vec.h and scalar.h: the same bits on every CPU.
 */
#ifndef DROVER_MATH_OPTIMIZER_H
#define DROVER_MATH_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "math/bold_driver.h"
#include "math/model.h"
#include "math/schedule.h"

typedef struct optimizer optimizer_t;

typedef enum {
    OPTIMIZER_GRADIENT_DESCENT,
    OPTIMIZER_MOMENTUM,
    OPTIMIZER_NESTEROV,
    OPTIMIZER_ADAM,
    OPTIMIZER_ADAMW,
} optimizer_kind_t;

/* What was asked for; a plain value. All zeros is gradient descent under the bold driver. */
typedef struct {
    optimizer_kind_t kind;
    schedule_t schedule;
    double learning_rate; /* that the schedule begins with; the bold driver has its own */
    double momentum;      /* [0, 1): momentum, nesterov */
    double beta1, beta2;  /* [0, 1): adam, adamw */
    double epsilon;       /* above 0: the same */
    double weight_decay;  /* at least 0: adamw */
    double l1, l2;        /* at least 0 */
    double clip_norm;     /* at least 0; 0: none */
    double ema;           /* [0, 1); 0: none */
} optimizer_config_t;

/* All that an optimizer goes by and remembers between steps, besides the weights. The vectors are
 * buffers of base/pool.h that are not written to. */
typedef struct {
    optimizer_config_t config;
    uint64_t n_updates;
    bold_driver_t driver; /* for SCHEDULE_BOLD_DRIVER */
    /* With rollback, the last step that stands: weights(P) and summed gradient(P); NULL before the
     * first step and without rollback. */
    float *kept_weights;
    float *kept_gradient;
    uint64_t kept_rows;
    float
        *moment1; /* m(P); NULL before the first update and where there is none, as the next two */
    float *moment2; /* v(P) */
    float *average; /* of the weights(P) */
} optimizer_state_t;

/* A copy that owns its references to the buffers; optimizer_state_clear lets go of them. */
optimizer_state_t optimizer_state_share(const optimizer_state_t *state);
void optimizer_state_clear(optimizer_state_t *state);

/* Has an optimizer of this kind the vector m, and v? */
bool optimizer_has_moment1(optimizer_kind_t kind);
bool optimizer_has_moment2(optimizer_kind_t kind);

/* The learning rate of the last update; of the first one before that. */
double optimizer_rate(const optimizer_state_t *state);

/* For the parameters of `model`, going on from *state, whose buffers it takes over; *state is
 * emptied. Never NULL. */
optimizer_t *optimizer_new(const model_t *model, optimizer_state_t *state);
void optimizer_destroy(optimizer_t **self_p);

/* next(P) from weights(P), gradient(P) summed over `rows` rows and the batch's mean cost, which is
 * increased by the penalties. When the bold driver undoes the last step, next comes from the
 * weights and gradient that it kept. next may be gradient or weights. rows >= 1. *digest is that of
 * next (math/digest.h). Returns 0, or -1 when cost, gradient or next weights are not finite: *err
 * names the learning rate and the first layer concerned; next and the state are then of no use. */
int optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                   double *mean_cost, float *next, uint64_t *digest, err_t *err);

/* Borrowed. */
const optimizer_state_t *optimizer_state(const optimizer_t *self);

#endif
