/* Who owes which blocks of the current step, and what to do when they do not come back.
 *
 * Pure: the actor tells what happened and what time it is, and gets assignments to send. The ledger
 * of what is done is the canonical tree; this is the ledger of what was asked for. An assignment is
 * open while blocks of it are missing from the tree, and late when it stays open for a few times
 * what it should take; late or orphaned blocks are given to others, and the first copy counts. Some
 * time before that its worker is reminded: it leaves out what it is at work on, and does again what
 * it has done, which must have been lost.
 *
 * Audited nodes are cut out of all that is planned here: whom to ask for those is audit's to say,
 * and an assignment of a copy is open while audit awaits it.
 */
#ifndef DROVER_DISPATCH_ROUND_H
#define DROVER_DISPATCH_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/audit.h"
#include "math/reduce.h"
#include "proto/wire.h"

/* A worker that may be asked, with its speed in blocks per millisecond (> 0). */
typedef struct {
    uint32_t worker;
    double speed;
    bool speed_known;
    double doubt; /* 0 to below 1: the part of its share that it is not trusted with */
} round_worker_t;

/* What a worker was asked for when the step began has just closed, all of it, or is late: what the
 * worker took for it, or has taken so far. */
typedef struct {
    uint32_t worker;
    uint32_t n_blocks;
    double elapsed_ms;
    bool late;
} round_closed_t;

typedef struct round round_t;

/* For steps of n_blocks blocks; node_cost as in assign.h. audit: borrowed; NULL for none. Never
 * NULL. */
round_t *round_new(uint32_t n_blocks, double node_cost, audit_t *audit);
void round_destroy(round_t **self_p);

/* A new step: plans what the tree, which is borrowed until the next one, misses over the workers
 * (none: nothing is planned yet). The plan is in round_plan until the next call. */
void round_begin(round_t *self, const reduce_t *tree, const round_worker_t *workers,
                 uint32_t n_workers, double now_ms);

/* A worker is asked for a copy of an audited node, blocks [first, end), as well: now it is part of
 * round_plan. Behind round_begin and before round_tick it is part of what measures the worker. */
void round_ask_copy(round_t *self, const round_worker_t *worker, uint32_t first, uint32_t end,
                    double now_ms);

/* Assignments made by the last round_begin or round_tick, to be sent; borrowed. */
const wire_range_t *round_plan(const round_t *self, uint32_t *n);

/* More nodes of the tree are wanted than round_begin has seen. */
void round_wanted(round_t *self);

/* The worker is gone, or what it sends is no good: what it owes is orphaned. */
void round_lost(round_t *self, uint32_t worker);

/* What the worker owes, to be said again; borrowed until the next call of anything. */
const wire_range_t *round_owed(round_t *self, uint32_t worker, uint32_t *n);

/* How many blocks that the worker was asked for the tree misses. After round_begin, as round_tick.
 */
uint32_t round_owed_blocks(const round_t *self, uint32_t worker);

/* After every event and deadline: closes assignments that the tree has complete, and plans
 * orphaned and late blocks anew over idle workers; over all of them when nobody else will do it. */
void round_tick(round_t *self, const round_worker_t *workers, uint32_t n_workers, double now_ms);

/* What the last round_tick wants workers to be reminded of; borrowed. */
const wire_range_t *round_reminders(const round_t *self, uint32_t *n);

/* Takes one closed or late assignment, oldest first; false when there is none. */
bool round_take_closed(round_t *self, round_closed_t *closed);

/* When round_tick must be called next, at the latest; INFINITY when nothing is owed. */
double round_deadline_ms(const round_t *self);

/* Blocks that were planned again in this step. */
uint32_t round_reissued(const round_t *self);

#endif
