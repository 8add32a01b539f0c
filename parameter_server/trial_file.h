/* A trial's settings and state in a checkpoint: the settings under the keys of the configuration,
 * the models as tensors. Of a training without evaluations nothing is written.
 */
#ifndef DROVER_PARAMETER_SERVER_TRIAL_FILE_H
#define DROVER_PARAMETER_SERVER_TRIAL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "data/safetensors.h"
#include "parameter_server/trial.h"

#define TRIAL_FILE_PREFIX    "evaluation."
#define TRIAL_FILE_TEXT_SIZE 256

typedef struct {
    uint32_t every;    /* 0: no evaluations */
    uint32_t patience; /* 0: no early stopping */
    trial_state_t state;
} trial_file_t;

/* Adds metadata and tensors; models are borrowed until the file is written. */
void trial_file_add(safetensors_t *file, const trial_file_t *trial, size_t n_params);

/* Reads them into *trial, which the caller clears in any case. Returns 0, or -1 with *err. */
int trial_file_read(const safetensors_t *file, const char *path, size_t n_params,
                    trial_file_t *trial, err_t *err);

/* All of it as text, for a digest: "" without evaluations. */
void trial_file_print(const trial_file_t *trial, size_t n_params, char text[TRIAL_FILE_TEXT_SIZE]);

#endif
