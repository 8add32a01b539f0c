/* See bench.h. */
#include "cli/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/json.h"

args_option_t bench_rows_option(int *n_rows)
{
    return (args_option_t){
        .name = "rows",
        .metavar = "N",
        .help = "Digits that are drawn where no data are given (default 60000).",
        .integer = n_rows,
        .min = 1,
        .max = 10000000,
    };
}

args_option_t bench_json_option(bool *json)
{
    return (args_option_t){.name = "json", .help = "Print one JSON object.", .flag = json};
}

int bench_kernels(settings_kernel_t setting, const char *names[2])
{
    int n = 0;
    if (setting != SETTINGS_KERNEL_SPARSE)
        names[n++] = "dense";
    if (setting != SETTINGS_KERNEL_DENSE)
        names[n++] = "sparse";
    return n;
}

/* What all processors have worked since boot, or were kept from by the machine's host. */
static double s_busy_s(void)
{
    char line[256] = "";
    FILE *file = fopen("/proc/stat", "re");
    bool read = file && fgets(line, sizeof(line), file) && strncmp(line, "cpu ", 4) == 0;
    if (file)
        (void)fclose(file);
    if (!read)
        return (double)NAN;
    unsigned long long ticks = 0;
    char *at = line + 4;
    for (int i = 0; i < 8; i++) {
        unsigned long long some = strtoull(at, &at, 10);
        if (i != 3 && i != 4) /* idle, waiting for disks */
            ticks += some;
    }
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double s_cpu_s(int who)
{
    struct rusage usage;
    if (getrusage(who, &usage) != 0)
        return (double)NAN;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

bench_load_t bench_load(void)
{
    return (bench_load_t){clock_us(), s_busy_s(), s_cpu_s(RUSAGE_SELF) + s_cpu_s(RUSAGE_CHILDREN)};
}

double bench_others(const bench_load_t *since)
{
    bench_load_t now = bench_load();
    double machine_s =
        (double)(now.at_us - since->at_us) * 1e-6 * (double)sysconf(_SC_NPROCESSORS_ONLN);
    double others_s = now.busy_s - since->busy_s - (now.ours_s - since->ours_s);
    return others_s < 0 ? 0 : others_s / machine_s;
}

void bench_print_figures(const bench_figure_t *figures, int n)
{
    for (int i = 0; i < n; i++) {
        (void)printf(", \"%s\": ", figures[i].name);
        json_print_number(stdout, figures[i].value);
    }
}
