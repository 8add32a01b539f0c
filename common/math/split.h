/* Which rows of a training set are held out for validation. */
#ifndef DROVER_MATH_SPLIT_H
#define DROVER_MATH_SPLIT_H

#include <stdint.h>

/* Of each class's n rows floor(fraction n + 1/2) are held out, at most n - 1, those with the
 * smallest draws: held(n_rows) gets 1 for them, 0 for others. A function of (labels, seed,
 * fraction), 0 <= fraction < 1. Returns how many in all. */
uint32_t split_rows(const uint8_t *labels, uint32_t n_rows, uint64_t seed, double fraction,
                    uint8_t *held);

/* How many those are. */
uint32_t split_count(const uint8_t *labels, uint32_t n_rows, double fraction);

#endif
