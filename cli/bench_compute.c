/* See bench_compute.h. B rows, D inputs, H units of a layer. */
#include "cli/bench_compute.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/pool.h"
#include "math/blas.h"
#include "math/pass.h"
#include "workers/gradient.h"
#include "workers/narrow.h"

#define NODE_LEVEL  2    /* four blocks: enough nodes for all threads to end together */
#define SQUARE      1024 /* rows and columns for sgemm */
#define SQUARE_RUNS 4

struct bench_compute {
    const bench_step_t *step; /* borrowed */
    pool_t *buffers;          /* owned */
    blocks_t *blocks;         /* owned */
    gradient_t **gradients;   /* owned; (n_threads) */
    partial_t *partials;      /* owned; (n_nodes) */
    uint32_t n_threads;
    uint32_t n_nodes;
    uint32_t level;
    _Atomic uint32_t next; /* node to be computed */
    _Atomic uint32_t n_begun;
};

/* Runs main(context) in so many threads at once. */
static void s_run(uint32_t n_threads, void *(*main)(void *), void *context)
{
    pthread_t *threads = calloc(n_threads, sizeof(pthread_t));
    if (!threads)
        abort();
    for (uint32_t i = 1; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, main, context) != 0)
            abort();
    (void)main(context);
    for (uint32_t i = 1; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

/* Multiply-adds of a row in one product of a layer. */
static double s_product(const model_t *model, uint32_t l)
{
    return (double)model_layer_outputs(model, l) * (double)model_fan_in(model, l);
}

/* Those behind the first layer's: two products a layer, and the one that takes the errors down. */
static double s_rest(const model_t *model)
{
    double n = 0;
    for (uint32_t l = 1; l < model->n_layers; l++)
        n += 3.0 * s_product(model, l);
    return n;
}

double bench_flop(const bench_step_t *step)
{
    const model_t *model = &step->model;
    uint32_t *rows = calloc(step->sampler.block_rows, sizeof(uint32_t));
    double n_rows = 0;
    if (!rows)
        abort();
    for (uint32_t block = 0; block < sampler_blocks(&step->sampler); block++)
        n_rows += sampler_rows(&step->sampler, 1, block, rows);
    free(rows);
    return 2.0 * n_rows * (2.0 * s_product(model, 0) + s_rest(model));
}

/* Multiply-adds of the block's rows in the first layer's product, without the zeros left out. */
static double s_product_done(const bench_step_t *step, kernel_t kernel, narrow_t *narrow,
                             const uint32_t *rows, uint32_t B)
{
    size_t D = step->model.n_inputs, there = 0;
    if (narrow && narrow_begin(narrow, step->images, rows, B))
        return B * s_product(narrow_model(narrow), 0);
    if (!pass_is_sparse(&step->model, kernel))
        return B * s_product(&step->model, 0);
    for (uint32_t r = 0; r < B; r++)
        for (size_t i = 0; i < D; i++)
            there += step->images[rows[r] * D + i] != 0;
    return (double)there * step->model.layers[0].units;
}

double bench_flop_done(const bench_step_t *step, kernel_t kernel)
{
    bool dense = kernel == KERNEL_DENSE && step->model.layers[0].kind == LAYER_DENSE;
    narrow_t *narrow = dense ? narrow_new(&step->model) : NULL;
    uint32_t *rows = calloc(step->sampler.block_rows, sizeof(uint32_t));
    double done = 0;
    if (!rows)
        abort();
    for (uint32_t block = 0; block < sampler_blocks(&step->sampler); block++) {
        uint32_t B = sampler_rows(&step->sampler, 1, block, rows);
        done += 2.0 * s_product_done(step, kernel, narrow, rows, B);
        done += B * s_rest(&step->model);
    }
    free(rows);
    narrow_destroy(&narrow);
    return 2.0 * done;
}

bench_compute_t *bench_compute_new(const bench_step_t *step, kernel_t kernel, uint32_t n_threads)
{
    bench_compute_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    uint32_t n_blocks = sampler_blocks(&step->sampler), root = node_root_level(n_blocks);
    self->step = step;
    self->n_threads = n_threads;
    self->level = root < NODE_LEVEL ? root : NODE_LEVEL;
    self->n_nodes = (n_blocks - 1) / (1U << self->level) + 1;
    self->buffers = pool_new(model_params(&step->model) * sizeof(float));
    self->blocks = blocks_new(&step->sampler, step->model.n_inputs,
                              blocks_most_bytes(&step->model, &step->sampler, n_threads));
    self->gradients = calloc(n_threads, sizeof(gradient_t *));
    self->partials = calloc(self->n_nodes, sizeof(partial_t));
    if (!self->gradients || !self->partials)
        abort();
    for (uint32_t i = 0; i < n_threads; i++)
        self->gradients[i] =
            gradient_new(&step->model, &step->sampler, kernel, self->buffers, self->blocks);
    return self;
}

void bench_compute_destroy(bench_compute_t **self_p)
{
    bench_compute_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->n_threads; i++)
        gradient_destroy(&self->gradients[i]);
    blocks_destroy(&self->blocks);
    pool_destroy(&self->buffers);
    free(self->gradients);
    free(self->partials);
    free(self);
}

static void *s_thread(void *compute)
{
    static const _Atomic uint64_t never = 0; /* given up */
    bench_compute_t *self = compute;
    const bench_step_t *step = self->step;
    gradient_t *gradient = self->gradients[atomic_fetch_add(&self->n_begun, 1)];
    uint32_t i;
    while ((i = atomic_fetch_add(&self->next, 1)) < self->n_nodes)
        (void)gradient_node(gradient, step->params, step->images, step->labels, 1,
                            (node_t){self->level, i}, &never, 0, &self->partials[i]);
    return NULL;
}

bench_pass_t bench_compute_pass(bench_compute_t *self)
{
    bench_pass_t pass = {0};
    int64_t begin_us = clock_us();
    atomic_store(&self->next, 0);
    atomic_store(&self->n_begun, 0);
    s_run(self->n_threads, s_thread, self);
    pass.ms = (double)(clock_us() - begin_us) / 1000;
    for (uint32_t i = 0; i < self->n_nodes; i++) {
        pass.cost += self->partials[i].cost;
        pass.rows += self->partials[i].rows;
        partial_release(&self->partials[i]);
    }
    return pass;
}

static float *s_square(float value)
{
    float *matrix = array_aligned((size_t)SQUARE * SQUARE, sizeof(float));
    for (size_t i = 0; i < (size_t)SQUARE * SQUARE; i++)
        matrix[i] = value;
    return matrix;
}

/* What the threads share. */
typedef struct {
    pthread_barrier_t ready;
    _Atomic int64_t us; /* of all threads */
} sgemm_t;

static void *s_sgemm(void *shared)
{
    sgemm_t *self = shared;
    float *a = s_square(1.0F), *b = s_square(0.5F), *c = s_square(0.0F);
    blas_gemm(false, false, SQUARE, SQUARE, SQUARE, a, SQUARE, b, SQUARE, c, SQUARE);
    (void)pthread_barrier_wait(&self->ready);
    int64_t begin_us = clock_us();
    for (int i = 0; i < SQUARE_RUNS; i++)
        blas_gemm(false, false, SQUARE, SQUARE, SQUARE, a, SQUARE, b, SQUARE, c, SQUARE);
    atomic_fetch_add(&self->us, clock_us() - begin_us);
    free(a);
    free(b);
    free(c);
    return NULL;
}

double bench_sgemm(uint32_t n_threads)
{
    sgemm_t shared = {.us = 0};
    pthread_barrier_init(&shared.ready, NULL, n_threads);
    s_run(n_threads, s_sgemm, &shared);
    pthread_barrier_destroy(&shared.ready);
    double mean_us = (double)atomic_load(&shared.us) / n_threads;
    return 2.0 * SQUARE * SQUARE * SQUARE * SQUARE_RUNS * n_threads / mean_us / 1000;
}
