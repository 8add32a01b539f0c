/* See reduce.h. Slots of all levels lie in one array, level after level. */
#include "math/reduce.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "math/vec.h"

#define MAX_LEVELS 33

typedef struct {
    bool held;
    partial_t partial; /* owned while held */
} slot_t;

struct reduce {
    uint32_t n_blocks;
    size_t n_params;
    uint32_t root_level;
    uint32_t n_done;
    size_t n_slots;
    size_t level_start[MAX_LEVELS];
    slot_t *slots; /* owned */
};

void partial_release(partial_t *partial)
{
    if (partial->release)
        partial->release(partial->hint);
    memset(partial, 0, sizeof(*partial));
}

void partial_add(partial_t *left, partial_t *right, size_t n_params)
{
    vec_add(left->gradient, right->gradient, n_params);
    left->cost += right->cost;
    left->correct += right->correct;
    left->rows += right->rows;
    partial_release(right);
}

uint32_t node_root_level(uint32_t n_blocks)
{
    uint32_t level = 0;
    while (((uint64_t)1 << level) < n_blocks)
        level++;
    return level;
}

bool node_valid(node_t node, uint32_t n_blocks)
{
    return node.level <= node_root_level(n_blocks) &&
           ((uint64_t)node.index << node.level) < n_blocks;
}

void node_range(node_t node, uint32_t n_blocks, uint32_t *first, uint32_t *end)
{
    uint64_t behind = ((uint64_t)node.index + 1) << node.level;
    *first = node.index << node.level;
    *end = behind < n_blocks ? (uint32_t)behind : n_blocks;
}

node_t node_largest(uint32_t first, uint32_t end, uint32_t n_blocks)
{
    node_t best = {0, first};
    for (uint32_t level = 1; level <= node_root_level(n_blocks); level++) {
        uint64_t size = (uint64_t)1 << level;
        if (first % size != 0)
            break;
        uint64_t behind = first + size < n_blocks ? first + size : n_blocks;
        if (behind > end)
            break;
        best = (node_t){level, (uint32_t)(first >> level)};
    }
    return best;
}

static uint32_t s_level_nodes(uint32_t n_blocks, uint32_t level)
{
    return (uint32_t)(((uint64_t)n_blocks + ((uint64_t)1 << level) - 1) >> level);
}

static slot_t *s_slot(const reduce_t *self, node_t node)
{
    assert(node_valid(node, self->n_blocks));
    return &self->slots[self->level_start[node.level] + node.index];
}

reduce_t *reduce_new(uint32_t n_blocks, size_t n_params)
{
    assert(n_blocks >= 1);
    reduce_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->n_blocks = n_blocks;
    self->n_params = n_params;
    self->root_level = node_root_level(n_blocks);
    for (uint32_t level = 0; level <= self->root_level; level++) {
        self->level_start[level] = self->n_slots;
        self->n_slots += s_level_nodes(n_blocks, level);
    }
    self->slots = calloc(self->n_slots, sizeof(slot_t));
    if (!self->slots)
        abort();
    return self;
}

void reduce_destroy(reduce_t **self_p)
{
    reduce_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    reduce_reset(self);
    free(self->slots);
    free(self);
}

static void s_empty(slot_t *slot)
{
    if (slot->held)
        partial_release(&slot->partial);
    slot->held = false;
}

void reduce_reset(reduce_t *self)
{
    for (size_t i = 0; i < self->n_slots; i++)
        s_empty(&self->slots[i]);
    self->n_done = 0;
}

bool reduce_complete(const reduce_t *self, node_t node)
{
    for (;; node.level++, node.index /= 2) {
        if (s_slot(self, node)->held)
            return true;
        if (node.level == self->root_level)
            return false;
    }
}

/* Empties what lies below a node that is about to be complete itself; returns the blocks that had
 * been counted there. */
static uint32_t s_clear_below(reduce_t *self, node_t node)
{
    uint32_t n_counted = 0;
    for (uint32_t level = node.level; level-- > 0;) {
        uint32_t shift = node.level - level;
        uint64_t behind = ((uint64_t)node.index + 1) << shift;
        uint32_t n_nodes = s_level_nodes(self->n_blocks, level);
        for (uint32_t i = node.index << shift; i < behind && i < n_nodes; i++) {
            slot_t *slot = s_slot(self, (node_t){level, i});
            if (!slot->held)
                continue;
            uint32_t first, end;
            node_range((node_t){level, i}, self->n_blocks, &first, &end);
            n_counted += end - first;
            s_empty(slot);
        }
    }
    return n_counted;
}

/* Sums up from a node that has just become complete, as far as siblings are there. */
static void s_rise(reduce_t *self, node_t node)
{
    while (node.level < self->root_level) {
        node_t parent = {node.level + 1, node.index / 2};
        node_t left = {node.level, parent.index * 2};
        node_t right = {node.level, parent.index * 2 + 1};
        slot_t *left_slot = s_slot(self, left);
        slot_t *parent_slot = s_slot(self, parent);
        if (!left_slot->held)
            return;
        if (node_valid(right, self->n_blocks)) {
            slot_t *right_slot = s_slot(self, right);
            if (!right_slot->held)
                return;
            partial_add(&left_slot->partial, &right_slot->partial, self->n_params);
            right_slot->held = false;
        }
        parent_slot->partial = left_slot->partial;
        parent_slot->held = true;
        memset(&left_slot->partial, 0, sizeof(left_slot->partial));
        left_slot->held = false;
        node = parent;
    }
}

bool reduce_insert(reduce_t *self, node_t node, partial_t *partial)
{
    if (reduce_complete(self, node)) {
        partial_release(partial);
        return false;
    }
    uint32_t first, end;
    node_range(node, self->n_blocks, &first, &end);
    self->n_done += end - first - s_clear_below(self, node);
    slot_t *slot = s_slot(self, node);
    slot->partial = *partial;
    slot->held = true;
    memset(partial, 0, sizeof(*partial));
    s_rise(self, node);
    return true;
}

bool reduce_take(reduce_t *self, node_t node, partial_t *partial)
{
    slot_t *slot = s_slot(self, node);
    if (!slot->held)
        return false;
    uint32_t first, end;
    node_range(node, self->n_blocks, &first, &end);
    self->n_done -= end - first;
    *partial = slot->partial;
    memset(slot, 0, sizeof(*slot));
    return true;
}

const partial_t *reduce_root(const reduce_t *self)
{
    const slot_t *slot = s_slot(self, (node_t){self->root_level, 0});
    return slot->held ? &slot->partial : NULL;
}

uint32_t reduce_blocks_done(const reduce_t *self)
{
    return self->n_done;
}

/* The end of the complete run that `block` lies in: the largest complete node over it. 0 if the
 * block is not complete. */
static uint32_t s_complete_until(const reduce_t *self, uint32_t block)
{
    node_t node = {0, block};
    for (;; node.level++, node.index /= 2) {
        if (s_slot(self, node)->held) {
            uint32_t first, end;
            node_range(node, self->n_blocks, &first, &end);
            return end;
        }
        if (node.level == self->root_level)
            return 0;
    }
}

bool reduce_missing(const reduce_t *self, uint32_t from, uint32_t *first, uint32_t *end)
{
    uint32_t block = from;
    uint32_t until;
    while (block < self->n_blocks && (until = s_complete_until(self, block)) > 0)
        block = until;
    if (block >= self->n_blocks)
        return false;
    *first = block;
    while (block < self->n_blocks && s_complete_until(self, block) == 0)
        block++;
    *end = block;
    return true;
}
