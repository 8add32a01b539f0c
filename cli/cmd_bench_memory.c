/* drover bench memory: what each role takes, against what is promised. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "cli/bench.h"
#include "cli/bench_processes.h"
#include "cli/commands.h"
#include "cli/run_data.h"

#define PROGRAM_BYTES 60e6 /* program, libraries and buffers */
#define WORKER_MODELS 6
#define SERVER_MODELS 8

enum {
    SERVER,
    RELAY,
    WORKER,
    N_ROLES
};

typedef struct {
    int n_threads;
    int n_rows; /* drawn, where the settings name no data */
    bool json;
} plan_t;

/* Starts list[i], which joins list[i - 1] at *endpoint; the endpoint is then its own, if others
 * can join it. */
static int s_start(bench_processes_t *processes, const plan_t *plan, int i, char endpoint[256],
                   err_t *err)
{
    static const char *const bound[N_ROLES] = {"server.bound endpoint=", "relay.bound endpoint="};
    char threads[16];
    int64_t at_us;
    (void)snprintf(threads, sizeof(threads), "%d", plan->n_threads);
    const char *const words[N_ROLES][8] = {
        [SERVER] = {"drover", "server", processes->config, "--bind", "tcp://127.0.0.1:*"},
        [RELAY] = {"drover", "relay", endpoint, "--bind", "tcp://127.0.0.1:*"},
        [WORKER] = {"drover", "worker", endpoint, "--threads", threads},
    };
    if (bench_processes_start(processes, words[i], err) != 0)
        return -1;
    if (!bound[i])
        return 0;
    if (bench_processes_wait_line(processes, i, bound[i], &at_us, err) != 0)
        return -1;
    (void)snprintf(endpoint, 256, "%s",
                   strstr(processes->list[i].line, bound[i]) + strlen(bound[i]));
    return 0;
}

static int s_run(bench_processes_t *processes, const plan_t *plan, const settings_t *settings,
                 err_t *err)
{
    char endpoint[256], last[64];
    int64_t at_us;
    (void)snprintf(last, sizeof(last), "step %d/", settings->training.steps);
    for (int i = 0; i < N_ROLES; i++)
        if (s_start(processes, plan, i, endpoint, err) != 0)
            return -1;
    do {
        if (bench_processes_wait_line(processes, SERVER, "step ", &at_us, err) != 0)
            return -1;
        bench_processes_look(processes);
    } while (strncmp(processes->list[SERVER].line, last, strlen(last)) != 0);
    for (int i = 0; i < N_ROLES; i++)
        if (bench_processes_wait_end(processes, i, err) != 0)
            return -1;
    return 0;
}

static double s_bytes(const dataset_t *data)
{
    return data ? (double)dataset_rows(data) * ((double)dataset_inputs(data) + 1) : 0;
}

static void s_print(const plan_t *plan, const settings_t *settings,
                    const bench_processes_t *processes, const model_t *model, double train_bytes,
                    double test_bytes)
{
    static const char *const roles[N_ROLES] = {"server", "relay", "worker"};
    double model_bytes = (double)model_params(model) * sizeof(float);
    const double promised[N_ROLES] = {
        [SERVER] = PROGRAM_BYTES + train_bytes + test_bytes + SERVER_MODELS * model_bytes,
        [RELAY] = (double)NAN,
        [WORKER] = PROGRAM_BYTES + train_bytes + WORKER_MODELS * model_bytes,
    };
    const bench_figure_t sizes[] = {
        {"model_bytes", model_bytes}, {"train_bytes", train_bytes}, {"test_bytes", test_bytes}};
    if (plan->json) {
        (void)printf("{\"steps\": %d, \"threads\": %d", settings->training.steps, plan->n_threads);
        bench_print_figures(sizes, ARRAY_COUNT(sizes));
        (void)printf(", \"roles\": [");
    } else
        (void)printf("%d steps with one worker of %d thread%s, behind a relay; model %.1f MB, "
                     "training data %.1f MB, test data %.1f MB\n\n"
                     "role    peak MB  of its own MB  promised at most MB\n",
                     settings->training.steps, plan->n_threads, plan->n_threads == 1 ? "" : "s",
                     model_bytes * 1e-6, train_bytes * 1e-6, test_bytes * 1e-6);
    for (int i = 0; i < N_ROLES; i++) {
        const bench_process_t *process = &processes->list[i];
        const bench_figure_t figures[] = {
            {"peak_bytes", (double)process->peak_bytes},
            {"own_bytes", (double)process->own_bytes},
            {"promised_bytes", promised[i]},
        };
        if (plan->json) {
            (void)printf("%s\n  {\"role\": \"%s\"", i ? "," : "", roles[i]);
            bench_print_figures(figures, ARRAY_COUNT(figures));
            (void)fputs("}", stdout);
            continue;
        }
        char most[16] = "-";
        if (!isnan(promised[i]))
            (void)snprintf(most, sizeof(most), "%.1f", promised[i] * 1e-6);
        (void)printf("%-6s %8.1f %14.1f %20s\n", roles[i], (double)process->peak_bytes * 1e-6,
                     (double)process->own_bytes * 1e-6, most);
    }
    (void)fputs(plan->json ? "]}\n" : "", stdout);
}

static int s_measure(void *context, const settings_t *settings, bench_processes_t *processes,
                     err_t *err)
{
    const plan_t *plan = context;
    dataset_t *train = NULL, *test = NULL;
    model_t model;
    int r = -1;
    /* The data come afterwards: a child would begin with this process's memory as its most. */
    if (s_run(processes, plan, settings, err) == 0 &&
        run_data_load(settings, &train, &test, err) == 0 &&
        run_data_model(settings, train, &model, err) == 0) {
        s_print(plan, settings, processes, &model, s_bytes(train), s_bytes(test));
        r = 0;
    }
    dataset_destroy(&train);
    dataset_destroy(&test);
    return r;
}

int cmd_bench_memory(int argc, char **argv)
{
    plan_t plan = {.n_threads = 1, .n_rows = 60000};
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "threads",
         .metavar = "T",
         .help = "Threads of the worker (default 1).",
         .integer = &plan.n_threads,
         .min = 1,
         .max = 1024},
        {.name = "steps", .metavar = "N", .key = "training.steps"},
        bench_rows_option(&plan.n_rows),
        bench_json_option(&plan.json),
    };
    const args_command_t command = {
        .name = "bench memory",
        .words = "[CONFIG]",
        .summary =
            "Trains with one worker behind a relay, so that each has all rows, and prints the "
            "most\n"
            "memory that each process had, with files that it shares with others, and what is its\n"
            "own. Promised are 60 MB; with them, for a worker its rows and 6 times the model, for "
            "a\n"
            "server the data and 8 times the model.",
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
