/* See ballot.h. */
#include "dispatch/ballot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

bool copy_is_of(const copy_t *self, const char *name, const char *host)
{
    return strcmp(self->name, name) == 0 && strcmp(self->host, host) == 0;
}

static bool s_same_peer(const copy_t *a, const copy_t *b)
{
    return copy_is_of(a, b->name, b->host);
}

static uint64_t s_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static bool s_same_bits(const ballot_t *self, const partial_t *a, const partial_t *b)
{
    return s_bits(a->cost) == s_bits(b->cost) && a->correct == b->correct && a->rows == b->rows &&
           memcmp(a->gradient, b->gradient, self->n_params * sizeof(float)) == 0;
}

static void s_empty_copy(const ballot_t *self, copy_t *copy)
{
    if (copy->whole)
        partial_release(&copy->partial);
    copy->whole = false;
    pieces_begin(&copy->pieces, self->node, self->n_blocks);
}

void ballot_empty(ballot_t *self)
{
    for (uint32_t i = 0; i < self->n_copies; i++)
        s_empty_copy(self, &self->copies[i]);
    self->n_copies = 0;
}

void ballot_begin(ballot_t *self, node_t node, uint32_t n_blocks, size_t n_params)
{
    ballot_empty(self);
    self->node = node;
    self->n_blocks = n_blocks;
    self->n_params = n_params;
    self->differs = false;
    node_range(node, n_blocks, &self->first, &self->end);
}

void ballot_clear(ballot_t *self)
{
    ballot_empty(self);
    for (uint32_t i = 0; i < self->n_made; i++)
        pieces_clear(&self->copies[i].pieces);
    free(self->copies);
    memset(self, 0, sizeof(*self));
}

copy_t *ballot_copy(const ballot_t *self, uint32_t worker)
{
    for (uint32_t i = 0; i < self->n_copies; i++)
        if (self->copies[i].worker == worker)
            return &self->copies[i];
    return NULL;
}

copy_t *ballot_take_up(ballot_t *self, uint32_t worker, const char *name, const char *host)
{
    for (uint32_t i = 0; i < self->n_copies; i++) {
        copy_t *copy = &self->copies[i];
        if (!copy->whole || copy->state != COPY_LOST || !copy_is_of(copy, name, host))
            continue;
        copy->worker = worker;
        copy->state = COPY_IDLE;
        pieces_begin(&copy->pieces, self->node, self->n_blocks);
    }
    return ballot_copy(self, worker);
}

copy_t *ballot_add(ballot_t *self, uint32_t worker, const char *name, const char *host)
{
    if (self->n_copies == self->n_made) {
        self->copies = array_room(self->copies, self->n_made + 1, &self->room, sizeof(copy_t));
        memset(&self->copies[self->n_made++], 0, sizeof(copy_t));
    }
    copy_t *copy = &self->copies[self->n_copies++];
    pieces_t pieces = copy->pieces;
    *copy = (copy_t){.worker = worker, .pieces = pieces};
    pieces_begin(&copy->pieces, self->node, self->n_blocks);
    (void)snprintf(copy->name, sizeof(copy->name), "%s", name);
    (void)snprintf(copy->host, sizeof(copy->host), "%s", host);
    return copy;
}

/* The copy is whole: what now? */
static ballot_verdict_t s_judge(ballot_t *self, const copy_t *copy)
{
    bool alone = true;
    for (uint32_t i = 0; i < self->n_copies; i++) {
        const copy_t *other = &self->copies[i];
        if (!other->whole || s_same_peer(other, copy))
            continue;
        alone = false;
        if (s_same_bits(self, &other->partial, &copy->partial))
            return BALLOT_DECIDED;
    }
    if (alone || self->differs)
        return BALLOT_OPEN;
    self->differs = true;
    return BALLOT_DIFFERS;
}

ballot_verdict_t ballot_offer(ballot_t *self, uint32_t worker, node_t node, partial_t *partial,
                              copy_t **copy_p)
{
    copy_t *copy = *copy_p = ballot_copy(self, worker);
    if (!copy || copy->state == COPY_IDLE) {
        partial_release(partial);
        return BALLOT_DUPLICATE;
    }
    if (!pieces_add(&copy->pieces, node, partial, self->n_params))
        return BALLOT_DUPLICATE;
    partial_t *whole = pieces_whole(&copy->pieces);
    if (!whole)
        return BALLOT_OPEN;
    if (copy->whole) {
        copy->wavered |= !s_same_bits(self, &copy->partial, whole);
        partial_release(&copy->partial);
    }
    copy->whole = true;
    copy->partial = *whole;
    memset(whole, 0, sizeof(*whole));
    pieces_begin(&copy->pieces, self->node, self->n_blocks);
    if (copy->state != COPY_LOST)
        copy->state = COPY_IDLE;
    return s_judge(self, copy);
}

bool ballot_distrust(ballot_t *self, const char *name, const char *host)
{
    bool found = false;
    for (uint32_t i = self->n_copies; i-- > 0;) {
        copy_t gone = self->copies[i];
        if (!copy_is_of(&gone, name, host))
            continue;
        s_empty_copy(self, &gone);
        self->copies[i] = self->copies[--self->n_copies];
        self->copies[self->n_copies] = gone; /* its memory is kept */
        found = true;
    }
    return found;
}

bool ballot_awaits(const ballot_t *self)
{
    for (uint32_t i = 0; i < self->n_copies; i++)
        if (self->copies[i].state == COPY_AWAITED)
            return true;
    return false;
}

static bool s_has_voice(const copy_t *copy, bool awaited_too)
{
    return copy->whole || (awaited_too && copy->state == COPY_AWAITED);
}

uint32_t ballot_voices(const ballot_t *self, bool awaited_too)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < self->n_copies; i++) {
        bool counts = s_has_voice(&self->copies[i], awaited_too);
        for (uint32_t j = 0; j < i && counts; j++)
            counts = !s_has_voice(&self->copies[j], awaited_too) ||
                     !s_same_peer(&self->copies[i], &self->copies[j]);
        n += counts;
    }
    return n;
}

copy_t *ballot_whole(const ballot_t *self, const copy_t *than)
{
    for (uint32_t i = 0; i < self->n_copies; i++)
        if (self->copies[i].whole && !(than && s_same_peer(&self->copies[i], than)))
            return &self->copies[i];
    return NULL;
}

bool ballot_contradicts(const ballot_t *self, const copy_t *copy, const copy_t *right)
{
    return copy->whole && (copy->wavered || !s_same_bits(self, &copy->partial, &right->partial));
}
