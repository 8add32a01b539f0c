/* Does a piece of bytes begin with one well-formed MessagePack object of modest depth and honest
 * counts?
 *
 * msgpack-c allocates from the counts that a message claims; this walk, without allocation, makes
 * sure that every claimed element is really there before msgpack-c sees the bytes.
 */
#ifndef DROVER_PROTO_WIRE_BOUNDS_H
#define DROVER_PROTO_WIRE_BOUNDS_H

#include <stddef.h>
#include <stdint.h>

/* The size of the object that `bytes` begin with, arrays nested at most max_depth deep; 0 when
 * there is none, or it is cut off. Maps and extension types are not ours and are refused. */
size_t wire_bounds(const uint8_t *bytes, size_t size, int max_depth);

#endif
