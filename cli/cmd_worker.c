/* drover worker: computes gradients for a server, anywhere. */
#include <limits.h>
#include <unistd.h>

#include "base/array.h"
#include "cli/commands.h"
#include "cli/join.h"
#include "cli/signals.h"
#include "proto/link.h"
#include "proto/link_chaos.h"
#include "workers/worker.h"

int cmd_worker(int argc, char **argv)
{
    int threads = 1;
    join_options_t join = {.level = "info"};
    const args_option_t options[] = {
        {.name = "threads",
         .metavar = "T",
         .help = "Compute threads, which share one copy of data and weights.",
         .integer = &threads,
         .min = 1,
         .max = 1024},
        JOIN_OPTIONS(&join),
    };
    const args_command_t command = {
        .name = "worker",
        .words = "ENDPOINT",
        .summary =
            "Computes gradients for the server (or relay) at ENDPOINT, its control endpoint,\n"
            "such as tcp://10.0.0.1:5570. Everything else comes from there. Ctrl-C or SIGTERM\n"
            "makes it leave; the training goes on.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    actor_t *worker = NULL;
    worker_config_t config = {
        .endpoint = args.words[0],
        .n_threads = (uint32_t)threads,
        .patience_ms = (int64_t)join.patience_s * 1000,
    };
    dataset_t *data = NULL;
    int signals = signals_open(false);
    status = join_begin(&join, config.name, &data, &err);
    if (status == STATUS_OK) {
        config.data = data;
        link_init();
        worker = worker_new(&config, &err);
        status = worker ? join_run(worker, signals, &err) : STATUS_FAILURE;
    }
    actor_destroy(&worker);
    link_chaos_end();
    dataset_destroy(&data);
    close(signals);
    return command_end(&command, &args, status, &err);
}
