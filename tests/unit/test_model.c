/* Network, gradient and bold driver. */
#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/blas.h"
#include "math/bold_driver.h"
#include "math/model.h"

static model_t s_deep(void)
{
    return (model_t){
        .n_inputs = 7,
        .n_layers = 3,
        .layers = {{5, ACTIVATION_TANH}, {6, ACTIVATION_SIGMOID}, {4, ACTIVATION_SIGMOID}},
    };
}

static void test_layout(void **state)
{
    (void)state;
    model_t origin = {784, 2, {{64, ACTIVATION_TANH}, {10, ACTIVATION_SIGMOID}}};
    err_t err;
    assert_int_equal(model_check(&origin, &err), 0);
    assert_int_equal(model_params(&origin), 50890);
    assert_int_equal(model_bias_offset(&origin, 0), 784 * 64);
    assert_int_equal(model_weight_offset(&origin, 1), 785 * 64);
    assert_int_equal(model_bias_offset(&origin, 1), 785 * 64 + 640);
    char text[64];
    model_describe(&origin, text, sizeof(text));
    assert_string_equal(text, "784-64 tanh-10 sigmoid");
}

static void test_bad_shapes(void **state)
{
    (void)state;
    err_t err;
    model_t model = s_deep();
    model.n_layers = 0;
    assert_int_equal(model_check(&model, &err), -1);
    assert_string_equal(err.text, "network of 0 layers, expected 1 to 32");
    model = s_deep();
    model.layers[1].units = 70000;
    assert_int_equal(model_check(&model, &err), -1);
    assert_string_equal(err.text, "layer 2 of 70000 units, expected 1 to 65536");
    model = s_deep();
    model.n_inputs = 65536;
    model.layers[0].units = 65536;
    assert_int_equal(model_check(&model, &err), -1);
    model = s_deep();
    model.layers[2].units = 257;
    assert_int_equal(model_check(&model, &err), -1);
}

static void test_init_is_uniform_and_seeded(void **state)
{
    (void)state;
    model_t model = {784, 2, {{64, ACTIVATION_TANH}, {10, ACTIVATION_SIGMOID}}};
    size_t n = model_params(&model);
    float *a = malloc(n * sizeof(float)), *b = malloc(n * sizeof(float));
    model_init_uniform(&model, 1, a);
    model_init_uniform(&model, 2, b);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(a[i] >= -0.5f && a[i] < 0.5f);
        sum += a[i];
        squares += a[i] * a[i];
    }
    assert_true(fabs(sum / (double)n) < 5 * sqrt(1.0 / 12 / (double)n));
    assert_true(fabs(squares / (double)n - 1.0 / 12) < 0.002);
    assert_memory_not_equal(a, b, n * sizeof(float));
    model_init_uniform(&model, 1, b);
    assert_memory_equal(a, b, n * sizeof(float));
    free(a);
    free(b);
}

/* The cost in double, straight from the definition. */
static double s_cost(const model_t *model, const float *params, const float *x,
                     const uint8_t *labels, size_t B)
{
    double cost = 0;
    for (size_t r = 0; r < B; r++) {
        double a[8] = {0}, next[8] = {0};
        for (uint32_t i = 0; i < model->n_inputs; i++)
            a[i] = x[r * model->n_inputs + i];
        for (uint32_t l = 0; l < model->n_layers; l++) {
            size_t D = model_layer_inputs(model, l), H = model->layers[l].units;
            for (size_t h = 0; h < H; h++) {
                double z = params[model_bias_offset(model, l) + h];
                for (size_t d = 0; d < D; d++)
                    z += a[d] * (double)params[model_weight_offset(model, l) + d * H + h];
                next[h] =
                    model->layers[l].activation == ACTIVATION_TANH ? tanh(z) : 1 / (1 + exp(-z));
            }
            memcpy(a, next, sizeof(a));
        }
        for (uint32_t c = 0; c < model_classes(model); c++) {
            double e = a[c] - (c == labels[r]);
            cost += 0.5 * e * e;
        }
    }
    return cost;
}

static void s_check_gradient(bool sparse)
{
    err_t err;
    assert_int_equal(blas_open(NULL, &err), 0);
    enum {
        B = 9
    };
    model_t model = s_deep();
    size_t n = model_params(&model);
    float *params = malloc(n * sizeof(float)), *gradient = malloc(n * sizeof(float));
    uint8_t labels[B];
    model_init_uniform(&model, 11, params);
    model_room_t *room = sparse ? model_room_new_sparse(&model, B) : model_room_new(&model, B);
    uint8_t images[B * 7];
    float x[B * 7];
    for (int i = 0; i < B * 7; i++) {
        images[i] = i % 3 ? (uint8_t)(i * 37) : 0;
        x[i] = (float)images[i] / 255.0f;
    }
    sparse_t by_rows = {.picks = NULL}, by_columns = {.picks = NULL};
    sparse_set(&by_rows, B, 7, images, 7);
    sparse_set_transposed(&by_columns, 7, B, images, 7);
    if (sparse)
        model_room_set_sparse(room, &by_rows, &by_columns, NULL);
    else
        memcpy(model_room_input(room), x, sizeof(x));
    for (int r = 0; r < B; r++)
        labels[r] = (uint8_t)(r % 4);
    uint32_t n_correct;
    double cost = model_gradient(&model, params, room, labels, B, gradient, &n_correct);
    assert_true(fabs(cost - s_cost(&model, params, x, labels, B)) < 1e-5 * cost);
    double scale = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabsf(gradient[i]));
    assert_true(scale > 0.1);
    for (size_t i = 0; i < n; i++) {
        float kept = params[i];
        params[i] = kept + 0x1p-10f;
        double above = s_cost(&model, params, x, labels, B);
        params[i] = kept - 0x1p-10f;
        double below = s_cost(&model, params, x, labels, B);
        params[i] = kept;
        double numeric = (above - below) / 0x1p-9;
        assert_true(fabs(numeric - gradient[i]) < 1e-3 * fmax(fabs(numeric), 0.01 * scale));
    }
    cost = model_gradient(&model, params, room, labels, 0, gradient, &n_correct);
    assert_true(cost == 0 && n_correct == 0 && gradient[0] == 0 && gradient[n - 1] == 0);
    model_room_destroy(&room);
    sparse_clear(&by_rows);
    sparse_clear(&by_columns);
    free(params);
    free(gradient);
}

static void test_gradient_against_differences(void **state)
{
    (void)state;
    s_check_gradient(false);
    s_check_gradient(true);
}

static void test_bold_driver_of_the_origin(void **state)
{
    (void)state;
    bold_driver_t driver = bold_driver_new(0.1, 1.05, 0.5, false);
    const double costs[] = {2.0, 1.5, 1.6, 1.6, 1.0};
    const double rates[] = {0.1, 0.1 * 1.05, 0.1 * 1.05 * 0.5, 0.1 * 1.05 * 0.5 * 0.5,
                            0.1 * 1.05 * 0.5 * 0.5 * 1.05};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(bold_driver_next(&driver, costs[i]), BOLD_DRIVER_DESCEND);
        assert_true(driver.rate == rates[i]); /* an equal cost is not below */
    }
}

static void test_bold_driver_with_rollback(void **state)
{
    (void)state;
    bold_driver_t driver = bold_driver_new(0.1, 1.05, 0.5, true);
    assert_int_equal(bold_driver_next(&driver, 2.0), BOLD_DRIVER_DESCEND);
    assert_true(driver.rate == 0.1);
    assert_int_equal(bold_driver_next(&driver, 1.0), BOLD_DRIVER_DESCEND);
    assert_true(driver.rate == 0.1 * 1.05);
    assert_int_equal(bold_driver_next(&driver, 1.5), BOLD_DRIVER_UNDO);
    assert_true(driver.rate == 0.1 * 0.5); /* the rise is undone with the step */
    assert_int_equal(bold_driver_next(&driver, 1.2), BOLD_DRIVER_UNDO);
    assert_true(driver.rate == 0.1 * 0.5 * 0.5); /* 1.0 is still the cost to beat */
    assert_int_equal(bold_driver_next(&driver, 0.9), BOLD_DRIVER_DESCEND);
    assert_true(driver.rate == 0.1 * 0.5 * 0.5 * 1.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_init_is_uniform_and_seeded),
        cmocka_unit_test(test_gradient_against_differences),
        cmocka_unit_test(test_bold_driver_of_the_origin),
        cmocka_unit_test(test_bold_driver_with_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
