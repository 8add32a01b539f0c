/* See bold_driver.h. */
#include "math/bold_driver.h"

bold_driver_t bold_driver_new(double learning_rate, double up, double down, bool rollback)
{
    bold_driver_t self = {
        .up = up,
        .down = down,
        .rollback = rollback,
        .rate = learning_rate,
        .safe_rate = learning_rate,
    };
    return self;
}

bold_driver_action_t bold_driver_next(bold_driver_t *self, double cost)
{
    bool better = !self->has_cost || cost < self->cost;
    if (self->rollback && !better) {
        self->safe_rate *= self->down;
        self->rate = self->safe_rate;
        return BOLD_DRIVER_UNDO; /* the cost to beat stays */
    }
    self->safe_rate = self->rate;
    if (self->has_cost)
        self->rate *= better ? self->up : self->down;
    self->has_cost = true;
    self->cost = cost;
    return BOLD_DRIVER_DESCEND;
}
