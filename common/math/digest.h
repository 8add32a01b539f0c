/* XXH3-64 (seed 0) of bytes, and of floats while something else is done with them.
 *
 * To go over a vector that is large against the caches costs what it costs to bring it there: what
 * else is to be done with it is done on the way, and takes no time of its own (docs/benchmarks.md).
 * Same digests on every CPU. The library would use SSE2 only.
 */
#ifndef DROVER_MATH_DIGEST_H
#define DROVER_MATH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t digest_bytes(const void *bytes, size_t size);

/* The digest of a(n); *finite: there is no NaN and no infinity in it. */
uint64_t digest_floats(const float *a, size_t n, bool *finite);

/* The same of a(n) as it was before held(n), another vector, was added to it: a = held + a. */
uint64_t digest_add(float *a, const float *held, size_t n, bool *finite);

/* vec_descend, and digest_floats of out(n). out may be w or g. */
uint64_t digest_descend(float *out, const float *w, const float *g, float scale, size_t n,
                        bool *finite);

/* Makes the floats [first, first + n) of a vector, or looks at them, before they are digested, and
 * says where they are. n is DIGEST_PIECE, or less for the last. */
typedef const float *digest_piece_t(void *context, size_t first, size_t n);
#define DIGEST_PIECE 4096 /* three vectors' pieces fit into the second cache many times */

/* The digest of n floats, which `piece` makes one piece after the other. */
uint64_t digest_pieces(digest_piece_t *piece, void *context, size_t n);

#endif
