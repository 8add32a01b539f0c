/* rng, vec, activation, loss, blas: small functions held to known answers. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/activation.h"
#include "math/elementary.h"
#include "math/blas.h"
#include "math/loss.h"
#include "math/median.h"
#include "math/rng.h"
#include "math/sampler.h"
#include "math/simd.h"
#include "math/vec.h"

/* The known-answer vectors that Random123 publishes for philox4x32 with 10 rounds. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t out[4];
        rng_philox(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof(out));
    }
}

static void test_rng_fill_is_the_counter_layout(void **state)
{
    (void)state;
    const uint64_t seed = 0x299f31d0a4093822;
    uint32_t all[11], word[4];
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    rng_fill(seed, RNG_SAMPLE, 9, 6, 11, all); /* starts and ends within a group of four */
    for (uint32_t i = 0; i < 11; i++) {
        const uint32_t counter[4] = {(6 + i) / 4, 0, 9, RNG_SAMPLE};
        rng_philox(counter, key, word);
        assert_int_equal(all[i], word[(6 + i) % 4]);
    }
    uint32_t far;
    rng_fill(seed, RNG_INIT, 0, (uint64_t)5 << 34, 1, &far);
    const uint32_t counter[4] = {0, 5, 0, RNG_INIT};
    rng_philox(counter, key, word);
    assert_int_equal(far, word[0]);
}

/* Any number of words from anywhere, also over the end of a counter's low word, on each path. */
static void test_rng_fill_in_bulk(void **state)
{
    (void)state;
    enum {
        MOST = 70
    };
    const uint64_t seed = 0x299f31d0a4093822, base = ((uint64_t)7 << 34) - 48;
    const uint32_t key[2] = {0xa4093822, 0x299f31d0};
    uint32_t seen[MOST + 1], word[4];
    for (simd_path_t path = SIMD_C; path <= SIMD_AVX512; path++) {
        simd_limit(path);
        for (uint64_t first = base; first < base + 8; first++) {
            for (size_t n = 0; n <= MOST; n++) {
                memset(seen, 0, sizeof(seen));
                rng_fill(seed, RNG_DROPOUT, 9, first, n, seen);
                for (size_t i = 0; i < n; i++) {
                    uint64_t at = first + i;
                    const uint32_t counter[4] = {(uint32_t)(at / 4), (uint32_t)(at >> 34), 9,
                                                 RNG_DROPOUT};
                    rng_philox(counter, key, word);
                    assert_int_equal(seen[i], word[at % 4]);
                }
                assert_int_equal(seen[n], 0);
            }
        }
    }
}

static void test_sample_size_within_5_sigma(void **state)
{
    (void)state;
    sampler_t sampler = {.seed = 1, .fraction = 0.7, .n_rows = 60000, .block_rows = 512};
    double sigma = sqrt(60000 * 0.7 * 0.3);
    uint32_t rows[512];
    uint64_t previous_hash = 0;
    for (uint32_t step = 1; step <= 100; step++) {
        uint32_t total = 0;
        uint64_t hash = 0;
        for (uint32_t block = 0; block < sampler_blocks(&sampler); block++) {
            uint32_t n = sampler_rows(&sampler, step, block, rows);
            uint32_t first, end;
            sampler_range(&sampler, block, &first, &end);
            for (uint32_t i = 0; i < n; i++) {
                assert_in_range(rows[i], first, end - 1);
                assert_true(i == 0 || rows[i] > rows[i - 1]); /* without replacement */
                hash = (hash ^ rows[i]) * 0x100000001b3;
            }
            total += n;
        }
        assert_true(hash != previous_hash); /* every step has its own sample */
        previous_hash = hash;
        assert_true(fabs(total - 42000.0) < 5 * sigma);
    }
}

static void test_sample_edges(void **state)
{
    (void)state;
    uint32_t rows[7];
    sampler_t all = {.seed = 3, .fraction = 1.0, .n_rows = 10, .block_rows = 7};
    assert_int_equal(sampler_blocks(&all), 2);
    assert_int_equal(sampler_rows(&all, 5, 0, rows), 7);
    assert_int_equal(rows[6], 6);
    assert_int_equal(sampler_rows(&all, 5, 1, rows), 3);
    assert_int_equal(rows[2], 9);
}

/* Each epoch takes each row once, in an order of its own, whatever the sizes. */
static void test_batches_are_permutations(void **state)
{
    (void)state;
    static const uint32_t sizes[][3] = {{1, 1, 1},    {2, 2, 1},     {7, 3, 2},       {64, 64, 64},
                                        {65, 13, 64}, {1000, 96, 7}, {4097, 999, 100}};
    for (size_t t = 0; t < sizeof(sizes) / sizeof(sizes[0]); t++) {
        uint32_t n = sizes[t][0], batch = sizes[t][1], step = 1, at_home = 0;
        sampler_t sampler = {
            .seed = 9, .fraction = 1, .n_rows = n, .batch_rows = batch, .block_rows = sizes[t][2]};
        uint32_t *rows = malloc(sampler.block_rows * sizeof(uint32_t));
        uint32_t *order[2] = {calloc(n, sizeof(uint32_t)), calloc(n, sizeof(uint32_t))};
        assert_int_equal(sampler_blocks(&sampler), (batch + sizes[t][2] - 1) / sizes[t][2]);
        assert_true(sampler_step_rows(&sampler) == batch);
        for (int epoch = 0; epoch < 2; epoch++) {
            uint8_t *seen = calloc(n, 1);
            uint32_t n_seen = 0;
            for (uint32_t first = 0; first < n; first += batch, step++) {
                uint32_t in_step = 0;
                for (uint32_t block = 0; block < sampler_blocks(&sampler); block++) {
                    uint32_t count = sampler_rows(&sampler, step, block, rows);
                    assert_int_equal(count, sampler_count(&sampler, step, block, NULL));
                    for (uint32_t i = 0; i < count; i++) {
                        assert_true(rows[i] < n && !seen[rows[i]]);
                        seen[rows[i]] = 1;
                        order[epoch][n_seen++] = rows[i];
                    }
                    in_step += count;
                }
                assert_int_equal(in_step, n - first < batch ? n - first : batch);
            }
            assert_int_equal(n_seen, n);
            free(seen);
        }
        for (uint32_t i = 0; i < n; i++)
            at_home += order[0][i] == i;
        assert_true(n < 64 || at_home < 8); /* on the average one */
        assert_true(n < 64 || memcmp(order[0], order[1], n * sizeof(uint32_t)) != 0);
        free(rows);
        free(order[0]);
        free(order[1]);
    }
    sampler_t sampler = {.n_rows = 100, .batch_rows = 10, .block_rows = 4};
    uint32_t first, end;
    sampler_reach(&sampler, 1, 2, &first, &end);
    assert_true(first == 0 && end == 100); /* any row may be in any block */
    sampler.batch_rows = 0;
    sampler_reach(&sampler, 1, 3, &first, &end);
    assert_true(first == 4 && end == 12);
}

static void test_every_byte_is_the_nearest_float(void **state)
{
    (void)state;
    uint8_t bytes[256 + 7];
    float out[256 + 7];
    for (int i = 0; i < 263; i++)
        bytes[i] = (uint8_t)i;
    vec_from_bytes(out, bytes, 263);
    for (int i = 0; i < 263; i++) {
        float nearest = (float)bytes[i] / 255.0f; /* IEEE division rounds to nearest */
        assert_memory_equal(&out[i], &nearest, sizeof(float));
    }
}

static void test_vec(void **state)
{
    (void)state;
    float a[67], b[67], out[67];
    for (int i = 0; i < 67; i++) {
        a[i] = (float)i * 0.37f;
        b[i] = (float)(66 - i) * 1.01f;
    }
    vec_descend(out, a, b, 0.25f, 67);
    for (int i = 0; i < 67; i++) {
        volatile float product = 0.25f * b[i]; /* rounded by itself: not fused */
        volatile float expected = a[i] - product;
        assert_true(out[i] == expected);
    }
    vec_add(a, b, 67);
    assert_true(a[1] == 1 * 0.37f + 65 * 1.01f);
    float sums[3];
    const float matrix[] = {1, 2, 3, 10, 20, 30};
    vec_sum_rows(sums, matrix, 2, 3);
    assert_true(sums[0] == 11 && sums[1] == 22 && sums[2] == 33);

    assert_true(vec_all_finite(b, 67));
    const float wild[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        for (size_t at = 0; at < 67; at += 33) {
            float kept = b[at];
            b[at] = wild[i];
            assert_false(vec_all_finite(b, 67));
            b[at] = kept;
        }
    }
    b[5] = FLT_MAX;
    assert_true(vec_all_finite(b, 67));
}

static double s_ulps(float got, double exact)
{
    float nearest = (float)exact;
    float unit = nextafterf(fabsf(nearest), INFINITY) - fabsf(nearest);
    return fabs((double)got - exact) / (double)unit;
}

static void test_activation_error_in_ulp(void **state)
{
    (void)state;
    enum {
        N = 4096
    };
    static float z[N], x[N];
    double worst_tanh = 0, worst_sigmoid = 0;
    uint32_t bits = 0x2f000000u; /* from 1e-10 ... */
    while (bits < 0x42ae0000u) { /* ... to 87, where sigmoid is still a normal number */
        for (int i = 0; i < N; i++, bits += 101) {
            memcpy(&x[i], &bits, sizeof(float));
            if (i % 2)
                x[i] = -x[i];
        }
        memcpy(z, x, sizeof(z));
        activation_forward(ACTIVATION_TANH, z, N, 1, NULL);
        for (int i = 0; i < N; i++)
            worst_tanh = fmax(worst_tanh, s_ulps(z[i], tanh((double)x[i])));
        memcpy(z, x, sizeof(z));
        activation_forward(ACTIVATION_SIGMOID, z, N, 1, NULL);
        for (int i = 0; i < N; i++)
            if (fabsf(x[i]) < 87.0f)
                worst_sigmoid = fmax(worst_sigmoid, s_ulps(z[i], 1 / (1 + exp(-(double)x[i]))));
    }
    print_message("largest error: tanh %.2f ulp, sigmoid %.2f ulp\n", worst_tanh, worst_sigmoid);
    assert_true(worst_tanh > 0 && worst_tanh <= 2);
    assert_true(worst_sigmoid > 0 && worst_sigmoid <= 3);
}

static double s_log_ulps(double x)
{
    long double exact = logl((long double)x);
    double ulp = fabs(nextafter((double)exact, INFINITY) - (double)exact);
    return x == 1 ? 0 : (double)(fabsl((long double)elementary_log(x) - exact) / (long double)ulp);
}

static void test_exp_and_log_are_accurate(void **state)
{
    (void)state;
    double worst_exp = 0, worst_log = 0;
    for (int i = -87000; i <= 88000; i++) {
        float x = (float)i / 1000;
        worst_exp = fmax(worst_exp, s_ulps(elementary_exp(x), exp((double)x)));
    }
    for (int i = -690000; i <= 690000; i++)
        worst_log = fmax(worst_log, s_log_ulps(exp(i / 1000.0)));
    for (int i = 50001; i < 200000; i += 2)
        worst_log = fmax(worst_log, s_log_ulps(i / 100000.0));
    print_message("largest error: exp %.2f ulp, log %.2f ulp\n", worst_exp, worst_log);
    assert_true(worst_exp > 0 && worst_exp <= 1);
    assert_true(worst_log > 0 && worst_log <= 2);
    assert_true(elementary_log(1) == 0 && elementary_exp(0) == 1);
}

static void test_activation_edges(void **state)
{
    (void)state;
    float z[] = {0.0f, -0.0f, 1000.0f, -1000.0f, INFINITY, -INFINITY, NAN};
    activation_forward(ACTIVATION_TANH, z, 7, 1, NULL);
    assert_true(z[0] == 0 && z[1] == 0 && z[2] == 1 && z[3] == -1 && z[4] == 1 && z[5] == -1);
    assert_true(isnan(z[6]));
    float s[] = {0.0f, 1000.0f, -1000.0f, NAN};
    activation_forward(ACTIVATION_SIGMOID, s, 4, 1, NULL);
    assert_true(s[0] == 0.5f && s[1] == 1 && s[2] >= 0 && s[2] < 1e-36f && isnan(s[3]));
}

static void test_activation_does_not_depend_on_position(void **state)
{
    (void)state;
    /* the vectorised middle and the scalar tail of a row must agree */
    float z[37];
    for (int i = 0; i < 37; i++)
        z[i] = 0.831f;
    activation_forward(ACTIVATION_TANH, z, 1, 37, NULL);
    for (int i = 1; i < 37; i++)
        assert_memory_equal(&z[i], &z[0], sizeof(float));
}

static void test_activation_names(void **state)
{
    (void)state;
    activation_t activation;
    assert_int_equal(activation_parse("sigmoid", &activation), 0);
    assert_int_equal(activation, ACTIVATION_SIGMOID);
    assert_int_equal(activation_parse("swish", &activation), -1);
    assert_string_equal(activation_name(ACTIVATION_TANH), "tanh");
}

static void test_loss(void **state)
{
    (void)state;
    const float y[] = {0.5f, 0.25f, 0.25f, 0.0f, 1.0f, 1.0f};
    const uint8_t labels[] = {0, 2};
    float delta[6];
    uint32_t n_correct;
    double cost = loss_sse(y, labels, NULL, 2, 3, delta, &n_correct);
    assert_true(cost == 0.5 * (0.25 + 0.0625 + 0.0625) + 0.5 * 1.0);
    assert_true(delta[0] == -0.5f && delta[4] == 1.0f && delta[5] == 0.0f);
    assert_int_equal(n_correct, 1); /* the second row's first of equals is class 1 */

    /* hopeless: e^z of the label is below any float, and the cost is finite all the same */
    float z[] = {1000.0f, 0.0f, -1000.0f};
    const uint8_t last[] = {2};
    cost = loss_cross_entropy(z, last, NULL, 1, 3, delta, &n_correct);
    assert_true(cost == 2000);
    assert_true(z[0] == 1 && z[1] < 1e-30f && delta[2] == -1.0f + z[2]);
    assert_int_equal(n_correct, 0);
}

static void test_best_core_of_a_cpu(void **state)
{
    (void)state;
    assert_null(blas_best_core(SIMD_C));
    assert_string_equal(blas_best_core(SIMD_AVX2), "Haswell");
    assert_string_equal(blas_best_core(SIMD_AVX512), "SkylakeX");
    assert_true(blas_can_run(SIMD_AVX512, "Haswell"));
    assert_true(blas_can_run(SIMD_AVX512, "SkylakeX"));
    assert_true(blas_can_run(SIMD_AVX2, "Prescott"));
    assert_false(blas_can_run(SIMD_AVX512, "Cooperlake"));
    assert_false(blas_can_run(SIMD_AVX512, "numpy"));
    assert_false(blas_can_run(SIMD_AVX2, "SkylakeX"));
    assert_false(blas_can_run(SIMD_C, "Zen"));
}

static void test_gemm_all_transposes(void **state)
{
    (void)state;
    err_t err;
    assert_int_equal(blas_open(NULL, &err), 0);
    enum {
        M = 5,
        N = 4,
        K = 3
    };
    float a[M * K], at[K * M], b[K * N], bt[N * K], c[M * N];
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++)
            a[i * K + k] = at[k * M + i] = (float)(i * 7 + k * 3 - 9);
    for (int k = 0; k < K; k++)
        for (int j = 0; j < N; j++)
            b[k * N + j] = bt[j * K + k] = (float)(k * 5 - j * 2 + 1);
    for (int form = 0; form < 3; form++) {
        blas_gemm(form == 1, form == 2, M, N, K, form == 1 ? at : a, form == 1 ? M : K,
                  form == 2 ? bt : b, form == 2 ? K : N, c, N);
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                float sum = 0;
                for (int k = 0; k < K; k++)
                    sum += a[i * K + k] * b[k * N + j];
                assert_true(c[i * N + j] == sum); /* small whole numbers: exact */
            }
        }
    }
}

/* The trap: without a say OpenBLAS may fall back to its SSE3 kernels. */
static void test_blas_uses_the_best_core(void **state)
{
    (void)state;
    err_t err;
    assert_int_equal(blas_open(NULL, &err), 0);
    const char *best = blas_best_core(simd_cpu());
    if (!getenv("DROVER_TEST_CORETYPE") && best)
        assert_string_equal(blas_core(), best);
    assert_int_equal(blas_open(blas_core(), &err), 0);
    assert_int_equal(blas_open("Nehalem", &err), -1);
    assert_non_null(strstr(err.text, "expected Nehalem"));
}

static void test_median(void **state)
{
    (void)state;
    double odd[] = {5, -1, 3}, even[] = {4, 1, 9, 2}, one[] = {7};
    assert_true(median_of(odd, 3) == 3);
    assert_true(odd[0] == -1 && odd[2] == 5);
    assert_true(median_of(even, 4) == 3);
    assert_true(median_of(one, 1) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_rng_fill_is_the_counter_layout),
        cmocka_unit_test(test_rng_fill_in_bulk),
        cmocka_unit_test(test_sample_size_within_5_sigma),
        cmocka_unit_test(test_sample_edges),
        cmocka_unit_test(test_every_byte_is_the_nearest_float),
        cmocka_unit_test(test_vec),
        cmocka_unit_test(test_activation_error_in_ulp),
        cmocka_unit_test(test_batches_are_permutations),
        cmocka_unit_test(test_exp_and_log_are_accurate),
        cmocka_unit_test(test_activation_edges),
        cmocka_unit_test(test_activation_does_not_depend_on_position),
        cmocka_unit_test(test_activation_names),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_best_core_of_a_cpu),
        cmocka_unit_test(test_gemm_all_transposes),
        cmocka_unit_test(test_blas_uses_the_best_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
