/* See digest.h. */
#include "math/digest.h"

#include "math/digest_table.h"
#include "math/simd.h"

static const digest_table_t *s_table(void)
{
#if defined(__x86_64__)
    if (simd_path() >= SIMD_AVX2) /* memory is the limit: AVX-512 is no faster */
        return &digest_table_avx2;
#endif
    return &digest_table_c;
}

uint64_t digest_bytes(const void *bytes, size_t size)
{
    return s_table()->bytes(bytes, size);
}

uint64_t digest_pieces(digest_piece_t *piece, void *context, size_t n)
{
    return s_table()->pieces(piece, context, n);
}

uint64_t digest_floats(const float *a, size_t n, bool *finite)
{
    return s_table()->floats(a, n, finite);
}

uint64_t digest_add(float *a, const float *held, size_t n, bool *finite)
{
    return s_table()->add(a, held, n, finite);
}

uint64_t digest_descend(float *out, const float *w, const float *g, float scale, size_t n,
                        bool *finite)
{
    return s_table()->descend(out, w, g, scale, n, finite);
}
