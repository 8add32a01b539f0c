/* See optimizer.h. */
#include "math/optimizer.h"

#include <stdlib.h>
#include <string.h>

#include "math/vec.h"

struct optimizer {
    size_t n_params;
    bold_driver_t driver;
    /* With rollback only: the last step that stands, to start from again. Owned. */
    float *kept_weights;
    float *kept_gradient;
    uint64_t kept_rows;
};

optimizer_t *optimizer_new(size_t n_params, bold_driver_t driver)
{
    optimizer_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_params = n_params;
    self->driver = driver;
    if (driver.rollback) {
        self->kept_weights = malloc(n_params * sizeof(float));
        self->kept_gradient = malloc(n_params * sizeof(float));
        if (!self->kept_weights || !self->kept_gradient)
            abort();
    }
    return self;
}

void optimizer_destroy(optimizer_t **self_p)
{
    optimizer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    free(self->kept_weights);
    free(self->kept_gradient);
    free(self);
}

double optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                      double mean_cost, float *next)
{
    if (bold_driver_next(&self->driver, mean_cost) == BOLD_DRIVER_UNDO) {
        weights = self->kept_weights;
        gradient = self->kept_gradient;
        rows = self->kept_rows;
    } else if (self->driver.rollback) {
        memcpy(self->kept_weights, weights, self->n_params * sizeof(float));
        memcpy(self->kept_gradient, gradient, self->n_params * sizeof(float));
        self->kept_rows = rows;
    }
    float scale = (float)(self->driver.rate / (double)rows);
    vec_descend(next, weights, gradient, scale, self->n_params);
    return self->driver.rate;
}

const bold_driver_t *optimizer_driver(const optimizer_t *self)
{
    return &self->driver;
}
