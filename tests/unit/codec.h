/* What the tests of the codec share: one, and a decoder that reads no byte too many. */
#ifndef DROVER_TESTS_CODEC_H
#define DROVER_TESTS_CODEC_H

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "wire_samples.h"

typedef struct {
    wire_buffer_t *buffer;
    wire_buffer_t *other; /* a second one, since decoded labels are borrowed from the first */
    wire_t message;
} codec_t;

static inline int codec_open(void **state)
{
    codec_t *codec = calloc(1, sizeof(*codec));
    codec->buffer = wire_buffer_new();
    codec->other = wire_buffer_new();
    *state = codec;
    return 0;
}

static inline int codec_close(void **state)
{
    codec_t *codec = *state;
    wire_buffer_destroy(&codec->buffer);
    wire_buffer_destroy(&codec->buffer);
    wire_buffer_destroy(&codec->other);
    wire_clear(&codec->message);
    free(codec);
    return 0;
}

/* Decodes an exact copy, so that a sanitizer sees a read past the end. */
static inline wire_status_t codec_decode(codec_t *codec, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    wire_status_t status = wire_decode(codec->buffer, copy, size, &codec->message);
    if (status == WIRE_OK) { /* what was taken can be said again; labels lie in the copy */
        const void *header;
        size_t header_size;
        bool framed = wire_has_frame(codec->message.type);
        const uint64_t digest = 1;
        wire_encode(codec->other, &codec->message, framed ? &digest : NULL, &header, &header_size);
        assert_true(header_size > 0);
    }
    free(copy);
    return status;
}

/* The same of an array that is given its digest. */
static inline wire_status_t codec_decode_sealed(codec_t *codec, const void *array, size_t size)
{
    uint8_t *header = wire_sealed(array, &size);
    wire_status_t status = codec_decode(codec, header, size);
    free(header);
    return status;
}

#define codec_test(function) cmocka_unit_test_setup_teardown(function, codec_open, codec_close)

#endif
