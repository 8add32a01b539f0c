/* Which rows a step trains on, how they fall into blocks, and how they are altered.
 *
 * With batch_rows 0, positions are the rows of the training set; block b covers positions
 * [b block_rows, (b + 1) block_rows), and of these the step takes each with probability `fraction`,
 * without replacement, as Spark's sample(False, fraction) does. A function of (seed, step, row).
 *
 * Else a step takes the next batch_rows rows of a permutation of all, a new one for each epoch, and
 * positions are those of the batch. The last batch of an epoch has what is left, and may leave
 * blocks empty. The permutation is computed position by position, as a function of (seed, epoch).
 */
#ifndef DROVER_MATH_SAMPLER_H
#define DROVER_MATH_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "math/augment.h"

/* A plain value. */
typedef struct {
    uint64_t seed;
    double fraction;     /* (0, 1]; without batch_rows */
    uint32_t n_rows;     /* rows of the training set, at least 1 */
    uint32_t block_rows; /* positions a block, at least 1 */
    uint32_t batch_rows; /* rows a step, at most n_rows; 0: by fraction */
    augment_t augment;   /* what becomes of them before they enter the network */
} sampler_t;

uint32_t sampler_blocks(const sampler_t *self);

/* The positions [*first, *end) of a block; block < sampler_blocks(). */
void sampler_range(const sampler_t *self, uint32_t block, uint32_t *first, uint32_t *end);

/* The rows [*first, *end) of which blocks [block, behind) of any step may take. */
void sampler_reach(const sampler_t *self, uint32_t block, uint32_t behind, uint32_t *first,
                   uint32_t *end);

/* Writes the rows that `step`, from 1 on, takes from `block` into rows (room for block_rows),
 * ascending unless there are batch_rows; returns how many. */
uint32_t sampler_rows(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows);

/* How many these are. rows is room for block_rows. */
uint32_t sampler_count(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows);

/* How many a step takes on the average. */
double sampler_step_rows(const sampler_t *self);

#endif
