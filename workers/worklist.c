/* See worklist.h. */
#include "workers/worklist.h"

#include <stdlib.h>

#include "base/array.h"

#define TASKS_PER_THREAD 8
#define AHEAD            2 /* tasks a thread: it does one, and has the next at hand */

void worklist_open(worklist_t *self, uint32_t n_blocks, size_t n_params)
{
    reduce_destroy(&self->tree);
    self->n_blocks = n_blocks;
    self->tree = reduce_new(n_blocks, n_params);
}

void worklist_clear(worklist_t *self)
{
    reduce_destroy(&self->tree);
    free(self->tasks);
    *self = (worklist_t){0};
}

void worklist_forget(worklist_t *self)
{
    self->n_tasks = 0;
    self->n_started = 0;
    self->n_computing = 0;
    if (self->tree)
        reduce_reset(self->tree);
}

void worklist_drain(worklist_t *self)
{
    self->n_tasks = self->n_started;
}

/* Cuts a promised node into tasks of at most `level`, so that all threads have work to the end, and
 * while rows are still on their way. */
static void s_cut(worklist_t *self, node_t node, uint32_t level)
{
    uint32_t shift = node.level > level ? node.level - level : 0;
    uint64_t behind = ((uint64_t)node.index + 1) << shift;
    for (uint64_t i = (uint64_t)node.index << shift; i < behind; i++) {
        node_t task = {node.level - shift, (uint32_t)i};
        if (!node_valid(task, self->n_blocks))
            break;
        self->tasks = array_room(self->tasks, self->n_tasks + 1, &self->tasks_room, sizeof(node_t));
        self->tasks[self->n_tasks++] = task;
    }
}

/* Blocks [first, end), none of them promised yet. */
static void s_promise(worklist_t *self, const sampler_t *sampler, rowcache_t *rows, uint32_t first,
                      uint32_t end)
{
    uint32_t level = 0, first_row, end_row;
    sampler_reach(sampler, first, end, &first_row, &end_row);
    rowcache_want(rows, first_row, end_row);
    if (self->n_threads == 0 || (self->n_threads == 1 && rowcache_has(rows, first_row, end_row)))
        level = 32;
    else
        while ((2u << level) * self->n_threads * TASKS_PER_THREAD <= end - first)
            level++;
    while (first < end) {
        node_t node = node_largest(first, end, self->n_blocks);
        reduce_want(self->tree, node);
        s_cut(self, node, level);
        node_range(node, self->n_blocks, &first, &first);
    }
}

void worklist_ask(worklist_t *self, const sampler_t *sampler, rowcache_t *rows, uint32_t first,
                  uint32_t end)
{
    while (first < end) {
        while (first < end && reduce_pending(self->tree, first))
            first++;
        uint32_t begin = first;
        while (first < end && !reduce_pending(self->tree, first))
            first++;
        if (first > begin)
            s_promise(self, sampler, rows, begin, first);
    }
}

bool worklist_hand_out(worklist_t *self, const sampler_t *sampler, const rowcache_t *rows,
                       node_t *node)
{
    if (self->n_threads > 0 && self->n_computing >= AHEAD * self->n_threads)
        return false;
    for (uint32_t i = self->n_started; i < self->n_tasks; i++) {
        uint32_t first, end, first_row, end_row;
        node_t task = self->tasks[i];
        node_range(task, self->n_blocks, &first, &end);
        sampler_reach(sampler, first, end, &first_row, &end_row);
        if (!rowcache_has(rows, first_row, end_row))
            continue;
        self->tasks[i] = self->tasks[self->n_started];
        self->tasks[self->n_started++] = task;
        self->n_computing++;
        *node = task;
        return true;
    }
    return false;
}

void worklist_result(worklist_t *self, node_t node, partial_t *partial)
{
    if (!node_valid(node, self->n_blocks)) {
        partial_release(partial);
        return;
    }
    self->n_computing -= self->n_computing > 0;
    reduce_insert(self->tree, node, partial); /* or not, when it was cancelled meanwhile */
}

bool worklist_take(worklist_t *self, node_t *node, partial_t *partial)
{
    return reduce_take(self->tree, node, partial);
}
