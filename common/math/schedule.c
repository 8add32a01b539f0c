/* See schedule.h. */
#include "math/schedule.h"

#include "math/scalar.h"

/* factor^(k / every), of which the whole part is by powers of the factor itself. */
static double s_smooth(const schedule_t *self, uint64_t k)
{
    uint64_t part = k % self->every_steps;
    double whole = scalar_power(self->factor, k / self->every_steps);
    return part == 0 ? whole
                     : whole * scalar_power(scalar_root(self->factor, self->every_steps), part);
}

double schedule_rate(const schedule_t *self, double rate, uint64_t step)
{
    if (step <= self->warmup_steps)
        return rate * (double)step / (double)self->warmup_steps;
    uint64_t k = step - self->warmup_steps - 1;
    switch (self->kind) {
    case SCHEDULE_STEP:
        return rate * scalar_power(self->factor, k / self->every_steps);
    case SCHEDULE_EXPONENTIAL:
        return rate * s_smooth(self, k);
    case SCHEDULE_COSINE: {
        uint64_t length = self->steps - self->warmup_steps;
        double cosine = k < length ? scalar_cos_pi((double)k / (double)length) : -1.0;
        return self->final_rate + (rate - self->final_rate) * (1.0 + cosine) * 0.5;
    }
    case SCHEDULE_BOLD_DRIVER:
    case SCHEDULE_CONSTANT:
        break;
    }
    return rate;
}
