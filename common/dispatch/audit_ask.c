/* Whom the audit asks for a copy. See audit.h. */
#include <math.h>

#include "base/array.h"
#include "dispatch/audit_self.h"
#include "math/rng.h"

#define TRIES         3    /* how often those who differ are asked again at once ... */
#define AGAIN_MS      5000 /* ... and after that how often */
#define PATIENCE_MS   5000 /* for a second copy, while there are others who could send one ... */
#define PATIENCE_ASKS 6    /* ... and who were asked so often, all in all */
#define SILENT_SCORE  1e18 /* worse than anybody who is heard */

/* Awaits a copy of the worker at this place among the workers. */
static void s_ask(audit_t *self, const ballot_t *ballot, copy_t *copy, uint32_t worker_at)
{
    copy->state = COPY_AWAITED;
    copy->n_asked++;
    self->loads[worker_at] += ballot->end - ballot->first;
    self->asks = array_room(self->asks, self->n_asks + 1, &self->asks_room, sizeof(wire_range_t));
    self->asks[self->n_asks++] = (wire_range_t){copy->worker, ballot->first, ballot->end};
}

/* Has the peer a copy there, or one on its way that may still come? */
static bool s_takes_part(const ballot_t *ballot, const audit_worker_t *worker)
{
    for (uint32_t i = 0; i < ballot->n_copies; i++) {
        const copy_t *copy = &ballot->copies[i];
        if ((copy->whole || copy->state != COPY_LOST) &&
            copy_is_of(copy, worker->name, worker->host))
            return true;
    }
    return false;
}

/* What asking this worker costs in time, and chance: each worker is the first to be asked with a
 * probability in proportion to its speed. */
static double s_score(const audit_t *self, const ballot_t *ballot, const audit_worker_t *worker,
                      double load)
{
    uint32_t bits;
    rng_fill(self->seed, RNG_AUDITOR, self->step, (uint64_t)ballot->first << 32 | worker->worker, 1,
             &bits);
    double chance = -log((bits + 0.5) * 0x1p-32);
    double blocks = worker->owed + load + chance * (ballot->end - ballot->first);
    return blocks / worker->speed + (worker->silent ? SILENT_SCORE : 0);
}

/* Asks a worker that does not take part yet; false when there is none. */
static bool s_ask_new(audit_t *self, ballot_t *ballot, const audit_worker_t *workers,
                      uint32_t n_workers)
{
    uint32_t best = n_workers;
    double best_score = INFINITY;
    for (uint32_t i = 0; i < n_workers; i++) {
        if (s_takes_part(ballot, &workers[i]))
            continue;
        double score = s_score(self, ballot, &workers[i], self->loads[i]);
        if (score < best_score) {
            best_score = score;
            best = i;
        }
    }
    if (best == n_workers)
        return false;
    const audit_worker_t *worker = &workers[best];
    copy_t *copy = ballot_copy(ballot, worker->worker); /* what it owed before was given up */
    if (!copy)
        copy = ballot_add(ballot, worker->worker, worker->name, worker->host);
    s_ask(self, ballot, copy, best);
    return true;
}

/* Asks a worker again whose copy is whole, or late; false when there is none to ask. */
static bool s_ask_again(audit_t *self, ballot_t *ballot, const audit_worker_t *workers,
                        uint32_t n_workers, bool whole, uint32_t max_asked)
{
    for (uint32_t i = 0; i < n_workers; i++) {
        copy_t *copy = ballot_take_up(ballot, workers[i].worker, workers[i].name, workers[i].host);
        if (!copy || copy->whole != whole || copy->n_asked >= max_asked ||
            copy->state == COPY_AWAITED || copy->state == COPY_LOST)
            continue;
        s_ask(self, ballot, copy, i);
        return true;
    }
    return false;
}

/* There is one copy and none on its way in time. Takes it if there is nobody else to send one, or
 * those who could have not for a while. */
static bool s_take_single(audit_t *self, entry_t *entry, const audit_worker_t *workers,
                          uint32_t n_workers, double now_ms)
{
    copy_t *copy = ballot_whole(&entry->ballot, NULL);
    bool others = n_workers == 0; /* one may come who can */
    uint32_t n_asked = 0;         /* others */
    for (uint32_t i = 0; i < n_workers; i++)
        others |= !copy_is_of(copy, workers[i].name, workers[i].host);
    for (uint32_t i = 0; i < entry->ballot.n_copies; i++)
        n_asked += &entry->ballot.copies[i] != copy ? entry->ballot.copies[i].n_asked : 0;
    if (entry->single_ms == 0)
        entry->single_ms = now_ms;
    if (others && (n_asked < PATIENCE_ASKS || now_ms < entry->single_ms + PATIENCE_MS))
        return false;
    audit_note(self, AUDIT_ALONE, entry, copy, NULL);
    self->n_unchecked++;
    audit_decide(self, entry, copy);
    return true;
}

/* Sees to it that two copies come. */
static void s_seek_second(audit_t *self, entry_t *entry, const audit_worker_t *workers,
                          uint32_t n_workers, double now_ms)
{
    ballot_t *ballot = &entry->ballot;
    uint32_t n_voices = ballot_voices(ballot, true);
    if (n_voices == 1 && ballot_voices(ballot, false) == 1 &&
        s_take_single(self, entry, workers, n_workers, now_ms))
        return;
    while (n_voices < 2 && (s_ask_new(self, ballot, workers, n_workers) ||
                            s_ask_again(self, ballot, workers, n_workers, false, UINT32_MAX)))
        n_voices++;
    entry->due = n_voices < 2;
}

/* Copies differ, and none is on its way in time. Asks somebody new, or else, a few times at once
 * and then now and then, everybody once more: an error may have passed. */
static void s_seek_third(audit_t *self, entry_t *entry, const audit_worker_t *workers,
                         uint32_t n_workers, double now_ms)
{
    ballot_t *ballot = &entry->ballot;
    entry->due = false;
    if (s_ask_new(self, ballot, workers, n_workers) ||
        s_ask_again(self, ballot, workers, n_workers, false, TRIES))
        return;
    entry->due = true; /* somebody may join */
    if (entry->n_again >= TRIES && now_ms < entry->next_ms)
        return;
    entry->next_ms = now_ms + AGAIN_MS;
    if (++entry->n_again > TRIES) {
        const copy_t *copy = ballot_whole(ballot, NULL);
        audit_note(self, AUDIT_WAITS, entry, copy, ballot_whole(ballot, copy));
    }
    while (s_ask_again(self, ballot, workers, n_workers, true, UINT32_MAX) ||
           s_ask_again(self, ballot, workers, n_workers, false, UINT32_MAX))
        entry->due = false;
}

static void s_attend(audit_t *self, entry_t *entry, const audit_worker_t *workers,
                     uint32_t n_workers, double now_ms)
{
    if (ballot_voices(&entry->ballot, false) < 2)
        s_seek_second(self, entry, workers, n_workers, now_ms);
    else if (!ballot_awaits(&entry->ballot))
        s_seek_third(self, entry, workers, n_workers, now_ms);
    else
        entry->due = false;
}

const wire_range_t *audit_ask(audit_t *self, const audit_worker_t *workers, uint32_t n_workers,
                              double now_ms, uint32_t *n)
{
    self->n_asks = 0;
    self->loads = array_room(self->loads, n_workers, &self->loads_room, sizeof(double));
    for (uint32_t i = 0; i < n_workers; i++)
        self->loads[i] = 0;
    for (uint32_t i = 0; i < self->n_entries && self->n_undecided > 0; i++)
        if (!self->entries[i]->decided && self->entries[i]->due)
            s_attend(self, self->entries[i], workers, n_workers, now_ms);
    *n = self->n_asks;
    return self->asks;
}
