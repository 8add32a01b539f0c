/* A worker's part of a step: the nodes that the server was promised, cut into tasks for the compute
 * threads, and the tree in which their partials meet.
 */
#ifndef DROVER_WORKERS_WORKLIST_H
#define DROVER_WORKERS_WORKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/reduce.h"
#include "math/sampler.h"
#include "workers/rowcache.h"

/* Zero it before its first use. */
typedef struct {
    uint32_t n_threads; /* 0: a relay, whose workers are its threads and cut what they get */
    uint32_t n_blocks;
    reduce_t *tree; /* owned, as `tasks`; wants the nodes that were promised */
    node_t *tasks;  /* not handed out yet, first in first out from n_started */
    uint32_t n_tasks, tasks_room;
    uint32_t n_started;
    uint32_t n_computing; /* handed out, no result yet */
} worklist_t;

/* For a job with so many blocks, gradients of n_params floats. */
void worklist_open(worklist_t *self, uint32_t n_blocks, size_t n_params);
void worklist_clear(worklist_t *self);

/* Nothing is asked for any more. */
void worklist_forget(worklist_t *self);

/* Nothing more is handed out. */
void worklist_drain(worklist_t *self);

/* Blocks [first, end) are asked for, end <= n_blocks. What was and is under way goes on; what was
 * done and is asked for again, since a message was lost, is done again. Their rows are wanted. */
void worklist_ask(worklist_t *self, const sampler_t *sampler, rowcache_t *rows, uint32_t first,
                  uint32_t end);

/* Hands out a node to compute whose rows are there; false when there is none. Threads get no more
 * than they need to go on: where they are many, each result that nobody had the time to add yet
 * would be a gradient more in memory. */
bool worklist_hand_out(worklist_t *self, const sampler_t *sampler, const rowcache_t *rows,
                       node_t *node);

/* The partial of a node, taken over. It is dropped when it is not wanted, or not any more. */
void worklist_result(worklist_t *self, node_t node, partial_t *partial);

/* Takes a promised node that is complete, and is promised no more; false when there is none. */
bool worklist_take(worklist_t *self, node_t *node, partial_t *partial);

#endif
