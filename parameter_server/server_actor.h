/* The zactor function of the server, apart from server.h so that only actors and the command that
 * starts one see CZMQ. */
#ifndef DROVER_PARAMETER_SERVER_SERVER_ACTOR_H
#define DROVER_PARAMETER_SERVER_SERVER_ACTOR_H

#include <czmq.h>

/* For zactor_new; `server` is a server_t, borrowed until the actor is done. */
void server_actor(zsock_t *pipe, void *server);

#endif
