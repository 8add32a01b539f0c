/* The rows of blocks without their zeros, for the sparse kernel: listed when a block is first
 * needed and kept, so that the steps do not look through all bytes again. Threads share them. */
#ifndef DROVER_WORKERS_BLOCKS_H
#define DROVER_WORKERS_BLOCKS_H

#include "math/model.h"
#include "math/sampler.h"
#include "math/sparse.h"

/* A block's rows (n,D) and their transpose (D,n). Zero it before its first use. */
typedef struct {
    sparse_t by_rows;
    sparse_t by_columns;
} block_t;

void block_clear(block_t *self);

typedef struct blocks blocks_t;

/* How many bytes of blocks a worker of so many threads keeps: it may take 60 MB and 6 times the
 * model besides its rows (docs/benchmarks.md), which is less what all else takes. */
size_t blocks_most_bytes(const model_t *model, const sampler_t *sampler, uint32_t n_threads);

/* Keeps blocks up to most_bytes in all. Never NULL. */
blocks_t *blocks_new(const sampler_t *sampler, size_t n_inputs, size_t most_bytes);
void blocks_destroy(blocks_t **self_p);

/* The block, borrowed; *own, which is the caller's, if it cannot be kept. images is the whole
 * (n_rows,D), of which the block's rows are there. From any thread. */
const block_t *blocks_get(blocks_t *self, uint32_t index, const uint8_t *images, block_t *own);

#endif
