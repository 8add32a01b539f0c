/* See gradient.h. B rows, D inputs. */
#include "workers/gradient.h"

#include <stdlib.h>
#include <string.h>

#include "math/augment.h"
#include "math/pass.h"
#include "math/vec.h"
#include "workers/narrow.h"

#define MAX_LEVELS 33

struct gradient {
    model_t model;
    sampler_t sampler;
    pool_t *buffers;        /* borrowed */
    pass_t *pass;           /* owned */
    bool sparse;            /* pass_is_sparse */
    narrow_t *narrow;       /* owned; of the dense kernel and a dense first layer only */
    blocks_t *blocks;       /* borrowed; of sparse passes only */
    augmenter_t *augmenter; /* owned; NULL: rows stay as they are */
    block_t block;    /* owned; one that `blocks` does not keep, or of a batch or altered rows */
    uint8_t *bytes;   /* owned; (block_rows, inputs): altered rows, or those of a batch, to list */
    uint32_t *rows;   /* owned; (block_rows), numbers in the training set */
    uint32_t *within; /* owned; (block_rows), numbers in the block, or in `bytes` */
    uint8_t *labels;  /* owned; (block_rows) */
};

gradient_t *gradient_new(const model_t *model, const sampler_t *sampler, kernel_t kernel,
                         pool_t *buffers, blocks_t *blocks)
{
    gradient_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->model = *model;
    self->sampler = *sampler;
    self->buffers = buffers;
    self->blocks = blocks;
    self->pass = pass_new(model, kernel, sampler->block_rows);
    self->sparse = pass_is_sparse(model, kernel);
    if (kernel == KERNEL_DENSE && model->layers[0].kind == LAYER_DENSE)
        self->narrow = narrow_new(model);
    if (augment_any(&sampler->augment))
        self->augmenter = augmenter_new(&sampler->augment, sampler->seed, model->n_inputs);
    if ((self->augmenter || (self->sparse && sampler->batch_rows > 0)) &&
        !(self->bytes = malloc((size_t)sampler->block_rows * model->n_inputs)))
        abort();
    self->rows = calloc(sampler->block_rows, sizeof(uint32_t));
    self->within = calloc(sampler->block_rows, sizeof(uint32_t));
    self->labels = calloc(sampler->block_rows, sizeof(uint8_t));
    if (!self->rows || !self->within || !self->labels)
        abort();
    return self;
}

void gradient_destroy(gradient_t **self_p)
{
    gradient_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    pass_destroy(&self->pass);
    narrow_destroy(&self->narrow);
    augmenter_destroy(&self->augmenter);
    block_clear(&self->block);
    free(self->bytes);
    free(self->rows);
    free(self->within);
    free(self->labels);
    free(self);
}

/* Gradient of the B rows of a step in self->rows, as matrices of floats; of those without the
 * inputs that are zero in all if that is worth while. They are these rows of images. */
static double s_dense(gradient_t *self, const float *params, const uint8_t *images,
                      const uint32_t *rows, uint32_t step, uint32_t B, float *gradient,
                      uint32_t *n_correct)
{
    size_t D = self->model.n_inputs;
    float *x = pass_input(self->pass);
    pass_draw_t draw = {self->sampler.seed, step, self->rows};
    if (self->narrow && narrow_begin(self->narrow, images, rows, B)) {
        narrow_inputs(self->narrow, images, rows, B, x);
        pass_set_model(self->pass, narrow_model(self->narrow));
        double cost = pass_gradient(self->pass, narrow_params(self->narrow, params), &draw,
                                    self->labels, B, narrow_gradient(self->narrow), n_correct);
        pass_set_model(self->pass, &self->model);
        narrow_widen(self->narrow, gradient);
        return cost;
    }
    for (uint32_t r = 0; r < B; r++)
        vec_from_bytes(x + r * D, images + rows[r] * D, D);
    return pass_gradient(self->pass, params, &draw, self->labels, B, gradient, n_correct);
}

/* The rows in self->rows, altered, one behind the other: into self->bytes. */
static void s_gather(gradient_t *self, const uint8_t *images, uint32_t step, uint32_t B)
{
    size_t D = self->model.n_inputs;
    for (uint32_t r = 0; r < B; r++) {
        const uint8_t *row = images + self->rows[r] * D;
        if (self->augmenter)
            augmenter_row(self->augmenter, step, self->rows[r], row, self->bytes + r * D);
        else
            memcpy(self->bytes + r * D, row, D);
        self->within[r] = r;
    }
}

/* The rows in self->bytes without their zeros: into self->block. */
static void s_list(gradient_t *self, uint32_t B)
{
    size_t D = self->model.n_inputs;
    sparse_set(&self->block.by_rows, B, D, self->bytes, D);
    sparse_set_transposed(&self->block.by_columns, D, B, self->bytes, D);
}

/* The same of rows without their zeros. Those of a batch, and altered ones, are in self->bytes and
 * listed in each step; others are of block `index` of the training set, which is listed once. */
static double s_sparse(gradient_t *self, const float *params, const uint8_t *images, uint32_t index,
                       uint32_t step, uint32_t B, float *gradient, uint32_t *n_correct)
{
    const block_t *block = &self->block;
    uint32_t first, end, *within = NULL;
    pass_draw_t draw = {self->sampler.seed, step, self->rows};
    if (self->bytes) {
        s_list(self, B);
    } else {
        block = blocks_get(self->blocks, index, images, &self->block);
        within = self->within;
        sampler_range(&self->sampler, index, &first, &end);
        for (uint32_t r = 0; r < B; r++)
            within[r] = self->rows[r] - first;
    }
    pass_set_sparse(self->pass, &block->by_rows, &block->by_columns, within);
    return pass_gradient(self->pass, params, &draw, self->labels, B, gradient, n_correct);
}

static partial_t s_block(gradient_t *self, const float *params, const uint8_t *images,
                         const uint8_t *labels, uint32_t step, uint32_t block)
{
    uint32_t B = sampler_rows(&self->sampler, step, block, self->rows);
    float *gradient = pool_take(self->buffers);
    uint32_t n_correct;
    double cost;
    for (uint32_t r = 0; r < B; r++)
        self->labels[r] = labels[self->rows[r]];
    if (self->bytes)
        s_gather(self, images, step, B);
    if (self->sparse)
        cost = s_sparse(self, params, images, block, step, B, gradient, &n_correct);
    else
        cost = s_dense(self, params, self->bytes ? self->bytes : images,
                       self->bytes ? self->within : self->rows, step, B, gradient, &n_correct);
    return (partial_t){
        .gradient = gradient,
        .cost = cost,
        .correct = n_correct,
        .rows = B,
        .release = pool_give,
        .hint = gradient,
    };
}

bool gradient_node(gradient_t *self, const float *params, const uint8_t *images,
                   const uint8_t *labels, uint32_t step, node_t node, const _Atomic uint64_t *epoch,
                   uint64_t begun, partial_t *partial)
{
    /* Blocks from left to right, as a binary counter: a sum waits in the stack for its sibling to
     * its right. What is left at the end lacks right siblings, so each takes what stands behind. */
    partial_t stack[MAX_LEVELS];
    int depth = 0;
    size_t n_params = model_params(&self->model);
    uint32_t first, end;
    node_range(node, sampler_blocks(&self->sampler), &first, &end);
    for (uint32_t block = first; block < end; block++) {
        if (atomic_load(epoch) != begun) {
            while (depth > 0)
                partial_release(&stack[--depth]);
            return false;
        }
        stack[depth++] = s_block(self, params, images, labels, step, block);
        for (uint32_t n = block - first + 1; n % 2 == 0; n /= 2, depth--)
            partial_add(&stack[depth - 2], &stack[depth - 1], n_params);
    }
    for (; depth > 1; depth--)
        partial_add(&stack[depth - 2], &stack[depth - 1], n_params);
    /* cppcheck-suppress uninitvar ; a node has at least one block */
    *partial = stack[0];
    return true;
}

double gradient_evaluate(gradient_t *self, const float *params, const uint8_t *images,
                         const uint8_t *labels, uint32_t n_rows, uint32_t *n_correct)
{
    double cost;
    pass_set_bytes(self->pass, images, n_rows);
    (void)pass_evaluate(self->pass, params, labels, n_rows, &cost, n_correct);
    return cost;
}
