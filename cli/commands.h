/* What all subcommands share: their exit status and the first and last things that they do. */
#ifndef DROVER_CLI_COMMANDS_H
#define DROVER_CLI_COMMANDS_H

#include <stdbool.h>

#include "base/args.h"
#include "base/err.h"
#include "base/settings.h"
#include "cli/sweep.h"

/* Exit status of the program. */
enum {
    STATUS_OK = 0,
    STATUS_FAILURE = 1,       /* something outside: a file, a peer, the system */
    STATUS_USAGE = 2,         /* the command line or the configuration */
    STATUS_INTERRUPTED = 130, /* Ctrl-C */
};

/* Each takes its own name as argv[0] and returns the exit status. */
int cmd_bench(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_relay(int argc, char **argv);
int cmd_server(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_worker(int argc, char **argv);

/* Parses the command line. Returns true with *args filled, to be cleared by the caller; false when
 * the command is over: --help was printed (*status = STATUS_OK), or the line was wrong and *status
 * is STATUS_USAGE with the reason on stderr. */
bool command_begin(const args_command_t *command, int argc, char **argv, args_t *args, int *status);

/* Fills *settings (initialised) from the command line of a command that trains: CONFIG if it was
 * given, else, with resume (may be NULL), that run's config.yaml; then the overrides; with resume
 * output.path is that folder, and --init is refused. Returns 0 or -1. */
int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err);

/* The same for a command that sweeps: *sweep (to be cleared) from the file `path`, *settings from
 * what its trials share, each trial's settings checked. Returns 0 or -1. */
int command_sweep(const args_t *args, const char *path, sweep_t *sweep, settings_t *settings,
                  err_t *err);

/* --workers of a command that has local ones: *n_workers, 1 before, becomes its value. */
args_option_t command_workers_option(int *n_workers);

/* --chaos of a command that takes part in a training: *text becomes its value. */
args_option_t command_chaos_option(const char **text);

/* Has this process, of that name, inject the faults of messages that --chaos plans (text; NULL: not
 * given). Before the first socket; link_chaos_end behind the last. Returns 0, or -1 with *err when
 * it is no plan or one with faults of processes, which are drover train's. */
int command_chaos(const char *text, const char *process, err_t *err);

/* Prints "drover NAME: text" on stderr and returns `status`. */
int command_fail(const args_command_t *command, const err_t *err, int status);

#endif
