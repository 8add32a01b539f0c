/* drover bench: measures, each of its commands in a file of its own. */
#include "base/array.h"
#include "cli/commands.h"

int cmd_bench(int argc, char **argv)
{
    static const command_entry_t entries[] = {
        {"train", "whole runs: a step by kernel, workers and threads", cmd_bench_train},
        {"start", "from a start to the first step, and to the first work of a worker",
         cmd_bench_start},
        {"memory", "what a server, a relay and a worker take", cmd_bench_memory},
        {"compute", "the compute of a step alone, against sgemm, by kernel and threads",
         cmd_bench_compute},
        {"step", "a step without compute, against a raw ZeroMQ loop", cmd_bench_step},
        {"simulate", "messages and sums with many simulated workers, flat or by relays",
         cmd_bench_simulate},
    };
    static const command_table_t table = {"drover bench", "", entries, ARRAY_COUNT(entries)};
    return command_table_run(&table, argc, argv);
}
