/* drover bench train: ms a step of whole runs, by kernel, workers and threads. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "cli/bench.h"
#include "cli/bench_processes.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "math/median.h"

#define MOST_ROUNDS  100
#define MOST_METRICS ((size_t)1 << 30) /* bytes of metrics.jsonl */

typedef struct {
    args_numbers_t workers;
    args_numbers_t threads;
    int n_rows; /* drawn, where the settings name no data */
    int n_rounds;
    bool json;
} plan_t;

/* Runs with one kernel and so many workers and threads. */
typedef struct {
    const char *kernel;
    uint32_t n_workers;
    uint32_t n_threads;
    double step_ms[MOST_ROUNDS]; /* each run's median */
    double whole_s[MOST_ROUNDS]; /* from its start to its end */
    double least_ms;             /* of all steps */
    double rows;                 /* of the last step */
} row_t;

/* The value of a metric in its line. */
static double s_metric(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at ? strtod(at + strlen(name), NULL) : (double)NAN;
}

/* What a run's metrics say; the first fifth of its steps does not count. */
static int s_read_steps(const char *output, int n_steps, int round, row_t *row, err_t *err)
{
    char *path = file_join(output, "metrics.jsonl"), *text = NULL;
    double *ms = calloc((size_t)n_steps, sizeof(double));
    size_t size;
    int n = 0, n_warm = n_steps / 5, r = file_read(path, MOST_METRICS, &text, &size, err);
    if (!ms)
        abort();
    for (const char *line = text, *end; r == 0 && n < n_steps && (end = strchr(line, '\n'));
         line = end + 1) {
        ms[n++] = s_metric(line, "\"step_ms\": ");
        row->rows = s_metric(line, "\"rows\": ");
    }
    if (r == 0 && n != n_steps)
        r = err_set(err, "%s: %d steps, expected %d", path, n, n_steps);
    if (r == 0) {
        row->step_ms[round] = median_of(ms + n_warm, (uint32_t)(n - n_warm));
        row->least_ms = round == 0 ? ms[n_warm] : fmin(row->least_ms, ms[n_warm]);
    }
    free(ms);
    free(text);
    free(path);
    return r;
}

static int s_run(bench_processes_t *processes, const settings_t *settings, int round, row_t *row,
                 err_t *err)
{
    char workers[16], threads[16], kernel[64];
    (void)snprintf(workers, sizeof(workers), "%u", row->n_workers);
    (void)snprintf(threads, sizeof(threads), "%u", row->n_threads);
    (void)snprintf(kernel, sizeof(kernel), "numerics.kernel=%s", row->kernel);
    const char *const words[] = {"drover",    "train", processes->config, "--workers", workers,
                                 "--threads", threads, "--set",           kernel,      NULL};
    int r = -1;
    if (bench_processes_start(processes, words, err) == 0 &&
        bench_processes_wait_end(processes, 0, err) == 0)
        r = s_read_steps(processes->output, settings->training.steps, round, row, err);
    row->whole_s[round] =
        (double)(processes->list[0].ended_us - processes->list[0].started_us) * 1e-6;
    bench_processes_end(processes);
    return r == 0 ? 0
                  : err_prefix(err, "%s, %u workers, %u threads", row->kernel, row->n_workers,
                               row->n_threads);
}

static void s_print_head(const plan_t *plan, const settings_t *settings, double others)
{
    int n_warm = settings->training.steps / 5;
    if (plan->json) {
        const bench_figure_t figures[] = {{"others", others}};
        (void)printf("{\"steps\": %d, \"warm_steps\": %d, \"rounds\": %d", settings->training.steps,
                     n_warm, plan->n_rounds);
        bench_print_figures(figures, ARRAY_COUNT(figures));
        (void)printf(", \"runs\": [");
        return;
    }
    (void)printf("%d runs of %d steps each, in turn, of which the first %d steps do not count; "
                 "others had %.0f %% of the machine\n\n"
                 "                        ms a step, by runs                                      "
                 "whole\n"
                 "kernel workers threads   median            range   least     rows/s  efficiency "
                 "  run s\n",
                 plan->n_rounds, settings->training.steps, n_warm, others * 100);
}

/* `one`: the row of one worker with one thread and the same kernel; NULL when there is none. */
static void s_print_row(const plan_t *plan, const row_t *row, const row_t *one, bool first)
{
    uint32_t n = (uint32_t)plan->n_rounds;
    double ms[MOST_ROUNDS], one_ms[MOST_ROUNDS], whole_s[MOST_ROUNDS], efficiency = (double)NAN;
    memcpy(ms, row->step_ms, sizeof(ms));
    memcpy(whole_s, row->whole_s, sizeof(whole_s));
    double median = median_of(ms, n), whole = median_of(whole_s, n); /* and sorted */
    if (one) {
        memcpy(one_ms, one->step_ms, sizeof(one_ms));
        efficiency = median_of(one_ms, n) / (median * row->n_workers * row->n_threads);
    }
    if (!plan->json) {
        (void)printf("%-6s %7u %7u %8.2f %7.2f to %6.2f %7.2f %10.0f ", row->kernel, row->n_workers,
                     row->n_threads, median, ms[0], ms[n - 1], row->least_ms,
                     row->rows / median * 1000);
        char text[16] = "-";
        if (one)
            (void)snprintf(text, sizeof(text), "%.0f%%", efficiency * 100);
        (void)printf("%11s %7.2f\n", text, whole);
        return;
    }
    const bench_figure_t figures[] = {
        {"step_ms", median},        {"least_run_ms", ms[0]},
        {"most_run_ms", ms[n - 1]}, {"least_ms", row->least_ms},
        {"rows", row->rows},        {"rows_per_s", row->rows / median * 1000},
        {"efficiency", efficiency}, {"whole_s", whole},
    };
    (void)printf("%s\n  {\"kernel\": \"%s\", \"workers\": %u, \"threads\": %u", first ? "" : ",",
                 row->kernel, row->n_workers, row->n_threads);
    bench_print_figures(figures, ARRAY_COUNT(figures));
    (void)fputs("}", stdout);
}

static const row_t *s_find_one(const row_t *rows, int n_rows, const char *kernel)
{
    for (int i = 0; i < n_rows; i++)
        if (strcmp(rows[i].kernel, kernel) == 0 && rows[i].n_workers == 1 && rows[i].n_threads == 1)
            return &rows[i];
    return NULL;
}

/* All rows in turn, and so again. */
static int s_measure(void *context, const settings_t *settings, bench_processes_t *processes,
                     err_t *err)
{
    const plan_t *plan = context;
    const char *kernels[2];
    int n_kernels = bench_kernels(settings->numerics.kernel, kernels);
    int n_pairs = plan->workers.n * plan->threads.n, n_rows = n_kernels * n_pairs, r = 0;
    row_t *rows = calloc((size_t)n_rows, sizeof(row_t));
    if (!rows)
        abort();
    for (int i = 0; i < n_rows; i++)
        rows[i] = (row_t){
            .kernel = kernels[i / n_pairs],
            .n_workers = plan->workers.values[i % n_pairs / plan->threads.n],
            .n_threads = plan->threads.values[i % plan->threads.n],
        };
    bench_load_t load = bench_load();
    for (int i = 0; i < plan->n_rounds * n_rows && r == 0; i++)
        r = s_run(processes, settings, i / n_rows, &rows[i % n_rows], err);
    if (r == 0) {
        s_print_head(plan, settings, bench_others(&load));
        for (int i = 0; i < n_rows; i++)
            s_print_row(plan, &rows[i], s_find_one(rows, n_rows, rows[i].kernel), i == 0);
        (void)fputs(plan->json ? "]}\n" : "", stdout);
    }
    free(rows);
    return r;
}

int cmd_bench_train(int argc, char **argv)
{
    plan_t plan = {.workers = {{1, 2}, 2}, .threads = {{1, 2}, 2}, .n_rows = 60000, .n_rounds = 3};
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "workers",
         .metavar = "W,...",
         .help = "With how many workers (default 1,2), each number of them",
         .numbers = &plan.workers,
         .min = 1,
         .max = 1024},
        {.name = "threads",
         .metavar = "T,...",
         .help = "with each of these numbers of threads (default 1,2).",
         .numbers = &plan.threads,
         .min = 1,
         .max = 1024},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        bench_rows_option(&plan.n_rows),
        {.name = "rounds",
         .metavar = "N",
         .help = "Runs of each (default 3), all in turn.",
         .integer = &plan.n_rounds,
         .min = 1,
         .max = MOST_ROUNDS},
        bench_json_option(&plan.json),
    };
    const args_command_t command = {
        .name = "bench train",
        .words = "[CONFIG]",
        .summary = "Trains by `drover train`, again and again: how long a step and a whole run "
                   "take with W\n"
                   "workers of T threads, by the dense and the sparse kernel or the one that "
                   "numerics.kernel\n"
                   "names. Efficiency: what one worker with one thread takes for a step, to this "
                   "one's time\n"
                   "by all threads.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .settings = settings_table(),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    return bench_processes_main(&command, &args, plan.n_rows, s_measure, &plan);
}
