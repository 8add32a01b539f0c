/* drover bench: what a step costs. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/bench_children.h"
#include "cli/bench_raw.h"
#include "cli/bench_simulate.h"
#include "cli/commands.h"
#include "cli/json.h"

#define COUNT(array)   ((int)(sizeof(array) / sizeof((array)[0])))
#define MOST_NUMBERS   32
#define MANY_A_PROCESS 500 /* workers, where there may be thousands */
#define ROUNDS         3   /* of drover and the raw loop in turn */

typedef struct {
    uint32_t numbers[MOST_NUMBERS];
    int n;
} list_t;

/* "1,10,100": up to MOST_NUMBERS numbers from min to max. */
static int s_parse_list(const char *option, const char *text, long min, long max, list_t *list,
                        err_t *err)
{
    char shown[72];
    list->n = 0;
    for (const char *at = text;; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (end == at || at[0] < '0' || at[0] > '9' || number < min || number > max ||
            (*end && *end != ',') || list->n == MOST_NUMBERS)
            return err_set(err,
                           "--%s: %s, expected up to %d numbers from %ld to %ld with commas "
                           "between them",
                           option, text_quote(text, shown), MOST_NUMBERS, min, max);
        list->numbers[list->n++] = (uint32_t)number;
        if (!*end)
            return 0;
        at = end;
    }
}

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
    const struct {
        const char *name;
        double value;
    } figures[] = {
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
    for (int i = 0; i < COUNT(figures); i++) {
        (void)printf(", \"%s\": ", figures[i].name);
        json_print_number(stdout, figures[i].value);
    }
    (void)printf(", \"weights\": \"%016" PRIx64 "\"}", result->digest);
}

/* All runs, each number of workers flat and then with relays. The weights are the same in all. */
static int s_simulate_all(bench_plan_t *plan, const list_t *workers, const list_t *relays,
                          bool json, err_t *err)
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
            plan->n_workers = workers->numbers[i];
            plan->n_relays = j < 0 ? 0 : relays->numbers[j];
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

static int s_simulate(int argc, char **argv)
{
    const char *workers_text = "1,10,100";
    const char *relays_text = NULL;
    const char *bind = "tcp://127.0.0.1:*";
    int n_params = 50890;
    int n_steps = 50;
    int n_blocks = 0;
    bool json = false;
    const args_option_t options[] = {
        {.name = "workers",
         .metavar = "N,...",
         .help = "How many workers, one run each (default 1,10,100).",
         .text = &workers_text},
        {.name = "relays",
         .metavar = "N,...",
         .help = "Further runs with the workers spread over so many relays, where these are no "
                 "more than the workers.",
         .text = &relays_text},
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
        {.name = "json", .help = "Print one JSON object.", .flag = &json},
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
        .n_options = COUNT(options),
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    list_t workers, relays = {.n = 0};
    status = STATUS_USAGE;
    if (s_parse_list("workers", workers_text, 1, 100000, &workers, &err) != 0 ||
        (relays_text && s_parse_list("relays", relays_text, 1, 1000, &relays, &err) != 0) ||
        s_check_bind(bind, &err) != 0)
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
        if (workers.numbers[i] > plan.n_blocks)
            plan.n_blocks = workers.numbers[i];
    status = s_simulate_all(&plan, &workers, &relays, json, &err) == 0 ? STATUS_OK : STATUS_FAILURE;
out:
    args_clear(&args);
    return err.text[0] ? command_fail(&command, &err, status) : status;
}

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
    row->drover_ms = bench_median(drover_ms, ROUNDS);
    row->raw_ms = bench_median(raw_ms, ROUNDS);
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
    (void)printf("%s\n  {\"params\": %u, \"workers\": %u, \"step_ms\": ", first ? "" : ",",
                 row->n_params, row->n_workers);
    json_print_number(stdout, row->drover_ms);
    (void)fputs(", \"raw_step_ms\": ", stdout);
    json_print_number(stdout, row->raw_ms);
    (void)fputs("}", stdout);
}

static int s_step_all(const list_t *params, const list_t *workers, uint32_t n_steps, bool json,
                      err_t *err)
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

static int s_step(int argc, char **argv)
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
        {.name = "json", .help = "Print one JSON object.", .flag = &json},
    };
    const args_command_t command = {
        .name = "bench step",
        .words = "",
        .summary =
            "What a step costs besides the compute: workers answer with canned partials, one "
            "each,\n"
            "over tcp on loopback. Beside it a loop over the same bytes by ZeroMQ's PUB/SUB and\n"
            "PUSH/PULL, with a sum and an update and nothing else; medians of three runs in turn.",
        .options = options,
        .n_options = COUNT(options),
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    list_t workers, params;
    status = STATUS_USAGE;
    if (s_parse_list("workers", workers_text, 1, 100, &workers, &err) == 0 &&
        s_parse_list("params", params_text, 10, 100000000, &params, &err) == 0)
        status = s_step_all(&params, &workers, (uint32_t)n_steps, json, &err) == 0 ? STATUS_OK
                                                                                   : STATUS_FAILURE;
    args_clear(&args);
    return err.text[0] ? command_fail(&command, &err, status) : status;
}

typedef struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} subcommand_t;

static const subcommand_t s_subcommands[] = {
    {"step", "a step without compute, against a raw ZeroMQ loop", s_step},
    {"simulate", "messages and sums with many simulated workers, flat or by relays", s_simulate},
};

static void s_usage(FILE *out)
{
    (void)fputs("usage: drover bench COMMAND ...\n\nCommands:\n", out);
    for (int i = 0; i < COUNT(s_subcommands); i++)
        (void)fprintf(out, "  %-8s  %s\n", s_subcommands[i].name, s_subcommands[i].help);
    (void)fputs("\n`drover bench COMMAND --help` shows what a command takes.\n", out);
}

int cmd_bench(int argc, char **argv)
{
    const char *names[COUNT(s_subcommands)];
    char shown[72];
    if (argc < 2) {
        s_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        s_usage(stdout);
        return STATUS_OK;
    }
    for (int i = 0; i < COUNT(s_subcommands); i++) {
        if (strcmp(s_subcommands[i].name, argv[1]) == 0)
            return s_subcommands[i].run(argc - 1, argv + 1);
        names[i] = s_subcommands[i].name;
    }
    const char *nearest = text_nearest(argv[1], names, COUNT(s_subcommands));
    (void)fprintf(stderr, "drover bench: unknown command %s", text_quote(argv[1], shown));
    if (nearest)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest);
    (void)fputs(" (see drover bench --help)\n", stderr);
    return STATUS_USAGE;
}
