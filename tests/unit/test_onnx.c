/* ONNX files: what does not fit is not written. tests/cli/formats.bats holds what is written to the
 * public checker and runtime. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cli/onnx.h"
#include "scratch.h"

static void test_the_weights_stand_in_the_file(void **state)
{
    err_t err = {{0}};
    const checkpoint_info_t info = {
        .model = {.n_inputs = 2,
                  .n_layers = 2,
                  .layers = {{.units = 3, .activation = ACTIVATION_TANH},
                             {.units = 2, .activation = ACTIVATION_SIGMOID}}}};
    float params[2 * 3 + 3 + 3 * 2 + 2];
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
        params[i] = 1.0f / (float)(i + 1);
    char *path = file_join(*state, "m.onnx");
    char *again = file_join(*state, "again.onnx");
    assert_int_equal(onnx_write(path, &info, params, &err), 0);
    assert_int_equal(onnx_write(again, &info, params, &err), 0);
    char *bytes, *same;
    size_t size, same_size;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &size, &err), 0);
    assert_int_equal(file_read(again, 1 << 20, &same, &same_size, &err), 0);
    assert_int_equal(size, same_size);
    assert_memory_equal(bytes, same, size);
    assert_non_null(memmem(bytes, size, params, 2 * 3 * sizeof(float)));
    assert_non_null(memmem(bytes, size, params + 9, 3 * 2 * sizeof(float)));
    assert_non_null(memmem(bytes, size, "Tanh", 4));
    assert_non_null(memmem(bytes, size, "Sigmoid", 7));
    free(bytes);
    free(same);
    free(path);
    free(again);
}

static void test_what_is_too_large_or_has_no_place_is_refused(void **state)
{
    err_t err = {{0}};
    const checkpoint_info_t large = {
        .model = {.n_inputs = 65536,
                  .n_layers = 2,
                  .layers = {{.units = 8192, .activation = ACTIVATION_TANH},
                             {.units = 2, .activation = ACTIVATION_SIGMOID}}}};
    const checkpoint_info_t small = {
        .model = {
            .n_inputs = 1, .n_layers = 1, .layers = {{.units = 1, .activation = ACTIVATION_TANH}}}};
    const float params[2] = {1, 2};
    char *path = file_join(*state, "m.onnx");
    assert_int_equal(onnx_write(path, &large, NULL, &err), -1);
    scratch_assert_contains(err.text, "m.onnx: weights of 2147581960 bytes, expected at most "
                                      "2146435072 in an ONNX file");
    assert_false(file_exists(path));
    char *nowhere = file_join(*state, "none/m.onnx");
    assert_int_equal(onnx_write(nowhere, &small, params, &err), -1);
    scratch_assert_contains(err.text, "none/m.onnx");
    free(nowhere);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_the_weights_stand_in_the_file),
        scratch_test(test_what_is_too_large_or_has_no_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
