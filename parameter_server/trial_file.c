/* See trial_file.h. */
#include "parameter_server/trial_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "parameter_server/field.h"
#include "proto/wire.h"

#define EVERY        TRIAL_FILE_PREFIX "every_steps"
#define PATIENCE     "training.early_stopping.patience"
#define PENDING_STEP TRIAL_FILE_PREFIX "pending_step"
#define PENDING      TRIAL_FILE_PREFIX "pending"
#define BEST_STEP    TRIAL_FILE_PREFIX "best_step"
#define BEST_COST    TRIAL_FILE_PREFIX "best_cost"
#define BEST         TRIAL_FILE_PREFIX "best"
#define WORSE        TRIAL_FILE_PREFIX "worse"

void trial_file_add(safetensors_t *file, const trial_file_t *trial, size_t n_params)
{
    const trial_state_t *state = &trial->state;
    if (trial->every == 0)
        return;
    field_set_number(file, EVERY, trial->every);
    field_set_number(file, PATIENCE, trial->patience);
    field_set_number(file, PENDING_STEP, state->pending_step);
    field_set_number(file, BEST_STEP, state->best_step);
    field_set_real(file, BEST_COST, state->best_cost);
    field_set_number(file, WORSE, state->n_worse);
    if (state->pending)
        safetensors_add(file, PENDING, &n_params, 1, state->pending);
    if (state->best)
        safetensors_add(file, BEST, &n_params, 1, state->best);
}

static uint64_t s_digest(const float *model, size_t n_params)
{
    return model ? wire_digest(model, n_params * sizeof(float)) : 0;
}

void trial_file_print(const trial_file_t *trial, size_t n_params, char text[TRIAL_FILE_TEXT_SIZE])
{
    const trial_state_t *state = &trial->state;
    text[0] = '\0';
    if (trial->every > 0)
        (void)snprintf(text, TRIAL_FILE_TEXT_SIZE, " %u %u %u %u %a %u %" PRIx64 " %" PRIx64,
                       trial->every, trial->patience, state->pending_step, state->best_step,
                       state->best_cost, state->n_worse, s_digest(state->pending, n_params),
                       s_digest(state->best, n_params));
}

int trial_file_read(const safetensors_t *file, const char *path, size_t n_params,
                    trial_file_t *trial, err_t *err)
{
    trial_state_t *state = &trial->state;
    if (!safetensors_meta(file, EVERY))
        return 0;
    if (field_u32(file, path, EVERY, &trial->every, err) != 0 ||
        field_u32(file, path, PATIENCE, &trial->patience, err) != 0 ||
        field_u32(file, path, PENDING_STEP, &state->pending_step, err) != 0 ||
        field_u32(file, path, BEST_STEP, &state->best_step, err) != 0 ||
        field_real(file, path, BEST_COST, &state->best_cost, err) != 0 ||
        field_u32(file, path, WORSE, &state->n_worse, err) != 0 ||
        field_vector(file, path, PENDING, n_params, state->pending_step > 0, &state->pending,
                     err) != 0 ||
        field_vector(file, path, BEST, n_params, state->best_step > 0, &state->best, err) != 0)
        return -1;
    return 0;
}
