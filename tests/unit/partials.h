/* Partials with made-up numbers, and whether all of them were released. */
#ifndef DROVER_TESTS_PARTIALS_H
#define DROVER_TESTS_PARTIALS_H

#include <stdint.h>
#include <stdlib.h>

#include "math/reduce.h"

enum {
    P = 3 /* floats of a gradient */
};

static int partials_live; /* made and not released */

static inline void partials_release(void *hint)
{
    partials_live--;
    free(hint);
}

/* All zero. */
static inline partial_t partials_new(void)
{
    partial_t partial = {.gradient = calloc(P, sizeof(float)), .release = partials_release};
    if (!partial.gradient)
        abort();
    partial.hint = partial.gradient;
    partials_live++;
    return partial;
}

/* That of a block: its floats make a sum depend on its order in the last bits. */
static inline partial_t partials_leaf(uint32_t block)
{
    partial_t partial = partials_new();
    partial.cost = 0.1 * (block + 1);
    partial.correct = block;
    partial.rows = 1;
    for (uint32_t i = 0; i < P; i++)
        partial.gradient[i] = 1.0f / (float)(block * P + i + 1);
    return partial;
}

/* That of a node, from its leaves. */
static inline partial_t partials_sum(node_t node, uint32_t n_blocks)
{
    if (node.level == 0)
        return partials_leaf(node.index);
    node_t right = {node.level - 1, node.index * 2 + 1};
    partial_t sum = partials_sum((node_t){node.level - 1, node.index * 2}, n_blocks);
    if (node_valid(right, n_blocks)) {
        partial_t other = partials_sum(right, n_blocks);
        partial_add(&sum, &other, P);
    }
    return sum;
}

#endif
