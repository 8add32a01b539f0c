/* drover bench step: what a step costs besides the compute. */
#include <stdbool.h>
#include <stdio.h>

#include "cli/bench.h"
#include "cli/bench_raw.h"
#include "cli/bench_simulate.h"
#include "cli/commands.h"
#include "math/median.h"

#define ROUNDS 3 /* of drover and the raw loop in turn */

typedef struct {
    uint32_t n_params;
    uint32_t n_workers;
    double drover_ms; /* median of the rounds' medians */
    double raw_ms;
} step_row_t;

/* Steps without compute, of drover and of the raw loop in turn. */
static int s_measure_step(uint32_t n_steps, step_row_t *row, err_t *err)
{
    uint32_t n_warm = (n_steps + 4) / 5;
    bench_plan_t plan = {
        .n_workers = row->n_workers,
        .a_process = 1,
        .n_steps = n_steps,
        .n_warm = n_warm,
        .n_blocks = row->n_workers,
        .model = bench_model(row->n_params),
        .fixed = true,
        .bind = "tcp://127.0.0.1:*",
    };
    row->n_params = (uint32_t)model_params(&plan.model);
    bench_raw_plan_t raw = {row->n_workers, row->n_params, n_steps, n_warm};
    double drover_ms[ROUNDS], raw_ms[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        bench_result_t result;
        if (bench_simulate(&plan, &result, err) != 0 || bench_raw(&raw, &raw_ms[i], err) != 0)
            return err_prefix(err, "%u parameters, %u workers", row->n_params, row->n_workers);
        drover_ms[i] = result.step_ms;
    }
    row->drover_ms = median_of(drover_ms, ROUNDS);
    row->raw_ms = median_of(raw_ms, ROUNDS);
    return 0;
}

static void s_print_step(const step_row_t *row, bool json, bool first)
{
    if (!json) {
        (void)printf("%10u %7u %10.3f %10.3f %7.2f\n", row->n_params, row->n_workers,
                     row->drover_ms, row->raw_ms, row->drover_ms / row->raw_ms);
        (void)fflush(stdout);
        return;
    }
    const bench_figure_t figures[] = {{"step_ms", row->drover_ms}, {"raw_step_ms", row->raw_ms}};
    (void)printf("%s\n  {\"params\": %u, \"workers\": %u", first ? "" : ",", row->n_params,
                 row->n_workers);
    bench_print_figures(figures, BENCH_COUNT(figures));
    (void)fputs("}", stdout);
}

static int s_step_all(const bench_list_t *params, const bench_list_t *workers, uint32_t n_steps,
                      bool json, err_t *err)
{
    if (json)
        (void)printf("{\"steps\": %u, \"rounds\": %d, \"runs\": [", n_steps, ROUNDS);
    else
        (void)printf("%u steps, %d times, in turn with a raw ZeroMQ loop\n\n"
                     "parameters workers    step ms     raw ms   ratio\n",
                     n_steps, ROUNDS);
    for (int i = 0; i < params->n; i++) {
        for (int j = 0; j < workers->n; j++) {
            step_row_t row = {params->numbers[i], workers->numbers[j], 0, 0};
            if (s_measure_step(n_steps, &row, err) != 0)
                return -1;
            s_print_step(&row, json, i + j == 0);
        }
    }
    (void)fputs(json ? "]}\n" : "", stdout);
    return 0;
}

int cmd_bench_step(int argc, char **argv)
{
    const char *workers_text = "1,2,4,8";
    const char *params_text = "50890,1000000,5824522";
    int n_steps = 100;
    bool json = false;
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N,...",
         .help = "How many workers, a process each (default 1,2,4,8).",
         .text = &workers_text},
        {.name = "params",
         .metavar = "P,...",
         .help = "Parameters of the network, more or less (default 50890,1000000,5824522).",
         .text = &params_text},
        {.name = "steps",
         .metavar = "N",
         .help = "Steps of a run (default 100); the first fifth is not measured.",
         .integer = &n_steps,
         .min = 2,
         .max = 1000000},
        BENCH_JSON_OPTION(&json),
    };
    const args_command_t command = {
        .name = "bench step",
        .words = "",
        .summary =
            "What a step costs besides the compute: workers answer, over tcp on loopback, with a\n"
            "gradient each that was made before; they check the weights and digest the gradient\n"
            "in each step. Beside it a loop over the same bytes by ZeroMQ's PUB/SUB and "
            "PUSH/PULL,\n"
            "with gradients that were made before, a sum and an update and nothing else; medians\n"
            "of three runs in turn.",
        .options = options,
        .n_options = BENCH_COUNT(options),
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    bench_list_t workers, params;
    status = STATUS_USAGE;
    if (bench_parse_list("workers", workers_text, 1, 100, &workers, &err) == 0 &&
        bench_parse_list("params", params_text, 10, 100000000, &params, &err) == 0)
        status = s_step_all(&params, &workers, (uint32_t)n_steps, json, &err) == 0 ? STATUS_OK
                                                                                   : STATUS_FAILURE;
    return bench_end(&command, &args, status, &err);
}
