/* The trials of a sweep, one after another, in the server's process. */
#ifndef DROVER_CLI_SWEEP_SERVE_H
#define DROVER_CLI_SWEEP_SERVE_H

#include <stdbool.h>

#include "base/args.h"
#include "base/err.h"
#include "cli/sweep.h"
#include "proto/link.h"

typedef struct {
    const sweep_t *sweep;
    const args_t *args; /* whose overrides are for all trials */
    const char *folder;
    const char *bind; /* the endpoint of all trials ... */
    link_t *control;  /* ... bound there already; owned by sweep_serve */
    bool json;        /* print one object instead of the table */
} sweep_serve_t;

/* Runs the trials that are not over yet; workers stay from one to the next. One that diverges is
 * recorded as failed, any other failure is the sweep's. Ends in order on a signal (signals_open's
 * descriptor). Prints the results when all are over. Returns the exit status, with *err after a
 * failure. */
int sweep_serve(sweep_serve_t *self, int signals, err_t *err);

#endif
