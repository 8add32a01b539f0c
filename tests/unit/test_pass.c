/* Forward and backward passes: every kind of layer, activation and loss against a network in double
 * that is written from the definitions alone, and against its differences. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/blas.h"
#include "math/pass.h"
#include "math/rng.h"
#include "math/simd.h"

enum {
    B = 7,
    MOST = 4096 /* values of a layer */
};

static const uint32_t s_rows[B] = {3, 4, 9, 100, 101, 2000, 70000};

static double s_activate(activation_t activation, double z)
{
    switch (activation) {
    case ACTIVATION_TANH:
        return tanh(z);
    case ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-z));
    case ACTIVATION_RELU:
        return fmax(z, 0);
    case ACTIVATION_LEAKY_RELU:
        return z > 0 ? z : 0.01 * z;
    case ACTIVATION_GELU:
        return 0.5 * z * (1 + tanh(sqrt(2 / acos(-1)) * (z + 0.044715 * z * z * z)));
    case ACTIVATION_SOFTMAX:
        break;
    }
    return exp(z);
}

static void s_softmax(double *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i];
    for (size_t i = 0; i < n; i++)
        a[i] /= sum;
}

/* One output z of a layer with weights; `a` is what it takes. */
static double s_unit(const model_t *model, uint32_t l, const double *params, const double *a,
                     uint32_t row, uint32_t column, uint32_t unit)
{
    const model_layer_t *layer = &model->layers[l];
    model_shape_t in = model_shape(model, l);
    const double *W = params + model_weight_offset(model, l);
    double z = params[model_bias_offset(model, l) + unit];
    if (layer->kind == LAYER_DENSE) {
        for (size_t i = 0; i < model_layer_inputs(model, l); i++)
            z += a[i] * W[i * layer->units + unit];
        return z;
    }
    for (uint32_t i = 0; i < layer->size; i++) {
        for (uint32_t j = 0; j < layer->size; j++) {
            int y = (int)(row * layer->stride + i) - (int)layer->padding;
            int x = (int)(column * layer->stride + j) - (int)layer->padding;
            if (y < 0 || x < 0 || y >= (int)in.height || x >= (int)in.width)
                continue;
            for (uint32_t c = 0; c < in.channels; c++)
                z += a[((uint32_t)y * in.width + (uint32_t)x) * in.channels + c] *
                     W[((i * layer->size + j) * in.channels + c) * layer->units + unit];
        }
    }
    return z;
}

static double s_pooled(const model_t *model, uint32_t l, const double *a, uint32_t row,
                       uint32_t column, uint32_t channel)
{
    const model_layer_t *layer = &model->layers[l];
    model_shape_t in = model_shape(model, l);
    double most = -INFINITY;
    for (uint32_t i = 0; i < layer->size; i++)
        for (uint32_t j = 0; j < layer->size; j++)
            most =
                fmax(most, a[((row * layer->stride + i) * in.width + column * layer->stride + j) *
                                 in.channels +
                             channel]);
    return most;
}

static void s_drop(const pass_draw_t *draw, uint32_t row, uint32_t l, double dropout, double *a,
                   size_t n)
{
    uint32_t threshold = (uint32_t)(dropout * 65536);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        rng_fill(draw->seed, RNG_DROPOUT, draw->step,
                 ((uint64_t)draw->rows[row] << 32) + ((uint64_t)l << 27) + i / 2, 1, &bits);
        uint32_t half = i % 2 ? bits >> 16 : bits & 0xffff;
        a[i] = half < threshold ? 0 : a[i] / (1 - threshold / 65536.0);
    }
}

/* The outputs of a row, into a(MOST), which holds the inputs. */
static void s_forward(const model_t *model, const double *params, const pass_draw_t *draw,
                      uint32_t row, double *a)
{
    static double next[MOST];
    for (uint32_t l = 0; l < model->n_layers; l++) {
        const model_layer_t *layer = &model->layers[l];
        model_shape_t out = model_shape(model, l + 1);
        size_t n = 0;
        for (uint32_t y = 0; y < out.height; y++) {
            for (uint32_t x = 0; x < out.width; x++) {
                for (uint32_t c = 0; c < out.channels; c++)
                    next[n + c] =
                        layer->kind == LAYER_MAX_POOL
                            ? s_pooled(model, l, a, y, x, c)
                            : s_activate(layer->activation, s_unit(model, l, params, a, y, x, c));
                if (layer->kind != LAYER_MAX_POOL && layer->activation == ACTIVATION_SOFTMAX)
                    s_softmax(next + n, out.channels);
                n += out.channels;
            }
        }
        if (draw && layer->dropout > 0)
            s_drop(draw, row, l, layer->dropout, next, n);
        memcpy(a, next, n * sizeof(double));
    }
}

static double s_cost(const model_t *model, const double *params, const pass_draw_t *draw,
                     const uint8_t *images, const uint8_t *labels)
{
    static double a[MOST];
    double cost = 0;
    for (uint32_t r = 0; r < B; r++) {
        double row = 0;
        for (uint32_t i = 0; i < model->n_inputs; i++)
            a[i] = images[r * model->n_inputs + i] / 255.0;
        s_forward(model, params, draw, r, a);
        for (uint32_t c = 0; c < model_classes(model) && model->loss == LOSS_SSE; c++)
            row += 0.5 * (a[c] - (c == labels[r])) * (a[c] - (c == labels[r]));
        if (model->loss == LOSS_CROSS_ENTROPY)
            row = -log(a[labels[r]]);
        cost += row * (model->weighted ? (double)model->class_weights[labels[r]] : 1);
    }
    return cost;
}

typedef struct {
    model_t model;
    size_t n_params;
    uint8_t *images;
    uint8_t labels[B];
    float *params, *gradient;
    double *exact; /* the same params */
    pass_draw_t draw;
} fixture_t;

static void s_open(fixture_t *self, const model_t *model)
{
    err_t err;
    memset(self, 0, sizeof(*self));
    self->model = *model;
    if (model_check(model, &err) != 0)
        fail_msg("%s", err.text);
    self->n_params = model_params(model);
    self->images = malloc((size_t)B * model->n_inputs);
    self->params = malloc(self->n_params * sizeof(float));
    self->gradient = malloc(self->n_params * sizeof(float));
    self->exact = malloc(self->n_params * sizeof(double));
    self->draw = (pass_draw_t){99, 5, s_rows};
    uint32_t bits = 1;
    for (size_t i = 0; i < (size_t)B * model->n_inputs; i++) {
        bits = bits * 1664525 + 1013904223;
        self->images[i] = bits >> 30 ? (uint8_t)(bits >> 20) : 0;
    }
    for (uint32_t r = 0; r < B; r++)
        self->labels[r] = (uint8_t)(r % model_classes(model));
    model_init(model, MODEL_INIT_UNIFORM, 11, self->params);
    for (size_t i = 0; i < self->n_params; i++)
        self->exact[i] = (double)self->params[i];
}

static void s_close(fixture_t *self)
{
    free(self->images);
    free(self->params);
    free(self->gradient);
    free(self->exact);
}

/* Cost and gradient by a kernel. */
static double s_gradient(fixture_t *self, kernel_t kernel, size_t n_rows, uint32_t *n_correct)
{
    sparse_t by_rows = {.picks = NULL}, by_columns = {.picks = NULL};
    size_t D = self->model.n_inputs;
    pass_t *pass = pass_new(&self->model, kernel, B);
    pass_set_bytes(pass, self->images, n_rows);
    sparse_set(&by_rows, n_rows, D, self->images, D);
    sparse_set_transposed(&by_columns, D, n_rows, self->images, D);
    if (pass_is_sparse(&self->model, kernel))
        pass_set_sparse(pass, &by_rows, &by_columns, NULL);
    memset(self->gradient, 0xff, self->n_params * sizeof(float));
    double cost = pass_gradient(pass, self->params, &self->draw, self->labels, n_rows,
                                self->gradient, n_correct);
    pass_destroy(&pass);
    sparse_clear(&by_rows);
    sparse_clear(&by_columns);
    return cost;
}

static void s_check_differences(fixture_t *self)
{
    double scale = 0;
    for (size_t i = 0; i < self->n_params; i++)
        scale = fmax(scale, fabs((double)self->gradient[i]));
    assert_true(scale > 0.01);
    for (size_t i = 0; i < self->n_params; i++) {
        double kept = self->exact[i];
        self->exact[i] = kept + 1e-6;
        double above = s_cost(&self->model, self->exact, &self->draw, self->images, self->labels);
        self->exact[i] = kept - 1e-6;
        double below = s_cost(&self->model, self->exact, &self->draw, self->images, self->labels);
        self->exact[i] = kept;
        double numeric = (above - below) / 2e-6;
        if (!(fabs(numeric - (double)self->gradient[i]) < 1e-4 * fmax(fabs(numeric), 0.1 * scale)))
            fail_msg("parameter %zu: %.9g, by differences %.9g", i, (double)self->gradient[i],
                     numeric);
    }
}

/* The output without dropout, and what it costs, against the definition. */
static void s_check_evaluation(fixture_t *self, kernel_t kernel)
{
    static double a[MOST];
    uint32_t C = model_classes(&self->model), n_correct, right = 0;
    double cost;
    pass_t *pass = pass_new(&self->model, kernel, B);
    float *forward = malloc(B * C * sizeof(float));
    pass_set_bytes(pass, self->images, B);
    memcpy(forward, pass_forward(pass, self->params, B), B * C * sizeof(float));
    pass_set_bytes(pass, self->images, B);
    const float *y = pass_evaluate(pass, self->params, self->labels, B, &cost, &n_correct);
    assert_memory_equal(y, forward, B * C * sizeof(float));
    double expected = s_cost(&self->model, self->exact, NULL, self->images, self->labels);
    assert_true(fabs(cost - expected) < 1e-5 * expected);
    for (uint32_t r = 0; r < B; r++) {
        uint32_t best = 0;
        for (uint32_t i = 0; i < self->model.n_inputs; i++)
            a[i] = self->images[r * self->model.n_inputs + i] / 255.0;
        s_forward(&self->model, self->exact, NULL, r, a);
        for (uint32_t c = 0; c < C; c++) {
            assert_true(fabs(a[c] - (double)y[r * C + c]) < 1e-5 * fmax(1, fabs(a[c])));
            best = a[c] > a[best] ? c : best;
        }
        right += best == self->labels[r];
    }
    assert_int_equal(n_correct, right);
    free(forward);
    pass_destroy(&pass);
}

static void s_check(const model_t *model)
{
    for (kernel_t kernel = KERNEL_DENSE; kernel <= KERNEL_SPARSE; kernel++) {
        fixture_t self;
        uint32_t n_correct;
        s_open(&self, model);
        double cost = s_gradient(&self, kernel, B, &n_correct);
        double expected = s_cost(&self.model, self.exact, &self.draw, self.images, self.labels);
        assert_true(fabs(cost - expected) < 1e-5 * expected);
        s_check_differences(&self);
        s_check_evaluation(&self, kernel);
        cost = s_gradient(&self, kernel, 0, &n_correct);
        assert_true(cost == 0 && n_correct == 0 && self.gradient[0] == 0 &&
                    self.gradient[self.n_params - 1] == 0);
        s_close(&self);
    }
}

#define DENSE(n, f)                                                                                \
    {                                                                                              \
        .units = (n), .activation = ACTIVATION_##f                                                 \
    }
#define CONV(n, k, s, p, f)                                                                        \
    {                                                                                              \
        .kind = LAYER_CONV, .units = (n), .size = (k), .stride = (s), .padding = (p),              \
        .activation = ACTIVATION_##f                                                               \
    }
#define POOL(k, s)                                                                                 \
    {                                                                                              \
        .kind = LAYER_MAX_POOL, .size = (k), .stride = (s)                                         \
    }

static void test_each_activation_and_loss(void **state)
{
    (void)state;
    for (int f = 0; f < ACTIVATION_COUNT; f++) {
        for (int g = 0; g < ACTIVATION_COUNT; g++) {
            model_t model = {
                .n_inputs = 7,
                .n_layers = 3,
                .layers = {DENSE(5, TANH), DENSE(6, TANH), DENSE(4, TANH)},
                .loss = LOSS_SSE,
            };
            model.layers[0].activation = (activation_t)f;
            model.layers[1].activation = (activation_t)((f + 1) % ACTIVATION_COUNT);
            model.layers[2].activation = (activation_t)g;
            s_check(&model);
            model.loss = LOSS_CROSS_ENTROPY;
            if (g == ACTIVATION_SOFTMAX)
                s_check(&model);
        }
    }
}

static void test_class_weights(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = 9,
        .n_layers = 2,
        .layers = {DENSE(5, GELU), DENSE(3, SOFTMAX)},
        .weighted = true,
        .class_weights = {0.5F, 2, 3.25F},
    };
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        model.loss = (loss_t)loss;
        s_check(&model);
    }
}

static void test_dropout(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = 25,
        .n_layers = 4,
        .layers = {CONV(3, 2, 1, 0, RELU), DENSE(1100, TANH), DENSE(6, GELU), DENSE(3, SOFTMAX)},
        .loss = LOSS_CROSS_ENTROPY,
    };
    model.layers[0].dropout = 0.2;
    model.layers[1].dropout = 0.99;
    model.layers[2].dropout = 0.5;
    for (kernel_t kernel = KERNEL_DENSE; kernel <= KERNEL_SPARSE; kernel++) {
        fixture_t self;
        uint32_t n_correct;
        s_open(&self, &model);
        double cost = s_gradient(&self, kernel, B, &n_correct);
        double expected = s_cost(&self.model, self.exact, &self.draw, self.images, self.labels);
        assert_true(fabs(cost - expected) < 1e-5 * expected);
        self.draw.step++; /* other outputs are dropped */
        assert_true(fabs(s_gradient(&self, kernel, B, &n_correct) - expected) > 1e-4 * expected);
        s_close(&self);
    }
    model.layers[1] = (model_layer_t)DENSE(11, TANH);
    model.layers[1].dropout = 0.5;
    s_check(&model);
}

static void test_convolutions_and_pools(void **state)
{
    (void)state;
    static const model_t models[] = {
        {.n_inputs = 36,
         .n_layers = 2,
         .layers = {CONV(3, 3, 1, 0, TANH), DENSE(3, SOFTMAX)},
         .loss = LOSS_CROSS_ENTROPY},
        {.n_inputs = 36,
         .n_layers = 3,
         .layers = {CONV(2, 3, 2, 1, GELU), CONV(3, 2, 1, 1, SIGMOID), DENSE(3, SIGMOID)}},
        {.n_inputs = 3 * 49, /* three channels */
         .n_layers = 4,
         .layers = {CONV(4, 4, 1, 3, LEAKY_RELU), POOL(2, 2), POOL(3, 1), DENSE(3, SOFTMAX)},
         .loss = LOSS_CROSS_ENTROPY},
        {.n_inputs = 64,
         .n_layers = 4,
         .layers = {POOL(3, 2), CONV(3, 1, 1, 0, RELU), DENSE(4, TANH), DENSE(2, SIGMOID)}},
        {.n_inputs = 49, /* patches of one image are more than are there at a time */
         .n_layers = 3,
         .layers = {CONV(2, 2, 1, 0, TANH), CONV(1, 3, 1, 0, TANH), DENSE(2, SIGMOID)}},
    };
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        s_check(&models[i]);
}

/* So large that the patches of a batch come in several parts. */
static void test_patches_in_parts(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = 40 * 40,
        .n_layers = 3,
        .layers = {CONV(2, 5, 1, 2, TANH), POOL(20, 20), DENSE(3, SOFTMAX)},
        .loss = LOSS_CROSS_ENTROPY,
    };
    s_check(&model);
}

/* The sparse kernel's bits do not depend on the CPU. */
static void test_same_bits_on_each_path(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = 64,
        .n_layers = 6,
        .layers = {CONV(5, 3, 1, 1, GELU), POOL(2, 2), DENSE(33, RELU), DENSE(17, LEAKY_RELU),
                   DENSE(20, TANH), DENSE(10, SOFTMAX)},
        .loss = LOSS_CROSS_ENTROPY,
    };
    model.layers[2].dropout = 0.5;
    fixture_t self;
    uint32_t n_correct;
    s_open(&self, &model);
    double cost = s_gradient(&self, KERNEL_SPARSE, B, &n_correct);
    float *first = malloc(self.n_params * sizeof(float));
    memcpy(first, self.gradient, self.n_params * sizeof(float));
    for (simd_path_t path = SIMD_AVX512; path-- > SIMD_C;) {
        simd_limit(path);
        double other = s_gradient(&self, KERNEL_SPARSE, B, &n_correct);
        assert_memory_equal(&other, &cost, sizeof(cost));
        assert_memory_equal(self.gradient, first, self.n_params * sizeof(float));
    }
    simd_limit(SIMD_AVX512);
    free(first);
    s_close(&self);
}

static int s_setup(void **state)
{
    (void)state;
    err_t err;
    return blas_open(NULL, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_activation_and_loss),
        cmocka_unit_test(test_class_weights),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_convolutions_and_pools),
        cmocka_unit_test(test_patches_in_parts),
        cmocka_unit_test(test_same_bits_on_each_path),
    };
    return cmocka_run_group_tests(tests, s_setup, NULL);
}
