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

typedef struct worker worker_t;

/* Opens the kernel's choice and the control socket. NULL with *err. */
worker_t *worker_new(const worker_config_t *config, err_t *err);
void worker_destroy(worker_t **self_p);

/* What the actor's pipe says when it is done: how it ended. */
typedef enum {
    WORKER_RELEASED = 1, /* the job is over */
    WORKER_STOPPED = 2,  /* $TERM: said BYE and left */
    WORKER_FAILED = 3,   /* worker_error says why */
} worker_end_t;

const char *worker_error(const worker_t *self);

#endif
