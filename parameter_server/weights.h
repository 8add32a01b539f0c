/* Weights of any origin to begin with: safetensors or .npz, of drover or of another program. */
#ifndef DROVER_PARAMETER_SERVER_WEIGHTS_H
#define DROVER_PARAMETER_SERVER_WEIGHTS_H

#include "base/err.h"
#include "data/safetensors.h"
#include "math/model.h"

#define WEIGHTS_DIGEST_SIZE 17

/* The tensors of a file, told by how it begins; of a folder those of the model.safetensors in it.
 * NULL with *err. */
safetensors_t *weights_open(const char *path, err_t *err);

/* The network's parameters into params(P) from the tensors of an open file. They must be those of
 * docs/models.md, by name and shape and none besides, and finite; a model or checkpoint of drover
 * must hold what was written. `digest` gets that of params. Returns 0, or -1 with *err naming the
 * tensor, the shape seen and the one expected. */
int weights_take(const safetensors_t *file, const char *path, const model_t *model, float *params,
                 char digest[WEIGHTS_DIGEST_SIZE], err_t *err);

#endif
