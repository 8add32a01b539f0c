/* drover server: the parameter server alone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "parameter_server/server.h"
#include "proto/link.h"
#include "proto/link_chaos.h"

#define DEFAULT_BIND "tcp://127.0.0.1:5570"

/* From the first step to the last, or to a signal. */
static int s_serve(run_t *run, server_t *server, int signals, err_t *err)
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
        case SERVER_DONE:
            if (r == 0 && server_failure(server))
                r = run_failed(run, server_failure(server), err);
            else if (r == 0)
                r = stop.by ? run_interrupted(run, err) : run_save(run, err);
            server_release(server);
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

int cmd_server(int argc, char **argv)
{
    const char *private_folder = NULL;
    const char *resume = NULL;
    const char *chaos = NULL;
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "bind", .metavar = "ENDPOINT", .key = "server.bind"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "init", .metavar = "FILE", .key = "model.init_file"},
        {.name = "resume",
         .metavar = "DIR",
         .help = "Go on with the run in DIR, from its newest checkpoint, bit for bit; its "
                 "config.yaml is the default CONFIG.",
         .text = &resume},
        {.name = "ipc",
         .metavar = "DIR",
         .help = "Where server.bind is auto, bind to ipc sockets in DIR; for drover train.",
         .text = &private_folder},
        command_chaos_option(&chaos),
    };
    const args_command_t command = {
        .name = "server",
        .words = "[CONFIG]",
        .summary =
            "Runs the parameter server alone: it waits for workers (drover worker ENDPOINT),\n"
            "trains with as many as there are at any time, and writes the output folder.",
        .options = options,
        .n_options = sizeof(options) / sizeof(options[0]),
        .settings = settings_table(),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    run_t *run = NULL;
    server_t *server = NULL;
    link_t *control = NULL;
    int signals = signals_open(false);
    settings_init(&settings);
    status = STATUS_USAGE;
    if (command_settings(&args, resume, &settings, &err) != 0)
        goto out;
    log_set_level(settings.log.level);
    if (command_chaos(chaos, "server", &err) != 0)
        goto out;
    link_init();
    char bind[256];
    char planes[4][LINK_ENDPOINT_SIZE];
    if (strcmp(settings.server.bind, "auto") != 0)
        (void)snprintf(bind, sizeof(bind), "%s", settings.server.bind);
    else if (private_folder)
        (void)snprintf(bind, sizeof(bind), "ipc://%s/control", private_folder);
    else
        (void)snprintf(bind, sizeof(bind), "%s", DEFAULT_BIND);
    if (link_planes(bind, planes, &err) != 0) {
        err_prefix(&err, "server.bind");
        goto out;
    }
    status = STATUS_FAILURE;
    /* Before the data are there, so that workers need not try again and again. */
    if (!(control = server_bind(bind, &err)) || !(run = run_new(&settings, resume != NULL, &err)))
        goto out;
    server_job_t job = run_job(run, bind);
    job.control = control;
    control = NULL;
    if (!(server = server_new(&job, &err)) || run_open(run, &err) != 0)
        goto out;
    log_info("server.bound", "endpoint=%s", server_endpoint(server));
    status = s_serve(run, server, signals, &err);
out:
    server_destroy(&server);
    link_destroy(&control);
    link_chaos_end();
    run_destroy(&run);
    settings_clear(&settings);
    close(signals);
    args_clear(&args);
    return err.text[0] ? command_fail(&command, &err, status) : status;
}
