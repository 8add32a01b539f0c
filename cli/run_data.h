/* The data that the settings of a training name, and its network over them. */
#ifndef DROVER_CLI_RUN_DATA_H
#define DROVER_CLI_RUN_DATA_H

#include <stdint.h>

#include "base/err.h"
#include "base/settings.h"
#include "data/dataset.h"
#include "math/augment.h"
#include "math/model.h"

/* Loads both sets; *test stays NULL when there is none, and is not looked for when test is NULL.
 * Returns 0, or -1 with *err and what was loaded the caller's all the same. */
int run_data_load(const settings_t *settings, dataset_t **train, dataset_t **test, err_t *err);

/* *n_held: how many of the training rows data.validation holds out; 0 when it is 0. Returns 0, or
 * -1 with *err when there would be none. */
int run_data_held(const settings_t *settings, const dataset_t *train, uint32_t *n_held, err_t *err);

/* Takes data.validation's part of the training rows out of train: *validation, the caller's, stays
 * NULL when that is 0. Returns 0, or -1 with *err. */
int run_data_split(const settings_t *settings, dataset_t *train, dataset_t **validation,
                   err_t *err);

/* The network of the settings over so many inputs, its classes without weights. Returns 0, or -1
 * with *err. */
int run_data_network(const settings_t *settings, size_t n_inputs, model_t *model, err_t *err);

/* The network of the settings for the inputs of this training data. Returns 0, or -1 with *err when
 * it is none that can be trained with them. */
int run_data_model(const settings_t *settings, const dataset_t *train, model_t *model, err_t *err);

/* Does the data, the `which`, fit the network's inputs and classes? Returns 0, or -1 with *err. */
int run_data_check(const model_t *model, const dataset_t *data, const char *which, err_t *err);

/* What the settings make of the training's images. */
augment_t run_data_augment(const settings_t *settings);

#endif
