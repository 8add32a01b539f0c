/* Any bytes as an .npz. */
#include "fuzz.h"

#include "data/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    safetensors_t *file = npz_parse("fuzz", data, size, &err);
    for (size_t i = 0; file && i < safetensors_count(file); i++) {
        size_t n_dims = 0;
        size_t n_values = 1;
        const size_t *shape = NULL;
        const float *values = safetensors_tensor(file, safetensors_name(file, i), &n_dims, &shape);
        for (size_t k = 0; k < n_dims; k++)
            n_values *= shape[k];
        volatile float last = n_values > 0 ? values[n_values - 1] : 0.0f;
        (void)last;
    }
    safetensors_destroy(&file);
    return 0;
}
