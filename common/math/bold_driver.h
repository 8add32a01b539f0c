/* The bold driver: a learning rate that grows while the cost falls and is cut when it rises.
 *
 * Battiti: "Accelerated backpropagation learning: two optimization methods", Complex Systems 3,
 * 1989; Vogl et al. 1988. Two forms. The origin's: from the second step on the rate is multiplied
 * by `up` if this step's cost is below the last one's, else by `down`, and this step's gradient is
 * applied with the new rate. With `rollback`, the classical form: a step that raised the cost is
 * undone, weights and rate both, and tried again from where it started with the rate cut.
 */
#ifndef DROVER_MATH_BOLD_DRIVER_H
#define DROVER_MATH_BOLD_DRIVER_H

#include <stdbool.h>

/* A plain value; all of it is part of a checkpoint. */
typedef struct {
    double up;   /* at least 1 */
    double down; /* (0, 1) */
    bool rollback;
    double rate;      /* what the next update uses */
    bool has_cost;    /* a first cost was seen */
    double cost;      /* of the last step; with rollback of the last step that stands */
    double safe_rate; /* with rollback: the rate before the step under trial */
} bold_driver_t;

typedef enum {
    BOLD_DRIVER_DESCEND, /* apply this step's gradient to this step's weights */
    BOLD_DRIVER_UNDO, /* apply the kept gradient to the kept weights of the last step that stands */
} bold_driver_action_t;

bold_driver_t bold_driver_new(double learning_rate, double up, double down, bool rollback);

/* Takes the cost measured at the current weights, sets `rate`, says what to do with it. */
bold_driver_action_t bold_driver_next(bold_driver_t *self, double cost);

#endif
