/* drover bench: measures, each of its commands in a file of its own. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/bench.h"
#include "cli/commands.h"

typedef struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} subcommand_t;

static const subcommand_t s_subcommands[] = {
    {"train", "whole runs: a step by kernel, workers and threads", cmd_bench_train},
    {"start", "from a start to the first step, and to the first work of a worker", cmd_bench_start},
    {"memory", "what a server, a relay and a worker take", cmd_bench_memory},
    {"compute", "the compute of a step alone, against sgemm, by kernel and threads",
     cmd_bench_compute},
    {"step", "a step without compute, against a raw ZeroMQ loop", cmd_bench_step},
    {"simulate", "messages and sums with many simulated workers, flat or by relays",
     cmd_bench_simulate},
};

static void s_usage(FILE *out)
{
    (void)fputs("usage: drover bench COMMAND ...\n\nCommands:\n", out);
    for (int i = 0; i < BENCH_COUNT(s_subcommands); i++)
        (void)fprintf(out, "  %-8s  %s\n", s_subcommands[i].name, s_subcommands[i].help);
    (void)fputs("\n`drover bench COMMAND --help` shows what a command takes.\n", out);
}

int cmd_bench(int argc, char **argv)
{
    const char *names[BENCH_COUNT(s_subcommands)];
    char shown[72];
    if (argc < 2) {
        s_usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        s_usage(stdout);
        return STATUS_OK;
    }
    for (int i = 0; i < BENCH_COUNT(s_subcommands); i++) {
        if (strcmp(s_subcommands[i].name, argv[1]) == 0)
            return s_subcommands[i].run(argc - 1, argv + 1);
        names[i] = s_subcommands[i].name;
    }
    const char *nearest = text_nearest(argv[1], names, BENCH_COUNT(s_subcommands));
    (void)fprintf(stderr, "drover bench: unknown command %s", text_quote(argv[1], shown));
    if (nearest)
        (void)fprintf(stderr, "; did you mean '%s'?", nearest);
    (void)fputs(" (see drover bench --help)\n", stderr);
    return STATUS_USAGE;
}
