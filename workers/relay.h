/* A relay process's actor: moves frames between the sockets above, the forwarder and the sockets
 * below.
 */
#ifndef DROVER_WORKERS_RELAY_H
#define DROVER_WORKERS_RELAY_H

#include "base/err.h"
#include "data/dataset.h"
#include "proto/link.h"
#include "proto/wire.h"
#include "workers/actor.h"

typedef struct {
    const char *endpoint; /* the control endpoint of the server, or of a relay above */
    const char *bind;     /* where its workers find it: as server.bind */
    int64_t patience_ms;  /* fails when nothing was heard from above for so long; 0: never */
    char name[WIRE_NAME_SIZE];
    const dataset_t *data; /* a local copy of the training set, borrowed; or NULL */
} relay_config_t;

/* Opens the control socket above, and those below; `bound`, unless it is NULL, is
 * filled with its own control endpoint. NULL with *err. */
actor_t *relay_new(const relay_config_t *config, char bound[LINK_ENDPOINT_SIZE], err_t *err);

#endif
