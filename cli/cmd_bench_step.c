/* drover bench step: what a step costs besides the compute. */
#include <stdbool.h>
#include <stdio.h>

#include "base/array.h"
#include "cli/bench.h"
#include "cli/bench_raw.h"
#include "cli/bench_simulate.h"
#include "cli/commands.h"
#include "math/median.h"

#define MOST_ROUNDS 1000

typedef struct {
    args_numbers_t params;
    args_numbers_t workers;
    uint32_t n_steps; /* of a round */
    uint32_t n_rounds;
    bool json;
} plan_t;

typedef struct {
    uint32_t n_params;
    uint32_t n_workers;
    double drover_ms; /* median of the rounds' medians */
    double raw_ms;
    double ratio; /* median of the rounds' ratios */
    double low;   /* a quarter of these are below */
    double high;  /* a quarter are above */
} step_row_t;

/* Steps without compute, of drover and of the raw loop in turn. The machine's speed changes from
 * one second to the next: only what runs side by side is compared, and many short rounds tell more
 * than a few long ones. Who begins changes, so that neither is always the second. */
static int s_measure_step(const plan_t *run, step_row_t *row, err_t *err)
{
    uint32_t n_steps = run->n_steps, n_warm = (n_steps + 4) / 5, n = run->n_rounds;
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
    double drover_ms[MOST_ROUNDS], raw_ms[MOST_ROUNDS], ratios[MOST_ROUNDS];
    for (uint32_t i = 0; i < n; i++) {
        bench_result_t result = {.step_ms = 0};
        for (uint32_t turn = 0; turn < 2; turn++)
            if ((turn == i % 2 ? bench_simulate(&plan, &result, err)
                               : bench_raw(&raw, &raw_ms[i], err)) != 0)
                return err_prefix(err, "%u parameters, %u workers", row->n_params, row->n_workers);
        drover_ms[i] = result.step_ms;
        ratios[i] = drover_ms[i] / raw_ms[i];
    }
    row->drover_ms = median_of(drover_ms, n);
    row->raw_ms = median_of(raw_ms, n);
    row->ratio = median_of(ratios, n); /* sorted from here on */
    row->low = ratios[n / 4];
    row->high = ratios[n - 1 - n / 4];
    return 0;
}

static void s_print_step(const step_row_t *row, bool json, bool first)
{
    if (!json) {
        (void)printf("%10u %7u %10.3f %10.3f %7.2f  (%.2f to %.2f)\n", row->n_params,
                     row->n_workers, row->drover_ms, row->raw_ms, row->ratio, row->low, row->high);
        (void)fflush(stdout);
        return;
    }
    const bench_figure_t figures[] = {
        {"step_ms", row->drover_ms}, {"raw_step_ms", row->raw_ms}, {"ratio", row->ratio},
        {"ratio_low", row->low},     {"ratio_high", row->high},
    };
    (void)printf("%s\n  {\"params\": %u, \"workers\": %u", first ? "" : ",", row->n_params,
                 row->n_workers);
    bench_print_figures(figures, ARRAY_COUNT(figures));
    (void)fputs("}", stdout);
}

static int s_step_all(const plan_t *plan, err_t *err)
{
    if (plan->json)
        (void)printf("{\"steps\": %u, \"rounds\": %u, \"runs\": [", plan->n_steps, plan->n_rounds);
    else
        (void)printf("%u rounds of %u steps, in turn with a raw ZeroMQ loop; the ratio is the "
                     "rounds' median, half of\nthem lie between the two behind it\n\n"
                     "parameters workers    step ms     raw ms   ratio\n",
                     plan->n_rounds, plan->n_steps);
    for (int i = 0; i < plan->params.n; i++) {
        for (int j = 0; j < plan->workers.n; j++) {
            step_row_t row = {.n_params = plan->params.values[i],
                              .n_workers = plan->workers.values[j]};
            if (s_measure_step(plan, &row, err) != 0)
                return -1;
            s_print_step(&row, plan->json, i + j == 0);
        }
    }
    (void)fputs(plan->json ? "]}\n" : "", stdout);
    return 0;
}

int cmd_bench_step(int argc, char **argv)
{
    int n_steps = 20, n_rounds = 15;
    plan_t plan = {.params = {{50890, 1000000, 5824522}, 3}, .workers = {{1, 2, 4, 8}, 4}};
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N,...",
         .help = "How many workers, a process each (default 1,2,4,8).",
         .numbers = &plan.workers,
         .min = 1,
         .max = 100},
        {.name = "params",
         .metavar = "P,...",
         .help = "Parameters of the network, more or less (default 50890,1000000,5824522).",
         .numbers = &plan.params,
         .min = 10,
         .max = 100000000},
        {.name = "steps",
         .metavar = "N",
         .help = "Steps of a round (default 20); the first fifth is not measured.",
         .integer = &n_steps,
         .min = 2,
         .max = 1000000},
        {.name = "rounds",
         .metavar = "N",
         .help = "Rounds of both in turn (default 15).",
         .integer = &n_rounds,
         .min = 1,
         .max = MOST_ROUNDS},
        bench_json_option(&plan.json),
    };
    const args_command_t command = {
        .name = "bench step",
        .words = "",
        .summary =
            "What a step costs besides the compute: workers answer, over tcp on loopback, with a\n"
            "gradient each that was made before; they check the weights and digest the gradient\n"
            "in each step. Beside it a loop over the same bytes by ZeroMQ's PUB/SUB and "
            "PUSH/PULL,\n"
            "with gradients that were made before, a sum and an update and nothing else; both in\n"
            "turn, with processes of their own in each round. The ratio is that of steps that\n"
            "were measured one after the other: the median over the rounds.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    plan.n_steps = (uint32_t)n_steps;
    plan.n_rounds = (uint32_t)n_rounds;
    status = s_step_all(&plan, &err) == 0 ? STATUS_OK : STATUS_FAILURE;
    return command_end(&command, &args, status, &err);
}
