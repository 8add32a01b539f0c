/* The host of an endpoint: is there one, and how others name it. */
#ifndef DROVER_PROTO_HOST_H
#define DROVER_PROTO_HOST_H

#include "base/err.h"

/* Looks up the host of tcp://HOST:PORT, as libzmq does: again and again, without a word when it is
 * not known. Returns 0, also for other endpoints, or -1 with *err, which names the host alone.
 * Waits for the name service, which may take seconds. */
int host_lookup(const char *endpoint, err_t *err);

/* Logs, as ROLE.bound, the endpoint that ROLE is bound to. Where that is all addresses, which
 * nobody can connect to, logs as ROLE.join how a worker elsewhere finds it: by this machine's name.
 */
void host_say_bound(const char *role, const char *endpoint);

#endif
