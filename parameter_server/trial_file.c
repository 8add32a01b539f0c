/* See trial_file.h. */
#include "parameter_server/trial_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/pool.h"
#include "parameter_server/model_file.h"
#include "proto/wire.h"

#define EVERY        TRIAL_FILE_PREFIX "every_steps"
#define PATIENCE     "training.early_stopping.patience"
#define PENDING_STEP TRIAL_FILE_PREFIX "pending_step"
#define PENDING      TRIAL_FILE_PREFIX "pending"
#define BEST_STEP    TRIAL_FILE_PREFIX "best_step"
#define BEST_COST    TRIAL_FILE_PREFIX "best_cost"
#define BEST         TRIAL_FILE_PREFIX "best"
#define WORSE        TRIAL_FILE_PREFIX "worse"

static void s_set(safetensors_t *file, const char *key, uint32_t value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u", value);
    safetensors_set_meta(file, key, text);
}

void trial_file_add(safetensors_t *file, const trial_file_t *trial, size_t n_params)
{
    const trial_state_t *state = &trial->state;
    char cost[40];
    if (trial->every == 0)
        return;
    (void)snprintf(cost, sizeof(cost), "%a", state->best_cost);
    s_set(file, EVERY, trial->every);
    s_set(file, PATIENCE, trial->patience);
    s_set(file, PENDING_STEP, state->pending_step);
    s_set(file, BEST_STEP, state->best_step);
    safetensors_set_meta(file, BEST_COST, cost);
    s_set(file, WORSE, state->n_worse);
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

static int s_get(const safetensors_t *file, const char *path, const char *key, uint32_t *value,
                 err_t *err)
{
    uint64_t number = 0;
    int r = model_file_number(file, path, key, UINT32_MAX, &number, err);
    *value = (uint32_t)number;
    return r;
}

/* A model is there when its step is. */
static int s_get_model(const safetensors_t *file, const char *path, const char *name,
                       size_t n_params, uint32_t step, float **model, err_t *err)
{
    size_t n_dims;
    const size_t *shape;
    const float *data = safetensors_tensor(file, name, &n_dims, &shape);
    if (!data != (step == 0) || (data && (n_dims != 1 || shape[0] != n_params)))
        return err_set(err, "%s: tensor '%s' does not fit the evaluations' state", path, name);
    if (!data)
        return 0;
    pool_t *pool = pool_new(n_params * sizeof(float));
    *model = pool_take(pool);
    memcpy(*model, data, n_params * sizeof(float));
    pool_destroy(&pool); /* its buffer lives on */
    return 0;
}

int trial_file_read(const safetensors_t *file, const char *path, size_t n_params,
                    trial_file_t *trial, err_t *err)
{
    trial_state_t *state = &trial->state;
    if (!safetensors_meta(file, EVERY))
        return 0;
    if (s_get(file, path, EVERY, &trial->every, err) != 0 ||
        s_get(file, path, PATIENCE, &trial->patience, err) != 0 ||
        s_get(file, path, PENDING_STEP, &state->pending_step, err) != 0 ||
        s_get(file, path, BEST_STEP, &state->best_step, err) != 0 ||
        model_file_real(file, path, BEST_COST, &state->best_cost, err) != 0 ||
        s_get(file, path, WORSE, &state->n_worse, err) != 0 ||
        s_get_model(file, path, PENDING, n_params, state->pending_step, &state->pending, err) !=
            0 ||
        s_get_model(file, path, BEST, n_params, state->best_step, &state->best, err) != 0)
        return -1;
    return 0;
}
