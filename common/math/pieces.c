/* See pieces.h. */
#include "math/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static void s_release_all(pieces_t *self)
{
    for (uint32_t i = 0; i < self->n_held; i++)
        partial_release(&self->held[i].partial);
    self->n_held = 0;
}

void pieces_begin(pieces_t *self, node_t whole, uint32_t n_blocks)
{
    s_release_all(self);
    self->whole = whole;
    self->n_blocks = n_blocks;
}

void pieces_clear(pieces_t *self)
{
    s_release_all(self);
    free(self->held);
    memset(self, 0, sizeof(*self));
}

static void s_drop(pieces_t *self, uint32_t i)
{
    self->held[i] = self->held[--self->n_held];
}

/* Releases what lies below the node; false when what is held covers it. */
static bool s_make_way(pieces_t *self, node_t node)
{
    uint32_t first, end, held_first, held_end;
    node_range(node, self->n_blocks, &first, &end);
    for (uint32_t i = self->n_held; i-- > 0;) {
        node_range(self->held[i].node, self->n_blocks, &held_first, &held_end);
        if (held_first <= first && end <= held_end)
            return false;
        if (first <= held_first && held_end <= end) {
            partial_release(&self->held[i].partial);
            s_drop(self, i);
        }
    }
    return true;
}

static bool s_find(const pieces_t *self, node_t node, uint32_t *at)
{
    for (*at = 0; *at < self->n_held; (*at)++)
        if (self->held[*at].node.level == node.level && self->held[*at].node.index == node.index)
            return true;
    return false;
}

/* Sums up as far as siblings are held. */
static node_t s_rise(pieces_t *self, node_t node, partial_t *partial, size_t n_params)
{
    while (node.level < self->whole.level) {
        uint32_t at;
        node_t sibling = {node.level, node.index ^ 1};
        if (node.index % 2 == 1) {
            if (!s_find(self, sibling, &at))
                break;
            partial_add(&self->held[at].partial, partial, n_params);
            *partial = self->held[at].partial;
            s_drop(self, at);
        } else if (node_valid(sibling, self->n_blocks)) {
            if (!s_find(self, sibling, &at))
                break;
            partial_add(partial, &self->held[at].partial, n_params);
            s_drop(self, at);
        }
        node = (node_t){node.level + 1, node.index / 2};
    }
    return node;
}

bool pieces_add(pieces_t *self, node_t node, partial_t *partial, size_t n_params)
{
    if (!s_make_way(self, node)) {
        partial_release(partial);
        return false;
    }
    node = s_rise(self, node, partial, n_params);
    self->held = array_room(self->held, self->n_held + 1, &self->room, sizeof(piece_t));
    self->held[self->n_held++] = (piece_t){node, *partial};
    memset(partial, 0, sizeof(*partial));
    return true;
}

partial_t *pieces_whole(const pieces_t *self)
{
    uint32_t first, end, held_first, held_end;
    if (self->n_held != 1)
        return NULL;
    node_range(self->whole, self->n_blocks, &first, &end);
    node_range(self->held[0].node, self->n_blocks, &held_first, &held_end);
    return held_first == first && held_end == end ? &self->held[0].partial : NULL;
}
