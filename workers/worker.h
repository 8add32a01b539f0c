/* A worker process's actor: moves frames between the sockets, the session and the threads. */
#ifndef DROVER_WORKERS_WORKER_H
#define DROVER_WORKERS_WORKER_H

#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"
#include "proto/wire.h"

typedef struct {
    const char *endpoint; /* the server's control endpoint */
    char name[WIRE_NAME_SIZE];
    uint32_t n_threads;    /* at least 1 */
    const dataset_t *data; /* a local copy of the training set, borrowed; or NULL */
} worker_config_t;

typedef enum {
    WORKER_RELEASED = 1, /* the job is over */
    WORKER_STOPPED,      /* worker_stop was obeyed */
    WORKER_FAILED,       /* worker_error says why */
    WORKER_OTHER,        /* the other descriptor is readable; the worker goes on */
} worker_event_t;

typedef struct worker worker_t;

/* Chooses the kernel and opens the control socket. NULL with *err. */
worker_t *worker_new(const worker_config_t *config, err_t *err);

/* Stops the actor, if it runs, at once. */
void worker_destroy(worker_t **self_p);

/* Starts the actor: from now on only the calls below. */
void worker_start(worker_t *self);

/* Asks the actor to push what it computes, say BYE and end; its event follows. The second time: to
 * end at once. */
void worker_stop(worker_t *self);

/* Waits until the actor has ended, or until other_fd is readable. */
worker_event_t worker_wait(worker_t *self, int other_fd);

/* After WORKER_FAILED. Borrowed. */
const char *worker_error(const worker_t *self);

#endif
