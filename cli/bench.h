/* What the commands of drover bench share: options, figures, and other work on the machine. */
#ifndef DROVER_CLI_BENCH_H
#define DROVER_CLI_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/settings.h"

/* --rows: digits to draw where the settings name no data; *n_rows, 60000 before. */
args_option_t bench_rows_option(int *n_rows);

/* --json */
args_option_t bench_json_option(bool *json);

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

#endif
