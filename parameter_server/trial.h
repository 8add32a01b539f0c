/* Evaluations of the model while it is trained, and what early stopping makes of them.
 *
 * Pure. After each `every` steps the model that the run would leave is on trial: its rows are
 * evaluated in blocks, which come back in any order and are summed in theirs, so that the result
 * does not depend on who did them. What follows from the trial of step s is decided just before
 * step s + every begins, whenever the result came, so that it does not depend on time either.
 */
#ifndef DROVER_PARAMETER_SERVER_TRIAL_H
#define DROVER_PARAMETER_SERVER_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

#define TRIAL_BLOCK_ROWS 512u /* at most; fewer where blocks of the training are smaller */

/* Evaluations are numbered by their steps; 0: none. Models are (P), of base/pool.h, NULL for none;
 * shared ones are not written to. */
typedef struct {
    uint32_t pending_step; /* on trial: nothing was decided yet */
    float *pending;
    uint32_t best_step; /* with early stopping: of the lowest validation cost ... */
    double best_cost;
    float *best;
    uint32_t n_worse; /* ... and so many evaluations behind it were not lower */
} trial_state_t;

/* A copy with references of its own. */
trial_state_t trial_state_share(const trial_state_t *state);
void trial_state_clear(trial_state_t *self);

typedef struct {
    uint32_t n_train; /* rows, whose numbers come before those of the next ... */
    uint32_t n_validation;
    uint32_t n_test;
    uint32_t block_rows; /* of the training */
    uint32_t every;      /* steps; 0: no evaluations */
    uint32_t patience;   /* evaluations without a lower validation cost; 0: no early stopping */
} trial_config_t;

/* Means over the rows; of 0 rows: NaN. */
typedef struct {
    uint32_t rows;
    double cost;
    double accuracy;
} trial_score_t;

typedef struct {
    uint32_t step;
    trial_score_t validation;
    trial_score_t test;
} trial_result_t;

typedef struct trial trial_t;

/* *state, which is emptied, is what a checkpoint says. Never NULL. */
trial_t *trial_new(const trial_config_t *config, trial_state_t *state);
void trial_destroy(trial_t **self_p);

/* Is a step's model to be evaluated? */
bool trial_due(const trial_t *self, uint32_t step);

/* The model of a step, which is taken over, is on trial. */
void trial_begin(trial_t *self, uint32_t step, float *model);

/* Block i of the rows: [*first, *end); false behind the last. */
bool trial_block(const trial_t *self, uint32_t i, uint32_t *first, uint32_t *end);

/* A block of the trial's is done: true when it was the last one, with *result. */
bool trial_score(trial_t *self, const wire_score_t *score, trial_result_t *result);

/* Is the trial to be decided before this step begins, since the next one follows it? With `over` it
 * is none: the steps are done. */
bool trial_awaited(const trial_t *self, uint32_t step, bool over);

/* False while blocks of it are missing. Else it is decided and over; *stop says whether the
 * training is, too. */
bool trial_decide(trial_t *self, bool *stop);

const trial_state_t *trial_state(const trial_t *self); /* borrowed */

#endif
