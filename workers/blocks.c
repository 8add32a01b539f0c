/* See blocks.h. */
#include "workers/blocks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What a worker takes besides rows and blocks, in bytes: all in all, and for each thread (measured,
 * with sums that wait for others; a pass has some three matrices of outputs). */
#define PROGRAM         16000000.0
#define THREAD          500000.0
#define THREAD_VECTORS  9.0
#define THREAD_MATRICES 3.0

size_t blocks_most_bytes(const model_t *model, const sampler_t *sampler, uint32_t n_threads)
{
    double vector = (double)model_params(model) * sizeof(float), outputs = 0;
    for (uint32_t l = 0; l < model->n_layers; l++)
        outputs += (double)model_layer_outputs(model, l);
    double matrix = outputs * sampler->block_rows * sizeof(float);
    double left = 60e6 + 6 * vector - PROGRAM -
                  n_threads * (THREAD + THREAD_VECTORS * vector + THREAD_MATRICES * matrix);
    return left > 0 ? (size_t)left : 0;
}

struct blocks {
    sampler_t sampler;
    size_t n_inputs;
    size_t most_bytes;
    atomic_size_t bytes;
    _Atomic(block_t *) *kept; /* owned, and the blocks; (n_blocks), NULL for those that are not */
};

void block_clear(block_t *self)
{
    sparse_clear(&self->by_rows);
    sparse_clear(&self->by_columns);
}

blocks_t *blocks_new(const sampler_t *sampler, size_t n_inputs, size_t most_bytes)
{
    blocks_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->sampler = *sampler;
    self->n_inputs = n_inputs;
    self->most_bytes = most_bytes;
    self->kept = calloc(sampler_blocks(sampler), sizeof(*self->kept));
    if (!self->kept)
        abort();
    return self;
}

static void s_free(block_t *block)
{
    if (block)
        block_clear(block);
    free(block);
}

void blocks_destroy(blocks_t **self_p)
{
    blocks_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (uint32_t i = 0; i < sampler_blocks(&self->sampler); i++)
        s_free(atomic_load(&self->kept[i]));
    free(self->kept);
    free(self);
}

static void s_list(const blocks_t *self, uint32_t index, const uint8_t *images, block_t *block)
{
    uint32_t first, end;
    sampler_range(&self->sampler, index, &first, &end);
    size_t n = end - first, D = self->n_inputs;
    sparse_set(&block->by_rows, n, D, images + first * D, D);
    sparse_set_transposed(&block->by_columns, D, n, images + first * D, D);
}

/* Moves a block there, or its twin, which another thread brought first, away. */
static const block_t *s_keep(blocks_t *self, uint32_t index, block_t *own, size_t bytes)
{
    block_t *block = malloc(sizeof(*block)), *there = NULL;
    if (!block)
        abort();
    *block = *own;
    memset(own, 0, sizeof(*own));
    if (atomic_compare_exchange_strong(&self->kept[index], &there, block))
        return block;
    s_free(block);
    atomic_fetch_sub(&self->bytes, bytes);
    return there;
}

const block_t *blocks_get(blocks_t *self, uint32_t index, const uint8_t *images, block_t *own)
{
    const block_t *kept = atomic_load(&self->kept[index]);
    if (kept)
        return kept;
    s_list(self, index, images, own);
    size_t bytes = sparse_bytes(&own->by_rows) + sparse_bytes(&own->by_columns);
    if (atomic_fetch_add(&self->bytes, bytes) + bytes > self->most_bytes) {
        atomic_fetch_sub(&self->bytes, bytes);
        return own;
    }
    return s_keep(self, index, own, bytes);
}
