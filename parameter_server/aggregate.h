/* A step's sum: which partials are fit to count, and the canonical tree that they count in. */
#ifndef DROVER_PARAMETER_SERVER_AGGREGATE_H
#define DROVER_PARAMETER_SERVER_AGGREGATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "math/reduce.h"
#include "math/sampler.h"

typedef enum {
    AGGREGATE_ACCEPTED,
    AGGREGATE_DUPLICATE, /* its blocks are counted already: fine, and not counted again */
    AGGREGATE_BAD,       /* not a partial of this step: *err says why */
} aggregate_result_t;

typedef struct aggregate aggregate_t;

/* Never NULL. */
aggregate_t *aggregate_new(sampler_t sampler, size_t n_params);
void aggregate_destroy(aggregate_t **self_p);

/* Empties the tree for `step`. */
void aggregate_begin(aggregate_t *self, uint32_t step);

/* Takes the partial in any case. Its gradient must be gradient_bytes long as the step's parameters
 * are, all finite, and its rows those that the step samples from the node's blocks. */
aggregate_result_t aggregate_offer(aggregate_t *self, node_t node, partial_t *partial,
                                   size_t gradient_bytes, err_t *err);

/* The ledger, borrowed. */
const reduce_t *aggregate_tree(const aggregate_t *self);

#endif
