/* What the commands of drover bench share: lists of numbers, other work on the machine, and how
 * they end. */
#ifndef DROVER_CLI_BENCH_H
#define DROVER_CLI_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/err.h"
#include "base/settings.h"

#define BENCH_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* The subcommands; each takes its own name as argv[0] and returns the exit status. */
int cmd_bench_compute(int argc, char **argv);
int cmd_bench_memory(int argc, char **argv);
int cmd_bench_simulate(int argc, char **argv);
int cmd_bench_start(int argc, char **argv);
int cmd_bench_step(int argc, char **argv);
int cmd_bench_train(int argc, char **argv);

#define BENCH_ROWS_OPTION(n_rows)                                                                  \
    {                                                                                              \
        .name = "rows", .metavar = "N",                                                            \
        .help = "Digits that are drawn where no data are given (default 60000).",                  \
        .integer = (n_rows), .min = 1, .max = 10000000                                             \
    }

#define BENCH_JSON_OPTION(json)                                                                    \
    {                                                                                              \
        .name = "json", .help = "Print one JSON object.", .flag = (json)                           \
    }

#define BENCH_MOST_NUMBERS 32

typedef struct {
    uint32_t numbers[BENCH_MOST_NUMBERS];
    int n;
} bench_list_t;

/* "1,10,100", the value of that option: up to BENCH_MOST_NUMBERS numbers from min to max. Returns
 * 0, or -1 with *err. */
int bench_parse_list(const char *option, const char *text, long min, long max, bench_list_t *list,
                     err_t *err);

/* The kernels that numerics.kernel asks for: "dense" and "sparse" for auto. Returns how many. */
int bench_kernels(settings_kernel_t setting, const char *names[2]);

/* What the processors do, since when. */
typedef struct {
    int64_t at_us;
    double busy_s; /* of all processors since boot */
    double ours_s; /* of this process and of its children that have ended */
} bench_load_t;

bench_load_t bench_load(void);

/* The part of the machine, 0 to 1, that others had since then; NAN where the system does not say.
 */
double bench_others(const bench_load_t *since);

/* Names and values as members of a JSON object: `, "name": value` each, null for NAN. */
typedef struct {
    const char *name;
    double value;
} bench_figure_t;

void bench_print_figures(const bench_figure_t *figures, int n);

/* The last thing that a subcommand does: clears *args, says what is wrong, and returns the status.
 */
int bench_end(const args_command_t *command, args_t *args, int status, const err_t *err);

#endif
