/* digest: the library's digests, whatever the path, the place and the pieces. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "math/digest.h"
#include "math/simd.h"
#include "math/vec.h"

#define MOST 20000 /* floats: some pieces and a rest */

static const size_t s_sizes[] = {0,   1,   3,   16,   60,   61,   64,   65,   255, 256,
                                 257, 272, 273, 1023, 4095, 4096, 4097, 8192, MOST};
#define N_SIZES (sizeof(s_sizes) / sizeof(s_sizes[0]))

typedef struct {
    float w[MOST + 1]; /* used from 0 and from 1: aligned well and badly */
    float g[MOST + 1];
    float out[MOST + 2];
    float expected[MOST + 1];
} vectors_t;

static vectors_t *s_vectors(void)
{
    vectors_t *self = calloc(1, sizeof(*self));
    for (int i = 0; i <= MOST; i++) {
        self->w[i] = sinf((float)i);
        self->g[i] = cosf((float)i * 0.7F);
    }
    return self;
}

/* Calls `check` with each path that the CPU has. */
static void s_on_each_path(void (*check)(vectors_t *))
{
    simd_path_t best = simd_limit(SIMD_AVX512);
    for (int path = (int)best; path >= (int)SIMD_C; path--) {
        vectors_t *vectors = s_vectors();
        (void)simd_limit((simd_path_t)path);
        check(vectors);
        free(vectors);
    }
    (void)simd_limit(best);
}

static void s_check_bytes(vectors_t *v)
{
    assert_true(digest_bytes("", 0) == 0x2d06800538d394c2); /* published: empty input, seed 0 */
    for (size_t i = 0; i < N_SIZES; i++)
        for (size_t from = 0; from < 4; from++)
            assert_true(digest_bytes((const char *)v->w + from, s_sizes[i] * 4) ==
                        XXH3_64bits((const char *)v->w + from, s_sizes[i] * 4));
}

static void s_check_floats(vectors_t *v)
{
    static const float wild[] = {INFINITY, -INFINITY, NAN};
    bool finite;
    v->w[0] = v->w[1] = FLT_MAX; /* no more than that is finite */
    v->w[2] = -FLT_MAX;
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t n = s_sizes[i];
        for (size_t from = 0; from < 2; from++) {
            uint64_t expected = XXH3_64bits(v->w + from, n * sizeof(float));
            assert_true(digest_floats(v->w + from, n, &finite) == expected);
            assert_true(finite);
            for (size_t at = 0; at < n; at = at * 2 + 1) {
                float kept = v->w[from + at];
                v->w[from + at] = wild[at % 3];
                assert_true(digest_floats(v->w + from, n, &finite) != expected);
                assert_false(finite);
                v->w[from + at] = kept;
            }
        }
    }
}

static void s_check_add(vectors_t *v)
{
    static const float wild[] = {INFINITY, -INFINITY, NAN};
    bool finite;
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t n = s_sizes[i], size = n * sizeof(float);
        for (size_t from = 0; from < 2; from++) {
            float *held = v->w + from, *arrived = v->out + from;
            memcpy(v->expected, held, size);
            vec_add(v->expected, v->g + from, n);
            memcpy(arrived, v->g + from, size);
            arrived[n] = 7; /* is not touched */
            assert_true(digest_add(arrived, held, n, &finite) == XXH3_64bits(v->g + from, size));
            assert_true(finite);
            assert_memory_equal(arrived, v->expected, size);
            assert_true(arrived[n] == 7);
            for (size_t at = 0; at < n; at = at * 2 + 1) {
                memcpy(arrived, v->g + from, size);
                arrived[at] = wild[at % 3];
                (void)digest_add(arrived, held, n, &finite);
                assert_false(finite);
                memcpy(arrived, v->g + from, size);
                float kept = held[at];
                held[at] = wild[at % 3]; /* the other vector is not looked at */
                (void)digest_add(arrived, held, n, &finite);
                assert_true(finite);
                held[at] = kept;
            }
        }
    }
}

typedef struct {
    float *out;
    const float *w, *g;
    size_t n_seen;
} descent_t;

static const float *s_descend(void *context, size_t first, size_t n)
{
    descent_t *self = context;
    assert_true(first == self->n_seen && n > 0 && n <= DIGEST_PIECE);
    self->n_seen += n;
    vec_descend(self->out + first, self->w + first, self->g + first, 0.3F, n);
    return self->out + first;
}

static uint64_t s_digest_descent(float *out, const float *w, const float *g, size_t n)
{
    descent_t descent = {.w = w, .g = g};
    descent.out = out;
    uint64_t digest = digest_pieces(s_descend, &descent, n);
    assert_true(descent.n_seen == n);
    return digest;
}

static void s_check_pieces(vectors_t *v)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t n = s_sizes[i], size = n * sizeof(float);
        for (size_t from = 0; from < 2; from++) {
            vec_descend(v->expected, v->w + from, v->g + from, 0.3F, n);
            uint64_t expected = XXH3_64bits(v->expected, size);
            assert_true(s_digest_descent(v->out, v->w + from, v->g + from, n) == expected);
            assert_memory_equal(v->out, v->expected, size);
            memcpy(v->out, v->g + from, size); /* in the gradient's place */
            assert_true(s_digest_descent(v->out, v->w + from, v->out, n) == expected);
            assert_memory_equal(v->out, v->expected, size);
            memcpy(v->out, v->w + from, size);
            assert_true(s_digest_descent(v->out, v->out, v->g + from, n) == expected);
            assert_memory_equal(v->out, v->expected, size);
        }
    }
}

static void s_check_descend(vectors_t *v)
{
    bool finite;
    for (size_t i = 0; i < N_SIZES; i++) {
        size_t n = s_sizes[i], size = n * sizeof(float);
        for (size_t from = 0; from < 2; from++) {
            vec_descend(v->expected, v->w + from, v->g + from, 0.3F, n);
            uint64_t expected = XXH3_64bits(v->expected, size);
            assert_true(digest_descend(v->out, v->w + from, v->g + from, 0.3F, n, &finite) ==
                        expected);
            assert_true(finite);
            assert_memory_equal(v->out, v->expected, size);
            memcpy(v->out, v->g + from, size); /* in the gradient's place */
            assert_true(digest_descend(v->out, v->w + from, v->out, 0.3F, n, &finite) == expected);
            assert_true(finite);
            assert_memory_equal(v->out, v->expected, size);
            memcpy(v->out, v->w + from, size);
            assert_true(digest_descend(v->out, v->out, v->g + from, 0.3F, n, &finite) == expected);
            assert_true(finite);
            assert_memory_equal(v->out, v->expected, size);
            for (size_t at = 0; at < n; at = at * 2 + 1) {
                float kept = v->w[from + at];
                v->w[from + at] = NAN;
                (void)digest_descend(v->out, v->w + from, v->g + from, 0.3F, n, &finite);
                assert_false(finite);
                v->w[from + at] = kept;
            }
        }
    }
}

static void test_bytes_have_the_digest_of_the_library(void **state)
{
    (void)state;
    s_on_each_path(s_check_bytes);
}

static void test_floats_are_digested_and_looked_at(void **state)
{
    (void)state;
    s_on_each_path(s_check_floats);
}

static void test_what_is_added_to_is_digested_as_it_was(void **state)
{
    (void)state;
    s_on_each_path(s_check_add);
}

static void test_pieces_are_digested(void **state)
{
    (void)state;
    s_on_each_path(s_check_pieces);
}

static void test_descent_is_digested(void **state)
{
    (void)state;
    s_on_each_path(s_check_descend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_have_the_digest_of_the_library),
        cmocka_unit_test(test_floats_are_digested_and_looked_at),
        cmocka_unit_test(test_what_is_added_to_is_digested_as_it_was),
        cmocka_unit_test(test_pieces_are_digested),
        cmocka_unit_test(test_descent_is_digested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
