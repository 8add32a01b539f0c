/* Which rows a step trains on, and how they fall into blocks.
 *
 * Positions are the rows of the training set; block b covers positions [b block_rows,
 * (b + 1) block_rows), and of these the step takes each with probability `fraction`, without
 * replacement, as Spark's sample(False, fraction) does. A function of (seed, step, row) alone.
 */
#ifndef DROVER_MATH_SAMPLER_H
#define DROVER_MATH_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

/* A plain value. */
typedef struct {
    uint64_t seed;
    double fraction;     /* (0, 1] */
    uint32_t n_rows;     /* rows of the training set, at least 1 */
    uint32_t block_rows; /* rows a block, at least 1 */
} sampler_t;

uint32_t sampler_blocks(const sampler_t *self);

/* The positions [*first, *end) of a block; block < sampler_blocks(). */
void sampler_range(const sampler_t *self, uint32_t block, uint32_t *first, uint32_t *end);

/* Writes the rows that `step` takes from `block`, ascending, into rows (room for block_rows);
 * returns how many. */
uint32_t sampler_rows(const sampler_t *self, uint32_t step, uint32_t block, uint32_t *rows);

#endif
