/* Networks in files: what was added is found again, and what does not fit is named. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "parameter_server/model_file.h"

enum {
    P = 3 * 4 + 4 + 4 * 2 + 2
};

static const model_t s_model = {.n_inputs = 3,
                                .n_layers = 2,
                                .layers = {{.units = 4, .activation = ACTIVATION_TANH},
                                           {.units = 2, .activation = ACTIVATION_SIGMOID}}};
static float s_params[P];

static safetensors_t *s_file(void)
{
    for (int i = 0; i < P; i++)
        s_params[i] = (float)i;
    safetensors_t *file = safetensors_new();
    model_file_add(file, &s_model, s_params);
    return file;
}

static void test_a_network_comes_back(void **state)
{
    (void)state;
    err_t err = {{0}};
    model_t model;
    float params[P];
    safetensors_t *file = s_file();
    assert_string_equal(safetensors_meta(file, "layer1.kind"), "dense");
    assert_string_equal(safetensors_meta(file, "layer1.units"), "4");
    assert_string_equal(safetensors_meta(file, "layer2.activation"), "sigmoid");
    assert_int_equal(safetensors_count(file), 4);
    assert_int_equal(model_file_model(file, "m", &model, &err), 0);
    assert_memory_equal(&model, &s_model, sizeof(model));
    assert_int_equal(model_file_params(file, "m", &model, params, &err), 0);
    assert_memory_equal(params, s_params, sizeof(params));
    safetensors_destroy(&file);
}

static void test_files_without_kinds_are_dense(void **state)
{
    (void)state;
    err_t err = {{0}};
    model_t model;
    const size_t shape[] = {3, 2};
    safetensors_t *file = safetensors_new();
    safetensors_set_meta(file, "inputs", "3");
    safetensors_set_meta(file, "layers", "1");
    safetensors_set_meta(file, "layer1.activation", "tanh");
    safetensors_add(file, "layer1.weight", shape, 2, s_params);
    assert_int_equal(model_file_model(file, "m", &model, &err), -1);
    assert_string_equal(err.text, "m: no vector 'layer1.bias', expected a model of drover");
    safetensors_add(file, "layer1.bias", shape + 1, 1, s_params);
    assert_int_equal(model_file_model(file, "m", &model, &err), 0);
    assert_int_equal(model.layers[0].units, 2);
    safetensors_destroy(&file);
}

static void test_every_kind_comes_back(void **state)
{
    (void)state;
    err_t err = {{0}};
    const model_t all = {
        .n_inputs = 3 * 16,
        .n_layers = 4,
        .layers = {{.kind = LAYER_CONV,
                    .units = 5,
                    .size = 3,
                    .stride = 2,
                    .padding = 1,
                    .activation = ACTIVATION_GELU,
                    .dropout = 0.1},
                   {.kind = LAYER_MAX_POOL, .size = 2, .stride = 1},
                   {.units = 4, .activation = ACTIVATION_LEAKY_RELU, .dropout = 0.5},
                   {.units = 2, .activation = ACTIVATION_SOFTMAX}},
        .loss = LOSS_CROSS_ENTROPY,
        .weighted = true,
        .class_weights = {0.1F, 3},
    };
    size_t n = model_params(&all), n_dims;
    const size_t *shape;
    float *params = malloc(n * sizeof(float)), *back = malloc(n * sizeof(float));
    model_t model;
    assert_int_equal(model_check(&all, &err), 0);
    model_init(&all, MODEL_INIT_HE, 1, params);
    safetensors_t *file = safetensors_new();
    model_file_add(file, &all, params);
    assert_non_null(safetensors_tensor(file, "layer1.weight", &n_dims, &shape));
    assert_int_equal(n_dims, 4);
    const size_t expected[] = {3, 3, 3, 5};
    assert_memory_equal(shape, expected, sizeof(expected));
    assert_int_equal(model_file_model(file, "m", &model, &err), 0);
    assert_true(model_same(&model, &all));
    assert_int_equal(model_file_params(file, "m", &model, back, &err), 0);
    assert_memory_equal(back, params, n * sizeof(float));
    safetensors_destroy(&file);
    free(params);
    free(back);
}

static void test_bad_metadata_are_named(void **state)
{
    static const struct {
        const char *key, *value, *text;
    } cases[] = {
        {"layer1.kind", "lstm",
         "m: metadata 'layer1.kind' is 'lstm', which this drover does not know; expected dense, "
         "conv or max_pool"},
        {"layer1.kind", "conv", "m: no 'layer1.size' in the metadata, expected a model of drover"},
        {"layer1.dropout", "half", "m: metadata 'layer1.dropout' is 'half', expected a number"},
        {"layer1.dropout", "nan", "m: metadata 'layer1.dropout' is 'nan', expected a number"},
        {"layer1.dropout", "1", "m: layer 1: dropout of 1, expected at least 0 and below 1"},
        {"loss", "hinge", "m: metadata 'loss' is 'hinge', expected sse or cross_entropy"},
        {"loss", "cross_entropy",
         "m: loss cross_entropy behind sigmoid, expected softmax in the last layer"},
        {"class0.weight", "0", "m: no 'class1.weight' in the metadata, expected a model of drover"},
        {"layer1.units", "-4",
         "m: metadata 'layer1.units' is '-4', expected a number up to 4294967295"},
        {"layer2.activation", "cosine",
         "m: metadata 'layer2.activation' is 'cosine', expected an activation"},
        {"layers", "33", "m: metadata 'layers' is '33', expected a number up to 32"},
        {"layers", "0", "m: network of 0 layers, expected 1 to 32"},
        {"inputs", "", "m: metadata 'inputs' is '', expected a number up to 4294967295"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err_t err = {{0}};
        model_t model;
        safetensors_t *file = s_file();
        safetensors_set_meta(file, cases[i].key, cases[i].value);
        assert_int_equal(model_file_model(file, "m", &model, &err), -1);
        assert_string_equal(err.text, cases[i].text);
        safetensors_destroy(&file);
    }
}

static void test_tensors_that_do_not_fit_are_named(void **state)
{
    (void)state;
    err_t err = {{0}};
    float params[P];
    model_t other = s_model;
    safetensors_t *file = s_file();
    other.layers[0].units = 5;
    assert_int_equal(model_file_params(file, "m", &other, params, &err), -1);
    assert_string_equal(err.text,
                        "m: tensor 'layer1.weight' has the shape (3, 4), expected (3, 5)");
    other = s_model;
    other.n_layers = 3;
    other.layers[2] = (model_layer_t){.units = 1, .activation = ACTIVATION_TANH};
    float more[P + 3];
    assert_int_equal(model_file_params(file, "m", &other, more, &err), -1);
    assert_string_equal(err.text, "m: no tensor 'layer3.weight', expected one of shape (2, 1)");
    safetensors_destroy(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_network_comes_back),
        cmocka_unit_test(test_files_without_kinds_are_dense),
        cmocka_unit_test(test_every_kind_comes_back),
        cmocka_unit_test(test_bad_metadata_are_named),
        cmocka_unit_test(test_tensors_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
