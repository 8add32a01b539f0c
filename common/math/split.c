/* See split.h. */
#include "math/split.h"

#include <stdlib.h>
#include <string.h>

#include "math/rng.h"

#define N_CLASSES 256 /* labels are bytes */

static int s_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of a class of n rows. */
static uint32_t s_part(uint32_t n, double fraction)
{
    uint32_t part = (uint32_t)(fraction * n + 0.5);
    return n > 0 && part == n ? n - 1 : part;
}

uint32_t split_count(const uint8_t *labels, uint32_t n_rows, double fraction)
{
    uint32_t n[N_CLASSES] = {0}, n_held = 0;
    for (uint32_t row = 0; row < n_rows; row++)
        n[labels[row]]++;
    for (uint32_t class = 0; class < N_CLASSES; class ++)
        n_held += s_part(n[class], fraction);
    return n_held;
}

uint32_t split_rows(const uint8_t *labels, uint32_t n_rows, uint64_t seed, double fraction,
                    uint8_t *held)
{
    uint32_t n_held = 0;
    uint64_t *draws = malloc(n_rows * sizeof(*draws)); /* of a class: draw 2^32 + row */
    if (!draws)
        abort();
    memset(held, 0, n_rows);
    for (uint32_t class = 0; class < N_CLASSES; class ++) {
        uint32_t n = 0;
        for (uint32_t row = 0; row < n_rows; row++) {
            uint32_t bits;
            if (labels[row] != class)
                continue;
            rng_fill(seed, RNG_SPLIT, 0, row, 1, &bits);
            draws[n++] = (uint64_t)bits << 32 | row;
        }
        uint32_t n_out = s_part(n, fraction);
        qsort(draws, n, sizeof(*draws), s_compare);
        for (uint32_t i = 0; i < n_out; i++)
            held[(uint32_t)draws[i]] = 1;
        n_held += n_out;
    }
    free(draws);
    return n_held;
}
