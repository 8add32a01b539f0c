/* See run_data.h. */
#include "cli/run_data.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "math/split.h"

/* The four files: by role, else those in data.path. */
static int s_find_files(const settings_t *settings, data_files_t *files, err_t *err)
{
    char *const roles[4] = {settings->data.train_images, settings->data.train_labels,
                            settings->data.test_images, settings->data.test_labels};
    memset(files, 0, sizeof(*files));
    if (settings->data.path[0]) {
        if (data_files_find(settings->data.path, files, err) != 0)
            return -1;
    }
    char **found[4] = {&files->train_images, &files->train_labels, &files->test_images,
                       &files->test_labels};
    for (int i = 0; i < 4; i++) {
        if (!roles[i][0])
            continue;
        free(*found[i]);
        *found[i] = strdup(roles[i]);
    }
    return 0;
}

/* One of the two sets, which are loaded at the same time. */
typedef struct {
    const char *images;
    const char *labels;
    size_t most_rows;
    dataset_t *data;
    err_t err;
} load_t;

static void *s_load(void *load)
{
    load_t *self = load;
    self->data = dataset_load(self->images, self->labels, self->most_rows, &self->err);
    return NULL;
}

int run_data_load(const settings_t *settings, dataset_t **train, dataset_t **test, err_t *err)
{
    data_files_t files;
    pthread_t thread;
    if (s_find_files(settings, &files, err) != 0)
        return -1;
    load_t loads[2] = {
        {files.train_images, files.train_labels, (size_t)settings->data.train_rows, NULL, {{0}}},
        {files.test_images, files.test_labels, 0, NULL, {{0}}},
    };
    int n = test && files.test_images ? 2 : 1;
    if (n > 1 && pthread_create(&thread, NULL, s_load, &loads[1]) != 0)
        abort();
    (void)s_load(&loads[0]);
    if (n > 1) {
        pthread_join(thread, NULL);
        *test = loads[1].data;
    }
    *train = loads[0].data;
    data_files_clear(&files);
    for (int i = 0; i < n; i++)
        if (!loads[i].data)
            return err_set(err, "%s", loads[i].err.text);
    return 0;
}

int run_data_held(const settings_t *settings, const dataset_t *train, uint32_t *n_held, err_t *err)
{
    double part = settings->data.validation;
    size_t n_rows = dataset_rows(train);
    *n_held = 0;
    if (part == 0)
        return 0;
    if (n_rows > UINT32_MAX)
        return err_set(err, "the training data has %zu rows, expected fewer than 2^32", n_rows);
    *n_held = split_count(dataset_labels(train), (uint32_t)n_rows, part);
    if (*n_held == 0)
        return err_set(err,
                       "data.validation: %g of each class, rounded and never its last row, is none "
                       "of the %zu rows; expected a larger part, or more rows",
                       part, n_rows);
    return 0;
}

int run_data_split(const settings_t *settings, dataset_t *train, dataset_t **validation, err_t *err)
{
    uint32_t n_held;
    if (run_data_held(settings, train, &n_held, err) != 0)
        return -1;
    if (n_held == 0)
        return 0;
    uint32_t n_rows = (uint32_t)dataset_rows(train);
    uint8_t *held = malloc(n_rows);
    if (!held)
        abort();
    (void)split_rows(dataset_labels(train), n_rows, settings->training.seed,
                     settings->data.validation, held);
    *validation = dataset_cut(train, held);
    free(held);
    return 0;
}

int run_data_check(const model_t *model, const dataset_t *data, const char *which, err_t *err)
{
    if (dataset_rows(data) > UINT32_MAX)
        return err_set(err, "the %s data has %zu rows, expected fewer than 2^32", which,
                       dataset_rows(data));
    if (dataset_inputs(data) != model->n_inputs)
        return err_set(err, "the %s data has %zu bytes a row, the training data %u", which,
                       dataset_inputs(data), model->n_inputs);
    if (dataset_classes(data) > model_classes(model))
        return err_set(err,
                       "the %s data has label %zu, expected labels below %u, the units of the last "
                       "layer (model.layers)",
                       which, dataset_classes(data) - 1, model_classes(model));
    return 0;
}

_Static_assert((int)SETTINGS_SOFTMAX == (int)ACTIVATION_SOFTMAX + 1, "the same order");
_Static_assert((int)SETTINGS_CROSS_ENTROPY == (int)LOSS_CROSS_ENTROPY, "the same order");

/* A layer by what it has above 0. Returns 0, or -1 with *err when that is not one thing. */
static int s_layer(const settings_layer_t *layer, uint32_t l, model_layer_t *out, err_t *err)
{
    int kinds = (layer->units > 0) + (layer->conv.filters > 0) + (layer->max_pool.size > 0);
    if (kinds != 1)
        return err_set(err,
                       "layer %u has %s of units, conv.filters and max_pool.size; expected one "
                       "above 0",
                       l + 1, kinds == 0 ? "none" : "more than one");
    if ((layer->max_pool.size > 0) != (layer->activation == SETTINGS_NO_ACTIVATION))
        return err_set(err,
                       layer->max_pool.size > 0
                           ? "layer %u is a pool with an activation, expected none"
                           : "layer %u has no activation, expected one, such as tanh or relu",
                       l + 1);
    *out = (model_layer_t){.dropout = layer->dropout};
    if (layer->max_pool.size == 0)
        out->activation = (activation_t)(layer->activation - SETTINGS_TANH);
    if (layer->units > 0) {
        out->units = (uint32_t)layer->units;
    } else if (layer->conv.filters > 0) {
        out->kind = LAYER_CONV;
        out->units = (uint32_t)layer->conv.filters;
        out->size = (uint32_t)layer->conv.size;
        out->stride = (uint32_t)layer->conv.stride;
        out->padding = (uint32_t)layer->conv.padding;
    } else {
        out->kind = LAYER_MAX_POOL;
        out->size = (uint32_t)layer->max_pool.size;
        out->stride =
            (uint32_t)(layer->max_pool.stride > 0 ? layer->max_pool.stride : layer->max_pool.size);
    }
    return 0;
}

int run_data_network(const settings_t *settings, size_t n_inputs, model_t *model, err_t *err)
{
    *model = (model_t){.n_inputs = (uint32_t)n_inputs,
                       .n_layers = (uint32_t)settings->model.n_layers,
                       .loss = (loss_t)settings->model.loss};
    for (uint32_t l = 0; l < model->n_layers; l++)
        if (s_layer(&settings->model.layers[l], l, &model->layers[l], err) != 0)
            return err_prefix(err, "model.layers");
    if (model_check(model, err) != 0)
        return err_prefix(err, "model.layers");
    return 0;
}

/* Each class weighs what makes all classes count the same: rows / (classes * rows of the class). */
static int s_balance(const dataset_t *train, model_t *model, err_t *err)
{
    size_t counts[MODEL_MAX_CLASSES] = {0};
    uint32_t C = model_classes(model);
    for (size_t r = 0; r < dataset_rows(train); r++)
        counts[dataset_labels(train)[r]]++;
    for (uint32_t c = 0; c < C; c++) {
        if (counts[c] == 0)
            return err_set(err, "balanced, but no row is of class %u", c);
        model->class_weights[c] =
            (float)((double)dataset_rows(train) / ((double)C * (double)counts[c]));
    }
    return 0;
}

static int s_parse_weights(const char *text, model_t *model, err_t *err)
{
    uint32_t n = 0;
    for (const char *at = text;;) {
        char *end;
        double weight = strtod(at, &end);
        if (end == at || n == MODEL_MAX_CLASSES)
            break;
        model->class_weights[n++] = (float)weight;
        at = end + strspn(end, " ");
        if (*at == '\0' && n == model_classes(model))
            return 0;
        if (*at++ != ',')
            break;
    }
    char shown[72];
    return err_set(err, "%s, expected balanced or %u numbers with commas between them, one a class",
                   text_quote(text, shown), model_classes(model));
}

static int s_class_weights(const char *text, const dataset_t *train, model_t *model, err_t *err)
{
    model->weighted = text[0] != '\0';
    if (!model->weighted)
        return 0;
    if ((strcmp(text, "balanced") == 0 ? s_balance(train, model, err)
                                       : s_parse_weights(text, model, err)) != 0 ||
        model_check(model, err) != 0)
        return err_prefix(err, "model.class_weights");
    return 0;
}

int run_data_model(const settings_t *settings, const dataset_t *train, model_t *model, err_t *err)
{
    if (run_data_network(settings, dataset_inputs(train), model, err) != 0 ||
        run_data_check(model, train, "training", err) != 0)
        return -1;
    return s_class_weights(settings->model.class_weights, train, model, err);
}

augment_t run_data_augment(const settings_t *settings)
{
    return (augment_t){
        .shift = settings->augmentation.shift,
        .rotation = settings->augmentation.rotation,
        .scale = settings->augmentation.scale,
        .shear = settings->augmentation.shear,
        .alpha = settings->augmentation.elastic.alpha,
        .sigma =
            settings->augmentation.elastic.alpha > 0 ? settings->augmentation.elastic.sigma : 0,
    };
}
