/* An optimizer's settings and state in a checkpoint: the settings under the keys of the
 * configuration, the vectors as tensors. Of gradient descent under the bold driver nothing is
 * written here: what that one has besides, checkpoint.c writes.
 */
#ifndef DROVER_PARAMETER_SERVER_OPTIMIZER_FILE_H
#define DROVER_PARAMETER_SERVER_OPTIMIZER_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/safetensors.h"
#include "math/optimizer.h"

#define OPTIMIZER_FILE_TEXT_SIZE 1024

/* Adds metadata and tensors; the vectors are borrowed until the file is written. */
void optimizer_file_add(safetensors_t *file, const optimizer_state_t *state, size_t n_params);

/* Reads them into *state, vectors into buffers of their own, which the caller clears in any case.
 * Returns 0, or -1 with *err. */
int optimizer_file_read(const safetensors_t *file, const char *path, size_t n_params,
                        optimizer_state_t *state, err_t *err);

/* All of it as text, for a digest: "" for gradient descent under the bold driver. */
void optimizer_file_print(const optimizer_state_t *state, size_t n_params,
                          char text[OPTIMIZER_FILE_TEXT_SIZE]);

/* The key of the first setting in which two differ (but for the learning rate); NULL if none. */
const char *optimizer_file_difference(const optimizer_config_t *a, const optimizer_config_t *b);

#endif
