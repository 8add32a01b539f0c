/* See model_file.h. */
#include "parameter_server/model_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "parameter_server/field.h"

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

static void s_set_layer_number(safetensors_t *file, uint32_t l, const char *what, uint64_t value)
{
    char key[NAME_SIZE];
    s_name(l, what, key);
    field_set_number(file, key, value);
}

static void s_set_real(safetensors_t *file, const char *key, double value)
{
    char text[32];
    text_python_repr(value, text);
    safetensors_set_meta(file, key, text);
}

/* The shape of a layer's W; its last dimension is that of b. Returns how many dimensions. */
static size_t s_weight_shape(const model_t *model, uint32_t l, size_t shape[4])
{
    const model_layer_t *layer = &model->layers[l];
    if (layer->kind == LAYER_DENSE) {
        shape[0] = model_layer_inputs(model, l);
        shape[1] = layer->units;
        return 2;
    }
    shape[0] = shape[1] = layer->size;
    shape[2] = model_shape(model, l).channels;
    shape[3] = layer->units;
    return 4;
}

/* Of layers with weights: units, activation, dropout if there is; weight, bias. */
static void s_add_weights(safetensors_t *file, const model_t *model, uint32_t l,
                          const float *params)
{
    char name[NAME_SIZE];
    size_t shape[4], n_dims = s_weight_shape(model, l, shape);
    const model_layer_t *layer = &model->layers[l];
    s_set_layer_number(file, l, "units", layer->units);
    s_set(file, l, "activation", activation_name(layer->activation));
    s_name(l, "dropout", name);
    if (layer->dropout > 0)
        s_set_real(file, name, layer->dropout);
    s_name(l, "weight", name);
    safetensors_add(file, name, shape, n_dims, params + model_weight_offset(model, l));
    s_name(l, "bias", name);
    safetensors_add(file, name, shape + n_dims - 1, 1, params + model_bias_offset(model, l));
}

/* Of layers with a window: size, stride, padding. */
static void s_add_window(safetensors_t *file, const model_t *model, uint32_t l)
{
    s_set_layer_number(file, l, "size", model->layers[l].size);
    s_set_layer_number(file, l, "stride", model->layers[l].stride);
    s_set_layer_number(file, l, "padding", model->layers[l].padding);
}

static void s_add_conv(safetensors_t *file, const model_t *model, uint32_t l, const float *params)
{
    s_add_window(file, model, l);
    s_add_weights(file, model, l, params);
}

static void s_add_pool(safetensors_t *file, const model_t *model, uint32_t l, const float *params)
{
    (void)params;
    s_add_window(file, model, l);
}

static int s_read_weights(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                          err_t *err)
{
    char key[NAME_SIZE], bias[NAME_SIZE];
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
        if (field_u32(file, path, key, &model->layers[l].units, err) != 0)
            return -1;
    } else if (safetensors_tensor(file, bias, &n_dims, &shape) && n_dims == 1 &&
               shape[0] <= UINT32_MAX) {
        model->layers[l].units =
            (uint32_t)shape[0]; /* files of before there were kinds do not say it */
    } else {
        return err_set(err, "%s: no vector '%s', expected a model of drover", path, bias);
    }
    s_name(l, "dropout", key);
    return safetensors_meta(file, key) ? field_real(file, path, key, &model->layers[l].dropout, err)
                                       : 0;
}

static int s_read_window(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                         err_t *err)
{
    static const char *const names[3] = {"size", "stride", "padding"};
    uint32_t *const values[3] = {&model->layers[l].size, &model->layers[l].stride,
                                 &model->layers[l].padding};
    for (int i = 0; i < 3; i++) {
        char key[NAME_SIZE];
        s_name(l, names[i], key);
        if (field_u32(file, path, key, values[i], err) != 0)
            return -1;
    }
    return 0;
}

static int s_read_conv(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                       err_t *err)
{
    return s_read_window(file, path, model, l, err) != 0 ||
                   s_read_weights(file, path, model, l, err) != 0
               ? -1
               : 0;
}

static int s_weights(const safetensors_t *file, const char *path, const model_t *model, uint32_t l,
                     float *params, err_t *err)
{
    char weight[NAME_SIZE], bias[NAME_SIZE];
    size_t shape[4], n_dims = s_weight_shape(model, l, shape);
    s_name(l, "weight", weight);
    s_name(l, "bias", bias);
    const float *W = s_tensor(file, path, weight, shape, n_dims, err);
    const float *b = W ? s_tensor(file, path, bias, shape + n_dims - 1, 1, err) : NULL;
    if (!b)
        return -1;
    if (!params)
        return 0;
    size_t units = shape[n_dims - 1];
    memcpy(params + model_weight_offset(model, l), W,
           model_fan_in(model, l) * units * sizeof(float));
    memcpy(params + model_bias_offset(model, l), b, units * sizeof(float));
    return 0;
}

/* A kind of layer as it stands in a file. */
typedef struct {
    void (*add)(safetensors_t *file, const model_t *model, uint32_t l, const float *params);
    int (*read)(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                err_t *err);
    /* NULL: none */
    int (*params)(const safetensors_t *file, const char *path, const model_t *model, uint32_t l,
                  float *params, err_t *err);
} kind_t;

static const kind_t s_kinds[LAYER_KIND_COUNT] = {
    [LAYER_DENSE] = {s_add_weights, s_read_weights, s_weights},
    [LAYER_CONV] = {s_add_conv, s_read_conv, s_weights},
    [LAYER_MAX_POOL] = {s_add_pool, s_read_window, NULL},
};

static const kind_t *s_kind(const model_t *model, uint32_t l)
{
    return &s_kinds[model->layers[l].kind];
}

/* A layer as the metadata name it. */
static int s_read_layer(const safetensors_t *file, const char *path, model_t *model, uint32_t l,
                        err_t *err)
{
    char key[NAME_SIZE];
    s_name(l, "kind", key);
    const char *word = safetensors_meta(file, key); /* none: dense, as above */
    if (word && model_kind_parse(word, &model->layers[l].kind) != 0)
        return err_set(err,
                       "%s: metadata '%s' is '%.40s', which this drover does not know; expected "
                       "dense, conv or max_pool",
                       path, key, word);
    return s_kind(model, l)->read(file, path, model, l, err);
}

/* The loss and the weights of classes: sse and none in files that do not say. */
static void s_add_loss(safetensors_t *file, const model_t *model)
{
    safetensors_set_meta(file, "loss", loss_name(model->loss));
    for (uint32_t c = 0; model->weighted && c < model_classes(model); c++) {
        char key[NAME_SIZE];
        (void)snprintf(key, sizeof(key), "class%u.weight", c);
        s_set_real(file, key, (double)model->class_weights[c]);
    }
}

static int s_read_loss(const safetensors_t *file, const char *path, model_t *model, err_t *err)
{
    const char *word = safetensors_meta(file, "loss");
    if (word && loss_parse(word, &model->loss) != 0)
        return err_set(err, "%s: metadata 'loss' is '%.40s', expected sse or cross_entropy", path,
                       word);
    model->weighted = safetensors_meta(file, "class0.weight") != NULL;
    for (uint32_t c = 0; model->weighted && c < model_classes(model) && c < MODEL_MAX_CLASSES;
         c++) {
        char key[NAME_SIZE];
        double weight;
        (void)snprintf(key, sizeof(key), "class%u.weight", c);
        if (field_real(file, path, key, &weight, err) != 0)
            return -1;
        model->class_weights[c] = (float)weight;
    }
    return 0;
}

char *model_file_path(const char *path)
{
    char *file = file_is_folder(path) ? file_join(path, MODEL_FILE_NAME) : strdup(path);
    if (!file)
        abort();
    return file;
}

void model_file_add(safetensors_t *file, const model_t *model, const float *params)
{
    field_set_number(file, "inputs", model->n_inputs);
    field_set_number(file, "layers", model->n_layers);
    for (uint32_t l = 0; l < model->n_layers; l++) {
        s_set(file, l, "kind", model_kind_name(model->layers[l].kind));
        s_kind(model, l)->add(file, model, l, params);
    }
    s_add_loss(file, model);
}

int model_file_model(const safetensors_t *file, const char *path, model_t *model, err_t *err)
{
    uint64_t layers;
    memset(model, 0, sizeof(*model));
    if (field_u32(file, path, "inputs", &model->n_inputs, err) != 0 ||
        field_number(file, path, "layers", MODEL_MAX_LAYERS, &layers, err) != 0)
        return -1;
    model->n_layers = (uint32_t)layers;
    for (uint32_t l = 0; l < model->n_layers; l++)
        if (s_read_layer(file, path, model, l, err) != 0)
            return -1;
    if (model->n_layers > 0 && s_read_loss(file, path, model, err) != 0)
        return -1;
    if (model_check(model, err) != 0)
        return err_prefix(err, "%s", path);
    return 0;
}

int model_file_params(const safetensors_t *file, const char *path, const model_t *model,
                      float *params, err_t *err)
{
    for (uint32_t l = 0; l < model->n_layers; l++)
        if (s_kind(model, l)->params &&
            s_kind(model, l)->params(file, path, model, l, params, err) != 0)
            return -1;
    return 0;
}
