/* See model_file.h. */
#include "parameter_server/model_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE  48
#define SHAPE_SIZE 128

/* "layer3.weight" for the layer with index 2. */
static void s_name(uint32_t l, const char *what, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "layer%u.%s", l + 1, what);
}

static void s_set(safetensors_t *file, uint32_t l, const char *what, const char *value)
{
    char key[NAME_SIZE];
    s_name(l, what, key);
    safetensors_set_meta(file, key, value);
}

static void s_set_number(safetensors_t *file, const char *key, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    safetensors_set_meta(file, key, text);
}

int model_file_number(const safetensors_t *file, const char *path, const char *key, uint64_t max,
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

const char *model_file_shape(const size_t *shape, size_t n_dims, char *text, size_t size)
{
    int used = snprintf(text, size, "(");
    for (size_t i = 0; i < n_dims && (size_t)used < size; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%zu", i > 0 ? ", " : "", shape[i]);
    if ((size_t)used < size)
        (void)snprintf(text + used, size - (size_t)used, ")");
    return text;
}

/* A tensor of that name and shape, borrowed; NULL with *err. */
static const float *s_tensor(const safetensors_t *file, const char *path, const char *name,
                             const size_t *shape, size_t n_dims, err_t *err)
{
    char seen[SHAPE_SIZE], expected[SHAPE_SIZE];
    size_t n_found;
    const size_t *found;
    const float *data = safetensors_tensor(file, name, &n_found, &found);
    model_file_shape(shape, n_dims, expected, sizeof(expected));
    if (!data) {
        err_set(err, "%s: no tensor '%s', expected one of shape %s", path, name, expected);
        return NULL;
    }
    if (n_found != n_dims || memcmp(found, shape, n_dims * sizeof(*shape)) != 0) {
        err_set(err, "%s: tensor '%s' has the shape %s, expected %s", path, name,
                model_file_shape(found, n_found, seen, sizeof(seen)), expected);
        return NULL;
    }
    return data;
}

/* Dense: units, activation; weight (inputs, units), bias (units). */
static void s_add_dense(safetensors_t *file, const model_t *model, uint32_t l, const float *params)
{
    char name[NAME_SIZE];
    const model_layer_t *layer = &model->layers[l];
    const size_t shape[2] = {model_layer_inputs(model, l), layer->units};
    s_name(l, "units", name);
    s_set_number(file, name, layer->units);
    s_set(file, l, "activation", activation_name(layer->activation));
    s_name(l, "weight", name);
    safetensors_add(file, name, shape, 2, params + model_weight_offset(model, l));
    s_name(l, "bias", name);
    safetensors_add(file, name, shape + 1, 1, params + model_bias_offset(model, l));
}

static int s_read_dense(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                        err_t *err)
{
    char key[NAME_SIZE], bias[NAME_SIZE];
    uint64_t units;
    size_t n_dims;
    const size_t *shape;
    s_name(l, "activation", key);
    const char *word = safetensors_meta(file, key);
    if (!word || activation_parse(word, &model->layers[l].activation) != 0)
        return err_set(err, "%s: metadata '%s' is '%.40s', expected an activation", path, key,
                       word ? word : "");
    s_name(l, "units", key);
    s_name(l, "bias", bias);
    if (safetensors_meta(file, key)) {
        if (model_file_number(file, path, key, UINT32_MAX, &units, err) != 0)
            return -1;
    } else if (safetensors_tensor(file, bias, &n_dims, &shape) && n_dims == 1 &&
               shape[0] <= UINT32_MAX) {
        units = shape[0]; /* files of before there were kinds do not say it */
    } else {
        return err_set(err, "%s: no vector '%s', expected a model of drover", path, bias);
    }
    model->layers[l].units = (uint32_t)units;
    return 0;
}

static int s_dense_params(const safetensors_t *file, const char *path, const model_t *model,
                          uint32_t l, float *params, err_t *err)
{
    char weight[NAME_SIZE], bias[NAME_SIZE];
    const size_t shape[2] = {model_layer_inputs(model, l), model->layers[l].units};
    s_name(l, "weight", weight);
    s_name(l, "bias", bias);
    const float *W = s_tensor(file, path, weight, shape, 2, err);
    const float *b = W ? s_tensor(file, path, bias, shape + 1, 1, err) : NULL;
    if (!b)
        return -1;
    if (!params)
        return 0;
    memcpy(params + model_weight_offset(model, l), W, shape[0] * shape[1] * sizeof(float));
    memcpy(params + model_bias_offset(model, l), b, shape[1] * sizeof(float));
    return 0;
}

/* A kind of layer as it stands in a file. */
typedef struct {
    const char *name;
    void (*add)(safetensors_t *file, const model_t *model, uint32_t l, const float *params);
    int (*read)(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                err_t *err);
    int (*params)(const safetensors_t *file, const char *path, const model_t *model, uint32_t l,
                  float *params, err_t *err);
} kind_t;

static const kind_t s_kinds[] = {
    {"dense", s_add_dense, s_read_dense, s_dense_params},
};

#define N_KINDS (sizeof(s_kinds) / sizeof(s_kinds[0]))

/* The kind of a layer; the trainer has one so far. */
static const kind_t *s_kind(const model_t *model, uint32_t l)
{
    (void)model;
    (void)l;
    return &s_kinds[0];
}

/* The kind that the metadata name; NULL with *err. */
static const kind_t *s_find_kind(const safetensors_t *file, const char *path, uint32_t l,
                                 err_t *err)
{
    char key[NAME_SIZE];
    s_name(l, "kind", key);
    const char *word = safetensors_meta(file, key);
    if (!word)
        return &s_kinds[0]; /* as above */
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(word, s_kinds[i].name) == 0)
            return &s_kinds[i];
    err_set(err, "%s: metadata '%s' is '%.40s', which this drover does not know; expected '%s'",
            path, key, word, s_kinds[0].name);
    return NULL;
}

void model_file_add(safetensors_t *file, const model_t *model, const float *params)
{
    s_set_number(file, "inputs", model->n_inputs);
    s_set_number(file, "layers", model->n_layers);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        const kind_t *kind = s_kind(model, l);
        s_set(file, l, "kind", kind->name);
        kind->add(file, model, l, params);
    }
}

int model_file_model(const safetensors_t *file, const char *path, model_t *model, err_t *err)
{
    uint64_t inputs, layers;
    memset(model, 0, sizeof(*model));
    if (model_file_number(file, path, "inputs", UINT32_MAX, &inputs, err) != 0 ||
        model_file_number(file, path, "layers", MODEL_MAX_LAYERS, &layers, err) != 0)
        return -1;
    model->n_inputs = (uint32_t)inputs;
    model->n_layers = (uint32_t)layers;
    for (uint32_t l = 0; l < model->n_layers; l++) {
        const kind_t *kind = s_find_kind(file, path, l, err);
        if (!kind || kind->read(file, path, model, l, err) != 0)
            return -1;
    }
    if (model_check(model, err) != 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int model_file_params(const safetensors_t *file, const char *path, const model_t *model,
                      float *params, err_t *err)
{
    for (uint32_t l = 0; l < model->n_layers; l++)
        if (s_kind(model, l)->params(file, path, model, l, params, err) != 0)
            return -1;
    return 0;
}
