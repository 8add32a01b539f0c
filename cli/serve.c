/* See serve.h. */
#include "cli/serve.h"

#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/signals.h"

int serve(run_t *run, server_t *server, int signals, bool more, err_t *err)
{
    signals_stop_t stop = {0};
    signals_request_t request;
    int r = 0;
    server_start(server);
    for (;;) {
        server_record_t *record = NULL;
        switch (server_wait(server, signals, &record)) {
        case SERVER_STEP:
            if (r == 0 && (r = run_step(run, &record, err)) != 0)
                server_stop(server);
            server_record_destroy(&record);
            break;
        case SERVER_EVALUATED:
            if (r == 0 && (r = run_evaluated(run, server_evaluation(server), err)) != 0)
                server_stop(server);
            break;
        case SERVER_DONE:
            if (r == 0 && server_failure(server))
                r = run_failed(run, server_failure(server), err);
            else if (r == 0)
                r = stop.by ? run_interrupted(run, err) : run_save(run, server_trial(server), err);
            /* a training that has diverged is over as well */
            server_release(server, more && !stop.by && (r == 0 || server_failure(server)));
            if (r == 0 && !stop.by)
                r = run_finish(run, err);
            return r != 0 ? STATUS_FAILURE : stop.by ? signals_status(stop.by) : STATUS_OK;
        case SERVER_OTHER:
            request = signals_request(&stop, signals_take(signals), clock_ms());
            if (request == SIGNALS_AT_ONCE)
                _exit(signals_status(stop.by));
            if (request == SIGNALS_STOP)
                server_stop(server);
            break;
        }
    }
}
