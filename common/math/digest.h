/* XXH3-64 (seed 0) of bytes, and of floats while something else is done with them.
 *
 * A vector that is large against the caches costs what it costs to bring it there: so what is to be
 * done with it is done piece by piece, while the piece is there. Same digests on every CPU; the
 * library itself would use SSE2 only, a third as fast as AVX-512 (docs/benchmarks.md).
 */
#ifndef DROVER_MATH_DIGEST_H
#define DROVER_MATH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t digest_bytes(const void *bytes, size_t size);

/* The digest of a(n); *finite: there is no NaN and no infinity in it. a may lie anywhere. */
uint64_t digest_floats(const float *a, size_t n, bool *finite);

/* Makes the floats [first, first + n) of a vector, or looks at them, before they are digested, and
 * says where they are. n is DIGEST_PIECE, or less for the last. */
typedef const float *digest_piece_t(void *context, size_t first, size_t n);
#define DIGEST_PIECE 4096 /* three vectors' pieces fit into the second cache many times */

/* The digest of n floats, which `piece` makes one piece after the other. */
uint64_t digest_pieces(digest_piece_t *piece, void *context, size_t n);

#endif
