/* evaluate: a network small enough to work out by hand, and data that do not fit it. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/evaluate.h"
#include "cli/json.h"
#include "data/dataset.h"

/* 2 inputs, 2 classes, y_c = sigmoid(20 (x_c - 1/2)): the class of the larger input. */
static const model_t s_model = {
    .n_inputs = 2, .n_layers = 1, .layers = {{.units = 2, .activation = ACTIVATION_SIGMOID}}};
static const float s_params[6] = {20, 0, 0, 20, -10, -10};

static dataset_t *s_dataset(const uint8_t *images, const uint8_t *labels, size_t n_rows,
                            size_t n_inputs)
{
    uint8_t *own_images = malloc(n_rows * n_inputs);
    uint8_t *own_labels = malloc(n_rows);
    memcpy(own_images, images, n_rows * n_inputs);
    memcpy(own_labels, labels, n_rows);
    /* cppcheck-suppress memleak ; dataset_new takes both */
    return dataset_new(&own_images, &own_labels, n_rows, n_inputs);
}

static char *s_text(const evaluation_t *evaluation, void (*print)(const evaluation_t *, FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(evaluation, out);
    (void)fclose(out);
    return text;
}

static void test_by_hand(void **state)
{
    (void)state;
    err_t err = {{0}};
    const uint8_t images[] = {255, 0, 0, 255, 255, 0, 0, 255};
    const uint8_t labels[] = {0, 1, 1, 1}; /* the third is wrong */
    dataset_t *dataset = s_dataset(images, labels, 4, 2);
    evaluation_t e;
    assert_int_equal(evaluate(&s_model, s_params, dataset, &e, &err), 0);
    assert_int_equal(e.n_rows, 4);
    assert_int_equal(e.n_classes, 2);
    const uint8_t predictions[] = {0, 1, 0, 1};
    const uint32_t confusion[] = {1, 0, 1, 2};
    assert_memory_equal(e.predictions, predictions, 4);
    assert_memory_equal(e.confusion, confusion, sizeof(confusion));
    assert_true(e.accuracy == 0.75);
    assert_true(e.margins[0] == 0 && e.margins[2] > 0.99f && e.margins[2] < 1);
    /* a right row costs 2 * 1/2 s^2, a wrong one 2 * 1/2 (1 - s)^2, s = sigmoid(-10) */
    double s = 1 / (1 + exp(10.0));
    assert_true(fabs(e.cost - (3 * s * s + (1 - s) * (1 - s)) / 4) < 1e-7);

    e.cost = 0.25; /* exact, for the text */
    char *text = s_text(&e, evaluation_print_json);
    assert_string_equal(
        text, "{\"rows\": 4, \"cost\": 0.25, \"accuracy\": 0.75, \"confusion\": [[1, 0], "
              "[1, 2]], \"classes\": [{\"precision\": 0.5, \"recall\": 1.0, \"f1\": "
              "0.6666666666666666, \"support\": 1}, {\"precision\": 1.0, \"recall\": "
              "0.6666666666666666, \"f1\": 0.8, \"support\": 3}], \"macro\": {\"precision\": 0.75, "
              "\"recall\": 0.8333333333333333, \"f1\": 0.7333333333333334}, \"weighted\": "
              "{\"precision\": 0.875, \"recall\": 0.75, \"f1\": 0.7666666666666667}}\n");
    free(text);
    text = s_text(&e, evaluation_print);
    assert_string_equal(text, "rows 4, cost 0.25, accuracy 0.7500\n"
                              "\n"
                              "   class  precision  recall      f1  support\n"
                              "       0     0.5000  1.0000  0.6667        1\n"
                              "       1     1.0000  0.6667  0.8000        3\n"
                              "   macro     0.7500  0.8333  0.7333        4\n"
                              "weighted     0.8750  0.7500  0.7667        4\n"
                              "\n"
                              "confusion: a row is a true class, a column what it was taken for\n"
                              "           0      1\n"
                              "    0      1      0\n"
                              "    1      1      2\n");
    free(text);
    evaluation_clear(&e);
    evaluation_clear(&e);
    dataset_destroy(&dataset);
}

/* More rows than a batch, and not a multiple of it: the rows keep their order. */
static void test_many_rows(void **state)
{
    (void)state;
    err_t err = {{0}};
    enum {
        N = 1301
    };
    uint8_t *images = malloc((size_t)2 * N);
    uint8_t *labels = malloc(N);
    for (size_t i = 0; i < N; i++) {
        labels[i] = (uint8_t)(i % 3 == 0);
        images[2 * i] = labels[i] ? 0 : 255;
        images[2 * i + 1] = labels[i] ? 255 : 0;
    }
    dataset_t *dataset = dataset_new(&images, &labels, N, 2);
    evaluation_t e;
    assert_int_equal(evaluate(&s_model, s_params, dataset, &e, &err), 0);
    assert_true(e.accuracy == 1);
    assert_memory_equal(e.predictions, dataset_labels(dataset), N);
    evaluation_clear(&e);
    dataset_destroy(&dataset);
}

static void test_data_that_do_not_fit(void **state)
{
    (void)state;
    err_t err = {{0}};
    evaluation_t e;
    const uint8_t images[] = {1, 2, 3, 4, 5, 6};
    const uint8_t labels[] = {0, 1, 7};
    dataset_t *dataset = s_dataset(images, labels, 2, 3);
    assert_int_equal(evaluate(&s_model, s_params, dataset, &e, &err), -1);
    assert_string_equal(err.text, "the images have 3 bytes each; expected 2, the network's inputs");
    dataset_destroy(&dataset);
    dataset = s_dataset(images, labels, 3, 2);
    assert_int_equal(evaluate(&s_model, s_params, dataset, &e, &err), -1);
    assert_string_equal(err.text,
                        "the labels go up to 7; expected at most 1, the network's 2 classes");
    evaluation_clear(&e);
    model_t wide = {
        .n_inputs = 2, .n_layers = 1, .layers = {{.units = 300, .activation = ACTIVATION_SIGMOID}}};
    assert_int_equal(evaluate(&wide, s_params, dataset, &e, &err), -1);
    assert_string_equal(err.text, "the network has 300 classes; expected at most 256");
    dataset_destroy(&dataset);
}

static void test_pick(void **state)
{
    (void)state;
    uint32_t rows[15];
    uint32_t again[15];
    evaluate_pick(1, 15, 15, rows);
    uint32_t seen = 0;
    for (int i = 0; i < 15; i++)
        seen |= 1u << rows[i];
    assert_int_equal(seen, 0x7fff); /* each of 15 once */
    evaluate_pick(1, 10000, 15, rows);
    evaluate_pick(1, 10000, 15, again);
    assert_memory_equal(rows, again, sizeof(rows));
    evaluate_pick(2, 10000, 15, again);
    assert_memory_not_equal(rows, again, sizeof(rows));
    evaluate_pick(1, 2, 15, rows); /* fewer rows than asked for */
    for (int i = 0; i < 15; i++)
        assert_true(rows[i] < 2);
}

static void test_mistakes(void **state)
{
    (void)state;
    uint8_t predictions[] = {1, 0, 1, 1, 0, 1, 1};
    const uint8_t labels[] = {0, 0, 1, 0, 1, 0, 0};
    float margins[] = {0.5f, 0, 0, 0.9f, 0, 0.5f, 0.7f}; /* the fifth: equal outputs */
    const evaluation_t e = {
        .n_rows = 7, .n_classes = 2, .predictions = predictions, .margins = margins};
    uint32_t rows[15];
    const uint32_t expected[] = {3, 6, 0, 5, 4};
    for (int n = 0; n <= 15; n++) {
        int n_expected = n < 5 ? n : 5;
        memset(rows, 0xff, sizeof(rows));
        assert_int_equal(evaluate_mistakes(&e, labels, n, rows), n_expected);
        assert_memory_equal(rows, expected, (size_t)n_expected * sizeof(uint32_t));
        assert_int_equal(rows[n_expected < 15 ? n_expected : 0], n_expected < 15 ? UINT32_MAX : 3);
    }
    assert_int_equal(evaluate_mistakes(&e, predictions, 15, rows), 0);
}

static void test_json_pieces(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_print_string(out, "a\"b\\c\n\xc3\xa9\xff.png");
    (void)fputc(' ', out);
    json_print_number(out, 1e-5);
    (void)fputc(' ', out);
    json_print_number(out, (double)NAN);
    (void)fclose(out);
    assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\xc3\xa9\\ufffd.png\" 1e-05 null");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_data_that_do_not_fit),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_json_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
