/* digest.h by the instructions that the including file is compiled for. Needs TABLE, a name.
 *
 * XXH3-64 of a long input goes by stripes of 64 bytes, in blocks of as many as the secret has keys
 * for (xxhash's doc/xxhash_spec.md). Here the stripe is at hand, in a register, for other work on
 * its 16 floats; the steps themselves are the library's own, which it has in its header.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

#include "math/digest_table.h"

#define BODY static inline __attribute__((always_inline))

#define STRIPE 16  /* floats */
#define KEYS   16  /* stripes of a block */
#define SHORT  240 /* bytes: XXH3 goes another way with so few */

#if defined(__AVX2__)
#define VECTOR 8 /* floats */
#else
#define VECTOR 4
#endif

/* Anywhere, and whatever it was written as. */
typedef float floats_t __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));
typedef uint32_t bits_t __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));

typedef enum {
    LOOK,    /* at a */
    ADD,     /* the same, before out, which is a, = b + a */
    DESCEND, /* out = a - scale b, to be digested and looked at */
} work_t;

typedef struct {
    float *out;
    const float *a;
    const float *b;
    float scale;
} vectors_t;

/* One added to the exponent: into the sign when it was all ones, as only infinities' and NaNs' are.
 */
#define WILD(bits) (((bits)&0x7f800000u) + 0x00800000u)

BODY floats_t *s_at(float *place)
{
    return (void *)place;
}

BODY const floats_t *s_in(const float *place)
{
    return (const void *)place;
}

/* The floats [i, i + STRIPE), but for the digest, which is made before them when they are added to
 * and after them when they are made. */
BODY void s_stripe(work_t work, const vectors_t *v, size_t i, bits_t *wild)
{
    for (size_t end = i + STRIPE; i < end; i += VECTOR) {
        if (work == DESCEND) {
            floats_t x = *s_in(v->a + i) - v->scale * *s_in(v->b + i);
            *s_at(v->out + i) = x;
            *wild |= WILD((bits_t)x);
        } else {
            floats_t x = *s_in(v->a + i);
            *wild |= WILD((bits_t)x);
            if (work == ADD)
                *s_at(v->out + i) = *s_in(v->b + i) + x;
        }
    }
}

/* The floats [i, n), which make no stripe. */
BODY void s_rest(work_t work, const vectors_t *v, size_t i, size_t n, bits_t *wild)
{
    for (; i < n; i++) {
        uint32_t bits;
        float x = work == DESCEND ? v->a[i] - v->scale * v->b[i] : v->a[i];
        memcpy(&bits, &x, sizeof(bits));
        (*wild)[0] |= WILD(bits);
        if (work != LOOK)
            v->out[i] = work == ADD ? v->b[i] + x : x;
    }
}

/* Is the carry in any of the lanes? */
BODY bool s_none(const bits_t *wild)
{
    uint32_t any = 0;
    for (int i = 0; i < VECTOR; i++)
        any |= (*wild)[i];
    return any >> 31 == 0;
}

BODY uint64_t s_work(work_t work, const vectors_t *v, size_t n, bool *finite)
{
    const float *floats = work == DESCEND ? v->out : v->a;
    const char *data = (const char *)floats;
    const xxh_u8 *secret = XXH3_kSecret;
    size_t size = n * sizeof(float), at = 0;
    bits_t wild = {0};
    char last[XXH_STRIPE_LEN]; /* it reaches back into the stripe before it */
    if (size <= SHORT) {
        uint64_t before = work == ADD ? XXH3_64bits(data, size) : 0;
        s_rest(work, v, 0, n, &wild);
        *finite = s_none(&wild);
        return work == ADD ? before : XXH3_64bits(data, size);
    }
    if (work == ADD)
        memcpy(last, data + size - sizeof(last), sizeof(last));
    XXH_ALIGN(XXH_ACC_ALIGN) xxh_u64 acc[XXH_ACC_NB] = XXH3_INIT_ACC;
    size_t n_stripes = (size - 1) / XXH_STRIPE_LEN;
    while (at < n_stripes) {
        size_t left = n_stripes - at, some = left < KEYS ? left : KEYS;
        for (size_t key = 0; key < some; key++, at++) {
            const float *stripe = floats + at * STRIPE;
            if (work != ADD)
                s_stripe(work, v, at * STRIPE, &wild);
            XXH3_accumulate_512(acc, stripe, secret + key * XXH_SECRET_CONSUME_RATE);
            if (work == ADD)
                s_stripe(work, v, at * STRIPE, &wild);
        }
        if (some == KEYS)
            XXH3_scrambleAcc(acc, secret + sizeof(XXH3_kSecret) - XXH_STRIPE_LEN);
    }
    s_rest(work, v, at * STRIPE, n, &wild);
    XXH3_accumulate_512(acc, work == ADD ? last : data + size - XXH_STRIPE_LEN,
                        secret + sizeof(XXH3_kSecret) - XXH_STRIPE_LEN - XXH_SECRET_LASTACC_START);
    *finite = s_none(&wild);
    return XXH3_mergeAccs(acc, secret + XXH_SECRET_MERGEACCS_START, size * XXH_PRIME64_1);
}

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

static uint64_t s_look(const float *a, size_t n, bool *finite)
{
    vectors_t v = {.a = a};
    return s_work(LOOK, &v, n, finite);
}

static uint64_t s_add(float *a, const float *held, size_t n, bool *finite)
{
    vectors_t v = {.a = a, .b = held};
    v.out = a;
    return s_work(ADD, &v, n, finite);
}

static uint64_t s_descend(float *out, const float *w, const float *g, float scale, size_t n,
                          bool *finite)
{
    vectors_t v = {.a = w, .b = g, .scale = scale};
    v.out = out;
    return s_work(DESCEND, &v, n, finite);
}

const digest_table_t TABLE = {s_bytes, s_pieces, s_look, s_add, s_descend};
