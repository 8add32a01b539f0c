/* drover sweep: many trainings, one after another, by a server and local workers. */
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/run.h"
#include "cli/supervisor.h"
#include "cli/sweep.h"

/* Before anything is started. The server does so once more, when it has the data to check against.
 */
static int s_check_trials(const sweep_t *sweep, const args_t *args, const char *path, err_t *err)
{
    int r = 0;
    for (uint32_t t = 0; t < sweep->n_trials && r == 0; t++) {
        settings_t trial;
        settings_init(&trial);
        if ((r = sweep_settings(sweep, args, t, path, &trial, err)) != 0)
            err_prefix(err, "%s", path);
        settings_clear(&trial);
    }
    return r;
}

int cmd_sweep(int argc, char **argv)
{
    int n_workers = 1;
    bool json = false;
    const args_option_t options[] = {
        command_workers_option(&n_workers),
        {.name = "threads", .metavar = "T", .key = "worker.threads"},
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "output", .metavar = "DIR", .key = "output.path"},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        {.name = "bind", .metavar = "ENDPOINT", .key = "server.bind"},
        {.name = "json", .help = "Print one JSON object instead of the table.", .flag = &json},
    };
    const args_command_t command = {
        .name = "sweep",
        .words = "SWEEP",
        .summary =
            "Searches over settings: runs the trials of the file SWEEP, all of a grid or some\n"
            "drawn by a seed, one after another with the same workers, and prints them sorted.\n"
            "DIR gets trials.jsonl, an output folder for each trial and `best`, a link to that of\n"
            "the best. The same command goes on with a sweep that was stopped. See docs/sweep.md.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .settings = settings_table(),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    sweep_t sweep = {0};
    char *output = NULL;
    settings_init(&settings);
    status = STATUS_USAGE;
    if (command_sweep(&args, args.words[0], &sweep, &settings, &err) == 0 &&
        s_check_trials(&sweep, &args, args.words[0], &err) == 0 &&
        supervisor_check(&args, &settings, n_workers, &err) == 0) {
        log_set_level(settings.log.level);
        output = run_folder(&settings);
        supervisor_config_t config = {
            .args = &args,
            .settings = &settings,
            .output = output,
            .sweep = args.words[0],
            .json = json,
            .n_workers = n_workers,
        };
        status = supervisor_run(&config, &err);
    }
    free(output);
    sweep_clear(&sweep);
    settings_clear(&settings);
    return command_end(&command, &args, status, &err);
}
