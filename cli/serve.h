/* One training of the server's process, once all is bound and loaded. */
#ifndef DROVER_CLI_SERVE_H
#define DROVER_CLI_SERVE_H

#include <stdbool.h>

#include "base/err.h"
#include "cli/run.h"
#include "parameter_server/server.h"

/* From the first step to the last and what a run writes then, or to a signal (signals_open's
 * descriptor). Lets the workers go, or, with `more`, to the next training at the same endpoint,
 * unless the user or an error ended this one; divergence (server_failure) is no such error. Returns
 * the exit status, with *err after a failure. */
int serve(run_t *run, server_t *server, int signals, bool more, err_t *err);

#endif
