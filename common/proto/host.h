/* Why nobody answers at an endpoint: its host. */
#ifndef DROVER_PROTO_HOST_H
#define DROVER_PROTO_HOST_H

#include "base/err.h"

/* Looks up the host of tcp://HOST:PORT, as libzmq does: again and again, without a word when it is
 * not known. Returns 0, also for other endpoints, or -1 with *err, which names the host alone.
 * Waits for the name service, which may take seconds. */
int host_lookup(const char *endpoint, err_t *err);

#endif
