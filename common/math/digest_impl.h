/* digest.h by the instructions that the including file is compiled for. Needs TABLE, a name. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>

#include "math/digest_table.h"

static uint64_t s_bytes(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

static uint64_t s_pieces(digest_piece_t *piece, void *context, size_t n)
{
    XXH3_state_t state;
    if (XXH3_64bits_reset(&state) != XXH_OK)
        abort();
    for (size_t first = 0; first < n; first += DIGEST_PIECE) {
        size_t left = n - first, some = left < DIGEST_PIECE ? left : DIGEST_PIECE;
        if (XXH3_64bits_update(&state, piece(context, first, some), some * sizeof(float)) != XXH_OK)
            abort();
    }
    return XXH3_64bits_digest(&state);
}

const digest_table_t TABLE = {s_bytes, s_pieces};
