/* drover relay: stands between a server and many workers. */
#include <limits.h>
#include <unistd.h>

#include "base/array.h"
#include "cli/commands.h"
#include "cli/join.h"
#include "cli/signals.h"
#include "proto/link.h"
#include "proto/link_chaos.h"
#include "workers/relay.h"

int cmd_relay(int argc, char **argv)
{
    const char *bind = "tcp://127.0.0.1:5580";
    join_options_t join = {.level = "info"};
    const args_option_t options[] = {
        {.name = "bind",
         .metavar = "ENDPOINT",
         .help = "Where its workers find it: tcp://HOST:PORT takes four ports from PORT on "
                 "(default tcp://127.0.0.1:5580); ipc://PATH.",
         .text = &bind},
        JOIN_OPTIONS(&join),
    };
    const args_command_t command = {
        .name = "relay",
        .words = "ENDPOINT",
        .summary = "Stands between the server (or another relay) at ENDPOINT and workers that are\n"
                   "given the relay's own endpoint: passes weights and rows on, and sums their\n"
                   "partials, so that the server has one worker to talk to instead of many. The\n"
                   "bits are the same. Ctrl-C or SIGTERM makes it leave; the training goes on.",
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
    actor_t *relay = NULL;
    relay_config_t config = {
        .endpoint = args.words[0],
        .bind = bind,
        .patience_ms = (int64_t)join.patience_s * 1000,
    };
    dataset_t *data = NULL;
    int signals = signals_open(false);
    char planes[4][LINK_ENDPOINT_SIZE];
    status = STATUS_USAGE;
    if (link_planes(bind, planes, &err) != 0)
        err_prefix(&err, "--bind");
    else
        status = join_begin(&join, config.name, &data, &err);
    if (status == STATUS_OK) {
        config.data = data;
        link_init();
        relay = relay_new(&config, NULL, &err);
        status = relay ? join_run(relay, signals, &err) : STATUS_FAILURE;
    }
    actor_destroy(&relay);
    link_chaos_end();
    dataset_destroy(&data);
    close(signals);
    return command_end(&command, &args, status, &err);
}
