/* dump_step IMAGES LABELS SEED FRACTION BLOCK_ROWS STEP PARAMS OUT KERNEL: one step of 784-64-10 by
 * the code that workers run, for another implementation to check.
 *
 * Computes the root partial of STEP at the weights in the file PARAMS (raw floats) or, when that
 * is "-", at the initial weights of SEED. OUT gets: the weights and the gradient sum (P floats
 * each), the cost (a double), correct and rows (uint64 each), the sampled rows (uint32 each).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "math/kernel.h"
#include "workers/gradient.h"

static int s_write(FILE *out, const float *params, size_t n_params, const partial_t *sum,
                   const sampler_t *sampler, uint32_t step)
{
    uint32_t *rows = malloc(sampler->block_rows * sizeof(*rows));
    size_t bad = !rows;
    bad |= fwrite(params, sizeof(float), n_params, out) != n_params;
    bad |= fwrite(sum->gradient, sizeof(float), n_params, out) != n_params;
    bad |= fwrite(&sum->cost, sizeof(sum->cost), 1, out) != 1;
    bad |= fwrite(&sum->correct, sizeof(sum->correct), 1, out) != 1;
    bad |= fwrite(&sum->rows, sizeof(sum->rows), 1, out) != 1;
    for (uint32_t block = 0; rows && block < sampler_blocks(sampler); block++) {
        uint32_t n = sampler_rows(sampler, step, block, rows);
        bad |= fwrite(rows, sizeof(*rows), n, out) != n;
    }
    free(rows);
    return bad ? -1 : 0;
}

static int s_read(const char *path, float *params, size_t n_params)
{
    FILE *in = fopen(path, "rbe");
    size_t n = in ? fread(params, sizeof(float), n_params, in) : 0;
    if (in)
        (void)fclose(in);
    return n == n_params ? 0 : -1;
}

int main(int argc, char **argv)
{
    static _Atomic uint64_t epoch;
    err_t err;
    if (argc != 10)
        return 2;
    dataset_t *data = dataset_load(argv[1], argv[2], 0, &err);
    if (!data || kernel_open(argv[9], &err) != 0) {
        (void)fprintf(stderr, "dump_step: %s\n", err.text);
        return 1;
    }
    sampler_t sampler = {
        .seed = strtoull(argv[3], NULL, 10),
        .fraction = strtod(argv[4], NULL),
        .n_rows = (uint32_t)dataset_rows(data),
        .block_rows = (uint32_t)strtoul(argv[5], NULL, 10),
    };
    uint32_t step = (uint32_t)strtoul(argv[6], NULL, 10);
    model_t model = {
        .n_inputs = 784,
        .n_layers = 2,
        .layers = {{.units = 64, .activation = ACTIVATION_TANH},
                   {.units = 10, .activation = ACTIVATION_SIGMOID}},
    };
    size_t n_params = model_params(&model);
    float *params = malloc(n_params * sizeof(float));
    if (!params)
        return 1;
    if (strcmp(argv[7], "-") == 0)
        model_init(&model, MODEL_INIT_UNIFORM, sampler.seed, params);
    else if (s_read(argv[7], params, n_params) != 0) {
        free(params);
        return 1;
    }
    pool_t *buffers = pool_new(n_params * sizeof(float));
    blocks_t *blocks = blocks_new(&sampler, model.n_inputs, SIZE_MAX);
    gradient_t *gradient = gradient_new(&model, &sampler, kernel_of(argv[9]), buffers, blocks);
    node_t root = {node_root_level(sampler_blocks(&sampler)), 0};
    partial_t sum;
    FILE *out = fopen(argv[8], "wbe");
    int status = out && gradient_node(gradient, params, dataset_images(data), dataset_labels(data),
                                      step, root, &epoch, 0, &sum)
                     ? 0
                     : 1;
    if (status == 0) {
        status = s_write(out, params, n_params, &sum, &sampler, step) != 0;
        partial_release(&sum);
    }
    if (out && fclose(out) != 0)
        status = 1;
    gradient_destroy(&gradient);
    blocks_destroy(&blocks);
    pool_destroy(&buffers);
    dataset_destroy(&data);
    free(params);
    return status;
}
