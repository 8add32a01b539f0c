/* See join.h. */
#include "cli/join.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/signals.h"

/* The training set of a folder. */
static dataset_t *s_load(const char *folder, int rows, err_t *err)
{
    data_files_t files = {0};
    if (data_files_find(folder, &files, err) != 0)
        return NULL;
    dataset_t *data = dataset_load(files.train_images, files.train_labels, (size_t)rows, err);
    data_files_clear(&files);
    return data;
}

int join_begin(const join_options_t *options, char name[WIRE_NAME_SIZE], dataset_t **data,
               err_t *err)
{
    log_level_t log_level;
    char host[40] = "?";
    *data = NULL;
    if (log_level_parse(options->level, &log_level) != 0) {
        err_set(err, "--log-level: '%s', expected debug, info, warn or error", options->level);
        return STATUS_USAGE;
    }
    log_set_level(log_level);
    if (options->name && strlen(options->name) >= WIRE_NAME_SIZE) {
        err_set(err, "--name: longer than %d characters", WIRE_NAME_SIZE - 1);
        return STATUS_USAGE;
    }
    (void)gethostname(host, sizeof(host) - 1);
    if (options->name)
        (void)snprintf(name, WIRE_NAME_SIZE, "%s", options->name);
    else
        (void)snprintf(name, WIRE_NAME_SIZE, "%s-%d", host, (int)getpid());
    if (command_chaos(options->chaos, name, err) != 0)
        return STATUS_USAGE;
    if (options->folder && !(*data = s_load(options->folder, options->rows, err)))
        return STATUS_FAILURE;
    return STATUS_OK;
}

int join_run(actor_t *actor, int signals, err_t *err)
{
    signals_stop_t stop = {0};
    signals_request_t request;
    actor_start(actor);
    for (;;) {
        switch (actor_wait(actor, signals)) {
        case ACTOR_RELEASED:
            return STATUS_OK;
        case ACTOR_STOPPED:
            return stop.by == SIGTERM ? STATUS_OK : signals_status(stop.by);
        case ACTOR_FAILED:
            err_set(err, "%s", actor_error(actor));
            return STATUS_FAILURE;
        case ACTOR_OTHER:
            request = signals_request(&stop, signals_take(signals), clock_ms());
            if (request == SIGNALS_AT_ONCE)
                _exit(signals_status(stop.by));
            if (request == SIGNALS_STOP)
                actor_stop(actor);
            break;
        }
    }
}
