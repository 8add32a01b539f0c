/* Weights to begin with: taken when names, shapes and values fit the network, else refused. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "parameter_server/checkpoint.h"
#include "parameter_server/model_file.h"
#include "parameter_server/weights.h"
#include "scratch.h"

enum {
    P = 3 * 2 + 2
};

static const model_t s_model = {
    .n_inputs = 3, .n_layers = 1, .layers = {{.units = 2, .activation = ACTIVATION_SIGMOID}}};
static const float s_params[P] = {1, 2, 3, 4, 5, 6, 7, 8};

static void test_a_model_and_a_checkpoint_give_the_same(void **state)
{
    err_t err = {{0}};
    checkpoint_info_t info = {.model = s_model, .init = "0123456789abcdef"};
    pool_t *pool = pool_new(P * sizeof(float));
    checkpoint_state_t training = {.optimizer.driver = bold_driver_new(0.1, 1.05, 0.5, true)};
    bold_driver_next(&training.optimizer.driver, 1.0);
    training.optimizer.kept_weights = pool_take(pool);
    training.optimizer.kept_gradient = pool_take(pool);
    memset(training.optimizer.kept_weights, 0, P * sizeof(float));
    memset(training.optimizer.kept_gradient, 0, P * sizeof(float));
    char *model = file_join(*state, "model.safetensors");
    char *checkpoint = file_join(*state, "checkpoint.safetensors");
    assert_int_equal(checkpoint_write(model, &info, s_params, NULL, &err), 0);
    assert_int_equal(checkpoint_write(checkpoint, &info, s_params, &training, &err), 0);
    const char *paths[] = {model, checkpoint, *state};
    char digests[3][WEIGHTS_DIGEST_SIZE];
    for (int i = 0; i < 3; i++) {
        float params[P] = {0};
        safetensors_t *file = weights_open(paths[i], &err);
        assert_non_null(file);
        assert_int_equal(weights_take(file, paths[i], &s_model, params, digests[i], &err), 0);
        assert_memory_equal(params, s_params, sizeof(params));
        assert_string_equal(digests[i], digests[0]);
        safetensors_destroy(&file);
    }
    assert_int_equal(strlen(digests[0]), 16);
    checkpoint_info_t found;
    float *values;
    assert_int_equal(checkpoint_read(model, &found, &values, NULL, &err), 0);
    assert_string_equal(found.init, info.init);
    free(values);
    free(model);
    free(checkpoint);
    optimizer_state_clear(&training.optimizer);
    pool_destroy(&pool);
}

static void test_values_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    err_t err = {{0}};
    char digest[WEIGHTS_DIGEST_SIZE];
    float params[P], bad[P];
    memcpy(bad, s_params, sizeof(bad));
    bad[7] = INFINITY;
    safetensors_t *file = safetensors_new();
    model_file_add(file, &s_model, bad);
    assert_int_equal(weights_take(file, "f", &s_model, params, digest, &err), -1);
    assert_string_equal(err.text,
                        "f: tensor 'layer1.bias' has inf at index 1, expected finite numbers");
    safetensors_destroy(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_a_model_and_a_checkpoint_give_the_same),
        cmocka_unit_test(test_values_that_are_no_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
