/* Any bytes as a header, and as a header's array with the right digest behind it: a status, and
 * what is taken can be said again and means the same. The corpus are arrays. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

static void s_try(const uint8_t *data, size_t size)
{
    wire_buffer_t *buffer = wire_buffer_new();
    wire_buffer_t *first = wire_buffer_new();
    wire_buffer_t *second = wire_buffer_new();
    wire_t message = {0};
    wire_t again = {0};
    wire_status_t status = wire_decode(buffer, data, size, &message);
    if (status < WIRE_OK || status > WIRE_BAD_FIELD)
        abort();
    if (status == WIRE_OK) {
        bool framed = wire_has_frame(message.type);
        const void *header, *header_again;
        size_t header_size, header_again_size;
        uint64_t digest = wire_digest(data, size);
        wire_encode(first, &message, framed ? &digest : NULL, &header, &header_size);
        if (wire_decode(buffer, header, header_size, &again) != WIRE_OK ||
            wire_check_frame(&again, data, size, framed) != WIRE_OK ||
            wire_check_frame(&again, data, size, !framed) != WIRE_BAD_FRAME)
            abort();
        wire_encode(second, &again, framed ? &digest : NULL, &header_again, &header_again_size);
        if (header_size != header_again_size || memcmp(header, header_again, header_size) != 0)
            abort();
    }
    wire_clear(&message);
    wire_clear(&again);
    wire_buffer_destroy(&buffer);
    wire_buffer_destroy(&first);
    wire_buffer_destroy(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s_try(data, size);
    uint64_t digest = wire_digest(data, size);
    uint8_t *sealed = malloc(size + 8);
    if (!sealed)
        abort();
    if (size > 0)
        memcpy(sealed, data, size);
    for (size_t i = 0; i < 8; i++)
        sealed[size + i] = (uint8_t)(digest >> 8 * i);
    s_try(sealed, size + 8);
    free(sealed);
    return 0;
}
