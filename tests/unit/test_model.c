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
        .layers = {{.units = 5, .activation = ACTIVATION_TANH},
                   {.units = 6, .activation = ACTIVATION_SIGMOID},
                   {.units = 4, .activation = ACTIVATION_SIGMOID}},
    };
}

static void test_layout(void **state)
{
    (void)state;
    model_t origin = {.n_inputs = 784,
                      .n_layers = 2,
                      .layers = {{.units = 64, .activation = ACTIVATION_TANH},
                                 {.units = 10, .activation = ACTIVATION_SIGMOID}}};
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
    model_t model = {.n_inputs = 784,
                     .n_layers = 2,
                     .layers = {{.units = 64, .activation = ACTIVATION_TANH},
                                {.units = 10, .activation = ACTIVATION_SIGMOID}}};
    size_t n = model_params(&model);
    float *a = malloc(n * sizeof(float)), *b = malloc(n * sizeof(float));
    model_init(&model, MODEL_INIT_UNIFORM, 1, a);
    model_init(&model, MODEL_INIT_UNIFORM, 2, b);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(a[i] >= -0.5f && a[i] < 0.5f);
        sum += a[i];
        squares += a[i] * a[i];
    }
    assert_true(fabs(sum / (double)n) < 5 * sqrt(1.0 / 12 / (double)n));
    assert_true(fabs(squares / (double)n - 1.0 / 12) < 0.002);
    assert_memory_not_equal(a, b, n * sizeof(float));
    model_init(&model, MODEL_INIT_UNIFORM, 1, b);
    assert_memory_equal(a, b, n * sizeof(float));
    free(a);
    free(b);
}

static void test_init_by_fan(void **state)
{
    (void)state;
    const model_t model = {
        .n_inputs = 64,
        .n_layers = 3,
        .layers = {{.kind = LAYER_CONV,
                    .units = 6,
                    .size = 3,
                    .stride = 1,
                    .activation = ACTIVATION_RELU},
                   {.kind = LAYER_MAX_POOL, .size = 2, .stride = 2},
                   {.units = 20, .activation = ACTIVATION_TANH}},
    };
    assert_int_equal(model_check(&model, NULL), 0);
    assert_int_equal(model_fan_in(&model, 2), 3 * 3 * 6);
    float *params = malloc(model_params(&model) * sizeof(float));
    for (model_init_t init = MODEL_INIT_GLOROT; init <= MODEL_INIT_HE; init++) {
        model_init(&model, init, 3, params);
        for (uint32_t l = 0; l < 3; l += 2) {
            double fan_out = l == 0 ? 9 * 6 : 20, most = 0;
            double fan = (double)model_fan_in(&model, l) + (init == MODEL_INIT_HE ? 0 : fan_out);
            for (size_t i = model_weight_offset(&model, l); i < model_bias_offset(&model, l); i++)
                most = fmax(most, fabs((double)params[i]));
            assert_true(most <= sqrt(6 / fan) && most > 0.85 * sqrt(6 / fan));
            for (uint32_t i = 0; i < model.layers[l].units; i++)
                assert_true(params[model_bias_offset(&model, l) + i] == 0);
        }
    }
    free(params);
}

static void test_layers_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        model_layer_t layer;
        const char *text;
    } cases[] = {
        {{.kind = LAYER_CONV, .units = 2, .size = 9, .stride = 1},
         "layer 1: convolution of size 9 is larger than its input of 8 x 8"},
        {{.kind = LAYER_MAX_POOL, .size = 9, .stride = 1},
         "layer 1: pool of size 9 is larger than its input of 8 x 8"},
        {{.kind = LAYER_CONV, .units = 2, .size = 3},
         "layer 1: convolution of size 3 and stride 0, expected 1 to 255"},
        {{.kind = LAYER_CONV, .units = 2, .size = 3, .stride = 1, .padding = 3},
         "layer 1: convolution of size 3 with padding 3, expected less than its size"},
        {{.kind = LAYER_MAX_POOL, .units = 2, .size = 3, .stride = 1},
         "layer 1 of 2 units, expected none of a pool"},
        {{.units = 3, .dropout = 1}, "layer 1: dropout of 1, expected at least 0 and below 1"},
        {{.kind = (layer_kind_t)9, .units = 3}, "layer 1 is of an unknown kind 9"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        model_t model = {.n_inputs = 64, .n_layers = 2, .layers = {cases[i].layer, {.units = 2}}};
        assert_int_equal(model_check(&model, &err), -1);
        assert_string_equal(err.text, cases[i].text);
    }
    err_t err = {{0}};
    model_t model = {.n_inputs = 64, .n_layers = 1, .layers = {{.units = 2, .dropout = 0.5}}};
    assert_int_equal(model_check(&model, &err), -1);
    assert_string_equal(err.text, "dropout in the last layer, expected none");
    model.layers[0] = (model_layer_t){.kind = LAYER_CONV, .units = 2, .size = 3, .stride = 1};
    assert_int_equal(model_check(&model, &err), -1);
    assert_string_equal(err.text,
                        "the last layer is a conv, expected a dense one with a unit a class");
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
        cmocka_unit_test(test_init_by_fan),
        cmocka_unit_test(test_layers_that_do_not_fit),
        cmocka_unit_test(test_bold_driver_of_the_origin),
        cmocka_unit_test(test_bold_driver_with_rollback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
