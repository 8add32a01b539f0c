/* What all commands share: their exit status, the tables that they stand in, the first and last
 * things that they do, and options that several take. */
#ifndef DROVER_CLI_COMMANDS_H
#define DROVER_CLI_COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

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

/* One command of a table. */
typedef struct {
    const char *name;
    const char *help;                  /* a line */
    int (*run)(int argc, char **argv); /* its own name is argv[0]; returns the exit status */
} command_entry_t;

/* The program's commands, or those of one that has commands of its own. */
typedef struct {
    const char *name;    /* "drover data" */
    const char *summary; /* printed above the table, with an empty line behind it; "" for none */
    const command_entry_t *entries;
    int n_entries;
} command_table_t;

/* Runs the command that argv[1] names. Without one, or with --help or -h, prints the table. Returns
 * the exit status; STATUS_USAGE with a line on stderr when there is no such command. */
int command_table_run(const command_table_t *table, int argc, char **argv);

void command_table_print(const command_table_t *table, FILE *out);

/* The entry of that name; NULL after a line on stderr that names the nearest. */
const command_entry_t *command_table_find(const command_table_t *table, const char *name);

/* The commands; each is a command_entry_t's run. */
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

int cmd_bench_compute(int argc, char **argv);
int cmd_bench_memory(int argc, char **argv);
int cmd_bench_simulate(int argc, char **argv);
int cmd_bench_start(int argc, char **argv);
int cmd_bench_step(int argc, char **argv);
int cmd_bench_train(int argc, char **argv);

/* Parses the command line. Returns true with *args filled, to be cleared by the caller; false when
 * the command is over: --help was printed (*status = STATUS_OK), or the line was wrong and *status
 * is STATUS_USAGE with the reason on stderr. */
bool command_begin(const args_command_t *command, int argc, char **argv, args_t *args, int *status);

/* The last thing that a command does: clears *args and returns `status`, after a line on stderr,
 * "drover NAME: text", if *err says anything. */
int command_end(const args_command_t *command, args_t *args, int status, const err_t *err);

/* Fills *settings (initialised) from the command line of a command that trains: CONFIG if it was
 * given, else, with resume (may be NULL), that run's config.yaml; then the overrides; with resume
 * output.path is that folder, and --init is refused. Returns 0 or -1. */
int command_settings(const args_t *args, const char *resume, settings_t *settings, err_t *err);

/* The same for a command that sweeps: *sweep (to be cleared) from the file `path`, *settings from
 * what its trials share. Returns 0 or -1. */
int command_sweep(const args_t *args, const char *path, sweep_t *sweep, settings_t *settings,
                  err_t *err);

/* --workers of a command that has local ones: *n_workers, 1 before, becomes its value. */
args_option_t command_workers_option(int *n_workers);

/* --resume of a command that trains: *folder becomes its value. */
args_option_t command_resume_option(const char **folder);

/* --chaos of a command that takes part in a training: *text becomes its value. */
args_option_t command_chaos_option(const char **text);

/* Has this process, of that name, inject the faults of messages that --chaos plans (text; NULL: not
 * given). Before the first socket; link_chaos_end behind the last. Returns 0, or -1 with *err when
 * it is no plan or one with faults of processes, which are drover train's. */
int command_chaos(const char *text, const char *process, err_t *err);

#endif
