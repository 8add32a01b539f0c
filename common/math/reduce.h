/* The canonical reduction: a binary tree over blocks whose shape fixes the order of every sum.
 *
 * Node (level, index) covers blocks [index << level, (index + 1) << level), cut off at n_blocks.
 * parent = left + right, in that order; where the right child covers no block, parent = left. So
 * the sum depends on the blocks alone, never on who computed which nodes or when they arrived.
 * The tree is also the exactly-once ledger: a node counts once, directly or below an ancestor.
 *
 * What is to be summed is said by wanting nodes: the root, or some nodes that do not overlap. Sums
 * run up to a wanted node and no further, so that it can be handed on as one partial.
 */
#ifndef DROVER_MATH_REDUCE_H
#define DROVER_MATH_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t level;
    uint32_t index;
} node_t;

/* What a node sums to. `gradient` (P) is owned through release(hint), which may be NULL. */
typedef struct {
    float *gradient;
    double cost;
    uint64_t correct;
    uint64_t rows;
    void (*release)(void *hint);
    void *hint;
} partial_t;

/* Gives the gradient back and empties the partial. */
void partial_release(partial_t *partial);

/* *left += *right, then *right is released: the one way in which two partials become one. */
void partial_add(partial_t *left, partial_t *right, size_t n_params);

/* Level of the root over n_blocks blocks (0 for one block). */
uint32_t node_root_level(uint32_t n_blocks);

/* Is there such a node over n_blocks blocks (level up to the root's, at least one block)? */
bool node_valid(node_t node, uint32_t n_blocks);

/* The blocks [*first, *end) of a valid node. */
void node_range(node_t node, uint32_t n_blocks, uint32_t *first, uint32_t *end);

/* The largest node that starts at block `first` and does not reach past `end`, first < end: walking
 * a range with it gives the range's canonical nodes, at most 2 log2 of them. A node cut off at
 * n_blocks counts as reaching to n_blocks. */
node_t node_largest(uint32_t first, uint32_t end, uint32_t n_blocks);

typedef struct reduce reduce_t;

/* A tree of n_blocks >= 1 blocks for gradients of n_params floats. Never NULL. */
reduce_t *reduce_new(uint32_t n_blocks, size_t n_params);
void reduce_destroy(reduce_t **self_p);

/* Releases all partials; nothing is wanted. */
void reduce_reset(reduce_t *self);

/* The valid node is to be summed, from nothing. It may overlap wanted nodes that were taken, which
 * are then wanted no more, but no others. */
void reduce_want(reduce_t *self, node_t node);

/* Is the block below a wanted node whose partial was not taken yet? */
bool reduce_pending(const reduce_t *self, uint32_t block);

/* The end of the run from `first`, at most `end`, that lies below one wanted node, or below none: a
 * sum that reaches further is none of those that are wanted. */
uint32_t reduce_cut(const reduce_t *self, uint32_t first, uint32_t end);

/* Is there nothing to do about the valid node: it is complete, below one that is, or not (wholly)
 * wanted? */
bool reduce_complete(const reduce_t *self, node_t node);

/* Takes the partial of a valid node; the callee owns it in any case and *partial is emptied.
 * A complete node is a duplicate: released, false. Else it takes its place (partials below it, the
 * same sum in pieces, are released) and sums run up as far as siblings are there: true. */
bool reduce_insert(reduce_t *self, node_t node, partial_t *partial);

/* The gradient that a valid node's would be added to at once: that of its sibling, when that is
 * there and both are missing in what is wanted. NULL when there is none. Borrowed. */
const float *reduce_held(const reduce_t *self, node_t node);

/* As reduce_insert, of a partial to whose gradient that of reduce_held, which must be there, was
 * added before. */
void reduce_insert_added(reduce_t *self, node_t node, partial_t *partial);

/* Hands out the partial of a wanted node that is complete, lowest block first, which stays
 * complete; the caller then owns it. False when there is none. */
bool reduce_take(reduce_t *self, node_t *node, partial_t *partial);

/* Wanted blocks that are complete. */
uint32_t reduce_blocks_done(const reduce_t *self);

/* The first run of blocks at or after `from` that are below one wanted node and not complete:
 * [*first, *end). False when none. No longer than that node: a partial over two would be of no use.
 * `end` may be NULL: to find it takes time in proportion to the run. */
bool reduce_missing(const reduce_t *self, uint32_t from, uint32_t *first, uint32_t *end);

#endif
