/* See reduce.h. Slots of all levels lie in one array, level after level. */
#include "math/reduce.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "math/vec.h"

#define MAX_LEVELS 33

typedef struct {
    bool held;
    partial_t partial; /* owned while held */
} slot_t;

typedef struct {
    node_t node;
    bool taken; /* complete, its partial handed out */
} wanted_t;

struct reduce {
    uint32_t n_blocks;
    size_t n_params;
    uint32_t root_level;
    uint32_t n_done;
    size_t n_slots;
    size_t level_start[MAX_LEVELS];
    slot_t *slots;    /* owned */
    wanted_t *wanted; /* owned; disjoint, in the order of their blocks */
    uint32_t n_wanted;
    uint32_t wanted_room;
};

void partial_release(partial_t *partial)
{
    if (partial->release)
        partial->release(partial->hint);
    memset(partial, 0, sizeof(*partial));
}

static void s_add_figures(partial_t *to, const partial_t *from)
{
    to->cost += from->cost;
    to->correct += from->correct;
    to->rows += from->rows;
}

void partial_add(partial_t *left, partial_t *right, size_t n_params)
{
    vec_add(left->gradient, right->gradient, n_params);
    s_add_figures(left, right);
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
    free(self->wanted);
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
    self->n_wanted = 0;
}

/* The first wanted node that reaches beyond `block`, n_wanted when there is none. */
static uint32_t s_wanted_from(const reduce_t *self, uint32_t block)
{
    uint32_t low = 0, high = self->n_wanted;
    while (low < high) {
        uint32_t middle = (low + high) / 2, first, end;
        node_range(self->wanted[middle].node, self->n_blocks, &first, &end);
        if (end <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The wanted node that covers all of the valid node, or NULL. */
static const wanted_t *s_wanted_over(const reduce_t *self, node_t node)
{
    uint32_t first, end, wanted_first, wanted_end;
    node_range(node, self->n_blocks, &first, &end);
    uint32_t i = s_wanted_from(self, first);
    if (i == self->n_wanted)
        return NULL;
    const wanted_t *wanted = &self->wanted[i];
    node_range(wanted->node, self->n_blocks, &wanted_first, &wanted_end);
    return wanted_first <= first && node.level <= wanted->node.level ? wanted : NULL;
}

void reduce_want(reduce_t *self, node_t node)
{
    uint32_t first, end, n_over = 0;
    node_range(node, self->n_blocks, &first, &end);
    uint32_t at = s_wanted_from(self, first);
    for (; at + n_over < self->n_wanted; n_over++) {
        uint32_t other_first, other_end;
        node_range(self->wanted[at + n_over].node, self->n_blocks, &other_first, &other_end);
        if (other_first >= end)
            break;
        assert(self->wanted[at + n_over].taken);
        self->n_done -= other_end - other_first;
    }
    self->wanted =
        array_room(self->wanted, self->n_wanted + 1, &self->wanted_room, sizeof(*self->wanted));
    memmove(&self->wanted[at + 1], &self->wanted[at + n_over],
            (self->n_wanted - at - n_over) * sizeof(*self->wanted));
    self->wanted[at] = (wanted_t){.node = node};
    self->n_wanted += 1 - n_over;
}

uint32_t reduce_cut(const reduce_t *self, uint32_t first, uint32_t end)
{
    uint32_t wanted_first, wanted_end, i = s_wanted_from(self, first);
    if (i == self->n_wanted)
        return end;
    node_range(self->wanted[i].node, self->n_blocks, &wanted_first, &wanted_end);
    uint32_t until = wanted_first <= first ? wanted_end : wanted_first;
    return until < end ? until : end;
}

bool reduce_complete(const reduce_t *self, node_t node)
{
    const wanted_t *wanted = s_wanted_over(self, node);
    if (!wanted || wanted->taken)
        return true;
    for (;; node.level++, node.index /= 2) {
        if (s_slot(self, node)->held)
            return true;
        if (node.level == wanted->node.level)
            return false;
    }
}

bool reduce_pending(const reduce_t *self, uint32_t block)
{
    const wanted_t *wanted = s_wanted_over(self, (node_t){0, block});
    return wanted && !wanted->taken;
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
static void s_rise(reduce_t *self, node_t node, uint32_t wanted_level)
{
    while (node.level < wanted_level) {
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

/* The partial of a node whose blocks are counted. */
static void s_put(reduce_t *self, node_t node, partial_t *partial)
{
    slot_t *slot = s_slot(self, node);
    slot->partial = *partial;
    slot->held = true;
    memset(partial, 0, sizeof(*partial));
    s_rise(self, node, s_wanted_over(self, node)->node.level);
}

static void s_count(reduce_t *self, node_t node)
{
    uint32_t first, end;
    node_range(node, self->n_blocks, &first, &end);
    self->n_done += end - first - s_clear_below(self, node);
}

bool reduce_insert(reduce_t *self, node_t node, partial_t *partial)
{
    if (reduce_complete(self, node)) {
        partial_release(partial);
        return false;
    }
    s_count(self, node);
    s_put(self, node, partial);
    return true;
}

/* The slot of the node's sibling, held, whose sum with it is wanted; NULL when there is none. */
static slot_t *s_held_sibling(const reduce_t *self, node_t node)
{
    node_t sibling = {node.level, node.index ^ 1};
    if (reduce_complete(self, node) || node.level == s_wanted_over(self, node)->node.level ||
        !node_valid(sibling, self->n_blocks))
        return NULL;
    slot_t *slot = s_slot(self, sibling);
    return slot->held ? slot : NULL;
}

const float *reduce_held(const reduce_t *self, node_t node)
{
    const slot_t *slot = s_held_sibling(self, node);
    return slot ? slot->partial.gradient : NULL;
}

void reduce_insert_added(reduce_t *self, node_t node, partial_t *partial)
{
    slot_t *sibling = s_held_sibling(self, node);
    assert(sibling);
    s_count(self, node);
    s_add_figures(partial, &sibling->partial); /* sums of two are the same in both orders */
    s_empty(sibling);
    s_put(self, (node_t){node.level + 1, node.index / 2}, partial);
}

bool reduce_take(reduce_t *self, node_t *node, partial_t *partial)
{
    for (uint32_t i = 0; i < self->n_wanted; i++) {
        slot_t *slot = s_slot(self, self->wanted[i].node);
        if (!slot->held)
            continue;
        self->wanted[i].taken = true;
        *node = self->wanted[i].node;
        *partial = slot->partial;
        memset(slot, 0, sizeof(*slot));
        return true;
    }
    return false;
}

uint32_t reduce_blocks_done(const reduce_t *self)
{
    return self->n_done;
}

/* The end of the complete run that `block`, which lies below `wanted`, lies in: that of the largest
 * complete node over it. 0 if the block is not complete. */
static uint32_t s_complete_until(const reduce_t *self, const wanted_t *wanted, uint32_t block)
{
    uint32_t first, end;
    node_range(wanted->node, self->n_blocks, &first, &end);
    if (wanted->taken)
        return end;
    node_t node = {0, block};
    for (;; node.level++, node.index /= 2) {
        if (s_slot(self, node)->held) {
            node_range(node, self->n_blocks, &first, &end);
            return end;
        }
        if (node.level == wanted->node.level)
            return 0;
    }
}

/* The first missing block at or after `from` below wanted[i]; false when all are complete. */
static bool s_first_missing(const reduce_t *self, uint32_t i, uint32_t from, uint32_t *missing)
{
    uint32_t block, end, until;
    node_range(self->wanted[i].node, self->n_blocks, &block, &end);
    if (block < from)
        block = from;
    while (block < end && (until = s_complete_until(self, &self->wanted[i], block)) > 0)
        block = until;
    *missing = block;
    return block < end;
}

bool reduce_missing(const reduce_t *self, uint32_t from, uint32_t *first, uint32_t *end)
{
    uint32_t i = s_wanted_from(self, from);
    while (i < self->n_wanted && !s_first_missing(self, i, from, first))
        i++;
    if (i == self->n_wanted || !end)
        return i < self->n_wanted;
    uint32_t wanted_first, wanted_end;
    node_range(self->wanted[i].node, self->n_blocks, &wanted_first, &wanted_end);
    *end = *first + 1;
    while (*end < wanted_end && s_complete_until(self, &self->wanted[i], *end) == 0)
        (*end)++;
    return true;
}
