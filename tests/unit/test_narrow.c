/* Blocks without the inputs that are zero in all of their rows. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/blas.h"
#include "math/pass.h"
#include "math/vec.h"
#include "workers/narrow.h"

enum {
    D = 40,
    B = 6
};

static const uint32_t s_rows[B] = {0, 2, 3, 5, 8, 9};

/* Ten rows whose inputs outside of [10, 18) and [30, 33) are zero, but for a row that is not taken.
 */
static void s_draw(uint8_t images[10 * D])
{
    memset(images, 0, 10 * D);
    for (int r = 0; r < 10; r++)
        for (int i = 0; i < D; i++)
            if ((i >= 10 && i < 18) || (i >= 30 && i < 33) || r == 4)
                images[r * D + i] = (uint8_t)(r * 31 + i * 7 + 1);
}

static void test_same_gradient_as_with_all_inputs(void **state)
{
    (void)state;
    err_t err;
    assert_int_equal(blas_open(NULL, &err), 0);
    model_t model = {.n_inputs = D,
                     .n_layers = 2,
                     .layers = {{.units = 5, .activation = ACTIVATION_TANH},
                                {.units = 3, .activation = ACTIVATION_SIGMOID}}};
    size_t n = model_params(&model);
    float *params = malloc(n * sizeof(float)), *wide = malloc(n * sizeof(float)),
          *gradient = malloc(n * sizeof(float));
    uint8_t images[10 * D];
    const uint8_t labels[B] = {0, 1, 2, 0, 1, 2};
    s_draw(images);
    model_init(&model, MODEL_INIT_UNIFORM, 3, params);
    pass_t *pass = pass_new(&model, KERNEL_DENSE, B);
    const pass_draw_t draw = {1, 1, s_rows};
    uint32_t correct[2];
    for (int r = 0; r < B; r++)
        vec_from_bytes(pass_input(pass) + r * D, images + s_rows[r] * D, D);
    double cost = pass_gradient(pass, params, &draw, labels, B, wide, &correct[0]);

    narrow_t *narrow = narrow_new(&model);
    assert_true(narrow_begin(narrow, images, s_rows, B));
    assert_int_equal(narrow_model(narrow)->n_inputs, 8 + 3);
    narrow_inputs(narrow, images, s_rows, B, pass_input(pass));
    pass_set_model(pass, narrow_model(narrow));
    double narrow_cost = pass_gradient(pass, narrow_params(narrow, params), &draw, labels, B,
                                       narrow_gradient(narrow), &correct[1]);
    memset(gradient, 0xff, n * sizeof(float)); /* each value must be written */
    narrow_widen(narrow, gradient);
    assert_true(fabs(cost - narrow_cost) < 1e-6 * cost);
    assert_int_equal(correct[0], correct[1]);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(gradient[i] - wide[i]) < 1e-5f);
    for (int i = 0; i < D; i++)
        if (i < 10 || (i >= 18 && i < 30) || i >= 33)
            for (int h = 0; h < 5; h++)
                assert_true(gradient[i * 5 + h] == 0);
    narrow_destroy(&narrow);
    pass_destroy(&pass);
    free(params);
    free(wide);
    free(gradient);
}

static void test_not_where_nothing_is_to_be_had(void **state)
{
    (void)state;
    model_t model = {
        .n_inputs = D, .n_layers = 1, .layers = {{.units = 3, .activation = ACTIVATION_SIGMOID}}};
    narrow_t *narrow = narrow_new(&model);
    uint8_t images[10 * D];
    s_draw(images);
    const uint32_t full[1] = {4};
    assert_false(narrow_begin(narrow, images, full, 1));
    assert_false(narrow_begin(narrow, images, s_rows, 0)); /* no row at all */
    memset(images, 0, sizeof(images));
    assert_false(narrow_begin(narrow, images, s_rows, B)); /* no input at all */
    for (int i = 0; i < D; i += 3)                         /* gaps that are too small */
        images[i] = 1;
    assert_false(narrow_begin(narrow, images, s_rows, B));
    narrow_destroy(&narrow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_gradient_as_with_all_inputs),
        cmocka_unit_test(test_not_where_nothing_is_to_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
