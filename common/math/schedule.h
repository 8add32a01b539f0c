/* Learning rates that follow a plan. The bold driver, which follows the cost, is bold_driver.h. */
#ifndef DROVER_MATH_SCHEDULE_H
#define DROVER_MATH_SCHEDULE_H

#include <stdint.h>

typedef enum {
    SCHEDULE_BOLD_DRIVER, /* none */
    SCHEDULE_CONSTANT,
    SCHEDULE_STEP,
    SCHEDULE_EXPONENTIAL,
    SCHEDULE_COSINE,
} schedule_kind_t;

/* A plain value. */
typedef struct {
    schedule_kind_t kind;
    uint32_t warmup_steps;
    uint32_t every_steps; /* step, exponential: at least 1 */
    double factor;        /* step, exponential: (0, 1] */
    uint32_t steps;       /* cosine: the last step, of the warm-up's on; more than warmup_steps */
    double final_rate;    /* cosine */
} schedule_t;

/* The learning rate of a step, counted from 1, when the one to begin with is `rate`.
 *
 * Warm-up: rate step / warmup_steps in the steps up to warmup_steps (Goyal et al. 2017). With k the
 * steps done since then (0 in the first) the others have
 *   constant     rate
 *   step         rate factor^floor(k / every_steps)          PyTorch's StepLR
 *   exponential  rate factor^(k / every_steps)               ExponentialLR, for every_steps 1
 *   cosine       final + (rate - final) (1 + cos(pi k / (steps - warmup_steps))) / 2, and final
 *                behind that: CosineAnnealingLR; Loshchilov & Hutter: "SGDR", ICLR 2017
 * by scalar.h, so with the same bits everywhere. */
double schedule_rate(const schedule_t *self, double rate, uint64_t step);

#endif
