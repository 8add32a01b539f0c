/* The thread of a worker or a relay, as its process sees it: start it, tell it to leave, wait for
 * its end.
 */
#ifndef DROVER_WORKERS_ACTOR_H
#define DROVER_WORKERS_ACTOR_H

typedef enum {
    ACTOR_RELEASED = 1, /* the job is over */
    ACTOR_STOPPED,      /* actor_stop was obeyed */
    ACTOR_FAILED,       /* actor_error says why */
    ACTOR_OTHER,        /* the other descriptor is readable; the actor goes on */
} actor_event_t;

typedef enum {
    ACTOR_DRAIN = 1, /* push what is being computed, then leave */
    ACTOR_STOP,      /* leave at once */
} actor_order_t;

typedef struct actor actor_t;

/* What an actor is: `self` is made in the caller's thread, run in the actor's and destroyed in the
 * caller's again. */
typedef struct {
    /* Returns how it ended; takes orders by actor_order when actor_socket is readable. */
    actor_event_t (*run)(void *self, actor_t *actor);
    const char *(*error)(const void *self);
    void (*destroy)(void *self);
} actor_class_t;

/* Takes `self` over. Never NULL. */
actor_t *actor_new(const actor_class_t *kind, void *self);

/* Stops the actor, if it runs, at once. */
void actor_destroy(actor_t **self_p);

/* From now on only the calls below. */
void actor_start(actor_t *self);

/* Asks the actor to push what it computes, say BYE and end; its event follows. The second time: to
 * end at once. */
void actor_stop(actor_t *self);

/* Waits until the actor has ended, or until other_fd is readable. */
actor_event_t actor_wait(actor_t *self, int other_fd);

/* After ACTOR_FAILED. Borrowed. */
const char *actor_error(const actor_t *self);

/* In the actor's thread: the socket to poll, and the order that it brought. */
void *actor_socket(const actor_t *self);
actor_order_t actor_order(actor_t *self);

#endif
