/* A step's sum: which partials are fit to count, and the canonical tree that they count in. */
#ifndef DROVER_DISPATCH_AGGREGATE_H
#define DROVER_DISPATCH_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "math/reduce.h"
#include "math/sampler.h"

typedef struct aggregate aggregate_t;

/* Never NULL. */
aggregate_t *aggregate_new(sampler_t sampler, size_t n_params);
void aggregate_destroy(aggregate_t **self_p);

/* Empties the tree for `step`; nothing is wanted. */
void aggregate_begin(aggregate_t *self, uint32_t step);

/* See reduce_want, reduce_take. */
void aggregate_want(aggregate_t *self, node_t node);
bool aggregate_take(aggregate_t *self, node_t *node, partial_t *partial);

/* Counts the rows that the step samples, which the first check has to do otherwise: for a moment
 * when nobody waits. */
void aggregate_count_rows(aggregate_t *self);

/* Is it fit to count? Its gradient must be gradient_bytes long as the step's parameters are, its
 * rows those that the step samples from the node's blocks, and its cost not negative. That cost and
 * gradient are finite the caller looks at. Returns 0 or -1. */
int aggregate_check(aggregate_t *self, node_t node, const partial_t *partial, size_t gradient_bytes,
                    err_t *err);

/* Takes a partial that is fit to count, in any case. False: its blocks are counted already. */
bool aggregate_insert(aggregate_t *self, node_t node, partial_t *partial);

/* See reduce_held, reduce_insert_added; NULL also for a node that is not in the tree. */
const float *aggregate_held(const aggregate_t *self, node_t node);
void aggregate_insert_added(aggregate_t *self, node_t node, partial_t *partial);

/* The ledger, borrowed. */
const reduce_t *aggregate_tree(const aggregate_t *self);

#endif
