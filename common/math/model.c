/* See model.h. */
#include "math/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "math/rng.h"

#define MAX_UNITS   65536u
#define MAX_WINDOW  255u
#define MAX_OUTPUTS ((size_t)1 << 24)

static const char *const s_kinds[LAYER_KIND_COUNT] = {
    [LAYER_DENSE] = "dense",
    [LAYER_CONV] = "conv",
    [LAYER_MAX_POOL] = "max_pool",
};

const char *model_kind_name(layer_kind_t kind)
{
    return s_kinds[kind];
}

int model_kind_parse(const char *name, layer_kind_t *kind)
{
    for (int i = 0; i < LAYER_KIND_COUNT; i++) {
        if (strcmp(name, s_kinds[i]) == 0) {
            *kind = (layer_kind_t)i;
            return 0;
        }
    }
    return -1;
}

static uint32_t s_root(uint32_t n)
{
    uint32_t root = 0;
    while ((root + 1) * (root + 1) <= n)
        root++;
    return root;
}

static model_shape_t s_input_shape(uint32_t n)
{
    uint32_t side = s_root(n), side3 = s_root(n / 3);
    if (side * side == n)
        return (model_shape_t){side, side, 1};
    if (side3 * side3 * 3 == n)
        return (model_shape_t){side3, side3, 3};
    return (model_shape_t){1, 1, n};
}

/* How many windows lie side by side in `side` and its padding; 0: it is too small for one. */
static uint32_t s_windows(const model_layer_t *layer, uint32_t side)
{
    uint32_t padded = side + 2 * layer->padding;
    return padded < layer->size ? 0 : (padded - layer->size) / layer->stride + 1;
}

static model_shape_t s_output_shape(const model_layer_t *layer, model_shape_t in)
{
    if (layer->kind == LAYER_DENSE)
        return (model_shape_t){1, 1, layer->units};
    return (model_shape_t){
        s_windows(layer, in.height),
        s_windows(layer, in.width),
        layer->kind == LAYER_CONV ? layer->units : in.channels,
    };
}

model_shape_t model_shape(const model_t *self, uint32_t l)
{
    model_shape_t shape = s_input_shape(self->n_inputs);
    for (uint32_t i = 0; i < l; i++)
        shape = s_output_shape(&self->layers[i], shape);
    return shape;
}

static size_t s_elements(model_shape_t shape)
{
    return (size_t)shape.height * shape.width * shape.channels;
}

size_t model_layer_inputs(const model_t *self, uint32_t l)
{
    return s_elements(model_shape(self, l));
}

size_t model_layer_outputs(const model_t *self, uint32_t l)
{
    return s_elements(model_shape(self, l + 1));
}

static size_t s_fan_in(const model_layer_t *layer, model_shape_t in)
{
    switch (layer->kind) {
    case LAYER_DENSE:
        return s_elements(in);
    case LAYER_CONV:
        return (size_t)layer->size * layer->size * in.channels;
    case LAYER_MAX_POOL:
        break;
    }
    return 0;
}

size_t model_fan_in(const model_t *self, uint32_t l)
{
    return s_fan_in(&self->layers[l], model_shape(self, l));
}

static size_t s_layer_params(const model_layer_t *layer, model_shape_t in)
{
    return layer->kind == LAYER_MAX_POOL ? 0 : (s_fan_in(layer, in) + 1) * layer->units;
}

size_t model_weight_offset(const model_t *self, uint32_t l)
{
    model_shape_t shape = s_input_shape(self->n_inputs);
    size_t offset = 0;
    for (uint32_t i = 0; i < l; i++) {
        offset += s_layer_params(&self->layers[i], shape);
        shape = s_output_shape(&self->layers[i], shape);
    }
    return offset;
}

size_t model_bias_offset(const model_t *self, uint32_t l)
{
    return model_weight_offset(self, l) + model_fan_in(self, l) * self->layers[l].units;
}

size_t model_params(const model_t *self)
{
    return model_weight_offset(self, self->n_layers);
}

uint32_t model_classes(const model_t *self)
{
    return self->layers[self->n_layers - 1].units;
}

/* A window over the images `in`, of which layer l makes others. */
static int s_check_window(const model_layer_t *layer, uint32_t l, model_shape_t in, err_t *err)
{
    const char *what = layer->kind == LAYER_CONV ? "convolution" : "pool";
    if (layer->size < 1 || layer->size > MAX_WINDOW || layer->stride < 1 ||
        layer->stride > MAX_WINDOW)
        return err_set(err, "layer %u: %s of size %u and stride %u, expected 1 to %u", l + 1, what,
                       layer->size, layer->stride, MAX_WINDOW);
    if (layer->padding >= layer->size || (layer->kind == LAYER_MAX_POOL && layer->padding > 0))
        return err_set(err, "layer %u: %s of size %u with padding %u, expected %s", l + 1, what,
                       layer->size, layer->padding,
                       layer->kind == LAYER_CONV ? "less than its size" : "none");
    if (s_windows(layer, in.height) < 1 || s_windows(layer, in.width) < 1)
        return err_set(err, "layer %u: %s of size %u is larger than its input of %u x %u", l + 1,
                       what, layer->size, in.height, in.width);
    return 0;
}

static int s_check_layer(const model_layer_t *layer, uint32_t l, model_shape_t in, err_t *err)
{
    bool pool = layer->kind == LAYER_MAX_POOL;
    if ((uint32_t)layer->kind >= LAYER_KIND_COUNT)
        return err_set(err, "layer %u is of an unknown kind %d", l + 1, (int)layer->kind);
    if (pool ? layer->units != 0 : layer->units < 1 || layer->units > MAX_UNITS)
        return err_set(err, "layer %u of %u units, expected %s", l + 1, layer->units,
                       pool ? "none of a pool" : "1 to 65536");
    if ((uint32_t)layer->activation >= ACTIVATION_COUNT)
        return err_set(err, "layer %u has an unknown activation %d", l + 1, (int)layer->activation);
    if (!(layer->dropout >= 0 && layer->dropout < 1) || (pool && layer->dropout > 0))
        return err_set(err, "layer %u: dropout of %g, expected %s", l + 1, layer->dropout,
                       pool ? "none of a pool" : "at least 0 and below 1");
    if (layer->kind != LAYER_DENSE && s_check_window(layer, l, in, err) != 0)
        return -1;
    if (s_elements(s_output_shape(layer, in)) > MAX_OUTPUTS)
        return err_set(err, "layer %u has %zu outputs, expected at most %zu", l + 1,
                       s_elements(s_output_shape(layer, in)), MAX_OUTPUTS);
    return 0;
}

/* What is asked of the last layer and the loss. */
static int s_check_end(const model_t *self, err_t *err)
{
    const model_layer_t *last = &self->layers[self->n_layers - 1];
    if (last->kind != LAYER_DENSE)
        return err_set(err, "the last layer is a %s, expected a dense one with a unit a class",
                       model_kind_name(last->kind));
    if (last->units > MODEL_MAX_CLASSES)
        return err_set(err, "network of %u classes, expected at most %d (labels are bytes)",
                       last->units, MODEL_MAX_CLASSES);
    if (last->dropout > 0)
        return err_set(err, "dropout in the last layer, expected none");
    if ((uint32_t)self->loss >= LOSS_COUNT)
        return err_set(err, "unknown loss %d", (int)self->loss);
    if (self->loss == LOSS_CROSS_ENTROPY && last->activation != ACTIVATION_SOFTMAX)
        return err_set(err, "loss cross_entropy behind %s, expected softmax in the last layer",
                       activation_name(last->activation));
    for (uint32_t c = 0; self->weighted && c < last->units; c++)
        if (!(self->class_weights[c] > 0 && self->class_weights[c] <= 1e6F))
            return err_set(err, "class %u has the weight %g, expected above 0, at most 1000000", c,
                           (double)self->class_weights[c]);
    return 0;
}

int model_check(const model_t *self, err_t *err)
{
    if (self->n_layers < 1 || self->n_layers > MODEL_MAX_LAYERS)
        return err_set(err, "network of %u layers, expected 1 to %d", self->n_layers,
                       MODEL_MAX_LAYERS);
    if (self->n_inputs < 1 || self->n_inputs > MAX_UNITS)
        return err_set(err, "network of %u inputs, expected 1 to %u", self->n_inputs, MAX_UNITS);
    size_t params = 0;
    model_shape_t shape = s_input_shape(self->n_inputs);
    for (uint32_t l = 0; l < self->n_layers; l++) {
        if (s_check_layer(&self->layers[l], l, shape, err) != 0)
            return -1;
        params += s_layer_params(&self->layers[l], shape);
        shape = s_output_shape(&self->layers[l], shape);
    }
    if (params > MODEL_MAX_PARAMS)
        return err_set(err, "network of %zu parameters, expected at most %zu", params,
                       MODEL_MAX_PARAMS);
    return s_check_end(self, err);
}

static bool s_same_layer(const model_layer_t *a, const model_layer_t *b)
{
    return a->kind == b->kind && a->units == b->units && a->size == b->size &&
           a->stride == b->stride && a->padding == b->padding && a->activation == b->activation &&
           a->dropout == b->dropout;
}

bool model_same(const model_t *a, const model_t *b)
{
    bool same = a->n_inputs == b->n_inputs && a->n_layers == b->n_layers && a->loss == b->loss &&
                a->weighted == b->weighted;
    for (uint32_t l = 0; same && l < a->n_layers; l++)
        same = s_same_layer(&a->layers[l], &b->layers[l]);
    for (uint32_t c = 0; same && a->weighted && c < model_classes(a); c++)
        same = a->class_weights[c] == b->class_weights[c];
    return same;
}

static int s_describe_layer(const model_layer_t *layer, char *text, size_t size)
{
    switch (layer->kind) {
    case LAYER_DENSE:
        return snprintf(text, size, "-%u %s", layer->units, activation_name(layer->activation));
    case LAYER_CONV:
        return snprintf(text, size, "-conv %ux%ux%u %s", layer->size, layer->size, layer->units,
                        activation_name(layer->activation));
    case LAYER_MAX_POOL:
        return snprintf(text, size, "-pool %u", layer->size);
    }
    return -1;
}

void model_describe(const model_t *self, char *text, size_t size)
{
    int used = snprintf(text, size, "%u", self->n_inputs);
    for (uint32_t l = 0; l < self->n_layers && used > 0 && (size_t)used < size; l++)
        used += s_describe_layer(&self->layers[l], text + used, size - (size_t)used);
}

/* params[first, end) uniform in [-range, range). */
static void s_uniform(uint64_t seed, size_t first, size_t end, float range, float *params)
{
    uint32_t bits[256];
    for (size_t i = first; i < end;) {
        size_t count = end - i < 256 ? end - i : 256;
        rng_fill(seed, RNG_INIT, 0, i, count, bits);
        for (size_t j = 0; j < count; j++)
            params[i++] = ((float)(bits[j] >> 8) * 0x1p-24f - 0.5f) * (2.0f * range);
    }
}

static double s_fan_out(const model_layer_t *layer)
{
    return layer->kind == LAYER_CONV ? (double)layer->size * layer->size * layer->units
                                     : (double)layer->units;
}

void model_init(const model_t *self, model_init_t init, uint64_t seed, float *params)
{
    size_t n = model_params(self);
    if (init == MODEL_INIT_UNIFORM) {
        s_uniform(seed, 0, n, 0.5f, params);
        return;
    }
    memset(params, 0, n * sizeof(float));
    for (uint32_t l = 0; l < self->n_layers; l++) {
        double fan = (double)model_fan_in(self, l);
        if (init == MODEL_INIT_GLOROT)
            fan += s_fan_out(&self->layers[l]);
        if (self->layers[l].kind != LAYER_MAX_POOL)
            s_uniform(seed, model_weight_offset(self, l), model_bias_offset(self, l),
                      (float)sqrt(6.0 / fan), params);
    }
}
