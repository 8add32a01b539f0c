/* See trial.h. */
#include "parameter_server/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

struct trial {
    trial_config_t config;
    trial_state_t state;
    uint32_t block_rows;
    uint32_t n_validation; /* blocks */
    uint32_t n_test;
    wire_score_t *scores; /* owned, (n_validation + n_test); end 0: not there yet */
    uint32_t n_missing;
    trial_result_t result; /* when none is missing */
};

trial_state_t trial_state_share(const trial_state_t *state)
{
    if (state->pending)
        pool_share(state->pending);
    if (state->best)
        pool_share(state->best);
    return *state;
}

void trial_state_clear(trial_state_t *self)
{
    pool_give(self->pending);
    pool_give(self->best);
    memset(self, 0, sizeof(*self));
}

static uint32_t s_n_blocks(uint32_t n_rows, uint32_t block_rows)
{
    return n_rows / block_rows + (n_rows % block_rows > 0);
}

trial_t *trial_new(const trial_config_t *config, trial_state_t *state)
{
    trial_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->config = *config;
    self->state = *state;
    memset(state, 0, sizeof(*state));
    self->block_rows =
        config->block_rows < TRIAL_BLOCK_ROWS ? config->block_rows : TRIAL_BLOCK_ROWS;
    self->n_validation = s_n_blocks(config->n_validation, self->block_rows);
    self->n_test = s_n_blocks(config->n_test, self->block_rows);
    self->n_missing = self->n_validation + self->n_test;
    self->scores = calloc((size_t)self->n_missing + 1, sizeof(*self->scores));
    if (!self->scores)
        abort();
    return self;
}

void trial_destroy(trial_t **self_p)
{
    trial_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    trial_state_clear(&self->state);
    free(self->scores);
    free(self);
}

bool trial_due(const trial_t *self, uint32_t step)
{
    return self->config.every > 0 && step % self->config.every == 0;
}

void trial_begin(trial_t *self, uint32_t step, float *model)
{
    pool_give(self->state.pending);
    self->state.pending = model;
    self->state.pending_step = step;
    self->n_missing = self->n_validation + self->n_test;
    memset(self->scores, 0, self->n_missing * sizeof(*self->scores));
}

bool trial_block(const trial_t *self, uint32_t i, uint32_t *first, uint32_t *end)
{
    bool test = i >= self->n_validation;
    uint32_t at = (test ? i - self->n_validation : i) * self->block_rows;
    uint32_t n = test ? self->config.n_test : self->config.n_validation;
    uint32_t before = self->config.n_train + (test ? self->config.n_validation : 0);
    if (i >= self->n_validation + self->n_test)
        return false;
    *first = before + at;
    *end = before + (n - at < self->block_rows ? n : at + self->block_rows);
    return true;
}

static trial_score_t s_sum(const wire_score_t *scores, uint32_t n_blocks, uint32_t n_rows)
{
    double cost = 0;
    uint64_t correct = 0;
    for (uint32_t i = 0; i < n_blocks; i++) {
        cost += scores[i].cost;
        correct += scores[i].correct;
    }
    return (trial_score_t){n_rows, cost / n_rows, (double)correct / n_rows};
}

bool trial_score(trial_t *self, const wire_score_t *score, trial_result_t *result)
{
    uint32_t at = score->first - self->config.n_train;
    bool test = at >= self->config.n_validation;
    uint32_t i = test ? self->n_validation + (at - self->config.n_validation) / self->block_rows
                      : at / self->block_rows;
    if (score->step != self->state.pending_step || self->n_missing == 0 || self->scores[i].end > 0)
        return false;
    self->scores[i] = *score;
    if (--self->n_missing > 0)
        return false;
    self->result = (trial_result_t){
        .step = score->step,
        .validation = s_sum(self->scores, self->n_validation, self->config.n_validation),
        .test = s_sum(self->scores + self->n_validation, self->n_test, self->config.n_test),
    };
    *result = self->result;
    return true;
}

bool trial_awaited(const trial_t *self, uint32_t step, bool over)
{
    return self->state.pending_step > 0 && (over || trial_due(self, step));
}

bool trial_decide(trial_t *self, bool *stop)
{
    trial_state_t *state = &self->state;
    double cost = self->result.validation.cost;
    if (self->n_missing > 0)
        return false;
    *stop = false;
    if (self->config.patience > 0 && isfinite(cost) &&
        (state->best_step == 0 || cost < state->best_cost)) {
        pool_give(state->best);
        state->best = state->pending;
        state->pending = NULL;
        state->best_step = state->pending_step;
        state->best_cost = cost;
        state->n_worse = 0;
    } else if (self->config.patience > 0)
        *stop = ++state->n_worse >= self->config.patience;
    pool_give(state->pending);
    state->pending = NULL;
    state->pending_step = 0;
    return true;
}

const trial_state_t *trial_state(const trial_t *self)
{
    return &self->state;
}
