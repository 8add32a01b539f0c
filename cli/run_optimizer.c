/* See run_optimizer.h. */
#include "cli/run_optimizer.h"

#include <stddef.h>

#include "parameter_server/optimizer_file.h"

/* base knows nothing of math: the two lists of names have one order. */
_Static_assert((int)SETTINGS_GRADIENT_DESCENT == (int)OPTIMIZER_GRADIENT_DESCENT &&
                   (int)SETTINGS_MOMENTUM == (int)OPTIMIZER_MOMENTUM &&
                   (int)SETTINGS_NESTEROV == (int)OPTIMIZER_NESTEROV &&
                   (int)SETTINGS_ADAM == (int)OPTIMIZER_ADAM &&
                   (int)SETTINGS_ADAMW == (int)OPTIMIZER_ADAMW,
               "optimizers in one order");
_Static_assert((int)SETTINGS_BOLD_DRIVER == (int)SCHEDULE_BOLD_DRIVER &&
                   (int)SETTINGS_CONSTANT == (int)SCHEDULE_CONSTANT &&
                   (int)SETTINGS_STEP == (int)SCHEDULE_STEP &&
                   (int)SETTINGS_EXPONENTIAL == (int)SCHEDULE_EXPONENTIAL &&
                   (int)SETTINGS_COSINE == (int)SCHEDULE_COSINE,
               "schedules in one order");

static schedule_t s_schedule(const settings_t *settings)
{
    schedule_t schedule = {
        .kind = (schedule_kind_t)settings->training.schedule.kind,
        .warmup_steps = (uint32_t)settings->training.schedule.warmup_steps,
    };
    if (schedule.kind == SCHEDULE_STEP || schedule.kind == SCHEDULE_EXPONENTIAL) {
        schedule.every_steps = (uint32_t)settings->training.schedule.every_steps;
        schedule.factor = settings->training.schedule.factor;
    }
    if (schedule.kind == SCHEDULE_COSINE) {
        int steps = settings->training.schedule.steps;
        schedule.steps = (uint32_t)(steps > 0 ? steps : settings->training.steps);
        schedule.final_rate = settings->training.schedule.final_rate;
    }
    return schedule;
}

static optimizer_config_t s_config(const settings_t *settings)
{
    optimizer_config_t config = {
        .kind = (optimizer_kind_t)settings->training.optimizer,
        .schedule = s_schedule(settings),
        .l1 = settings->training.l1,
        .l2 = settings->training.l2,
        .clip_norm = settings->training.clip_norm,
        .ema = settings->training.ema,
    };
    if (config.schedule.kind != SCHEDULE_BOLD_DRIVER)
        config.learning_rate = settings->training.learning_rate;
    if (config.kind == OPTIMIZER_MOMENTUM || config.kind == OPTIMIZER_NESTEROV)
        config.momentum = settings->training.momentum;
    if (config.kind == OPTIMIZER_ADAM || config.kind == OPTIMIZER_ADAMW) {
        config.beta1 = settings->training.beta1;
        config.beta2 = settings->training.beta2;
        config.epsilon = settings->training.epsilon;
    }
    if (config.kind == OPTIMIZER_ADAMW)
        config.weight_decay = settings->training.weight_decay;
    return config;
}

optimizer_state_t run_optimizer(const settings_t *settings)
{
    return (optimizer_state_t){
        .config = s_config(settings),
        .driver = bold_driver_new(
            settings->training.learning_rate, settings->training.bold_driver.up,
            settings->training.bold_driver.down, settings->training.bold_driver.rollback),
    };
}

const char *run_optimizer_difference(const settings_t *settings, double learning_rate,
                                     const optimizer_state_t *state)
{
    optimizer_config_t config = s_config(settings);
    const bold_driver_t *driver = &state->driver;
    const char *key = optimizer_file_difference(&state->config, &config);
    if (key)
        return key;
    if (learning_rate != settings->training.learning_rate)
        return "training.learning_rate";
    if (driver->up != settings->training.bold_driver.up ||
        driver->down != settings->training.bold_driver.down ||
        driver->rollback != settings->training.bold_driver.rollback)
        return "training.bold_driver";
    return NULL;
}
