/* The compute threads of a worker: tasks in, partials out, as messages between threads.
 *
 * The threads share one copy of rows and weights. A task is one canonical node; the actor that
 * hands tasks out owns the tree that their results meet in.
 */
#ifndef DROVER_WORKERS_COMPUTE_H
#define DROVER_WORKERS_COMPUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "math/kernel.h"
#include "math/model.h"
#include "math/reduce.h"
#include "math/sampler.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include "workers/rowcache.h"

typedef struct compute compute_t;

/* Starts n_threads threads. rows is borrowed. Never NULL. Needs kernel_open. */
compute_t *compute_new(uint32_t n_threads, const model_t *model, const sampler_t *sampler,
                       kernel_t kernel, const rowcache_t *rows);
void compute_destroy(compute_t **self_p);

/* Queues a node of `step`, whose rows are there. The task takes a reference of its own to the
 * weights. */
void compute_submit(compute_t *self, uint32_t step, node_t node, frame_t *weights);

/* Queues the rows [first, end) of the evaluation of a step's model; at most block_rows of them, and
 * they are there. */
void compute_evaluate(compute_t *self, uint32_t step, uint32_t first, uint32_t end,
                      frame_t *weights);

/* Drops the nodes that are queued and stops those that run at their next block; results that are
 * out already, or were at their last block, may still be taken. */
void compute_cancel(compute_t *self);

/* Readable while there may be results. */
int compute_fd(const compute_t *self);

/* Takes one result: false when there is none. The partial is the caller's; its gradient is a buffer
 * of base/pool.h. */
bool compute_take(compute_t *self, uint32_t *step, node_t *node, partial_t *partial);

/* The same of an evaluation's. */
bool compute_take_score(compute_t *self, wire_score_t *score);

#endif
