/* What encoding and decoding share; for wire*.c only. */
#ifndef DROVER_PROTO_WIRE_CODEC_H
#define DROVER_PROTO_WIRE_CODEC_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

#define WIRE_MAGIC    "drover"
#define WIRE_N_HEADER 8  /* elements of the header's array */
#define WIRE_N_MEMBER 13 /* of a member in a REPORT */
#define WIRE_N_LAYER  7  /* of a layer in a WELCOME */

/* Behind the array: XXH3-64 of its bytes, little-endian. */
#define WIRE_DIGEST_BYTES 8

struct wire_buffer {
    msgpack_sbuffer bytes; /* owned */
    msgpack_packer packer;
    msgpack_unpacked unpacked; /* owned; keeps a decoded header's objects until the next decode */
};

/* Is there a message type of this number? */
bool wire_is_type(uint64_t type);

/* How many fields a message of this type has. */
uint32_t wire_n_fields(wire_type_t type);

#endif
