/* Faults of messages, injected where a socket is read: what proto/chaos.h plans for this process.
 *
 * A message is lost, held back (later ones overtake it), doubled, or damaged by one bit, in a copy,
 * before anything is checked. The identity that a ROUTER puts in front is not part of the message.
 */
#ifndef DROVER_PROTO_LINK_CHAOS_H
#define DROVER_PROTO_LINK_CHAOS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/chaos.h"
#include "proto/frame.h"
#include "proto/wire.h"

#define LINK_CHAOS_SLOTS 16

/* A message as it came, nothing checked. */
typedef struct {
    wire_peer_t peer; /* of size 0 but on a ROUTER */
    frame_t header;   /* not present when even that is missing */
    frame_t frame;
    bool whole; /* not: it has parts that no message of ours has */
} link_raw_t;

/* Before the first socket: from now on this process has the plan. Its name is part of the streams:
 * a worker's own, "server". */
void link_chaos_begin(const chaos_t *plan, const char *process);

/* Logs what was injected, if there was a plan, and forgets it. Behind the last socket. */
void link_chaos_end(void);

/* What one socket holds back. */
typedef struct link_chaos link_chaos_t;

/* For a socket, whose `slot` (below LINK_CHAOS_SLOTS) is its own in the process; one that follows
 * another of the same slot goes on counting. NULL when the process has no plan: nothing is to be
 * done then. */
link_chaos_t *link_chaos_new(unsigned slot);
void link_chaos_destroy(link_chaos_t **self_p);

/* The next message that is due or that `next` (false: there is none) gets, past what is lost and
 * held back. *raw must hold nothing; false when there is no message. */
bool link_chaos_receive(link_chaos_t *self, bool (*next)(void *context, link_raw_t *raw),
                        void *context, link_raw_t *raw);

/* When the next one that is held back is due, in clock_ms; INT64_MAX when there is none. */
int64_t link_chaos_due_ms(const link_chaos_t *self);

#endif
