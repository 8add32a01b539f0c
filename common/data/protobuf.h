/* Messages of Protocol Buffers, written field by field; enough for ONNX files.
 *
 * Why not a library: the C ones (protobuf-c, nanopb) work from code that is generated from
 * onnx.proto, which would have to be kept here or come with all of libonnx and the C++ protobuf.
 * Writing needs three encodings and no schema. Numbers of fields are the schema's:
 * https://protobuf.dev/programming-guides/encoding/
 */
#ifndef DROVER_DATA_PROTOBUF_H
#define DROVER_DATA_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

/* A message that grows; all zero is an empty one. Running out of memory aborts. */
typedef struct {
    uint8_t *bytes; /* owned */
    size_t size;
    size_t room;
} protobuf_t;

void protobuf_clear(protobuf_t *self);

/* A field of type int32, int64, uint64, bool or enum; no negative ones. */
void protobuf_number(protobuf_t *self, unsigned field, uint64_t value);

/* A field of type bytes or string. */
void protobuf_bytes(protobuf_t *self, unsigned field, const void *bytes, size_t size);
void protobuf_text(protobuf_t *self, unsigned field, const char *text);

/* A field that is a message itself: what is written between the two belongs to it. protobuf_end
 * takes what protobuf_begin returned; the innermost ends first. */
size_t protobuf_begin(protobuf_t *self, unsigned field);
void protobuf_end(protobuf_t *self, size_t begun);

#endif
