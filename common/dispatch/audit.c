/* See audit.h. */
#include "dispatch/audit_self.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "math/rng.h"

#define UNITS_MIN     16 /* of a tree with so many blocks */
#define SHARE_PARTS   8  /* an audited node is at most such a part of a worker's share of a step */
#define PARTS_WORKERS 1024 /* of so many workers at most: a STEP has room for so many ranges */

uint32_t audit_unit_level(uint32_t n_blocks)
{
    uint32_t level = 0;
    while (((uint64_t)UNITS_MIN - 1) << (level + 1) < n_blocks)
        level++;
    return level;
}

audit_t *audit_new(uint64_t seed, double share, uint32_t n_blocks, size_t n_params)
{
    audit_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    self->seed = seed;
    self->threshold = (uint64_t)(share * 0x1p32);
    self->n_blocks = n_blocks;
    self->n_params = n_params;
    self->unit_level = audit_unit_level(n_blocks);
    return self;
}

static void s_empty(entry_t *entry)
{
    ballot_empty(&entry->ballot);
    if (entry->ready)
        partial_release(&entry->partial);
    entry->ready = false;
}

void audit_destroy(audit_t **self_p)
{
    audit_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->n_made; i++) {
        entry_t *entry = self->entries[i];
        s_empty(entry);
        ballot_clear(&entry->ballot);
        free(entry);
    }
    free(self->entries);
    free(self->asks);
    free(self->loads);
    free(self->events);
    free(self);
}

/* Where the entry that reaches beyond `block` is, or would be. */
static uint32_t s_find(const audit_t *self, uint32_t block)
{
    uint32_t low = 0, high = self->n_entries;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->entries[middle]->ballot.end <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static entry_t *s_over(const audit_t *self, uint32_t block)
{
    uint32_t at = s_find(self, block);
    return at < self->n_entries && self->entries[at]->ballot.first <= block ? self->entries[at]
                                                                            : NULL;
}

/* The undecided one that the block is part of, or NULL. */
static entry_t *s_open(const audit_t *self, uint32_t block)
{
    entry_t *entry = self->n_undecided > 0 ? s_over(self, block) : NULL;
    return entry && !entry->decided ? entry : NULL;
}

/* Steps */

bool audit_draws(const audit_t *self, uint32_t step, uint32_t unit)
{
    uint32_t bits;
    rng_fill(self->seed, RNG_AUDIT, step, (uint64_t)self->unit_level << 32 | unit, 1, &bits);
    return bits < self->threshold;
}

void audit_begin(audit_t *self, uint32_t step, uint32_t n_workers)
{
    for (uint32_t i = 0; i < self->n_entries; i++)
        s_empty(self->entries[i]);
    self->n_entries = self->n_undecided = self->n_ready = 0;
    self->n_compared = self->n_unchecked = 0;
    self->n_asks = self->n_events = 0;
    self->step = step;
    self->level = self->unit_level;
    uint64_t n_parts =
        SHARE_PARTS * (uint64_t)(n_workers < PARTS_WORKERS ? n_workers : PARTS_WORKERS);
    while (self->level > 0 && n_parts << self->level > self->n_blocks)
        self->level--;
}

/* Takes entry `at` out of this step's, to be used again. */
static void s_drop_entry(audit_t *self, uint32_t at)
{
    entry_t *entry = self->entries[at];
    self->n_undecided -= !entry->decided;
    self->n_ready -= entry->ready;
    s_empty(entry);
    memmove(&self->entries[at], &self->entries[at + 1],
            (--self->n_entries - at) * sizeof(entry_t *));
    self->entries[self->n_entries] = entry;
}

static void s_enter(audit_t *self, node_t node)
{
    if (self->n_entries == self->n_made) {
        entry_t *made = calloc(1, sizeof(*made));
        if (!made)
            abort();
        self->entries =
            array_room(self->entries, self->n_made + 1, &self->entries_room, sizeof(entry_t *));
        self->entries[self->n_made++] = made;
    }
    entry_t *entry = self->entries[self->n_entries];
    ballot_begin(&entry->ballot, node, self->n_blocks, self->n_params);
    entry->decided = entry->ready = false;
    entry->due = true;
    entry->n_again = 0;
    entry->next_ms = entry->single_ms = 0;
    uint32_t at = s_find(self, entry->ballot.first);
    memmove(&self->entries[at + 1], &self->entries[at],
            (self->n_entries++ - at) * sizeof(entry_t *));
    self->entries[at] = entry;
    self->n_undecided++;
}

/* Are there two workers of different names that were heard lately? */
static bool s_can_compare(const audit_worker_t *workers, uint32_t n_workers)
{
    const audit_worker_t *one = NULL;
    for (uint32_t i = 0; i < n_workers; i++) {
        if (workers[i].silent)
            continue;
        if (one &&
            (strcmp(one->name, workers[i].name) != 0 || strcmp(one->host, workers[i].host) != 0))
            return true;
        one = &workers[i];
    }
    return false;
}

void audit_want(audit_t *self, node_t node, const audit_worker_t *workers, uint32_t n_workers)
{
    uint32_t block, end, behind;
    node_range(node, self->n_blocks, &block, &end);
    for (uint32_t at = s_find(self, block);
         at < self->n_entries && self->entries[at]->ballot.first < end;)
        s_drop_entry(self, at);
    if (self->threshold == 0)
        return;
    bool possible = s_can_compare(workers, n_workers);
    uint32_t level = self->level < node.level ? self->level : node.level;
    for (; block < end; block = behind) {
        node_t unit = {self->unit_level, block >> self->unit_level};
        node_range(unit, self->n_blocks, &behind, &behind);
        if (!audit_draws(self, self->step, unit.index))
            continue;
        node_range((node_t){level, block >> level}, self->n_blocks, &behind, &behind);
        if (possible) /* as a worker cuts it, but for what is no part of what is wanted */
            s_enter(self, behind == end && block == (node.index << node.level)
                              ? node
                              : node_largest(block, behind, self->n_blocks));
        else
            self->n_unchecked++;
    }
}

bool audit_undecided(const audit_t *self, uint32_t block)
{
    return s_open(self, block) != NULL;
}

uint32_t audit_cut(const audit_t *self, uint32_t first, uint32_t end, bool *audited)
{
    uint32_t at = s_find(self, first);
    *audited = false;
    if (at == self->n_entries)
        return end;
    const ballot_t *ballot = &self->entries[at]->ballot;
    *audited = ballot->first <= first;
    uint32_t until = *audited ? ballot->end : ballot->first;
    return until < end ? until : end;
}

static audit_event_t s_describe(audit_event_kind_t kind, const entry_t *entry, const copy_t *copy,
                                const copy_t *other)
{
    audit_event_t event = {.kind = kind, .node = entry->ballot.node, .worker = copy->worker};
    memcpy(event.name, copy->name, sizeof(event.name));
    memcpy(event.host, copy->host, sizeof(event.host));
    if (other)
        memcpy(event.other, other->name, sizeof(event.other));
    return event;
}

void audit_note(audit_t *self, audit_event_kind_t kind, const entry_t *entry, const copy_t *copy,
                const copy_t *other)
{
    self->events =
        array_room(self->events, self->n_events + 1, &self->events_room, sizeof(audit_event_t));
    self->events[self->n_events++] = s_describe(kind, entry, copy, other);
}

void audit_decide(audit_t *self, entry_t *entry, copy_t *copy)
{
    entry->partial = copy->partial;
    copy->whole = false;
    entry->ready = entry->decided = true;
    self->n_ready++;
    self->n_undecided--;
    ballot_empty(&entry->ballot);
}

bool audit_due(const audit_t *self)
{
    for (uint32_t i = 0; i < self->n_entries && self->n_undecided > 0; i++)
        if (self->entries[i]->due && !self->entries[i]->decided)
            return true;
    return false;
}

bool audit_awaits(const audit_t *self, uint32_t worker, uint32_t block)
{
    const entry_t *entry = s_open(self, block);
    const copy_t *copy = entry ? ballot_copy(&entry->ballot, worker) : NULL;
    return copy && (copy->state == COPY_AWAITED || copy->state == COPY_LATE);
}

void audit_late(audit_t *self, uint32_t worker, uint32_t block)
{
    entry_t *entry = s_open(self, block);
    copy_t *copy = entry ? ballot_copy(&entry->ballot, worker) : NULL;
    if (!copy || copy->state != COPY_AWAITED)
        return;
    copy->state = COPY_LATE;
    entry->due = true;
}

void audit_lost(audit_t *self, uint32_t worker)
{
    for (uint32_t i = 0; i < self->n_entries; i++) {
        copy_t *copy = ballot_copy(&self->entries[i]->ballot, worker);
        if (!copy)
            continue;
        copy->state = COPY_LOST;
        self->entries[i]->due = true;
    }
}

void audit_distrust(audit_t *self, const char *name, const char *host)
{
    for (uint32_t i = 0; i < self->n_entries; i++)
        self->entries[i]->due |= ballot_distrust(&self->entries[i]->ballot, name, host);
}

/* Copies arrive */

audit_place_t audit_place(const audit_t *self, node_t node)
{
    uint32_t first, end;
    node_range(node, self->n_blocks, &first, &end);
    uint32_t at = s_find(self, first);
    if (at == self->n_entries || self->entries[at]->ballot.first >= end)
        return AUDIT_OUTSIDE;
    const ballot_t *ballot = &self->entries[at]->ballot;
    return ballot->first <= first && end <= ballot->end ? AUDIT_INSIDE : AUDIT_ACROSS;
}

bool audit_offer(audit_t *self, uint32_t worker, node_t node, partial_t *partial)
{
    uint32_t first, end;
    copy_t *copy;
    node_range(node, self->n_blocks, &first, &end);
    entry_t *entry = s_over(self, first);
    assert(entry && end <= entry->ballot.end);
    ballot_t *ballot = &entry->ballot; /* without copies when it is decided */
    switch (ballot_offer(ballot, worker, node, partial, &copy)) {
    case BALLOT_DUPLICATE:
        return false;
    case BALLOT_OPEN:
        break;
    case BALLOT_DIFFERS:
        audit_note(self, AUDIT_DIFFERS, entry, ballot_whole(ballot, copy), copy);
        break;
    case BALLOT_DECIDED:
        for (uint32_t i = 0; i < ballot->n_copies; i++)
            if (ballot_contradicts(ballot, &ballot->copies[i], copy))
                audit_note(self, AUDIT_LIAR, entry, &ballot->copies[i], NULL);
        self->n_compared++;
        audit_decide(self, entry, copy);
        break;
    }
    entry->due = true;
    return true;
}

bool audit_take(audit_t *self, node_t *node, partial_t *partial)
{
    for (uint32_t i = 0; i < self->n_entries && self->n_ready > 0; i++) {
        entry_t *entry = self->entries[i];
        if (!entry->ready)
            continue;
        *node = entry->ballot.node;
        *partial = entry->partial;
        memset(&entry->partial, 0, sizeof(entry->partial));
        entry->ready = false;
        self->n_ready--;
        return true;
    }
    return false;
}

bool audit_take_event(audit_t *self, audit_event_t *event)
{
    if (self->n_events == 0)
        return false;
    *event = self->events[0];
    memmove(self->events, self->events + 1, --self->n_events * sizeof(*event));
    return true;
}

bool audit_dispute(const audit_t *self, audit_event_t *event)
{
    for (uint32_t i = 0; i < self->n_entries; i++) {
        const entry_t *entry = self->entries[i];
        const copy_t *copy = ballot_whole(&entry->ballot, NULL); /* NULL for a decided one */
        const copy_t *other = copy ? ballot_whole(&entry->ballot, copy) : NULL;
        if (!other || ballot_awaits(&entry->ballot))
            continue;
        *event = s_describe(AUDIT_WAITS, entry, copy, other);
        return true;
    }
    return false;
}

double audit_deadline_ms(const audit_t *self)
{
    double deadline_ms = INFINITY;
    for (uint32_t i = 0; i < self->n_entries && self->n_undecided > 0; i++) {
        const entry_t *entry = self->entries[i];
        if (entry->due && !entry->decided && entry->next_ms > 0)
            deadline_ms = fmin(deadline_ms, entry->next_ms);
    }
    return deadline_ms;
}

uint32_t audit_compared(const audit_t *self)
{
    return self->n_compared;
}

uint32_t audit_unchecked(const audit_t *self)
{
    return self->n_unchecked;
}
