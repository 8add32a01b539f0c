/* Real processes of this program, as a user would start them, in a temporary folder: what
 * `drover bench train`, `start` and `memory` measure.
 *
 * What the processes print comes here, line by line, with the time at which it came. They die with
 * this process. On Ctrl-C the calls below fail, so that a command comes to its end.
 */
#ifndef DROVER_CLI_BENCH_PROCESSES_H
#define DROVER_CLI_BENCH_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/args.h"
#include "base/err.h"
#include "base/settings.h"

#define BENCH_MOST_PROCESSES 8
#define BENCH_FOLDER_SIZE    256

typedef struct {
    pid_t pid; /* 0 once it was waited for */
    int fd;    /* of what it prints; -1 once it has ended */
    int64_t started_us;
    int64_t ended_us;
    int64_t own_bytes;  /* the most memory of its own (RssAnon) that bench_processes_look saw */
    int64_t peak_bytes; /* the most that it had, with what it shares; once it has ended */
    char printed[4096]; /* what is not read yet */
    size_t n_printed;
    char line[256]; /* the newest that was read */
} bench_process_t;

typedef struct {
    char folder[BENCH_FOLDER_SIZE];      /* below TMPDIR or /tmp; "" before it is there */
    char config[BENCH_FOLDER_SIZE + 16]; /* in the folder: what to train */
    char output[BENCH_FOLDER_SIZE + 16]; /* where it says that a run writes to */
    char program[4096];
    int signals;
    int stopped_by; /* the signal that asked to stop; 0: none */
    bench_process_t list[BENCH_MOST_PROCESSES];
    int n;
} bench_processes_t;

/* Measures by processes that it starts, and prints. Returns 0, or -1 with *err. */
typedef int bench_main_t(void *context, const settings_t *settings, bench_processes_t *processes,
                         err_t *err);

/* The rest of a command whose command line was parsed into *args: its settings are written to the
 * config in a new folder, changed to write and bind there and, where they name no data, to train
 * n_rows digits drawn there; then main, and the end of all that is left. Returns the exit status.
 */
int bench_processes_main(const args_command_t *command, args_t *args, int n_rows,
                         bench_main_t *main, void *context);

/* Starts list[n] with these words, which end with NULL. Returns 0, or -1 with *err. */
int bench_processes_start(bench_processes_t *self, const char *const *words, err_t *err);

/* Waits until a line of list[i] contains the text: it is list[i].line, and *at_us is when it came.
 * Returns 0, or -1 with *err when a process fails or list[i] ends before. */
int bench_processes_wait_line(bench_processes_t *self, int i, const char *text, int64_t *at_us,
                              err_t *err);

/* Waits until list[i] has ended. Returns 0, or -1 with *err when a process fails. */
int bench_processes_wait_end(bench_processes_t *self, int i, err_t *err);

/* Looks at the memory of all. */
void bench_processes_look(bench_processes_t *self);

/* Kills those that are left and forgets all. */
void bench_processes_end(bench_processes_t *self);

#endif
