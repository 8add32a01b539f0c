/* See protobuf.h. */
#include "data/protobuf.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_VARINT 0u
#define TYPE_LENGTH 2u /* of bytes that follow */

#define MAX_VARINT 10

/* The number in groups of seven bits, the lowest first; returns how many bytes. */
static size_t s_varint(uint64_t value, uint8_t out[MAX_VARINT])
{
    size_t n = 0;
    for (; value >= 128; value >>= 7)
        out[n++] = (uint8_t)(value | 128);
    out[n++] = (uint8_t)value;
    return n;
}

/* Room for `more` bytes at the end, which the caller fills. */
static uint8_t *s_grow(protobuf_t *self, size_t more)
{
    if (self->room - self->size < more) {
        size_t room = self->room * 2 > self->size + more ? self->room * 2 : self->size + more;
        self->bytes = realloc(self->bytes, room);
        if (!self->bytes)
            abort();
        self->room = room;
    }
    self->size += more;
    return self->bytes + self->size - more;
}

static void s_put_varint(protobuf_t *self, uint64_t value)
{
    uint8_t bytes[MAX_VARINT];
    size_t n = s_varint(value, bytes);
    memcpy(s_grow(self, n), bytes, n);
}

void protobuf_clear(protobuf_t *self)
{
    free(self->bytes);
    memset(self, 0, sizeof(*self));
}

void protobuf_number(protobuf_t *self, unsigned field, uint64_t value)
{
    s_put_varint(self, (uint64_t)field << 3 | TYPE_VARINT);
    s_put_varint(self, value);
}

void protobuf_bytes(protobuf_t *self, unsigned field, const void *bytes, size_t size)
{
    s_put_varint(self, (uint64_t)field << 3 | TYPE_LENGTH);
    s_put_varint(self, size);
    if (size > 0)
        memcpy(s_grow(self, size), bytes, size);
}

void protobuf_text(protobuf_t *self, unsigned field, const char *text)
{
    protobuf_bytes(self, field, text, strlen(text));
}

size_t protobuf_begin(protobuf_t *self, unsigned field)
{
    s_put_varint(self, (uint64_t)field << 3 | TYPE_LENGTH);
    return self->size;
}

/* The length goes in front of what is there already. */
void protobuf_end(protobuf_t *self, size_t begun)
{
    uint8_t length[MAX_VARINT];
    size_t size = self->size - begun;
    size_t n = s_varint(size, length);
    (void)s_grow(self, n);
    memmove(self->bytes + begun + n, self->bytes + begun, size);
    memcpy(self->bytes + begun, length, n);
}
