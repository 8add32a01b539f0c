/* Is a piece of bytes one well-formed MessagePack object of modest depth and honest counts?
 *
 * msgpack-c allocates from the counts that a message claims; this walk, without allocation, makes
 * sure that every claimed element is really there before msgpack-c sees the bytes.
 */
#ifndef DROVER_PROTO_WIRE_BOUNDS_H
#define DROVER_PROTO_WIRE_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when `bytes` is exactly one object, arrays nested at most max_depth deep; maps and extension
 * types are not ours and are refused. */
bool wire_bounds_ok(const uint8_t *bytes, size_t size, int max_depth);

#endif
