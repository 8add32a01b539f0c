/* See aggregate.h. */
#include "dispatch/aggregate.h"

#include <inttypes.h>
#include <stdlib.h>

struct aggregate {
    sampler_t sampler;
    size_t n_params;
    uint32_t n_blocks;
    uint32_t step;
    uint32_t counted_step; /* that rows_before is of */
    reduce_t *tree;        /* owned */
    uint64_t *rows_before; /* owned; (n_blocks + 1) rows that the step samples before each block */
    uint32_t *scratch;     /* owned; (block_rows) */
};

aggregate_t *aggregate_new(sampler_t sampler, size_t n_params)
{
    aggregate_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->sampler = sampler;
    self->n_params = n_params;
    self->n_blocks = sampler_blocks(&sampler);
    self->tree = reduce_new(self->n_blocks, n_params);
    self->rows_before = calloc((size_t)self->n_blocks + 1, sizeof(uint64_t));
    self->scratch = calloc(sampler.block_rows, sizeof(uint32_t));
    if (!self->rows_before || !self->scratch)
        abort();
    return self;
}

void aggregate_destroy(aggregate_t **self_p)
{
    aggregate_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    reduce_destroy(&self->tree);
    free(self->rows_before);
    free(self->scratch);
    free(self);
}

void aggregate_begin(aggregate_t *self, uint32_t step)
{
    reduce_reset(self->tree);
    self->step = step;
}

void aggregate_want(aggregate_t *self, node_t node)
{
    reduce_want(self->tree, node);
}

bool aggregate_take(aggregate_t *self, node_t *node, partial_t *partial)
{
    return reduce_take(self->tree, node, partial);
}

void aggregate_count_rows(aggregate_t *self)
{
    if (self->counted_step == self->step)
        return;
    self->counted_step = self->step;
    for (uint32_t block = 0; block < self->n_blocks; block++)
        self->rows_before[block + 1] =
            self->rows_before[block] +
            sampler_count(&self->sampler, self->step, block, self->scratch);
}

int aggregate_check(aggregate_t *self, node_t node, const partial_t *partial, size_t gradient_bytes,
                    err_t *err)
{
    aggregate_count_rows(self);
    if (!node_valid(node, self->n_blocks))
        return err_set(err, "node (%u,%u) is not in the tree over %u blocks", node.level,
                       node.index, self->n_blocks);
    if (gradient_bytes != self->n_params * sizeof(float))
        return err_set(err, "gradient of %zu bytes, expected %zu", gradient_bytes,
                       self->n_params * sizeof(float));
    uint32_t first, end;
    node_range(node, self->n_blocks, &first, &end);
    uint64_t rows = self->rows_before[end] - self->rows_before[first];
    if (partial->rows != rows)
        return err_set(err, "node (%u,%u) of %" PRIu64 " rows, expected %" PRIu64, node.level,
                       node.index, partial->rows, rows);
    if (partial->correct > partial->rows)
        return err_set(err, "node (%u,%u) has %" PRIu64 " correct of %" PRIu64 " rows", node.level,
                       node.index, partial->correct, partial->rows);
    if (partial->cost < 0)
        return err_set(err, "node (%u,%u) has a cost of %g", node.level, node.index, partial->cost);
    return 0;
}

bool aggregate_insert(aggregate_t *self, node_t node, partial_t *partial)
{
    return reduce_insert(self->tree, node, partial);
}

const float *aggregate_held(const aggregate_t *self, node_t node)
{
    return node_valid(node, self->n_blocks) ? reduce_held(self->tree, node) : NULL;
}

void aggregate_insert_added(aggregate_t *self, node_t node, partial_t *partial)
{
    reduce_insert_added(self->tree, node, partial);
}

const reduce_t *aggregate_tree(const aggregate_t *self)
{
    return self->tree;
}
