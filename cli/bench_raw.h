/* The least that a step can cost over ZeroMQ: PUB/SUB for the weights, PUSH/PULL for the gradients,
 * one thread each, a sum and an update; no headers, no digests, no losses survived. What
 * `drover bench step` holds a step of drover against.
 */
#ifndef DROVER_CLI_BENCH_RAW_H
#define DROVER_CLI_BENCH_RAW_H

#include <stdint.h>

#include "base/err.h"

typedef struct {
    uint32_t n_workers; /* a process each */
    uint32_t n_params;
    uint32_t n_steps;
    uint32_t n_warm; /* of these, steps at the beginning that are not measured */
} bench_raw_plan_t;

/* *step_ms: median, over tcp on loopback. Returns 0, or -1 with *err. */
int bench_raw(const bench_raw_plan_t *plan, double *step_ms, err_t *err);

#endif
