/* optimizer and update: five steps of each against their formulas in double, on every path. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/digest.h"
#include "math/optimizer.h"
#include "math/simd.h"
#include "math/update.h"

#define STEPS  5
#define ROWS   10
#define INPUTS 300

/* Two layers over more than one piece of the digest, whose borders are within W and b. */
static const model_t s_model = {.n_inputs = INPUTS,
                                .n_layers = 2,
                                .layers = {{.units = 17, .activation = ACTIVATION_TANH},
                                           {.units = 5, .activation = ACTIVATION_SIGMOID}}};
enum {
    W1_END = INPUTS * 17,
    B1_END = W1_END + 17,
    W2_END = B1_END + 17 * 5,
    P = W2_END + 5
};

static double s_descend(optimizer_t *optimizer, const float *w, const float *g, uint64_t rows,
                        double cost, float *next)
{
    uint64_t digest;
    assert_int_equal(optimizer_step(optimizer, w, g, rows, &cost, next, &digest, NULL), 0);
    return optimizer_rate(optimizer_state(optimizer));
}

static void test_bold_driver_steps_and_undoes(void **state)
{
    (void)state;
    const float g0[2] = {10.0f, -20.0f}, g2[2] = {1.0f, 1.0f}, bad[2] = {9.0f, 9.0f};
    float w0[2] = {1.0f, 2.0f}, w1[2], w2[2], w3[2];
    model_t model = {
        .n_inputs = 1, .n_layers = 1, .layers = {{.units = 1, .activation = ACTIVATION_TANH}}};
    optimizer_state_t start = {.driver = bold_driver_new(0.5, 2.0, 0.5, true)};
    optimizer_t *optimizer = optimizer_new(&model, &start);
    assert_true(s_descend(optimizer, w0, g0, 10, 1.0, w1) == 0.5);
    assert_true(w1[0] == 0.5f && w1[1] == 3.0f);
    optimizer_state_t saved = optimizer_state_share(optimizer_state(optimizer));
    w0[0] = 7.0f; /* the optimizer keeps what it was */
    for (int round = 0; round < 2; round++) {
        assert_true(s_descend(optimizer, w1, bad, 10, 5.0, w2) == 0.25); /* the cost rose */
        assert_true(w2[0] == 0.75f && w2[1] == 2.5f);                    /* from w0 by g0 */
        if (round == 1)
            break;
        optimizer_destroy(&optimizer);
        optimizer = optimizer_new(&model, &saved); /* and once more from the saved state */
        assert_null(saved.kept_weights);
    }
    assert_true(s_descend(optimizer, w1, g2, 1, 0.5, w3) == 0.5);
    assert_true(w3[0] == 0.0f && w3[1] == 2.5f);
    optimizer_destroy(&optimizer);

    start.driver = bold_driver_new(0.5, 2.0, 0.5, false);
    optimizer = optimizer_new(&model, &start);
    s_descend(optimizer, w1, g0, 10, 1.0, w2);
    assert_true(s_descend(optimizer, w1, g2, 1, 5.0, w2) == 0.25);
    assert_true(w2[0] == w1[0] - 0.25f);
    optimizer_destroy(&optimizer);
}

static bool s_is_weight(size_t i)
{
    return i < W1_END || (i >= B1_END && i < W2_END);
}

/* Summed gradient of a step: of either sign, some of it zero. */
static void s_gradient(uint32_t step, float *gradient)
{
    for (size_t i = 0; i < P; i++)
        gradient[i] = i % 7 == 3 ? 0.0f : ROWS * sinf((float)i * 0.37f + (float)step);
}

typedef struct {
    double w[P], m[P], v[P], average[P];
    double cost; /* of the last step, without that of the batch */
} reference_t;

/* The formulas of optimizer.h, in double and one by one. */
static void s_reference(reference_t *self, const optimizer_config_t *config, uint32_t step,
                        double rate)
{
    static double g[P];
    static float sum[P];
    double squares = 0;
    s_gradient(step, sum);
    self->cost = 0;
    for (size_t i = 0; i < P; i++) {
        double w = self->w[i];
        g[i] = (double)sum[i] / ROWS;
        if (s_is_weight(i)) {
            g[i] += config->l2 * w + config->l1 * (double)((w > 0) - (w < 0));
            self->cost += config->l1 * fabs(w) + config->l2 / 2 * w * w;
        }
        squares += g[i] * g[i];
    }
    double clip = config->clip_norm > 0 ? config->clip_norm / (sqrt(squares) + 1e-6) : 1;
    for (size_t i = 0; i < P; i++) {
        double *w = &self->w[i], *m = &self->m[i], *v = &self->v[i];
        if (clip < 1)
            g[i] *= clip;
        switch (config->kind) {
        case OPTIMIZER_GRADIENT_DESCENT:
            *w -= rate * g[i];
            break;
        case OPTIMIZER_MOMENTUM:
            *m = config->momentum * *m + g[i];
            *w -= rate * *m;
            break;
        case OPTIMIZER_NESTEROV:
            *m = config->momentum * *m + g[i];
            *w -= rate * (g[i] + config->momentum * *m);
            break;
        case OPTIMIZER_ADAMW:
            *w *= 1 - rate * config->weight_decay;
            /* fall through */
        case OPTIMIZER_ADAM:
            *m = config->beta1 * *m + (1 - config->beta1) * g[i];
            *v = config->beta2 * *v + (1 - config->beta2) * g[i] * g[i];
            *w -= rate * (*m / (1 - pow(config->beta1, step))) /
                  (sqrt(*v / (1 - pow(config->beta2, step))) + config->epsilon);
            break;
        }
        self->average[i] = step == 1 ? *w : config->ema * self->average[i] + (1 - config->ema) * *w;
    }
}

static double s_distance(const float *a, const double *b)
{
    double worst = 0;
    for (size_t i = 0; i < P; i++)
        worst = fmax(worst, fabs((double)a[i] - b[i]));
    return worst;
}

static optimizer_config_t s_config(optimizer_kind_t kind)
{
    return (optimizer_config_t){
        .kind = kind,
        .schedule = {.kind = SCHEDULE_STEP, .every_steps = 2, .factor = 0.5},
        .learning_rate = 0.02,
        .momentum = 0.9,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .weight_decay = 0.3,
    };
}

/* Five steps; in the third the state goes through another optimizer, as from a checkpoint. Returns
 * the weights' digest. */
static uint64_t s_check(const optimizer_config_t *config)
{
    static float w[P], g[P];
    static reference_t reference;
    uint64_t digest = 0;
    memset(&reference, 0, sizeof(reference));
    for (size_t i = 0; i < P; i++)
        reference.w[i] = (double)(w[i] = i % 11 == 0 ? 0.0f : cosf((float)i));
    optimizer_state_t start = {.config = *config};
    optimizer_t *optimizer = optimizer_new(&s_model, &start);
    for (uint32_t step = 1; step <= STEPS; step++) {
        if (step == 3) {
            optimizer_state_t saved = optimizer_state_share(optimizer_state(optimizer));
            optimizer_destroy(&optimizer);
            optimizer = optimizer_new(&s_model, &saved);
        }
        double rate = schedule_rate(&config->schedule, config->learning_rate, step), cost = 0.25;
        s_reference(&reference, config, step, rate);
        s_gradient(step, g);
        assert_int_equal(optimizer_step(optimizer, w, g, ROWS, &cost, g, &digest, NULL), 0);
        memcpy(w, g, sizeof(w)); /* it may be made in the gradient's place */
        assert_true(digest == digest_bytes(w, sizeof(w)));
        assert_true(optimizer_rate(optimizer_state(optimizer)) == rate);
        assert_true(s_distance(w, reference.w) < 1e-6);
        assert_true(fabs(cost - 0.25 - reference.cost) <= 1e-5 * reference.cost);
        const optimizer_state_t *state = optimizer_state(optimizer);
        assert_true(!state->average == !(config->ema > 0));
        assert_true(!state->moment1 == !optimizer_has_moment1(config->kind));
        assert_true(!state->moment2 == !optimizer_has_moment2(config->kind));
        if (state->average)
            assert_true(s_distance(state->average, reference.average) < 1e-6);
    }
    optimizer_destroy(&optimizer);
    return digest;
}

static void test_five_steps_are_the_formulas_on_every_path(void **state)
{
    (void)state;
    for (int kind = OPTIMIZER_GRADIENT_DESCENT; kind <= OPTIMIZER_ADAMW; kind++)
        for (int extra = 0; extra < 5; extra++) {
            optimizer_config_t config = s_config((optimizer_kind_t)kind);
            config.l1 = extra == 1 || extra == 4 ? 0.01 : 0;
            config.l2 = extra == 2 || extra == 4 ? 0.1 : 0;
            config.clip_norm = extra == 3 || extra == 4 ? 1.5 : 0;
            config.ema = extra == 4 ? 0.9 : 0;
            simd_path_t best = simd_limit(SIMD_AVX512);
            uint64_t digest = s_check(&config);
            for (int path = (int)best; path-- > 0;) {
                (void)simd_limit((simd_path_t)path);
                assert_true(s_check(&config) == digest);
            }
            (void)simd_limit(best);
        }
}

/* One number, worked out by hand: PyTorch's forms, not others of the same name. */
static void test_known_values(void **state)
{
    (void)state;
    static const struct {
        optimizer_kind_t kind;
        float expected[2]; /* w after two steps from 1 with g = 1, then 2; rate 0.5, mu 0.5 */
    } rows[] = {
        {OPTIMIZER_GRADIENT_DESCENT, {0.5f, -0.5f}},
        {OPTIMIZER_MOMENTUM, {0.5f, -0.75f}},   /* m = 1, 2.5 */
        {OPTIMIZER_NESTEROV, {0.25f, -1.375f}}, /* 1.5, 3.25 */
    };
    model_t model = {
        .n_inputs = 1, .n_layers = 1, .layers = {{.units = 1, .activation = ACTIVATION_TANH}}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        float w[2] = {1, 1};
        const float g[2][2] = {{4, 4}, {8, 8}};
        optimizer_state_t start = {.config = s_config(rows[i].kind)};
        start.config.schedule.kind = SCHEDULE_CONSTANT;
        start.config.learning_rate = start.config.momentum = 0.5;
        optimizer_t *optimizer = optimizer_new(&model, &start);
        assert_true(optimizer_rate(optimizer_state(optimizer)) == 0.5);
        for (int step = 0; step < 2; step++) {
            s_descend(optimizer, w, g[step], 4, 1.0, w);
            assert_true(w[0] == rows[i].expected[step] && w[1] == w[0]);
        }
        optimizer_destroy(&optimizer);
    }
}

static void test_sums_do_not_depend_on_path_or_pieces(void **state)
{
    (void)state;
    static float a[1003];
    for (size_t i = 0; i < 1003; i++)
        a[i] = expf(sinf((float)i * 1.3f) * 30.0f) * (i % 2 ? -1.0f : 1.0f);
    simd_path_t best = simd_limit(SIMD_AVX512);
    double expected[2] = {0, 0};
    for (int path = (int)best; path >= 0; path--) {
        (void)simd_limit((simd_path_t)path);
        for (size_t piece = 8; piece < 1200; piece += 72) {
            double squares[UPDATE_SUMS] = {0}, magnitudes[UPDATE_SUMS] = {0};
            for (size_t first = 0; first < 1003; first += piece) {
                size_t n = 1003 - first < piece ? 1003 - first : piece;
                update_add_squares(squares, a + first, n);
                update_add_magnitudes(magnitudes, a + first, n);
            }
            double totals[2] = {update_total(squares), update_total(magnitudes)};
            if (expected[0] == 0)
                memcpy(expected, totals, sizeof(expected));
            assert_memory_equal(totals, expected, sizeof(expected));
        }
    }
    (void)simd_limit(best);
    double in_order = 0;
    for (size_t i = 0; i < 1003; i++)
        in_order += (double)a[i] * (double)a[i];
    assert_true(fabs(expected[0] / in_order - 1) < 1e-12);
}

/* What is not finite is said, with the rate and the layer, and is not there to go on with. */
static void test_divergence_is_named(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        float gradient;
        double cost, clip_norm;
        optimizer_kind_t kind;
        const char *expected;
    } rows[] = {
        {0, 1.0f, (double)NAN, 0, OPTIMIZER_GRADIENT_DESCENT, "the cost is nan"},
        {B1_END, NAN, (double)INFINITY, 0, OPTIMIZER_ADAM,
         "the cost is inf, and layer 2 is the first whose gradient is not finite"},
        {W1_END - 1, INFINITY, 1, 0, OPTIMIZER_GRADIENT_DESCENT, "layer 1 is the first"},
        {B1_END - 1, NAN, 1, 0, OPTIMIZER_MOMENTUM, "layer 1 is the first"},
        {B1_END, -INFINITY, 1, 0, OPTIMIZER_NESTEROV, "layer 2 is the first"},
        {P - 1, INFINITY, 1, 1, OPTIMIZER_GRADIENT_DESCENT, "layer 2 is the first"},
        {B1_END, 1e30f, 1, 0, OPTIMIZER_ADAM, "layer 2 is the first"}, /* its square */
        {W1_END, INFINITY, 1, 0, OPTIMIZER_ADAMW, "layer 1 is the first"},
        {W1_END, 1e30f, 1, 1, OPTIMIZER_ADAM, NULL}, /* clipped before */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static float w[P], g[P];
        err_t err = {{0}};
        uint64_t digest;
        double cost = rows[i].cost;
        s_gradient(1, g);
        g[rows[i].at] = rows[i].gradient;
        optimizer_state_t start = {.config = s_config(rows[i].kind)};
        start.config.clip_norm = rows[i].clip_norm;
        optimizer_t *optimizer = optimizer_new(&s_model, &start);
        memset(w, 0, sizeof(w));
        int r = optimizer_step(optimizer, w, g, 1, &cost, g, &digest, &err);
        assert_int_equal(r, rows[i].expected ? -1 : 0);
        if (rows[i].expected) {
            assert_non_null(strstr(err.text, "diverged at learning rate 0.02: "));
            assert_non_null(strstr(err.text, rows[i].expected));
        }
        optimizer_destroy(&optimizer);
    }
}

/* The cost that the bold driver goes by is the one with the penalties. */
static void test_bold_driver_sees_the_penalties(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = 1, .n_layers = 1, .layers = {{.units = 1, .activation = ACTIVATION_TANH}}};
    const float light[2] = {1, 9}, heavy[2] = {4, 9}, g[2] = {0, 0};
    float next[2];
    optimizer_state_t start = {.driver = bold_driver_new(0.5, 2.0, 0.5, false)};
    start.config.l2 = 0.5;
    optimizer_t *optimizer = optimizer_new(&model, &start);
    uint64_t digest;
    double cost = 1.0;
    assert_int_equal(optimizer_step(optimizer, light, g, 1, &cost, next, &digest, NULL), 0);
    assert_true(cost == 1.25 && next[0] == 0.75f && next[1] == 9.0f); /* biases are left alone */
    cost = 0.9;
    assert_int_equal(optimizer_step(optimizer, heavy, g, 1, &cost, next, &digest, NULL), 0);
    assert_true(cost == 4.9);
    assert_true(optimizer_rate(optimizer_state(optimizer)) == 0.25); /* it rose */
    optimizer_destroy(&optimizer);
}

/* The cost of a step from these weights without a gradient: penalties alone; next(P) after it. */
static double s_penalty(const optimizer_config_t *config, const float *w, float *next)
{
    static const float none[P];
    optimizer_state_t start = {.config = *config};
    optimizer_t *optimizer = optimizer_new(&s_model, &start);
    double cost = 0;
    uint64_t digest;
    assert_int_equal(optimizer_step(optimizer, w, none, 1, &cost, next, &digest, NULL), 0);
    optimizer_destroy(&optimizer);
    return cost;
}

/* What a step at rate 1 takes off a parameter is the difference quotient of the cost. */
static void test_penalties_are_their_costs_gradients(void **state)
{
    (void)state;
    static const size_t at[] = {0, 1, 2, W1_END - 1, W1_END, B1_END - 1, B1_END, W2_END - 1, P - 1};
    static float w[P], next[P], unused[P];
    const float h = 1.0F / 64;
    for (int i = 0; i < 3; i++) {
        optimizer_config_t config = {
            .schedule = {.kind = SCHEDULE_CONSTANT},
            .learning_rate = 1,
            .l1 = i == 1 ? 0 : 0.25,
            .l2 = i == 0 ? 0 : 0.5,
        };
        for (size_t k = 0; k < P; k++)
            w[k] = (k % 2 ? -1.0F : 1.0F) * (0.25F + (float)(k % 5) / 8);
        (void)s_penalty(&config, w, next);
        for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
            float here = w[at[k]];
            w[at[k]] = here + h;
            double above = s_penalty(&config, w, unused);
            w[at[k]] = here - h;
            double below = s_penalty(&config, w, unused);
            w[at[k]] = here;
            double slope = (above - below) / (2 * (double)h);
            assert_true(fabs((double)(here - next[at[k]]) - slope) < 1e-5);
            assert_true((fabs(slope) > 0.1) == s_is_weight(at[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bold_driver_steps_and_undoes),
        cmocka_unit_test(test_five_steps_are_the_formulas_on_every_path),
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_sums_do_not_depend_on_path_or_pieces),
        cmocka_unit_test(test_divergence_is_named),
        cmocka_unit_test(test_bold_driver_sees_the_penalties),
        cmocka_unit_test(test_penalties_are_their_costs_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
