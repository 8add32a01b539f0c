/* See commands.h. */
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "proto/link_chaos.h"

#define MAX_WORKERS 1024 /* local ones */

bool command_begin(const args_command_t *command, int argc, char **argv, args_t *args, int *status)
{
    err_t err = {{0}};
    if (args_parse(command, argc, argv, args, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        *status = STATUS_USAGE;
        return false;
    }
    if (args->help) {
        args_help(command, stdout);
        args_clear(args);
        *status = STATUS_OK;
        return false;
    }
    return true;
}

static bool s_is_output(const conf_override_t *override)
{
    return override->key ? strcmp(override->key, "output.path") == 0
                         : strncmp(override->text, "output.path=", strlen("output.path=")) == 0;
}

static int s_check_data(const settings_t *settings, err_t *err)
{
    if (!settings->data.path[0] && !settings->data.train_images[0])
        return err_set(err, "no data: give --data DIR, or data.train_images and its like");
    return 0;
}

int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err)
{
    char *left = resume ? file_join(resume, "config.yaml") : NULL;
    const char *config = args->n_words ? args->words[0] : left;
    int r = settings_load(settings, config, args->overrides, args->n_overrides, err);
    for (int i = 0; resume && i < args->n_overrides && r == 0; i++)
        if (strcmp(args->overrides[i].option, "init") == 0)
            r = err_set(err,
                        "--init %s begins a training and --resume %s goes on with one; expected "
                        "one of the two",
                        args->overrides[i].text, resume);
    for (int i = 0; resume && i < args->n_overrides && r == 0; i++)
        if (s_is_output(&args->overrides[i]) && strcmp(settings->output.path, resume) != 0)
            r = err_set(err, "--resume %s goes on in that folder; expected no other output",
                        resume);
    if (r == 0 && resume) {
        free(settings->output.path);
        settings->output.path = strdup(resume);
    }
    free(left);
    return r == 0 ? s_check_data(settings, err) : -1;
}

int command_sweep(const args_t *args, const char *path, sweep_t *sweep, settings_t *settings,
                  err_t *err)
{
    if (sweep_load(sweep, path, err) != 0 ||
        sweep_settings(sweep, args, 0, NULL, settings, err) != 0)
        return -1;
    for (uint32_t t = 0; t < sweep->n_trials; t++) {
        settings_t trial;
        settings_init(&trial);
        int r = sweep_settings(sweep, args, t, path, &trial, err);
        settings_clear(&trial);
        if (r != 0)
            return err_prefix(err, "%s", path);
    }
    return s_check_data(settings, err);
}

args_option_t command_workers_option(int *n_workers)
{
    return (args_option_t){
        .name = "workers",
        .metavar = "N",
        .help = "Local worker processes (default 1); 0: only those of other machines.",
        .integer = n_workers,
        .min = 0,
        .max = MAX_WORKERS,
    };
}

args_option_t command_chaos_option(const char **text)
{
    return (args_option_t){
        .name = "chaos",
        .metavar = "PLAN",
        .help = "Rehearse faults: a list, without spaces, of seed=7, drop=0.02, delay=0.05:200ms, "
                "duplicate=0.02 and corrupt=0.01 (the chance of each message that comes in to be "
                "lost, held back, doubled or damaged). See docs/operations.md.",
        .text = text,
    };
}

int command_chaos(const char *text, const char *process, err_t *err)
{
    chaos_t plan;
    char normal[CHAOS_TEXT_SIZE];
    if (!text)
        return 0;
    if (chaos_parse(text, &plan, err) != 0)
        return err_prefix(err, "--chaos");
    if (chaos_of_processes(&plan))
        return err_set(err,
                       "--chaos: %s is done by drover train, which starts its processes again; "
                       "expected drop, delay, duplicate or corrupt",
                       plan.kill > 0 ? "kill" : "stall");
    chaos_format(&plan, normal);
    log_info("chaos.plan", "process=%s plan=%s", process, normal);
    link_chaos_begin(&plan, process);
    return 0;
}

int command_fail(const args_command_t *command, const err_t *err, int status)
{
    (void)fprintf(stderr, "drover %s: %s\n", command->name, err->text);
    return status;
}
