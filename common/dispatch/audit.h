/* Nodes of a step that two workers compute each: all copies of a node have the same bits, so one
 * that has others is wrong. Where two differ a third worker is asked, and the first two that agree
 * decide; whoever sent other bits is named.
 *
 * Pure. Which parts of a step are drawn is a function of seed, step and tree alone (units below); a
 * drawn part is audited in nodes small enough for the workers at hand. Until such a node is decided
 * nothing of it is in the canonical tree: what workers send of it are copies. Who owes which copy
 * until when is round's to know, which tells when one is late.
 *
 * Workers count by name and host: one that left and came back has still one voice.
 */
#ifndef DROVER_DISPATCH_AUDIT_H
#define DROVER_DISPATCH_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/reduce.h"
#include "proto/wire.h"

/* A worker that may be asked. */
typedef struct {
    uint32_t worker;
    const char *name; /* borrowed, as is the next */
    const char *host;
    double speed;  /* blocks per millisecond, > 0 */
    uint32_t owed; /* blocks that it is asked for already */
    bool silent;   /* asked only when nobody else is left */
} audit_worker_t;

/* What the log should say. */
typedef enum {
    AUDIT_DIFFERS, /* two copies of a node do; `other` is whose the second is */
    AUDIT_LIAR,    /* the worker's copy was not what two others agree on */
    AUDIT_WAITS,   /* nobody is left who could decide between the worker and `other` */
    AUDIT_ALONE,   /* the worker's copy was taken: there is nobody else to compute one */
} audit_event_kind_t;

typedef struct {
    audit_event_kind_t kind;
    node_t node;
    uint32_t worker;
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
    char other[WIRE_NAME_SIZE];
} audit_event_t;

/* Where a node lies. */
typedef enum {
    AUDIT_OUTSIDE, /* nothing of it is undecided or was audited */
    AUDIT_INSIDE,  /* it is an audited node, or below one */
    AUDIT_ACROSS,  /* it covers audited nodes and more */
} audit_place_t;

typedef struct audit audit_t;

/* Audits `share` (0 to 1) of the blocks of steps over n_blocks blocks, with gradients of n_params
 * floats. Never NULL. */
audit_t *audit_new(uint64_t seed, double share, uint32_t n_blocks, size_t n_params);
void audit_destroy(audit_t **self_p);

/* Is it drawn? A drawn unit is audited whole. Units are the nodes of the highest level of which
 * there are 16 at least, or the blocks. */
uint32_t audit_unit_level(uint32_t n_blocks);
bool audit_draws(const audit_t *self, uint32_t step, uint32_t unit);

/* A new step, for so many workers: whatever is left of the last one is dropped. */
void audit_begin(audit_t *self, uint32_t step, uint32_t n_workers);

/* The node is to be summed: its drawn parts are audited if there are two workers or more, of
 * different names. What was audited in its place is dropped. */
void audit_want(audit_t *self, node_t node, const audit_worker_t *workers, uint32_t n_workers);

/* Is the block part of an audited node that is not decided yet? */
bool audit_undecided(const audit_t *self, uint32_t block);

/* The end of the run from `first`, at most `end`, that is either one audited node or part of none:
 * what workers are asked for is cut there. */
uint32_t audit_cut(const audit_t *self, uint32_t first, uint32_t end, bool *audited);

/* Is there something for audit_ask to look at? */
bool audit_due(const audit_t *self);

/* Whom to ask for a copy of which node now, all workers being given; borrowed until the next call.
 * May also decide that a copy that nobody can check is taken. */
const wire_range_t *audit_ask(audit_t *self, const audit_worker_t *workers, uint32_t n_workers,
                              double now_ms, uint32_t *n);

/* Is a copy of the undecided node that `block` lies in still awaited from the worker? */
bool audit_awaits(const audit_t *self, uint32_t worker, uint32_t block);

/* The worker is late with its copy of the node that `block` lies in. */
void audit_late(audit_t *self, uint32_t worker, uint32_t block);

/* The worker is gone: others are asked, but what it sent counts. */
void audit_lost(audit_t *self, uint32_t worker);

/* Nothing that came from workers of that name and host counts any more. */
void audit_distrust(audit_t *self, const char *name, const char *host);

audit_place_t audit_place(const audit_t *self, node_t node);

/* A partial, fit to count, of a node that lies INSIDE; taken in any case. False: it was not asked
 * for, came before, or the node is decided. */
bool audit_offer(audit_t *self, uint32_t worker, node_t node, partial_t *partial);

/* Takes a node that is decided, with its partial, which is the caller's. False: there is none. */
bool audit_take(audit_t *self, node_t *node, partial_t *partial);

/* Takes what happened, oldest first. False: nothing. */
bool audit_take_event(audit_t *self, audit_event_t *event);

/* Who differ about a node for whose decision there is nobody to ask: as AUDIT_WAITS. False: none.
 */
bool audit_dispute(const audit_t *self, audit_event_t *event);

/* When audit_ask must be called again, at the latest; INFINITY for no need. */
double audit_deadline_ms(const audit_t *self);

/* Nodes of the step that were decided by two workers, and drawn ones that one alone computed. */
uint32_t audit_compared(const audit_t *self);
uint32_t audit_unchecked(const audit_t *self);

#endif
