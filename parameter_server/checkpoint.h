/* Models on disk: safetensors with the architecture, and for a checkpoint also the state of the
 * training, in the metadata.
 */
#ifndef DROVER_PARAMETER_SERVER_CHECKPOINT_H
#define DROVER_PARAMETER_SERVER_CHECKPOINT_H

#include <stdint.h>

#include "base/err.h"
#include "data/safetensors.h"
#include "math/augment.h"
#include "math/model.h"
#include "math/optimizer.h"
#include "parameter_server/trial_file.h"

/* What a file of ours says besides the weights. All of it is a function of data, config, seed and
 * kernel, so that the same training writes the same bytes. */
typedef struct {
    model_t model;
    uint32_t step; /* steps behind these weights */
    uint64_t seed;
    char digest[33]; /* of the training set */
    char kernel[32];
    char init[17]; /* digest of the weights before the first step; "" when they were drawn */
} checkpoint_info_t;

/* What a checkpoint says besides a model: enough to go on bit for bit. */
typedef struct {
    double fraction;      /* of the sample */
    double learning_rate; /* of the first step */
    uint32_t block_rows, batch_rows;
    double validation; /* part of the rows that was held out */
    augment_t augment;
    uint64_t run;
    optimizer_state_t optimizer; /* owned by who holds the struct, as the next */
    trial_file_t trial;
} checkpoint_state_t;

void checkpoint_state_clear(checkpoint_state_t *self);

/* Writes params(P) as tensors layer<l>.weight (inputs, units) and layer<l>.bias (units),
 * atomically. With a state it is a checkpoint, without one a model. Returns 0 or -1. */
int checkpoint_write(const char *path, const checkpoint_info_t *info, const float *params,
                     const checkpoint_state_t *state, err_t *err);

/* Writes FOLDER/step-<step>.safetensors (making the folder) and removes all but the two newest. */
int checkpoint_write_numbered(const char *folder, const checkpoint_info_t *info,
                              const float *params, const checkpoint_state_t *state, err_t *err);

/* Reads a model or a checkpoint: *params(P) is malloc'ed, the caller's. Without a state they are
 * those to use: those of the best evaluation or, without any, the average, where a checkpoint has
 * them. *state, unless NULL, is filled from a checkpoint, which the file must then be; the caller
 * clears it. Returns 0, or -1 with *err saying what in the file is not as expected. */
int checkpoint_read(const char *path, checkpoint_info_t *info, float **params,
                    checkpoint_state_t *state, err_t *err);

/* As checkpoint_read, from a file that is open; `path` is named in errors. */
int checkpoint_parse(const safetensors_t *file, const char *path, checkpoint_info_t *info,
                     float **params, checkpoint_state_t *state, err_t *err);

/* Reads the newest checkpoint of FOLDER that is whole; one that is damaged is logged and the one
 * before it taken. Returns 1, 0 when there is none at all, -1 when none is whole. */
int checkpoint_read_newest(const char *folder, checkpoint_info_t *info, float **params,
                           checkpoint_state_t *state, err_t *err);

#endif
