/* The zactor function of a worker, apart from worker.h so that only actors and the command that
 * starts one see CZMQ. */
#ifndef DROVER_WORKERS_WORKER_ACTOR_H
#define DROVER_WORKERS_WORKER_ACTOR_H

#include <czmq.h>

/* For zactor_new; `worker` is a worker_t, borrowed until the actor is done. It ends with a
 * worker_end_t as the one number of its last message. */
void worker_actor(zsock_t *pipe, void *worker);

#endif
