/* See digest.h. */
#include "math/digest.h"

#include "math/digest_table.h"
#include "math/simd.h"
#include "math/vec.h"

static const digest_table_t *s_table(void)
{
#if defined(__x86_64__)
    switch (simd_path()) {
    case SIMD_AVX512:
        return &digest_table_avx512;
    case SIMD_AVX2:
        return &digest_table_avx2;
    case SIMD_C:
        break;
    }
#endif
    return &digest_table_c;
}

uint64_t digest_bytes(const void *bytes, size_t size)
{
    return s_table()->bytes(bytes, size);
}

typedef struct {
    const float *a;
    bool finite;
} floats_t;

static const float *s_floats(void *context, size_t first, size_t n)
{
    floats_t *self = context;
    self->finite = vec_all_finite(self->a + first, n) && self->finite;
    return self->a + first;
}

uint64_t digest_floats(const float *a, size_t n, bool *finite)
{
    floats_t context = {a, true};
    uint64_t digest = s_table()->pieces(s_floats, &context, n);
    *finite = context.finite;
    return digest;
}

uint64_t digest_pieces(digest_piece_t *piece, void *context, size_t n)
{
    return s_table()->pieces(piece, context, n);
}
