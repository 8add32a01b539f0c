/* The partial of a canonical node: leaf blocks by the kernel, summed up by the tree. */
#ifndef DROVER_WORKERS_GRADIENT_H
#define DROVER_WORKERS_GRADIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"
#include "math/kernel.h"
#include "math/model.h"
#include "math/reduce.h"
#include "math/sampler.h"
#include "workers/blocks.h"

typedef struct gradient gradient_t;

/* One a thread. `buffers` (of model_params floats; borrowed) is where gradients come from; blocks,
 * borrowed, are needed for the sparse kernel. Never NULL. Needs kernel_open. */
gradient_t *gradient_new(const model_t *model, const sampler_t *sampler, kernel_t kernel,
                         pool_t *buffers, blocks_t *blocks);
void gradient_destroy(gradient_t **self_p);

/* Computes the node's partial at params(P) over the rows that `step` samples from its blocks.
 * images is the whole (n_rows, inputs) and labels (n_rows), of which the node's rows are there.
 * The partial's gradient goes back to the buffers with partial_release. Between blocks it looks at
 * *epoch and gives up when that is no longer `begun`: false, with nothing to release. */
bool gradient_node(gradient_t *self, const float *params, const uint8_t *images,
                   const uint8_t *labels, uint32_t step, node_t node, const _Atomic uint64_t *epoch,
                   uint64_t begun, partial_t *partial);

/* The cost at params(P), summed up, of at most block_rows rows of images (n_rows, inputs) and
 * labels (n_rows), without dropout; *n_correct gets how many of them are right. */
double gradient_evaluate(gradient_t *self, const float *params, const uint8_t *images,
                         const uint8_t *labels, uint32_t n_rows, uint32_t *n_correct);

#endif
