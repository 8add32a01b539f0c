/* The copies of one node that several workers send, and what they decide: the first two peers that
 * agree on the bits are right. A peer, a name and a host, has one voice, however often it joined.
 */
#ifndef DROVER_DISPATCH_BALLOT_H
#define DROVER_DISPATCH_BALLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/pieces.h"
#include "proto/wire.h"

typedef enum {
    COPY_IDLE,    /* nothing is awaited: it came */
    COPY_AWAITED, /* asked for and on time */
    COPY_LATE,
    COPY_LOST, /* its worker is gone; what is on its way counts */
} copy_state_t;

/* What one worker sends of the node. */
typedef struct {
    uint32_t worker;
    char name[WIRE_NAME_SIZE];
    char host[WIRE_NAME_SIZE];
    copy_state_t state;
    uint32_t n_asked;
    pieces_t pieces;   /* owned; what came of the one that is awaited */
    bool whole;        /* one came */
    partial_t partial; /* owned while whole; the newest */
    bool wavered;      /* an earlier one had other bits */
} copy_t;

/* {0} is of no node. */
typedef struct {
    node_t node;
    uint32_t first, end; /* its blocks */
    uint32_t n_blocks;   /* of the tree that it is of */
    size_t n_params;
    bool differs;   /* two copies did */
    copy_t *copies; /* owned; those behind n_copies keep their memory for the next use */
    uint32_t n_copies;
    uint32_t n_made;
    uint32_t room;
} ballot_t;

typedef enum {
    BALLOT_DUPLICATE, /* not awaited */
    BALLOT_OPEN,
    BALLOT_DIFFERS, /* the first copy that differs from another peer's is there */
    BALLOT_DECIDED, /* the copy is what another peer's is */
} ballot_verdict_t;

/* Drops all copies and is about the valid node from now on. */
void ballot_begin(ballot_t *self, node_t node, uint32_t n_blocks, size_t n_params);

/* Releases all copies; their memory is kept. */
void ballot_empty(ballot_t *self);

/* Frees all; fine twice. */
void ballot_clear(ballot_t *self);

/* A worker's copy, borrowed until the next ballot_add; NULL when it was never asked for one. */
copy_t *ballot_copy(const ballot_t *self, uint32_t worker);

/* The copy of this worker, borrowed in the same way. A whole one that its peer sent before it was
 * lost, maybe as another worker, becomes its own. NULL when there is neither. */
copy_t *ballot_take_up(ballot_t *self, uint32_t worker, const char *name, const char *host);

/* A copy, not asked for yet, of a worker that has none; borrowed in the same way. */
copy_t *ballot_add(ballot_t *self, uint32_t worker, const char *name, const char *host);

/* A partial of a valid node whose blocks are among the ballot's; taken in any case. *copy_p becomes
 * that of the worker, or NULL. */
ballot_verdict_t ballot_offer(ballot_t *self, uint32_t worker, node_t node, partial_t *partial,
                              copy_t **copy_p);

/* Nothing that came from this peer counts any more. True: there was something. */
bool ballot_distrust(ballot_t *self, const char *name, const char *host);

/* Is a copy on its way in time? */
bool ballot_awaits(const ballot_t *self);

/* How many peers have a whole copy, or such a one awaited as well. */
uint32_t ballot_voices(const ballot_t *self, bool awaited_too);

/* The first whole copy of another peer than this one (NULL: of anybody), or NULL. */
copy_t *ballot_whole(const ballot_t *self, const copy_t *than);

/* Is the whole copy, or was an earlier one of its worker, not what the right one is? */
bool ballot_contradicts(const ballot_t *self, const copy_t *copy, const copy_t *right);

bool copy_is_of(const copy_t *self, const char *name, const char *host);

#endif
