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

/* vec_descend, and the digest of out(n). out may be w or g. */
uint64_t digest_descend(float *out, const float *w, const float *g, float scale, size_t n);

#endif
