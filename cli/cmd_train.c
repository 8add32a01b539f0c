/* drover train: a server and local workers, each a process of its own, over ipc. */
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/supervisor.h"
#include "proto/chaos.h"

static int s_plan(const char *chaos, chaos_t *plan, err_t *err)
{
    return chaos && chaos_parse(chaos, plan, err) != 0 ? err_prefix(err, "--chaos") : 0;
}

int cmd_train(int argc, char **argv)
{
    int n_workers = 1;
    const char *resume = NULL;
    const char *chaos = NULL;
    chaos_t plan = {.seed = 0};
    const args_option_t options[] = {
        command_workers_option(&n_workers),
        {.name = "threads", .metavar = "T", .key = "worker.threads"},
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "init", .metavar = "FILE", .key = "model.init_file"},
        command_resume_option(&resume),
        {.name = "chaos",
         .metavar = "PLAN",
         .help = "Rehearse faults: a list, without spaces, of seed=7, kill=0.01 and stall=0.01:2s "
                 "(how often each process is killed -9 or stopped, per second), drop=0.02, "
                 "delay=0.05:200ms, duplicate=0.02 and corrupt=0.01 (the chance of each message to "
                 "be lost, held back, doubled or damaged). See docs/operations.md.",
         .text = &chaos},
    };
    const args_command_t command = {
        .name = "train",
        .words = "[CONFIG]",
        .summary = "Trains with a parameter server and N local workers, all on this machine. With\n"
                   "server.bind set to tcp://..., workers of other machines may join as well.",
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
    char *output = NULL;
    settings_init(&settings);
    status = STATUS_USAGE;
    if (command_settings(&args, resume, &settings, &err) == 0 &&
        supervisor_check(&args, &settings, n_workers, &err) == 0 &&
        s_plan(chaos, &plan, &err) == 0) {
        log_set_level(settings.log.level);
        output = run_folder(&settings);
        supervisor_config_t config = {
            .args = &args,
            .settings = &settings,
            .output = output,
            .resume = resume != NULL,
            .n_workers = n_workers,
            .chaos = chaos ? &plan : NULL,
        };
        status = supervisor_run(&config, &err);
    }
    free(output);
    settings_clear(&settings);
    return command_end(&command, &args, status, &err);
}
