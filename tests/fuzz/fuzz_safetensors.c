/* Any bytes as a safetensors file. */
#include "fuzz.h"

#include "tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    safetensors_t *file = safetensors_parse("fuzz", data, size, &err);
    tensors_read(&file);
    return 0;
}
