/* See optimizer.h. */
#include "math/optimizer.h"

#include <stdlib.h>
#include <string.h>

#include "math/digest.h"

struct optimizer {
    size_t n_params;
    optimizer_state_t state; /* owned */
    pool_t *buffers;         /* owned; of what is kept */
};

optimizer_state_t optimizer_state_share(const optimizer_state_t *state)
{
    optimizer_state_t copy = *state;
    if (copy.kept_weights) {
        pool_share(copy.kept_weights);
        pool_share(copy.kept_gradient);
    }
    return copy;
}

void optimizer_state_clear(optimizer_state_t *state)
{
    pool_give(state->kept_weights);
    pool_give(state->kept_gradient);
    memset(state, 0, sizeof(*state));
}

optimizer_t *optimizer_new(size_t n_params, optimizer_state_t *state)
{
    optimizer_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_params = n_params;
    self->state = *state;
    self->buffers = pool_new(n_params * sizeof(float));
    memset(state, 0, sizeof(*state));
    return self;
}

void optimizer_destroy(optimizer_t **self_p)
{
    optimizer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    optimizer_state_clear(&self->state);
    pool_destroy(&self->buffers);
    free(self);
}

/* A copy; the old one may be shared: in a buffer of its own. */
static void s_keep_vector(optimizer_t *self, float **kept, const float *vector)
{
    pool_give(*kept);
    *kept = pool_take(self->buffers);
    memcpy(*kept, vector, self->n_params * sizeof(float));
}

static void s_keep(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows)
{
    optimizer_state_t *state = &self->state;
    s_keep_vector(self, &state->kept_weights, weights);
    s_keep_vector(self, &state->kept_gradient, gradient);
    state->kept_rows = rows;
}

double optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                      double mean_cost, float *next, uint64_t *digest)
{
    optimizer_state_t *state = &self->state;
    if (bold_driver_next(&state->driver, mean_cost) == BOLD_DRIVER_UNDO) {
        weights = state->kept_weights;
        gradient = state->kept_gradient;
        rows = state->kept_rows;
    } else if (state->driver.rollback)
        s_keep(self, weights, gradient, rows);
    float scale = (float)(state->driver.rate / (double)rows);
    *digest = digest_descend(next, weights, gradient, scale, self->n_params);
    return state->driver.rate;
}

const optimizer_state_t *optimizer_state(const optimizer_t *self)
{
    return &self->state;
}
