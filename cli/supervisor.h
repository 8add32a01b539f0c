/* A server and local workers as child processes: started, restarted when they crash, ended
 * together.
 *
 * Children die with this process, even when it is killed with -9 (PR_SET_PDEATHSIG). One that a
 * signal ended is started again, with growing pauses and not without end; the server then goes on
 * from its newest checkpoint, and its workers find it again by themselves. One that ended by itself
 * has said why and is not started again.
 *
 * With a plan of faults (rehearsal.h) children are killed and stopped on purpose; one that was
 * killed so starts again at once, however often.
 */
#ifndef DROVER_CLI_SUPERVISOR_H
#define DROVER_CLI_SUPERVISOR_H

#include "base/args.h"
#include "base/err.h"
#include "base/settings.h"
#include "proto/chaos.h"

typedef struct {
    const args_t *args;         /* CONFIG and overrides, handed to the server word for word */
    const settings_t *settings; /* what they come to */
    const char *output;         /* the run's folder */
    bool resume;                /* go on with the run in it */
    const char *sweep;          /* the file of a sweep, which always goes on; NULL: one run */
    bool json;                  /* how the sweep prints its results */
    int n_workers;              /* 0: the server alone */
    const chaos_t *chaos;       /* faults to inject; NULL: none */
} supervisor_config_t;

/* Can the server read CONFIG or SWEEP, and workers reach what it binds to, also after it was
 * started again? Returns 0 or -1. */
int supervisor_check(const args_t *args, const settings_t *settings, int n_workers, err_t *err);

/* Runs the whole cluster to its end. Returns the exit status; with a failure of this process itself
 * also *err. */
int supervisor_run(const supervisor_config_t *config, err_t *err);

#endif
