/* The compute of a step alone, without sockets: what `drover bench compute` measures.
 *
 * The threads take nodes of the step's tree one after the other, as a worker's do, and compute
 * their partials; beside it, OpenBLAS multiplies square matrices, as many at once as there are
 * threads: what the machine gives at most.
 */
#ifndef DROVER_CLI_BENCH_COMPUTE_H
#define DROVER_CLI_BENCH_COMPUTE_H

#include <stdint.h>

#include "math/kernel.h"
#include "math/model.h"
#include "math/sampler.h"

typedef struct {
    model_t model;
    sampler_t sampler;
    const uint8_t *images; /* borrowed; (n_rows, inputs) */
    const uint8_t *labels; /* borrowed; (n_rows) */
    const float *params;   /* borrowed */
} bench_step_t;

typedef struct {
    double ms;
    double cost; /* summed over the rows */
    uint64_t rows;
} bench_pass_t;

/* Floating-point operations of the step: products of matrices, forward and backward. */
double bench_flop(const bench_step_t *step);

/* Of these, what the kernel really does, which leaves out zeros of the input. */
double bench_flop_done(const bench_step_t *step, kernel_t kernel);

typedef struct bench_compute bench_compute_t;

/* n_threads threads' room for the step (borrowed). Never NULL. Needs kernel_open. */
bench_compute_t *bench_compute_new(const bench_step_t *step, kernel_t kernel, uint32_t n_threads);
void bench_compute_destroy(bench_compute_t **self_p);

/* Computes the step once. */
bench_pass_t bench_compute_pass(bench_compute_t *self);

/* GFLOP/s of n_threads threads' sgemm. Needs blas_open. */
double bench_sgemm(uint32_t n_threads);

#endif
