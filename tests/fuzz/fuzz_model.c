/* Any bytes as a model or a checkpoint, and as weights to begin with. */
#include "fuzz.h"

#include <stdlib.h>

#include "data/safetensors.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/weights.h"

/* Of the corpus. */
static const model_t s_model = {.n_inputs = 3,
                                .n_layers = 2,
                                .layers = {{.units = 2, .activation = ACTIVATION_TANH},
                                           {.units = 2, .activation = ACTIVATION_SIGMOID}}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    checkpoint_info_t info;
    checkpoint_state_t state;
    float *params = NULL;
    float taken[3 * 2 + 2 + 2 * 2 + 2];
    char digest[WEIGHTS_DIGEST_SIZE];
    safetensors_t *file = safetensors_parse("fuzz", data, size, &err);
    if (!file)
        return 0;
    if (checkpoint_parse(file, "fuzz", &info, &params, NULL, &err) == 0)
        free(params);
    if (checkpoint_parse(file, "fuzz", &info, &params, &state, &err) == 0) {
        free(params);
        optimizer_state_clear(&state.optimizer);
    }
    (void)weights_take(file, "fuzz", &s_model, taken, digest, &err);
    safetensors_destroy(&file);
    return 0;
}
