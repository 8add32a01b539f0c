/* Any bytes as a picture. */
#include "fuzz.h"

#include <stdlib.h>

#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    err_t err = {{0}};
    uint8_t *pixels = NULL;
    size_t width = 0;
    size_t height = 0;
    if (image_parse("fuzz", data, size, &pixels, &width, &height, &err) == 0) {
        volatile uint8_t last = pixels[width * height - 1];
        (void)last;
    }
    free(pixels);
    return 0;
}
