/* A worker process's actor: moves frames between the sockets, the session and the threads. */
#ifndef DROVER_WORKERS_WORKER_H
#define DROVER_WORKERS_WORKER_H

#include <stdint.h>

#include "base/err.h"
#include "data/dataset.h"
#include "proto/wire.h"
#include "workers/actor.h"

typedef struct {
    const char *endpoint; /* the control endpoint of the server, or of a relay */
    char name[WIRE_NAME_SIZE];
    uint32_t n_threads;    /* at least 1 */
    int64_t patience_ms;   /* fails when the server was silent for so long; 0 = waits for ever */
    const dataset_t *data; /* a local copy of the training set, borrowed; or NULL */
} worker_config_t;

/* Chooses the kernel and opens the control socket. NULL with *err. */
actor_t *worker_new(const worker_config_t *config, err_t *err);

#endif
