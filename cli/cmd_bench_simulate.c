/* drover bench simulate: what a step costs with many workers. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "cli/bench.h"
#include "cli/bench_simulate.h"
#include "cli/commands.h"
#include "cli/json.h"

#define MANY_A_PROCESS 500 /* workers, where there may be thousands */

static int s_check_bind(const char *bind, err_t *err)
{
    char shown[72];
    size_t n = strlen(bind);
    if (strncmp(bind, "ipc://", 6) == 0 && n > 6)
        return 0;
    if (strncmp(bind, "tcp://", 6) == 0 && n > 8 && strcmp(bind + n - 2, ":*") == 0)
        return 0;
    return err_set(err, "--bind: %s, expected tcp://ADDRESS:* or ipc://PATH",
                   text_quote(bind, shown));
}

static void s_print_head(const bench_plan_t *plan)
{
    (void)printf("%zu parameters, %u blocks, %u steps, of which the first %u are not measured; "
                 "%s\n\n",
                 model_params(&plan->model), plan->n_blocks, plan->n_steps, plan->n_warm,
                 plan->bind);
    (void)printf(
        "                   median    CPU ms a step           sent by server     received by "
        "server  blocks a step\n");
    (void)printf("workers  relays   step ms   server      all        kB  messages        kB  "
                 "messages     re-issued\n");
}

static void s_print_row(const bench_plan_t *plan, const bench_result_t *result)
{
    (void)printf("%7u %7u %9.2f %8.2f %8.2f %9.1f %9.1f %9.1f %9.1f %13.1f\n", plan->n_workers,
                 plan->n_relays, result->step_ms, result->server_cpu_ms, result->all_cpu_ms,
                 result->sent_bytes / 1000, result->sent_messages, result->received_bytes / 1000,
                 result->received_messages, result->reissued);
    (void)fflush(stdout);
}

static void s_print_json_head(const bench_plan_t *plan)
{
    (void)printf("{\"params\": %zu, \"blocks\": %u, \"steps\": %u, \"warm_steps\": %u, \"bind\": ",
                 model_params(&plan->model), plan->n_blocks, plan->n_steps, plan->n_warm);
    json_print_string(stdout, plan->bind);
    (void)printf(", \"runs\": [");
}

static void s_print_json(const bench_plan_t *plan, const bench_result_t *result, bool first)
{
    const bench_figure_t figures[] = {
        {"step_ms", result->step_ms},
        {"server_cpu_ms", result->server_cpu_ms},
        {"relays_cpu_ms", result->relays_cpu_ms},
        {"all_cpu_ms", result->all_cpu_ms},
        {"sent_bytes", result->sent_bytes},
        {"sent_messages", result->sent_messages},
        {"received_bytes", result->received_bytes},
        {"received_messages", result->received_messages},
        {"reissued", result->reissued},
        {"duplicates", result->duplicates},
    };
    (void)printf("%s\n  {\"workers\": %u, \"relays\": %u", first ? "" : ",", plan->n_workers,
                 plan->n_relays);
    bench_print_figures(figures, ARRAY_COUNT(figures));
    (void)printf(", \"weights\": \"%016" PRIx64 "\"}", result->digest);
}

/* All runs, each number of workers flat and then with relays. The weights are the same in all. */
static int s_simulate_all(bench_plan_t *plan, const args_numbers_t *workers,
                          const args_numbers_t *relays, bool json, err_t *err)
{
    uint64_t digest = 0;
    bool first = true;
    if (json)
        s_print_json_head(plan);
    else
        s_print_head(plan);
    for (int i = 0; i < workers->n; i++) {
        for (int j = -1; j < relays->n; j++) {
            bench_result_t result;
            plan->n_workers = workers->values[i];
            plan->n_relays = j < 0 ? 0 : relays->values[j];
            if (plan->n_relays > plan->n_workers)
                continue; /* one without workers would not join */
            if (bench_simulate(plan, &result, err) != 0)
                return err_prefix(err, "%u workers, %u relays", plan->n_workers, plan->n_relays);
            if (json)
                s_print_json(plan, &result, first);
            else
                s_print_row(plan, &result);
            if (!first && result.digest != digest)
                return err_set(err,
                               "%u workers, %u relays: weights with digest %016" PRIx64
                               ", expected %016" PRIx64 " as in the first run",
                               plan->n_workers, plan->n_relays, result.digest, digest);
            digest = result.digest;
            first = false;
        }
    }
    (void)fputs(json ? "]}\n" : "", stdout);
    return 0;
}

int cmd_bench_simulate(int argc, char **argv)
{
    args_numbers_t workers = {{1, 10, 100}, 3}, relays = {.n = 0};
    const char *bind = "tcp://127.0.0.1:*";
    int n_params = 50890;
    int n_steps = 50;
    int n_blocks = 0;
    bool json = false;
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N,...",
         .help = "How many workers, one run each (default 1,10,100).",
         .numbers = &workers,
         .min = 1,
         .max = 100000},
        {.name = "relays",
         .metavar = "N,...",
         .help = "Further runs with the workers spread over so many relays, where these are no "
                 "more than the workers.",
         .numbers = &relays,
         .min = 1,
         .max = 1000},
        {.name = "params",
         .metavar = "P",
         .help = "Parameters of the network, more or less (default 50890, those of 784-64-10).",
         .integer = &n_params,
         .min = 10,
         .max = 100000000},
        {.name = "steps",
         .metavar = "N",
         .help = "Steps of a run (default 50); the first fifth is not measured.",
         .integer = &n_steps,
         .min = 2,
         .max = 1000000},
        {.name = "blocks",
         .metavar = "B",
         .help = "Blocks of a step (default: as many as there are workers in the largest run, at "
                 "least 64).",
         .integer = &n_blocks,
         .min = 1,
         .max = 1000000},
        {.name = "bind",
         .metavar = "ENDPOINT",
         .help = "Where server and relays bind: tcp://ADDRESS:* (default tcp://127.0.0.1:*), or "
                 "ipc://PATH, relays to PATH.1 and so on.",
         .text = &bind},
        bench_json_option(&json),
    };
    const args_command_t command = {
        .name = "bench simulate",
        .words = "",
        .summary =
            "Trains with simulated workers, which have sockets and say all that workers say, but\n"
            "answer with canned partials: the costs of the messages and the sums alone. The "
            "server\n"
            "and each relay are processes of their own; the workers share a few.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    status = STATUS_USAGE;
    if (s_check_bind(bind, &err) != 0)
        goto out;
    bench_plan_t plan = {
        .a_process = MANY_A_PROCESS,
        .n_steps = (uint32_t)n_steps,
        .n_warm = ((uint32_t)n_steps + 4) / 5,
        .n_blocks = n_blocks > 0 ? (uint32_t)n_blocks : 64,
        .model = bench_model((uint32_t)n_params),
        .bind = bind,
    };
    for (int i = 0; n_blocks == 0 && i < workers.n; i++)
        if (workers.values[i] > plan.n_blocks)
            plan.n_blocks = workers.values[i];
    status = s_simulate_all(&plan, &workers, &relays, json, &err) == 0 ? STATUS_OK : STATUS_FAILURE;
out:
    return command_end(&command, &args, status, &err);
}
