/* One node's partial, in the pieces that it comes in: a canonical tree (reduce.h) over few blocks,
 * with room for what is there only.
 */
#ifndef DROVER_MATH_PIECES_H
#define DROVER_MATH_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/reduce.h"

typedef struct {
    node_t node;
    partial_t partial; /* owned */
} piece_t;

/* {0} is of no node and holds nothing. */
typedef struct {
    node_t whole;
    uint32_t n_blocks; /* of the tree that the node is of */
    piece_t *held;     /* owned; they do not overlap */
    uint32_t n_held;
    uint32_t room;
} pieces_t;

/* Releases what is held and makes these the pieces of the valid node `whole`. */
void pieces_begin(pieces_t *self, node_t whole, uint32_t n_blocks);

/* Frees all; fine twice. */
void pieces_clear(pieces_t *self);

/* Takes the partial (of n_params floats) of a valid node whose blocks are among those of the whole;
 * the callee owns it in any case and *partial is emptied. False for one whose blocks are there. */
bool pieces_add(pieces_t *self, node_t node, partial_t *partial, size_t n_params);

/* The whole's partial, borrowed and the caller's to move away; NULL before it is complete. */
partial_t *pieces_whole(const pieces_t *self);

#endif
