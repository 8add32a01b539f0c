/* drover server: the parameter server alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "cli/sweep.h"
#include "cli/sweep_serve.h"
#include "parameter_server/server.h"
#include "proto/host.h"
#include "proto/link.h"
#include "proto/link_chaos.h"

#define DEFAULT_BIND "tcp://127.0.0.1:5570"

/* Where the control plane is: server.bind, or what "auto" stands for. */
static void s_bind_endpoint(const settings_t *settings, const char *private_folder, char bind[256])
{
    if (strcmp(settings->server.bind, "auto") != 0)
        (void)snprintf(bind, 256, "%s", settings->server.bind);
    else if (private_folder)
        (void)snprintf(bind, 256, "ipc://%s/control", private_folder);
    else
        (void)snprintf(bind, 256, "%s", DEFAULT_BIND);
}

/* One run, over `control`, which is taken. Returns the status to exit with. */
static int s_serve_run(const settings_t *settings, bool resume, const char *bind, link_t *control,
                       int signals, err_t *err)
{
    int status = STATUS_FAILURE;
    server_t *server = NULL;
    run_t *run = run_new(settings, resume, err);
    if (!run)
        goto out;
    server_job_t job = run_job(run, bind);
    job.links.control = control;
    control = NULL;
    if (!(server = server_new(&job, err)) || run_open(run, err) != 0)
        goto out;
    host_say_bound("server", server_endpoint(server));
    status = serve(run, server, signals, false, err);
out:
    server_destroy(&server);
    link_destroy(&control);
    run_destroy(&run);
    return status;
}

int cmd_server(int argc, char **argv)
{
    const char *private_folder = NULL;
    const char *resume = NULL;
    const char *chaos = NULL;
    const char *sweep_path = NULL;
    bool json = false;
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "bind", .metavar = "ENDPOINT", .key = "server.bind"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "init", .metavar = "FILE", .key = "model.init_file"},
        command_resume_option(&resume),
        {.name = "sweep",
         .metavar = "SWEEP",
         .help = "Run the trials of this file instead, one after another (drover sweep --help).",
         .text = &sweep_path},
        {.name = "json", .help = "Print the sweep's results as JSON.", .flag = &json},
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
        .n_options = ARRAY_COUNT(options),
        .settings = settings_table(),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    sweep_t sweep = {0};
    int signals = signals_open(false);
    settings_init(&settings);
    status = STATUS_USAGE;
    if (sweep_path && (resume || args.n_words > 0)) {
        err_set(&err, "--sweep goes on by itself and names its CONFIG; expected no %s",
                resume ? "--resume" : "CONFIG");
        goto out;
    }
    if ((sweep_path ? command_sweep(&args, sweep_path, &sweep, &settings, &err)
                    : command_settings(&args, resume, &settings, &err)) != 0)
        goto out;
    log_set_level(settings.log.level);
    if (command_chaos(chaos, "server", &err) != 0)
        goto out;
    link_init();
    char bind[256];
    char planes[4][LINK_ENDPOINT_SIZE];
    s_bind_endpoint(&settings, private_folder, bind);
    if (link_planes(bind, planes, &err) != 0) {
        err_prefix(&err, "server.bind");
        goto out;
    }
    status = STATUS_FAILURE;
    /* Before the data are there, so that workers need not try again and again. */
    link_t *control = server_bind(bind, &err);
    if (!control)
        goto out;
    if (sweep_path) {
        char *folder = run_folder(&settings);
        sweep_serve_t sweeping = {&sweep, &args, folder, bind, control, json};
        status = sweep_serve(&sweeping, signals, &err);
        if (status == STATUS_USAGE)
            err_prefix(&err, "%s", sweep_path);
        free(folder);
    } else
        status = s_serve_run(&settings, resume != NULL, bind, control, signals, &err);
out:
    link_chaos_end();
    sweep_clear(&sweep);
    settings_clear(&settings);
    close(signals);
    return command_end(&command, &args, status, &err);
}
