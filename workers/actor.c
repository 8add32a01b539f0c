/* See actor.h. */
#include "workers/actor.h"

#include <czmq.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/handover.h"

struct actor {
    const actor_class_t *kind;
    void *self;    /* owned */
    zactor_t *zmq; /* owned; NULL until it is started */
    zsock_t *pipe; /* the actor's end; borrowed while it runs */
    bool draining;
};

actor_t *actor_new(const actor_class_t *kind, void *self)
{
    actor_t *actor = calloc(1, sizeof(*actor));
    if (!actor)
        abort();
    actor->kind = kind;
    actor->self = self;
    return actor;
}

void actor_destroy(actor_t **self_p)
{
    actor_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    zactor_destroy(&self->zmq);
    handover_take(self); /* whatever it did, nobody may have waited for it */
    self->kind->destroy(self->self);
    free(self);
}

static void s_run(zsock_t *pipe, void *argument)
{
    actor_t *self = argument;
    self->pipe = pipe;
    zsock_signal(pipe, 0);
    int event = self->kind->run(self->self, self);
    handover_give(self);
    zsock_send(pipe, "i", event);
}

void actor_start(actor_t *self)
{
    self->zmq = zactor_new(s_run, self);
    if (!self->zmq)
        abort();
}

void actor_stop(actor_t *self)
{
    zstr_send(self->zmq, "DRAIN");
}

actor_event_t actor_wait(actor_t *self, int other_fd)
{
    zmq_pollitem_t items[2] = {
        {zsock_resolve(self->zmq), 0, ZMQ_POLLIN, 0},
        {NULL, other_fd, ZMQ_POLLIN, 0},
    };
    while (zmq_poll(items, 2, -1) < 0 && zmq_errno() == EINTR)
        ;
    if (!items[0].revents)
        return ACTOR_OTHER;
    int event = ACTOR_FAILED;
    zsock_recv(self->zmq, "i", &event);
    handover_take(self);
    return (actor_event_t)event;
}

const char *actor_error(const actor_t *self)
{
    return self->kind->error(self->self);
}

void *actor_socket(const actor_t *self)
{
    return zsock_resolve(self->pipe);
}

actor_order_t actor_order(actor_t *self)
{
    char *word = zstr_recv(self->pipe); /* $TERM is zactor_destroy's */
    bool drain = word && strcmp(word, "DRAIN") == 0 && !self->draining;
    zstr_free(&word);
    self->draining = true;
    return drain ? ACTOR_DRAIN : ACTOR_STOP;
}
