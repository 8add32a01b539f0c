/* Any bytes as an .npz. */
#include "fuzz.h"

#include "data/npz.h"
#include "tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    safetensors_t *file = npz_parse("fuzz", data, size, &err);
    tensors_read(&file);
    return 0;
}
