/* A network in a safetensors file: what it is in the metadata, its parameters as tensors.
 *
 * Metadata: `inputs`, `layers`, and for each layer from 1 on `layer<l>.kind` and what its kind
 * needs to be built again, a key each. Tensors carry the same prefix. The kinds are one table in
 * model_file.c; docs/models.md is for readers in other languages.
 */
#ifndef DROVER_PARAMETER_SERVER_MODEL_FILE_H
#define DROVER_PARAMETER_SERVER_MODEL_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "data/safetensors.h"
#include "math/model.h"

#define MODEL_FILE_NAME "model.safetensors" /* in a run's folder */

/* The file that a path given for a model means: that in it where it is a folder, else itself. The
 * caller frees it. */
char *model_file_path(const char *path);

/* Adds metadata and tensors of the network; params(P) are borrowed until the file is written. */
void model_file_add(safetensors_t *file, const model_t *model, const float *params);

/* The network that the metadata describe, checked; `path` is named in errors. Returns 0 or -1. */
int model_file_model(const safetensors_t *file, const char *path, model_t *model, err_t *err);

/* The parameters of the network from tensors of its names and shapes into params(P); with NULL only
 * looks whether they are there, before anyone makes room for what a file claims. Returns 0, or
 * -1 with *err naming the tensor that is missing or of another shape. */
int model_file_params(const safetensors_t *file, const char *path, const model_t *model,
                      float *params, err_t *err);

/* "(784, 64)", cut to `size`. Returns `text`. */
const char *model_file_shape(const size_t *shape, size_t n_dims, char *text, size_t size);

#endif
