/* drover bench compute: the compute of a step alone, by kernel and threads. */
#include <stdlib.h>

#include <stdio.h>

#include "base/array.h"
#include "cli/bench.h"
#include "cli/bench_compute.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/run_data.h"
#include "data/synth.h"
#include "math/blas.h"
#include "math/median.h"
#include "math/rng.h"

#define MOST_ROUNDS 1000

typedef struct {
    args_numbers_t threads;
    int n_rows;  /* drawn, where the settings name no data */
    int percent; /* of independent bytes that are not zero; -1: digits */
    int n_rounds;
    bool json;
} plan_t;

/* One kernel with so many threads. */
typedef struct {
    char kernel[64];
    uint32_t n_threads;
    bench_compute_t *compute; /* owned */
    double flop_done;
    bench_pass_t pass; /* the last */
    double ms[MOST_ROUNDS];
} row_t;

/* Independent bytes: so many of a hundred from 1 to 255, the others 0; labels 0 to 9 in turn. */
static void s_draw_bytes(uint64_t seed, int percent, size_t n_rows, uint8_t *images,
                         uint8_t *labels)
{
    uint32_t bits[SYNTH_PIXELS];
    for (size_t r = 0; r < n_rows; r++) {
        rng_fill(seed, RNG_CANNED, 0, r * SYNTH_PIXELS, SYNTH_PIXELS, bits);
        for (size_t i = 0; i < SYNTH_PIXELS; i++)
            *images++ = bits[i] >> 16 < (uint32_t)percent * 65536 / 100
                            ? (uint8_t)(1 + (bits[i] & 0xffff) % 255)
                            : 0;
        labels[r] = (uint8_t)(r % 10);
    }
}

static dataset_t *s_draw(const plan_t *plan, uint64_t seed)
{
    size_t n_rows = (size_t)plan->n_rows;
    uint8_t *images = malloc(n_rows * SYNTH_PIXELS), *labels = malloc(n_rows);
    if (!images || !labels)
        abort();
    if (plan->percent < 0)
        synth_draw(seed, 0, n_rows, images, labels);
    else
        s_draw_bytes(seed, plan->percent, n_rows, images, labels);
    return dataset_new(&images, &labels, n_rows, SYNTH_PIXELS);
}

static void s_print_head(const plan_t *plan, const bench_step_t *step, const dataset_t *data,
                         uint64_t n_rows, double others)
{
    char shape[256];
    uint32_t n_blocks = sampler_blocks(&step->sampler);
    model_describe(&step->model, shape, sizeof(shape));
    if (plan->json) {
        (void)printf("{\"network\": ");
        json_print_string(stdout, shape);
        (void)printf(", \"rows\": %u, \"rows_a_step\": %llu, \"blocks\": %u, \"rounds\": %d",
                     step->sampler.n_rows, (unsigned long long)n_rows, n_blocks, plan->n_rounds);
        const bench_figure_t figures[] = {{"density", dataset_density(data)},
                                          {"gflop", bench_flop(step) * 1e-9},
                                          {"others", others}};
        bench_print_figures(figures, ARRAY_COUNT(figures));
        (void)printf(", \"runs\": [");
        return;
    }
    (void)printf(
        "%s; %u rows, %.0f %% of their bytes not zero; %llu rows a step in %u blocks: %.3g "
        "GFLOP\n%d rounds in turn; others had %.0f %% of the machine\n\n",
        shape, step->sampler.n_rows, dataset_density(data) * 100, (unsigned long long)n_rows,
        n_blocks, bench_flop(step) * 1e-9, plan->n_rounds, others * 100);
    (void)printf("                           ms a step                         of   really       "
                 "of      sgemm\n"
                 "threads kernel          median    least     rows/s  GFLOP/s sgemm  GFLOP/s  "
                 "sgemm    GFLOP/s\n");
}

static void s_print_row(const plan_t *plan, double flop, row_t *row, double sgemm, bool first)
{
    double ms = median_of(row->ms, (uint32_t)plan->n_rounds); /* sorted from here on */
    double gflops = flop / ms * 1e-6, done = row->flop_done / ms * 1e-6;
    double rows_per_s = (double)row->pass.rows / ms * 1000;
    if (!plan->json) {
        (void)printf("%7u %-14s %8.2f %8.2f %10.0f %8.1f %4.0f%% %8.1f  %4.0f%% %10.1f\n",
                     row->n_threads, row->kernel, ms, row->ms[0], rows_per_s, gflops,
                     100 * gflops / sgemm, done, 100 * done / sgemm, sgemm);
        return;
    }
    const bench_figure_t figures[] = {
        {"step_ms", ms},
        {"least_ms", row->ms[0]},
        {"rows_per_s", rows_per_s},
        {"gflops", gflops},
        {"share", gflops / sgemm},
        {"done_gflops", done},
        {"done_share", done / sgemm},
        {"sgemm_gflops", sgemm},
        {"cost", row->pass.cost / (double)row->pass.rows},
    };
    (void)printf("%s\n  {\"threads\": %u, \"kernel\": ", first ? "" : ",", row->n_threads);
    json_print_string(stdout, row->kernel);
    bench_print_figures(figures, ARRAY_COUNT(figures));
    (void)fputs("}", stdout);
}

/* All kernels with all numbers of threads in turn, after sgemm with as many; and so again. */
static void s_measure(const plan_t *plan, const bench_step_t *step, const dataset_t *data,
                      row_t *rows, int n_kernels)
{
    static double sgemm[ARGS_MAX_NUMBERS][MOST_ROUNDS];
    bench_load_t load = bench_load();
    for (int round = -1; round < plan->n_rounds; round++) { /* the first warms up */
        for (int i = 0; i < plan->threads.n; i++) {
            double gflops = bench_sgemm(plan->threads.values[i]);
            if (round >= 0)
                sgemm[i][round] = gflops;
            for (row_t *row = rows + i * n_kernels; row < rows + (i + 1) * n_kernels; row++) {
                row->pass = bench_compute_pass(row->compute);
                if (round >= 0)
                    row->ms[round] = row->pass.ms;
            }
        }
    }
    double flop = bench_flop(step), others = bench_others(&load);
    s_print_head(plan, step, data, rows[0].pass.rows, others);
    for (int i = 0; i < plan->threads.n; i++) {
        double peak = median_of(sgemm[i], (uint32_t)plan->n_rounds);
        for (int k = 0; k < n_kernels; k++)
            s_print_row(plan, flop, &rows[i * n_kernels + k], peak, i + k == 0);
    }
    (void)fputs(plan->json ? "]}\n" : "", stdout);
}

/* A row for each kernel and number of threads. Returns how many kernels, or -1 with *err. */
static int s_open(const plan_t *plan, const settings_t *settings, const bench_step_t *step,
                  row_t *rows, err_t *err)
{
    const char *names[2];
    char dense[sizeof(rows->kernel)];
    int n = bench_kernels(settings->numerics.kernel, names);
    if (kernel_default(dense, sizeof(dense), err) != 0 || kernel_open(dense, err) != 0)
        return -1; /* sgemm is measured in any case */
    for (int i = 0; i < plan->threads.n * n; i++) {
        kernel_t kernel = kernel_of(names[i % n]);
        (void)snprintf(rows[i].kernel, sizeof(rows[i].kernel), "%s",
                       kernel == KERNEL_DENSE ? dense : names[i % n]);
        rows[i].n_threads = plan->threads.values[i / n];
        rows[i].compute = bench_compute_new(step, kernel, rows[i].n_threads);
        rows[i].flop_done = bench_flop_done(step, kernel);
    }
    return n;
}

static int s_bench(const plan_t *plan, const settings_t *settings, err_t *err)
{
    dataset_t *data = NULL;
    row_t *rows = calloc((size_t)plan->threads.n * 2, sizeof(row_t));
    float *params = NULL;
    bench_step_t step = {.model = {0}};
    int r = -1;
    if (!rows)
        abort();
    if (!settings->data.path[0] && !settings->data.train_images[0])
        data = s_draw(plan, settings->training.seed);
    else if (run_data_load(settings, &data, NULL, err) != 0)
        goto out;
    if (run_data_model(settings, data, &step.model, err) != 0)
        goto out;
    params = array_aligned(model_params(&step.model), sizeof(float));
    model_init(&step.model, MODEL_INIT_UNIFORM, settings->training.seed, params);
    step.params = params;
    step.images = dataset_images(data);
    step.labels = dataset_labels(data);
    step.sampler = (sampler_t){
        .seed = settings->training.seed,
        .fraction = settings->training.sample,
        .n_rows = (uint32_t)dataset_rows(data),
        .block_rows = (uint32_t)settings->training.block_rows,
        .batch_rows = (uint32_t)settings->training.batch_rows,
        .augment = run_data_augment(settings),
    };
    int n_kernels = s_open(plan, settings, &step, rows, err);
    if (n_kernels > 0) {
        s_measure(plan, &step, data, rows, n_kernels);
        r = 0;
    }
out:
    for (int i = 0; i < plan->threads.n * 2; i++)
        bench_compute_destroy(&rows[i].compute);
    free(rows);
    free(params);
    dataset_destroy(&data);
    return r;
}

int cmd_bench_compute(int argc, char **argv)
{
    plan_t plan = {.threads = {{1}, 1}, .n_rows = 60000, .percent = -1, .n_rounds = 9};
    const args_option_t options[] = {
        {.name = "data", .metavar = "DIR", .key = "data.path"},
        {.name = "threads",
         .metavar = "T,...",
         .help = "With how many threads (default 1).",
         .numbers = &plan.threads,
         .min = 1,
         .max = 1024},
        bench_rows_option(&plan.n_rows),
        {.name = "density",
         .metavar = "PERCENT",
         .help = "Independent bytes instead of digits, so many of a hundred not zero.",
         .integer = &plan.percent,
         .min = 0,
         .max = 100},
        {.name = "rounds",
         .metavar = "N",
         .help = "How often each is measured (default 9), all in turn.",
         .integer = &plan.n_rounds,
         .min = 1,
         .max = MOST_ROUNDS},
        bench_json_option(&plan.json),
    };
    const args_command_t command = {
        .name = "bench compute",
        .words = "[CONFIG]",
        .summary =
            "The compute of a step alone: rows a second, GFLOP/s, and their share of what "
            "OpenBLAS's\n"
            "product of 1024 x 1024 matrices gives in the same run. By the dense and the sparse\n"
            "kernel, or the one that numerics.kernel names. Both leave out zeros of the input; "
            "what\n"
            "they really multiply is shown beside what the network asks for.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .settings = settings_table(),
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    settings_init(&settings);
    status = STATUS_USAGE;
    if (settings_load(&settings, args.n_words ? args.words[0] : NULL, args.overrides,
                      args.n_overrides, &err) == 0)
        status = s_bench(&plan, &settings, &err) == 0 ? STATUS_OK : STATUS_FAILURE;
    settings_clear(&settings);
    return command_end(&command, &args, status, &err);
}
