/* See blocks.h. */
#include "workers/blocks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What a worker takes besides rows and blocks, in bytes: all in all, and for each thread (measured;
 * vectors are gradients, sums that wait for others with them, and a pass has some three matrices of
 * outputs). */
#define PROGRAM         16000000.0
#define VECTORS         6.0
#define THREAD          500000.0
#define THREAD_VECTORS  3.0
#define THREAD_MATRICES 3.0

size_t blocks_most_bytes(const model_t *model, const sampler_t *sampler, uint32_t n_threads)
{
    double vector = (double)model_params(model) * sizeof(float), outputs = 0;
    for (uint32_t l = 0; l < model->n_layers; l++)
        outputs += (double)model_layer_outputs(model, l);
    double matrix = outputs * sampler->block_rows * sizeof(float);
    double left = 60e6 + 6 * vector - PROGRAM - VECTORS * vector -
                  n_threads * (THREAD + THREAD_VECTORS * vector + THREAD_MATRICES * matrix);
    return left > 0 ? (size_t)left : 0;
}

struct blocks {
    sampler_t sampler;
    size_t n_inputs;
    uint8_t *memory;      /* owned, of kept blocks one behind the other; NULL: none */
    size_t room;          /* of it, in bytes */
    pthread_mutex_t lock; /* guards `used`, and who writes the rest */
    size_t used;
    block_t *kept;      /* owned; (n_blocks); their arrays are in `memory` */
    atomic_bool *there; /* owned; (n_blocks) */
};

void block_clear(block_t *self)
{
    sparse_clear(&self->by_rows);
    sparse_clear(&self->by_columns);
}

/* What all take at most: of each byte a pick and a start in two matrices, and some for each block.
 */
static size_t s_all_bytes(const sampler_t *sampler, size_t n_inputs)
{
    size_t n_bytes = sampler->n_rows * n_inputs;
    return 2 * (sizeof(uint16_t) + sizeof(uint32_t)) * n_bytes +
           (size_t)512 * sampler_blocks(sampler);
}

blocks_t *blocks_new(const sampler_t *sampler, size_t n_inputs, size_t most_bytes)
{
    blocks_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->sampler = *sampler;
    self->n_inputs = n_inputs;
    size_t all = s_all_bytes(sampler, n_inputs);
    self->room = most_bytes < all ? most_bytes : all;
    pthread_mutex_init(&self->lock, NULL);
    self->kept = calloc(sampler_blocks(sampler), sizeof(*self->kept));
    self->there = calloc(sampler_blocks(sampler), sizeof(*self->there));
    if (!self->kept || !self->there)
        abort();
    void *memory = mmap(NULL, self->room, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) { /* also where there is no room: none are kept */
        self->room = 0;
        return self;
    }
    self->memory = memory;
    return self;
}

void blocks_destroy(blocks_t **self_p)
{
    blocks_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    if (self->memory)
        munmap(self->memory, self->room);
    pthread_mutex_destroy(&self->lock);
    free(self->kept);
    free(self->there);
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

/* Copies the block there, unless another thread brought it first; false where there is no room. */
static bool s_keep(blocks_t *self, uint32_t index, const block_t *own)
{
    size_t rows_bytes = sparse_bytes(&own->by_rows);
    size_t bytes = rows_bytes + sparse_bytes(&own->by_columns);
    pthread_mutex_lock(&self->lock);
    bool there = atomic_load(&self->there[index]);
    if (!there && bytes <= self->room - self->used) {
        uint8_t *memory = self->memory + self->used;
        self->kept[index] = (block_t){
            .by_rows = sparse_copy(&own->by_rows, memory),
            .by_columns = sparse_copy(&own->by_columns, memory + rows_bytes),
        };
        self->used += bytes;
        atomic_store(&self->there[index], there = true);
    }
    pthread_mutex_unlock(&self->lock);
    return there;
}

const block_t *blocks_get(blocks_t *self, uint32_t index, const uint8_t *images, block_t *own)
{
    if (atomic_load(&self->there[index]))
        return &self->kept[index];
    s_list(self, index, images, own);
    return s_keep(self, index, own) ? &self->kept[index] : own;
}
