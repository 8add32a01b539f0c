/* What the settings say of the optimizer. */
#ifndef DROVER_CLI_RUN_OPTIMIZER_H
#define DROVER_CLI_RUN_OPTIMIZER_H

#include "base/settings.h"
#include "math/optimizer.h"

/* Before the first step. What the kind of optimizer and schedule do not use is 0. */
optimizer_state_t run_optimizer(const settings_t *settings);

/* The key in which a checkpoint's optimizer is another one; NULL if it is the settings'. */
const char *run_optimizer_difference(const settings_t *settings, double learning_rate,
                                     const optimizer_state_t *state);

#endif
