/* See run_data.h. */
#include "cli/run_data.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

model_t run_data_network(const settings_t *settings, size_t n_inputs)
{
    model_t model = {.n_inputs = (uint32_t)n_inputs,
                     .n_layers = (uint32_t)settings->model.n_layers};
    for (uint32_t l = 0; l < model.n_layers; l++) {
        const settings_layer_t *layer = &settings->model.layers[l];
        model.layers[l].units = (uint32_t)layer->units;
        model.layers[l].activation =
            layer->activation == SETTINGS_TANH ? ACTIVATION_TANH : ACTIVATION_SIGMOID;
    }
    return model;
}

int run_data_model(const settings_t *settings, const dataset_t *train, model_t *model, err_t *err)
{
    *model = run_data_network(settings, dataset_inputs(train));
    if (model_check(model, err) != 0)
        return err_prefix(err, "model.layers");
    return run_data_check(model, train, "training", err);
}
