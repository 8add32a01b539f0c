/* See wire.h: the types of messages, and what is the same both ways. */
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "math/digest.h"
#include "proto/wire_codec.h"

wire_buffer_t *wire_buffer_new(void)
{
    wire_buffer_t *self = calloc(1, sizeof(*self));
    if (!self)
        abort();
    msgpack_sbuffer_init(&self->bytes);
    msgpack_packer_init(&self->packer, &self->bytes, msgpack_sbuffer_write);
    msgpack_unpacked_init(&self->unpacked);
    return self;
}

void wire_buffer_destroy(wire_buffer_t **self_p)
{
    wire_buffer_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    msgpack_sbuffer_destroy(&self->bytes);
    msgpack_unpacked_destroy(&self->unpacked);
    free(self);
}

void wire_clear(wire_t *self)
{
    free(self->ranges);
    free(self->members);
    free(self->quarantined);
    memset(self, 0, sizeof(*self));
}

const char *wire_status_text(wire_status_t status)
{
    switch (status) {
    case WIRE_OK:
        return "ok";
    case WIRE_BAD_BYTES:
        return "not a well-formed MessagePack header";
    case WIRE_BAD_MAGIC:
        return "not a message of drover";
    case WIRE_BAD_VERSION:
        return "another protocol version";
    case WIRE_BAD_DIGEST:
        return "the header is not what its digest says";
    case WIRE_BAD_TYPE:
        return "unknown message type";
    case WIRE_BAD_FIELD:
        return "a field is missing, of another type or out of bounds";
    case WIRE_BAD_FRAME:
        return "the frame is not what the header says";
    }
    return "?";
}

/* The flat table of message types: name, number of fields, frame. */
static const struct {
    const char *name;
    uint32_t n_fields;
    bool has_frame;
} s_types[] = {
    [WIRE_HELLO] = {"HELLO", 6, false},
    [WIRE_WELCOME] = {"WELCOME", 20, false},
    [WIRE_REFUSED] = {"REFUSED", 3, false},
    [WIRE_READY] = {"READY", 2, false},
    [WIRE_HEARTBEAT] = {"HEARTBEAT", 1, false},
    [WIRE_BYE] = {"BYE", 0, false},
    [WIRE_REJOIN] = {"REJOIN", 0, false},
    [WIRE_ASSIGN] = {"ASSIGN", 1, false},
    [WIRE_END] = {"END", 0, false},
    [WIRE_STEP] = {"STEP", 1, true},
    [WIRE_PARTIAL] = {"PARTIAL", 6, true},
    [WIRE_FETCH] = {"FETCH", 2, false},
    [WIRE_ROWS] = {"ROWS", 3, true},
    [WIRE_STATUS] = {"STATUS", 0, false},
    [WIRE_REPORT] = {"REPORT", 17, false},
    [WIRE_EVALUATE] = {"EVALUATE", 2, true},
    [WIRE_EVALUATED] = {"EVALUATED", 5, false},
};
#define N_TYPES (sizeof(s_types) / sizeof(s_types[0]))

bool wire_is_type(uint64_t type)
{
    return type < N_TYPES && s_types[type].name;
}

const char *wire_type_name(wire_type_t type)
{
    return wire_is_type(type) ? s_types[type].name : "?";
}

uint32_t wire_n_fields(wire_type_t type)
{
    return s_types[type].n_fields;
}

bool wire_has_frame(wire_type_t type)
{
    return s_types[type].has_frame;
}

uint64_t wire_digest(const void *bytes, size_t size)
{
    return digest_bytes(bytes, size);
}

wire_status_t wire_check_frame(wire_t *message, const void *frame, size_t frame_size, bool present)
{
    message->added = false;
    if (present != wire_has_frame(message->type))
        return WIRE_BAD_FRAME;
    if (!present)
        return WIRE_OK;
    bool floats = message->type != WIRE_ROWS && frame_size % sizeof(float) == 0;
    message->finite = false;
    uint64_t digest = floats ? digest_floats(frame, frame_size / sizeof(float), &message->finite)
                             : wire_digest(frame, frame_size);
    return digest == message->frame_digest ? WIRE_OK : WIRE_BAD_FRAME;
}

wire_status_t wire_check_and_add(wire_t *message, float *frame, size_t frame_size,
                                 const float *held)
{
    assert(wire_has_frame(message->type) && message->type != WIRE_ROWS);
    message->added = true;
    uint64_t digest = digest_add(frame, held, frame_size / sizeof(float), &message->finite);
    return digest == message->frame_digest ? WIRE_OK : WIRE_BAD_FRAME;
}
