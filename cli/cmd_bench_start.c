/* drover bench start: how long it takes until the first step, and until a new worker is of use. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "cli/bench.h"
#include "cli/bench_processes.h"
#include "cli/commands.h"
#include "math/median.h"

#define MOST_ROUNDS 100

/* What is measured, in ms. */
enum {
    FIRST_STEP, /* start of drover train to the end of its first step */
    ONE_STEP,   /* to the end of a run of one step */
    JOIN,       /* start of a worker to its first partial that counts */
    HELLO,      /* the same since it was let in */
    N_MEASURED,
};

typedef struct {
    int n_workers;
    int n_rows; /* drawn, where the settings name no data */
    int n_rounds;
    bool json;
    double ms[N_MEASURED][MOST_ROUNDS];
} plan_t;

static double s_since_start(const bench_processes_t *processes, int i, int64_t at_us)
{
    return (double)(at_us - processes->list[i].started_us) / 1000;
}

/* drover train: to its first step, and through. */
static int s_train(bench_processes_t *processes, plan_t *plan, int round, err_t *err)
{
    char workers[16];
    int64_t at_us;
    (void)snprintf(workers, sizeof(workers), "%d", plan->n_workers);
    const char *const words[] = {
        "drover", "train", processes->config, "--workers", workers, "--steps", "1", NULL};
    if (bench_processes_start(processes, words, err) != 0 ||
        bench_processes_wait_line(processes, 0, "step 1/", &at_us, err) != 0 ||
        bench_processes_wait_end(processes, 0, err) != 0)
        return -1;
    plan->ms[FIRST_STEP][round] = s_since_start(processes, 0, at_us);
    plan->ms[ONE_STEP][round] = s_since_start(processes, 0, processes->list[0].ended_us);
    bench_processes_end(processes);
    return 0;
}

/* A worker joins a server over tcp, and fetches all rows. */
static int s_join(bench_processes_t *processes, plan_t *plan, int round, err_t *err)
{
    static const char bound[] = "server.bound endpoint=", counts[] = "worker.counts name=new ms=";
    char endpoint[sizeof(processes->list[0].line)];
    int64_t at_us;
    const char *const server[] = {
        "drover", "server", processes->config, "--bind", "tcp://127.0.0.1:*", "--steps", "1", NULL};
    const char *const worker[] = {"drover", "worker", endpoint, "--name", "new", NULL};
    if (bench_processes_start(processes, server, err) != 0 ||
        bench_processes_wait_line(processes, 0, bound, &at_us, err) != 0)
        return -1;
    (void)snprintf(endpoint, sizeof(endpoint), "%s",
                   strstr(processes->list[0].line, bound) + strlen(bound));
    if (bench_processes_start(processes, worker, err) != 0 ||
        bench_processes_wait_line(processes, 0, counts, &at_us, err) != 0)
        return -1;
    plan->ms[JOIN][round] = s_since_start(processes, 1, at_us);
    plan->ms[HELLO][round] = strtod(strstr(processes->list[0].line, counts) + strlen(counts), NULL);
    for (int i = 0; i < 2; i++)
        if (bench_processes_wait_end(processes, i, err) != 0)
            return -1;
    bench_processes_end(processes);
    return 0;
}

static void s_print(plan_t *plan, double others)
{
    static const struct {
        const char *name;
        const char *text;
    } shown[N_MEASURED] = {
        [FIRST_STEP] = {"first_step_ms", "drover train: start to the end of its first step"},
        [ONE_STEP] = {"one_step_ms", "drover train --steps 1: start to end"},
        [JOIN] = {"join_ms", "drover worker: start to its first partial that counts"},
        [HELLO] = {"hello_ms", "the same since it was let in"},
    };
    if (plan->json) {
        const bench_figure_t figures[] = {{"others", others}};
        (void)printf("{\"workers\": %d, \"rounds\": %d", plan->n_workers, plan->n_rounds);
        bench_print_figures(figures, ARRAY_COUNT(figures));
    } else
        (void)printf("%d worker%s; %d rounds in turn; others had %.0f %% of the machine\n\n"
                     "ms                                                      median   least    "
                     "most\n",
                     plan->n_workers, plan->n_workers == 1 ? "" : "s", plan->n_rounds,
                     others * 100);
    for (int i = 0; i < N_MEASURED; i++) {
        double median = median_of(plan->ms[i], (uint32_t)plan->n_rounds); /* and sorted */
        double least = plan->ms[i][0], most = plan->ms[i][plan->n_rounds - 1];
        if (!plan->json) {
            (void)printf("%-53s %8.0f %7.0f %7.0f\n", shown[i].text, median, least, most);
            continue;
        }
        const bench_figure_t figures[] = {{"median", median}, {"least", least}, {"most", most}};
        (void)printf(",\n  \"%s\": {\"rounds\": %d", shown[i].name, plan->n_rounds);
        bench_print_figures(figures, ARRAY_COUNT(figures));
        (void)fputs("}", stdout);
    }
    (void)fputs(plan->json ? "}\n" : "", stdout);
}

static int s_measure(void *context, const settings_t *settings, bench_processes_t *processes,
                     err_t *err)
{
    plan_t *plan = context;
    (void)settings;
    bench_load_t load = bench_load();
    for (int round = 0; round < plan->n_rounds; round++)
        if (s_train(processes, plan, round, err) != 0 || s_join(processes, plan, round, err) != 0)
            return -1;
    s_print(plan, bench_others(&load));
    return 0;
}

int cmd_bench_start(int argc, char **argv)
{
    plan_t plan = {.n_workers = 1, .n_rows = 60000, .n_rounds = 7};
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "workers",
         .metavar = "N",
         .help = "Workers of drover train (default 1).",
         .integer = &plan.n_workers,
         .min = 1,
         .max = 1024},
        bench_rows_option(&plan.n_rows),
        {.name = "rounds",
         .metavar = "N",
         .help = "How often each is measured (default 7), in turn.",
         .integer = &plan.n_rounds,
         .min = 1,
         .max = MOST_ROUNDS},
        bench_json_option(&plan.json),
    };
    const args_command_t command = {
        .name = "bench start",
        .words = "[CONFIG]",
        .summary =
            "From the start of `drover train` to the end of its first step, and of a run of\n"
            "one step; and from the start of a worker, over tcp, to its first partial that\n"
            "counts, with all rows to fetch.",
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
