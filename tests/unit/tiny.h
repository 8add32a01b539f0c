/* A job so small that a test computes it by definition, to hold the program's bits against. */
#ifndef DROVER_TESTS_TINY_H
#define DROVER_TESTS_TINY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "data/dataset.h"
#include "math/bold_driver.h"
#include "math/model.h"
#include "math/pass.h"
#include "math/reduce.h"
#include "math/sampler.h"
#include "math/vec.h"

enum {
    TINY_INPUTS = 12,
    TINY_CLASSES = 3,
    TINY_BLOCK_ROWS = 8
};

static inline model_t tiny_model(void)
{
    return (model_t){
        .n_inputs = TINY_INPUTS,
        .n_layers = 2,
        .layers = {{.units = 5, .activation = ACTIVATION_TANH},
                   {.units = TINY_CLASSES, .activation = ACTIVATION_SIGMOID}},
    };
}

static inline sampler_t tiny_sampler(uint32_t n_rows)
{
    return (sampler_t){
        .seed = 42, .fraction = 0.7, .n_rows = n_rows, .block_rows = TINY_BLOCK_ROWS};
}

static inline dataset_t *tiny_data(uint32_t n_rows)
{
    uint8_t *images = malloc((size_t)n_rows * TINY_INPUTS);
    uint8_t *labels = malloc(n_rows);
    uint32_t bits = 12345;
    for (uint32_t i = 0; i < n_rows * TINY_INPUTS; i++) {
        bits = bits * 1664525 + 1013904223;
        images[i] = (uint8_t)(bits >> 24);
    }
    for (uint32_t row = 0; row < n_rows; row++)
        labels[row] = images[(size_t)row * TINY_INPUTS] % TINY_CLASSES;
    labels[0] = TINY_CLASSES - 1;
    return dataset_new(&images, &labels, n_rows, TINY_INPUTS);
}

/* The sum over a node by its definition: blocks by the model, parent = left + right. The gradient
 * is from malloc. */
static inline partial_t tiny_sum(const sampler_t *sampler, const uint8_t *images,
                                 const uint8_t *labels, const float *params, uint32_t step,
                                 node_t node)
{
    model_t model = tiny_model();
    size_t n_params = model_params(&model);
    if (node.level == 0) {
        uint32_t rows[TINY_BLOCK_ROWS];
        uint8_t picked[TINY_BLOCK_ROWS];
        uint32_t n = sampler_rows(sampler, step, node.index, rows);
        pass_t *pass = pass_new(&model, KERNEL_DENSE, TINY_BLOCK_ROWS);
        for (uint32_t r = 0; r < n; r++) {
            vec_from_bytes(pass_input(pass) + (size_t)r * TINY_INPUTS,
                           images + (size_t)rows[r] * TINY_INPUTS, TINY_INPUTS);
            picked[r] = labels[rows[r]];
        }
        pass_draw_t draw = {sampler->seed, step, rows};
        partial_t leaf = {.gradient = malloc(n_params * sizeof(float)), .rows = n};
        uint32_t correct;
        leaf.cost = pass_gradient(pass, params, &draw, picked, n, leaf.gradient, &correct);
        leaf.correct = correct;
        leaf.release = free;
        leaf.hint = leaf.gradient;
        pass_destroy(&pass);
        return leaf;
    }
    node_t left = {node.level - 1, node.index * 2};
    node_t right = {node.level - 1, node.index * 2 + 1};
    partial_t sum = tiny_sum(sampler, images, labels, params, step, left);
    if (node_valid(right, sampler_blocks(sampler))) {
        partial_t other = tiny_sum(sampler, images, labels, params, step, right);
        for (size_t i = 0; i < n_params; i++)
            sum.gradient[i] += other.gradient[i];
        sum.cost += other.cost;
        sum.correct += other.correct;
        sum.rows += other.rows;
        partial_release(&other);
    }
    return sum;
}

static inline bold_driver_t tiny_driver(void)
{
    return bold_driver_new(0.1, 1.05, 0.5, false);
}

/* The weights after n_steps steps, computed here and nowhere else; the caller frees them. */
static inline float *tiny_train(const dataset_t *data, uint32_t n_steps)
{
    model_t model = tiny_model();
    sampler_t sampler = tiny_sampler((uint32_t)dataset_rows(data));
    size_t n_params = model_params(&model);
    float *weights = malloc(n_params * sizeof(float));
    bold_driver_t driver = tiny_driver();
    model_init(&model, MODEL_INIT_UNIFORM, sampler.seed, weights);
    node_t root = {node_root_level(sampler_blocks(&sampler)), 0};
    for (uint32_t step = 1; step <= n_steps; step++) {
        partial_t sum =
            tiny_sum(&sampler, dataset_images(data), dataset_labels(data), weights, step, root);
        bold_driver_next(&driver, sum.cost / (double)sum.rows);
        vec_descend(weights, weights, sum.gradient, (float)(driver.rate / (double)sum.rows),
                    n_params);
        partial_release(&sum);
    }
    return weights;
}

#endif
