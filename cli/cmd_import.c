/* drover import: weights of another program as a model of drover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/settings.h"
#include "cli/commands.h"
#include "cli/run_data.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/weights.h"

/* How many inputs the first layer's weights have, if it is a dense one. */
static int s_inputs(const safetensors_t *file, const char *path, size_t *n_inputs, err_t *err)
{
    size_t n_dims;
    const size_t *shape;
    if (!safetensors_tensor(file, "layer1.weight", &n_dims, &shape))
        return err_set(err,
                       "%s: no tensor 'layer1.weight', but '%.60s'; expected names as in "
                       "docs/models.md",
                       path, safetensors_count(file) > 0 ? safetensors_name(file, 0) : "none");
    if (n_dims != 2 || shape[0] > UINT32_MAX)
        return err_set(err,
                       "%s: tensor 'layer1.weight' has %zu dimensions, expected the shape "
                       "(inputs, units)",
                       path, n_dims);
    *n_inputs = shape[0];
    return 0;
}

/* The network of the settings over n_inputs; 0: over as many as the weights say. */
static int s_network(const settings_t *settings, size_t n_inputs, const safetensors_t *file,
                     const char *path, model_t *model, err_t *err)
{
    const char *format = safetensors_meta(file, "format");
    if (format && strcmp(format, "drover") == 0)
        return err_set(err, "%s: a model of drover already, expected weights of another program",
                       path);
    if (n_inputs == 0 && settings->model.layers[0].units == 0)
        return err_set(err,
                       "%s: weights do not say how large the images are that a convolution or a "
                       "pool takes, expected --inputs",
                       path);
    if (n_inputs == 0 && s_inputs(file, path, &n_inputs, err) != 0)
        return -1;
    return run_data_network(settings, n_inputs, model, err) != 0 ? err_prefix(err, "%s", path) : 0;
}

static int s_import(const settings_t *settings, size_t n_inputs, const char *from, const char *to,
                    err_t *err)
{
    int r = -1;
    float *params = NULL;
    checkpoint_info_t info = {.step = 0};
    safetensors_t *file = weights_open(from, err);
    if (!file || s_network(settings, n_inputs, file, from, &info.model, err) != 0)
        goto out;
    params = malloc(model_params(&info.model) * sizeof(float));
    if (!params)
        err_set(err, "%s: out of memory", from);
    else if (weights_take(file, from, &info.model, params, info.init, err) == 0)
        r = checkpoint_write(to, &info, params, NULL, err);
out:
    free(params);
    safetensors_destroy(&file);
    return r;
}

int cmd_import(int argc, char **argv)
{
    const char *layers = NULL;
    int n_inputs = 0;
    const args_option_t options[] = {
        {.name = "layers",
         .metavar = "LIST",
         .help = "The network, as model.layers says it: '[{units: 64, activation: tanh}, {units: "
                 "10, activation: sigmoid}]' is the default; goes before CONFIG's",
         .text = &layers},
        {.name = "inputs",
         .metavar = "N",
         .help = "How many numbers an image has: 784 for 28 x 28, 3072 for 32 x 32 x 3; asked for "
                 "if the first layer is a convolution or a pool, else layer1.weight says it",
         .integer = &n_inputs,
         .min = 1,
         .max = 65536},
    };
    const args_command_t command = {
        .name = "import",
        .words = "WEIGHTS MODEL [CONFIG]",
        .summary = "Writes MODEL, a model file for all other commands, from WEIGHTS of another "
                   "program: NumPy's\n.npz or safetensors, with tensors layer1.weight (inputs, "
                   "units), layer1.bias (units) and so\non; see docs/models.md. The network, which "
                   "tensors do not tell, is that of CONFIG's\nmodel.layers or of --layers.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 2,
        .max_words = 3,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    settings_t settings;
    const conf_override_t override = {.option = "layers", .key = "model.layers", .text = layers};
    settings_init(&settings);
    status = STATUS_OK;
    if (settings_load(&settings, args.n_words > 2 ? args.words[2] : NULL, &override, layers ? 1 : 0,
                      &err) != 0)
        status = STATUS_USAGE;
    else if (s_import(&settings, (size_t)n_inputs, args.words[0], args.words[1], &err) != 0)
        status = STATUS_FAILURE;
    settings_clear(&settings);
    return command_end(&command, &args, status, &err);
}
