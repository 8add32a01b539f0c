/* drover worker: computes gradients for a server, anywhere. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "data/dataset.h"
#include "proto/link.h"
#include "workers/worker.h"

/* The training set of a folder, for a worker that need not fetch it. */
static dataset_t *s_load(const char *folder, int rows, err_t *err)
{
    data_files_t files = {0};
    if (data_files_find(folder, &files, err) != 0)
        return NULL;
    dataset_t *data = dataset_load(files.train_images, files.train_labels, (size_t)rows, err);
    data_files_clear(&files);
    return data;
}

static int s_run(worker_t *worker, int signals, err_t *err)
{
    int stopped_by = 0;
    worker_start(worker);
    for (;;) {
        switch (worker_wait(worker, signals)) {
        case WORKER_RELEASED:
            return STATUS_OK;
        case WORKER_STOPPED:
            return stopped_by == SIGTERM ? STATUS_OK : signals_status(stopped_by);
        case WORKER_FAILED:
            err_set(err, "%s", worker_error(worker));
            return STATUS_FAILURE;
        case WORKER_OTHER:
            if (stopped_by)
                _exit(signals_status(stopped_by)); /* asked twice */
            stopped_by = signals_take(signals);
            worker_stop(worker);
            break;
        }
    }
}

int cmd_worker(int argc, char **argv)
{
    int threads = 1;
    const char *name = NULL;
    const char *folder = NULL;
    const char *level = "info";
    int rows = 0;
    const args_option_t options[] = {
        {.name = "threads",
         .metavar = "T",
         .help = "Compute threads, which share one copy of data and weights.",
         .integer = &threads,
         .min = 1,
         .max = 1024},
        {.name = "name",
         .metavar = "NAME",
         .help = "How the server names this worker in its log (default: HOST-PID).",
         .text = &name},
        {.name = "data",
         .metavar = "DIR",
         .help = "A local copy of the training data, instead of fetching rows from the server, "
                 "which checks that it is the same.",
         .text = &folder},
        {.name = "rows",
         .metavar = "N",
         .help = "Only the first N rows of --data, where the server's data.train_rows is N.",
         .integer = &rows,
         .min = 1,
         .max = INT_MAX},
        {.name = "log-level",
         .metavar = "LEVEL",
         .help = "debug, info, warn or error (default info).",
         .text = &level},
    };
    const args_command_t command = {
        .name = "worker",
        .words = "ENDPOINT",
        .summary = "Computes gradients for the server at ENDPOINT, its control endpoint, such as\n"
                   "tcp://10.0.0.1:5570. Everything else comes from the server. Ctrl-C or SIGTERM\n"
                   "makes it leave; the training goes on.",
        .options = options,
        .n_options = sizeof(options) / sizeof(options[0]),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    worker_t *worker = NULL;
    worker_config_t config = {.endpoint = args.words[0], .n_threads = (uint32_t)threads};
    dataset_t *data = NULL;
    log_level_t log_level;
    int signals = signals_open(false);
    status = STATUS_USAGE;
    if (log_level_parse(level, &log_level) != 0) {
        err_set(&err, "--log-level: '%s', expected debug, info, warn or error", level);
        goto out;
    }
    log_set_level(log_level);
    if (name && strlen(name) >= sizeof(config.name)) {
        err_set(&err, "--name: longer than %zu characters", sizeof(config.name) - 1);
        goto out;
    }
    char host[40] = "?";
    (void)gethostname(host, sizeof(host) - 1);
    if (name)
        (void)snprintf(config.name, sizeof(config.name), "%s", name);
    else
        (void)snprintf(config.name, sizeof(config.name), "%s-%d", host, (int)getpid());
    status = STATUS_FAILURE;
    if (folder && !(data = s_load(folder, rows, &err)))
        goto out;
    config.data = data;
    link_init();
    worker = worker_new(&config, &err);
    if (worker)
        status = s_run(worker, signals, &err);
out:
    worker_destroy(&worker);
    dataset_destroy(&data);
    close(signals);
    args_clear(&args);
    return err.text[0] ? command_fail(&command, &err, status) : status;
}
