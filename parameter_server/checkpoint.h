/* Models on disk: safetensors with the architecture, and for a checkpoint also the state of the
 * training, in the metadata.
 */
#ifndef DROVER_PARAMETER_SERVER_CHECKPOINT_H
#define DROVER_PARAMETER_SERVER_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "math/bold_driver.h"
#include "math/model.h"

/* What a file of ours says besides the weights. All of it is a function of data, config, seed and
 * kernel, so that the same training writes the same bytes. */
typedef struct {
    model_t model;
    uint32_t step; /* steps behind these weights */
    uint64_t seed;
    char digest[33]; /* of the training set */
    char kernel[32];
} checkpoint_info_t;

/* Writes params(P) as tensors layer<l>.weight (inputs, units) and layer<l>.bias (units),
 * atomically. With a driver, also the learning rate's state, so that training can go on from there.
 * Returns 0 or -1. */
int checkpoint_write(const char *path, const checkpoint_info_t *info, const float *params,
                     const bold_driver_t *driver, err_t *err);

/* Writes FOLDER/step-<step>.safetensors (making the folder) and removes all but the two newest. */
int checkpoint_write_numbered(const char *folder, const checkpoint_info_t *info,
                              const float *params, const bold_driver_t *driver, err_t *err);

/* Reads a model: *params(P) is malloc'ed, the caller's. Returns 0, or -1 with *err saying what in
 * the file is not as expected. */
int checkpoint_read(const char *path, checkpoint_info_t *info, float **params, err_t *err);

#endif
