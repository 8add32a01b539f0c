/* See checkpoint.h. */
#include "parameter_server/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/safetensors.h"

#define FORMAT_VERSION "1"
#define N_KEPT         2

static void s_set_u64(safetensors_t *file, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    safetensors_set_meta(file, key, text);
}

/* Hexadecimal floats read back to the same bits. */
static void s_set_double(safetensors_t *file, const char *key, double value)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%a", value);
    safetensors_set_meta(file, key, text);
}

static void s_set_driver(safetensors_t *file, const bold_driver_t *driver)
{
    s_set_double(file, "bold_driver.up", driver->up);
    s_set_double(file, "bold_driver.down", driver->down);
    s_set_double(file, "bold_driver.rate", driver->rate);
    s_set_double(file, "bold_driver.safe_rate", driver->safe_rate);
    s_set_double(file, "bold_driver.cost", driver->cost);
    s_set_u64(file, "bold_driver.has_cost", driver->has_cost);
    s_set_u64(file, "bold_driver.rollback", driver->rollback);
}

static void s_layer_names(uint32_t l, char weight[32], char bias[32])
{
    (void)snprintf(weight, 32, "layer%u.weight", l + 1);
    (void)snprintf(bias, 32, "layer%u.bias", l + 1);
}

int checkpoint_write(const char *path, const checkpoint_info_t *info, const float *params,
                     const bold_driver_t *driver, err_t *err)
{
    const model_t *model = &info->model;
    safetensors_t *file = safetensors_new();
    safetensors_set_meta(file, "format", "drover");
    safetensors_set_meta(file, "format_version", FORMAT_VERSION);
    safetensors_set_meta(file, "data_digest", info->digest);
    safetensors_set_meta(file, "kernel", info->kernel);
    s_set_u64(file, "step", info->step);
    s_set_u64(file, "seed", info->seed);
    s_set_u64(file, "inputs", model->n_inputs);
    s_set_u64(file, "layers", model->n_layers);
    if (driver)
        s_set_driver(file, driver);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        char weight[32], bias[32], key[48];
        s_layer_names(l, weight, bias);
        (void)snprintf(key, sizeof(key), "layer%u.activation", l + 1);
        safetensors_set_meta(file, key, activation_name(model->layers[l].activation));
        const size_t shape[2] = {model_layer_inputs(model, l), model->layers[l].units};
        safetensors_add(file, weight, shape, 2, params + model_weight_offset(model, l));
        safetensors_add(file, bias, shape + 1, 1, params + model_bias_offset(model, l));
    }
    int r = safetensors_write(file, path, err);
    safetensors_destroy(&file);
    return r;
}

static int s_newest_first(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*b)->d_name, (*a)->d_name); /* numbers are padded with zeros */
}

static int s_is_ours(const struct dirent *entry)
{
    if (strncmp(entry->d_name, "step-", 5) != 0)
        return 0;
    const char *digits = entry->d_name + 5;
    size_t n_digits = strspn(digits, "0123456789");
    return n_digits > 0 && strcmp(digits + n_digits, ".safetensors") == 0;
}

static void s_remove_old(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, s_is_ours, s_newest_first);
    for (int i = 0; i < n; i++) {
        if (i >= N_KEPT) {
            char *path = file_join(folder, entries[i]->d_name);
            (void)unlink(path);
            free(path);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int checkpoint_write_numbered(const char *folder, const checkpoint_info_t *info,
                              const float *params, const bold_driver_t *driver, err_t *err)
{
    if (file_make_folder(folder, err) != 0)
        return -1;
    char name[48];
    (void)snprintf(name, sizeof(name), "step-%010u.safetensors", info->step);
    char *path = file_join(folder, name);
    int r = checkpoint_write(path, info, params, driver, err);
    free(path);
    if (r == 0)
        s_remove_old(folder);
    return r;
}

/* A whole number of the metadata, at most max. */
static int s_get_u64(const safetensors_t *file, const char *path, const char *key, uint64_t max,
                     uint64_t *value, err_t *err)
{
    const char *text = safetensors_meta(file, key);
    if (!text)
        return err_set(err, "%s: no '%s' in the metadata, expected a model of drover", path, key);
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || number > max)
        return err_set(err, "%s: metadata '%s' is '%.40s', expected a number up to %" PRIu64, path,
                       key, text, max);
    *value = number;
    return 0;
}

static int s_get_text(const safetensors_t *file, const char *path, const char *key, char *text,
                      size_t size, err_t *err)
{
    const char *value = safetensors_meta(file, key);
    if (!value || strlen(value) >= size)
        return err_set(err, "%s: metadata '%s' is %s, expected a model of drover", path, key,
                       value ? "too long" : "missing");
    memcpy(text, value, strlen(value) + 1);
    return 0;
}

static int s_read_info(const safetensors_t *file, const char *path, checkpoint_info_t *info,
                       err_t *err)
{
    uint64_t step, inputs, layers;
    memset(info, 0, sizeof(*info));
    if (s_get_u64(file, path, "inputs", UINT32_MAX, &inputs, err) != 0 ||
        s_get_u64(file, path, "layers", MODEL_MAX_LAYERS, &layers, err) != 0 ||
        s_get_u64(file, path, "step", UINT32_MAX, &step, err) != 0 ||
        s_get_u64(file, path, "seed", UINT64_MAX, &info->seed, err) != 0 ||
        s_get_text(file, path, "data_digest", info->digest, sizeof(info->digest), err) != 0 ||
        s_get_text(file, path, "kernel", info->kernel, sizeof(info->kernel), err) != 0)
        return -1;
    info->step = (uint32_t)step;
    info->model.n_inputs = (uint32_t)inputs;
    info->model.n_layers = (uint32_t)layers;
    for (uint32_t l = 0; l < info->model.n_layers; l++) {
        char weight[32], bias[32], key[48], word[16];
        s_layer_names(l, weight, bias);
        (void)snprintf(key, sizeof(key), "layer%u.activation", l + 1);
        if (s_get_text(file, path, key, word, sizeof(word), err) != 0)
            return -1;
        if (activation_parse(word, &info->model.layers[l].activation) != 0)
            return err_set(err, "%s: metadata '%s' is '%s', expected an activation", path, key,
                           word);
        size_t n_dims;
        const size_t *shape;
        if (!safetensors_tensor(file, bias, &n_dims, &shape) || n_dims != 1 ||
            shape[0] > UINT32_MAX)
            return err_set(err, "%s: no vector '%s', expected a model of drover", path, bias);
        info->model.layers[l].units = (uint32_t)shape[0];
    }
    if (model_check(&info->model, err) != 0)
        return err_prefix(err, "%s", path);
    return 0;
}

static int s_read_params(const safetensors_t *file, const char *path, const model_t *model,
                         float *params, err_t *err)
{
    for (uint32_t l = 0; l < model->n_layers; l++) {
        char weight[32], bias[32];
        s_layer_names(l, weight, bias);
        size_t inputs = model_layer_inputs(model, l);
        size_t units = model->layers[l].units;
        size_t n_dims;
        const size_t *shape;
        const float *data = safetensors_tensor(file, weight, &n_dims, &shape);
        if (!data || n_dims != 2 || shape[0] != inputs || shape[1] != units)
            return err_set(err, "%s: tensor '%s' missing or of another shape, expected (%zu, %zu)",
                           path, weight, inputs, units);
        memcpy(params + model_weight_offset(model, l), data, inputs * units * sizeof(float));
        data = safetensors_tensor(file, bias, NULL, NULL);
        memcpy(params + model_bias_offset(model, l), data, units * sizeof(float));
    }
    return 0;
}

int checkpoint_read(const char *path, checkpoint_info_t *info, float **params, err_t *err)
{
    int r = -1;
    float *values = NULL;
    safetensors_t *file = safetensors_read(path, err);
    if (!file)
        return -1;
    if (s_read_info(file, path, info, err) != 0)
        goto out;
    values = malloc(model_params(&info->model) * sizeof(float));
    if (!values) {
        err_set(err, "%s: out of memory", path);
        goto out;
    }
    if (s_read_params(file, path, &info->model, values, err) != 0)
        goto out;
    *params = values;
    values = NULL;
    r = 0;
out:
    free(values);
    safetensors_destroy(&file);
    return r;
}
