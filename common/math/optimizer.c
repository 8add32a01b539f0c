/* See optimizer.h. The update goes through the vectors once, piece by piece, and digests the new
 * weights on the way (digest.h). Clipping and penalties take a pass of their own before. */
#include "math/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "math/digest.h"
#include "math/scalar.h"
#include "math/update.h"
#include "math/vec.h"

#define CLIP_EPSILON 1e-6 /* PyTorch's */

struct optimizer {
    model_t model;
    size_t n_params;
    optimizer_state_t state; /* owned */
    pool_t *buffers;         /* owned; of what is kept */
};

/* One update, as its pieces are made. */
typedef struct {
    const optimizer_t *self;
    const float *weights;
    const float *gradient;
    float *next;
    float per_row;   /* takes the summed gradient to the mean */
    float clip;      /* and that to the clipped one */
    bool descends;   /* next = weights - descent * gradient, and no more */
    float descent;   /* learning rate, mean and clipping in one */
    float rate;      /* of what goes by the mean gradient */
    const float *m0; /* before the update ... */
    const float *v0;
    const float *average0; /* NULL before the first one */
    float *m;              /* ... and behind it; NULL where there is none */
    float *v;
    float *average;
    update_adam_t adam;
    size_t first_bad; /* parameter that is not finite; n_params: none */
} update_t;

bool optimizer_has_moment1(optimizer_kind_t kind)
{
    return kind != OPTIMIZER_GRADIENT_DESCENT;
}

bool optimizer_has_moment2(optimizer_kind_t kind)
{
    return kind == OPTIMIZER_ADAM || kind == OPTIMIZER_ADAMW;
}

optimizer_state_t optimizer_state_share(const optimizer_state_t *state)
{
    float *const all[] = {state->kept_weights, state->kept_gradient, state->moment1, state->moment2,
                          state->average};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i])
            pool_share(all[i]);
    return *state;
}

void optimizer_state_clear(optimizer_state_t *state)
{
    pool_give(state->kept_weights);
    pool_give(state->kept_gradient);
    pool_give(state->moment1);
    pool_give(state->moment2);
    pool_give(state->average);
    memset(state, 0, sizeof(*state));
}

double optimizer_rate(const optimizer_state_t *state)
{
    const optimizer_config_t *config = &state->config;
    if (config->schedule.kind == SCHEDULE_BOLD_DRIVER)
        return state->driver.rate;
    return schedule_rate(&config->schedule, config->learning_rate,
                         state->n_updates > 0 ? state->n_updates : 1);
}

optimizer_t *optimizer_new(const model_t *model, optimizer_state_t *state)
{
    optimizer_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->model = *model;
    self->n_params = model_params(model);
    self->state = *state;
    self->buffers = pool_new(self->n_params * sizeof(float));
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

static bool s_has_penalties(const optimizer_t *self)
{
    return self->state.config.l1 > 0 || self->state.config.l2 > 0;
}

static double s_penalty(const optimizer_t *self, const float *weights)
{
    double squares[UPDATE_SUMS] = {0}, magnitudes[UPDATE_SUMS] = {0};
    for (uint32_t l = 0; l < self->model.n_layers; l++) {
        size_t from = model_weight_offset(&self->model, l);
        size_t n = model_bias_offset(&self->model, l) - from;
        update_add_squares(squares, weights + from, n);
        update_add_magnitudes(magnitudes, weights + from, n);
    }
    return self->state.config.l1 * update_total(magnitudes) +
           self->state.config.l2 * 0.5 * update_total(squares);
}

/* out(n): the mean gradient with its penalties, not clipped, of the parameters from `first`. */
static void s_mean(const update_t *update, size_t first, size_t n, float *out)
{
    const optimizer_t *self = update->self;
    const optimizer_config_t *config = &self->state.config;
    update_scale(out, update->gradient + first, update->per_row, n);
    for (uint32_t l = 0; s_has_penalties(self) && l < self->model.n_layers; l++) {
        size_t from = model_weight_offset(&self->model, l);
        size_t end = model_bias_offset(&self->model, l);
        from = from > first ? from : first;
        end = end < first + n ? end : first + n;
        if (from < end)
            update_penalise(out + (from - first), update->weights + from, (float)config->l1,
                            (float)config->l2, end - from);
    }
}

static void s_look(update_t *update, const float *a, size_t first, size_t n)
{
    if (update->first_bad < update->self->n_params || vec_all_finite(a, n))
        return;
    size_t i = 0;
    while (isfinite(a[i]))
        i++;
    update->first_bad = first + i;
}

/* Of the whole mean gradient with its penalties; notes where it is not finite. */
static double s_norm(update_t *update)
{
    float mean[DIGEST_PIECE];
    double squares[UPDATE_SUMS] = {0};
    size_t n_params = update->self->n_params;
    for (size_t first = 0; first < n_params; first += DIGEST_PIECE) {
        size_t n = n_params - first < DIGEST_PIECE ? n_params - first : DIGEST_PIECE;
        s_mean(update, first, n, mean);
        s_look(update, mean, first, n);
        update_add_squares(squares, mean, n);
    }
    return sqrt(update_total(squares));
}

/* What goes by the mean gradient, which is changed. */
static void s_step(const update_t *update, size_t first, size_t n, float *mean)
{
    const optimizer_config_t *config = &update->self->state.config;
    const float *w = update->weights + first;
    float *next = update->next + first;
    float momentum = (float)config->momentum;
    switch (config->kind) {
    case OPTIMIZER_GRADIENT_DESCENT:
        vec_descend(next, w, mean, update->rate, n);
        break;
    case OPTIMIZER_MOMENTUM:
        update_blend(update->m + first, update->m0 + first, momentum, mean, 1.0f, n);
        vec_descend(next, w, update->m + first, update->rate, n);
        break;
    case OPTIMIZER_NESTEROV:
        update_blend(update->m + first, update->m0 + first, momentum, mean, 1.0f, n);
        update_blend(mean, mean, 1.0f, update->m + first, momentum, n);
        vec_descend(next, w, mean, update->rate, n);
        break;
    case OPTIMIZER_ADAM:
    case OPTIMIZER_ADAMW:
        update_adam(&update->adam, next, w, mean, update->m + first, update->m0 + first,
                    update->v + first, update->v0 + first, n);
        break;
    }
}

/* digest_piece_t */
static const float *s_piece(void *context, size_t first, size_t n)
{
    update_t *update = context;
    const float *next = update->next + first;
    if (update->descends)
        vec_descend(update->next + first, update->weights + first, update->gradient + first,
                    update->descent, n);
    else {
        float mean[DIGEST_PIECE];
        s_mean(update, first, n, mean);
        if (update->clip < 1.0f)
            update_scale(mean, mean, update->clip, n);
        s_step(update, first, n, mean);
    }
    s_look(update, next, first, n);
    if (update->v) /* or it would hold its weight for ever */
        s_look(update, update->v + first, first, n);
    if (update->average0) {
        double ema = update->self->state.config.ema;
        update_blend(update->average + first, update->average0 + first, (float)ema, next,
                     (float)(1.0 - ema), n);
    } else if (update->average)
        memcpy(update->average + first, next, n * sizeof(float));
    return next;
}

/* Makes the next weights: their digest. Plain descent goes through the vectors once, for all. */
static uint64_t s_make(update_t *update)
{
    bool finite;
    size_t n_params = update->self->n_params;
    if (!update->descends || update->average)
        return digest_pieces(s_piece, update, n_params);
    uint64_t digest = digest_descend(update->next, update->weights, update->gradient,
                                     update->descent, n_params, &finite);
    if (!finite)
        s_look(update, update->next, 0, n_params);
    return digest;
}

/* Updates a vector of the state: the old one to *before, zeros if there is none, a new one to
 * *after. */
static void s_take(optimizer_t *self, float **before, float **after)
{
    if (!*before) {
        *before = pool_take(self->buffers);
        memset(*before, 0, self->n_params * sizeof(float));
    }
    *after = pool_take(self->buffers);
}

static update_adam_t s_adam(const optimizer_state_t *state, double rate)
{
    const optimizer_config_t *config = &state->config;
    double correction1 = 1.0 - scalar_power(config->beta1, state->n_updates);
    double correction2 = 1.0 - scalar_power(config->beta2, state->n_updates);
    double decay = config->kind == OPTIMIZER_ADAMW ? rate * config->weight_decay : 0.0;
    return (update_adam_t){
        .beta1 = (float)config->beta1,
        .rest1 = (float)(1.0 - config->beta1),
        .beta2 = (float)config->beta2,
        .rest2 = (float)(1.0 - config->beta2),
        .rate = (float)(rate / correction1),
        .root = (float)sqrt(correction2),
        .epsilon = (float)config->epsilon,
        .keep = (float)(1.0 - decay),
    };
}

static void s_replace(float **vector, float *by)
{
    if (!by)
        return;
    pool_give(*vector);
    *vector = by;
}

/* Layer of a parameter, from 1. */
static uint32_t s_layer(const optimizer_t *self, size_t parameter)
{
    uint32_t l = self->model.n_layers - 1;
    while (l > 0 && model_weight_offset(&self->model, l) > parameter)
        l--;
    return l + 1;
}

/* Cost and gradient of weights that the last update made. */
static int s_wild_cost(const optimizer_t *self, double cost, const float *gradient, err_t *err)
{
    double rate = optimizer_rate(&self->state);
    size_t i = 0;
    while (i < self->n_params && isfinite(gradient[i]))
        i++;
    if (i == self->n_params)
        return err_set(err, "diverged at learning rate %.6g: the cost is %g", rate, cost);
    return err_set(
        err,
        "diverged at learning rate %.6g: the cost is %g, and layer %u is the first whose "
        "gradient is not finite",
        rate, cost, s_layer(self, i));
}

int optimizer_step(optimizer_t *self, const float *weights, const float *gradient, uint64_t rows,
                   double *mean_cost, float *next, uint64_t *digest, err_t *err)
{
    optimizer_state_t *state = &self->state;
    const optimizer_config_t *config = &state->config;
    if (s_has_penalties(self))
        *mean_cost += s_penalty(self, weights);
    if (!isfinite(*mean_cost))
        return s_wild_cost(self, *mean_cost, gradient, err);
    state->n_updates++;
    if (config->schedule.kind == SCHEDULE_BOLD_DRIVER) {
        if (bold_driver_next(&state->driver, *mean_cost) == BOLD_DRIVER_UNDO) {
            weights = state->kept_weights;
            gradient = state->kept_gradient;
            rows = state->kept_rows;
        } else if (state->driver.rollback)
            s_keep(self, weights, gradient, rows);
    }
    double rate = optimizer_rate(state);
    double clip = 1.0;
    update_t update = {
        .self = self,
        .weights = weights,
        .gradient = gradient,
        .per_row = (float)(1.0 / (double)rows),
        .rate = (float)rate,
        .first_bad = self->n_params,
    };
    update.next = next;
    if (config->clip_norm > 0)
        clip = fmin(1.0, config->clip_norm / (s_norm(&update) + CLIP_EPSILON));
    if (update.first_bad < self->n_params)
        goto diverged;
    update.clip = (float)clip;
    update.descends = config->kind == OPTIMIZER_GRADIENT_DESCENT && !s_has_penalties(self);
    update.descent = (float)(rate * clip / (double)rows);
    if (optimizer_has_moment1(config->kind))
        s_take(self, &state->moment1, &update.m);
    if (optimizer_has_moment2(config->kind)) {
        s_take(self, &state->moment2, &update.v);
        update.adam = s_adam(state, rate);
    }
    if (config->ema > 0)
        update.average = pool_take(self->buffers);
    update.m0 = state->moment1;
    update.v0 = state->moment2;
    update.average0 = state->average;
    *digest = s_make(&update);
    s_replace(&state->moment1, update.m);
    s_replace(&state->moment2, update.v);
    s_replace(&state->average, update.average);
    if (update.first_bad == self->n_params)
        return 0;
diverged:
    return err_set(err,
                   "diverged at learning rate %.6g: layer %u is the first whose gradient or update "
                   "is not finite",
                   rate, s_layer(self, update.first_bad));
}

const optimizer_state_t *optimizer_state(const optimizer_t *self)
{
    return &self->state;
}
