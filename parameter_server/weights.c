/* See weights.h. */
#include "parameter_server/weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/npz.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/model_file.h"
#include "proto/wire.h"

#define MAX_FILE_BYTES ((size_t)16 << 30)

safetensors_t *weights_open(const char *path, err_t *err)
{
    char *bytes = NULL;
    size_t size = 0;
    safetensors_t *file = NULL;
    char *name = model_file_path(path);
    if (file_read(name, MAX_FILE_BYTES, &bytes, &size, err) == 0)
        file = npz_is(bytes, size) ? npz_parse(name, bytes, size, err)
                                   : safetensors_parse(name, bytes, size, err);
    free(bytes);
    free(name);
    return file;
}

static bool s_is_ours(const safetensors_t *file)
{
    const char *format = safetensors_meta(file, "format");
    return format && strcmp(format, "drover") == 0;
}

/* Every tensor of the file is one of `expected`, or of the state that a checkpoint has besides. */
static int s_check_names(const safetensors_t *file, const char *path, const model_t *model,
                         const safetensors_t *expected, err_t *err)
{
    char network[256], seen[128];
    for (size_t i = 0; i < safetensors_count(file); i++) {
        size_t n_dims;
        const size_t *shape;
        const char *name = safetensors_name(file, i);
        if (safetensors_tensor(expected, name, NULL, NULL) ||
            (s_is_ours(file) && (strncmp(name, "bold_driver.", strlen("bold_driver.")) == 0 ||
                                 strncmp(name, TRIAL_FILE_PREFIX, strlen(TRIAL_FILE_PREFIX)) == 0 ||
                                 strncmp(name, "optimizer.", strlen("optimizer.")) == 0)))
            continue;
        (void)safetensors_tensor(file, name, &n_dims, &shape);
        model_describe(model, network, sizeof(network));
        return err_set(err,
                       "%s: tensor '%.60s' of shape %s is none of the network's, %s, expected "
                       "only those",
                       path, name, model_file_shape(shape, n_dims, seen, sizeof(seen)), network);
    }
    return 0;
}

static int s_check_finite(const safetensors_t *expected, const char *path, err_t *err)
{
    for (size_t i = 0; i < safetensors_count(expected); i++) {
        size_t n_dims, n_values = 1;
        const size_t *shape;
        const char *name = safetensors_name(expected, i);
        const float *values = safetensors_tensor(expected, name, &n_dims, &shape);
        for (size_t d = 0; d < n_dims; d++)
            n_values *= shape[d];
        for (size_t k = 0; k < n_values; k++)
            if (!isfinite(values[k]))
                return err_set(err, "%s: tensor '%s' has %g at index %zu, expected finite numbers",
                               path, name, (double)values[k], k);
    }
    return 0;
}

/* Holds a file of ours what was written? */
static int s_check_ours(const safetensors_t *file, const char *path, err_t *err)
{
    checkpoint_info_t info;
    float *params = NULL;
    int r = s_is_ours(file) ? checkpoint_parse(file, path, &info, &params, NULL, err) : 0;
    free(params);
    return r;
}

int weights_take(const safetensors_t *file, const char *path, const model_t *model, float *params,
                 char digest[WEIGHTS_DIGEST_SIZE], err_t *err)
{
    safetensors_t *expected = safetensors_new();
    model_file_add(expected, model, params);
    int r = -1;
    if (model_file_params(file, path, model, params, err) == 0 &&
        s_check_names(file, path, model, expected, err) == 0 &&
        s_check_finite(expected, path, err) == 0)
        r = s_check_ours(file, path, err);
    (void)snprintf(digest, WEIGHTS_DIGEST_SIZE, "%016" PRIx64,
                   r == 0 ? wire_digest(params, model_params(model) * sizeof(float)) : 0);
    safetensors_destroy(&expected);
    return r;
}
