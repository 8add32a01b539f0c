/* plot: scripts that gnuplot turns into pictures of the right size, and what goes wrong. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/plot.h"
#include "scratch.h"

static char *s_read(const char *folder, const char *name, size_t *size)
{
    err_t err = {{0}};
    char *text;
    char *path = file_join(folder, name);
    if (file_read(path, 1 << 24, &text, size, &err) != 0)
        fail_msg("%s", err.text);
    free(path);
    return text;
}

/* The file is a PNG of 900 x 600. */
static void s_expect_picture(const char *folder, const char *name)
{
    static const uint8_t head[24] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13,
                                     'I',  'H', 'D', 'R', 0,    0,    3,    0x84, 0, 0, 2, 0x58};
    size_t size;
    char *bytes = s_read(folder, name, &size);
    assert_true(size > 2000);
    assert_memory_equal(bytes, head, sizeof(head));
    free(bytes);
}

static void test_all_pictures(void **state)
{
    err_t err = {{0}};
    const double costs[] = {1.8, 1.2, (double)NAN, 0.9};
    const double accuracies[] = {0.2, 0.3, 0.4, 1.0};
    const uint32_t counts[9] = {5, 1, 0, 0, 0, 0, 2, 2, 2};
    const uint8_t predictions[3] = {1, 2, 0};
    const uint8_t labels[3] = {1, 2, 1};
    uint8_t images[3 * 4 * 6];
    for (size_t i = 0; i < sizeof(images); i++)
        images[i] = (uint8_t)(3 * i);
    const uint32_t rows[3] = {7, 1234, 4000000000};
    const plot_digits_t digits = {images, 4, 6, predictions, labels, rows, 3};
    if (plot_cost_history(*state, costs, 4, &err) != 0 ||
        plot_accuracy_history(*state, accuracies, 4, &err) != 0 ||
        plot_confusion(*state, counts, 3, &err) != 0 || plot_digits(*state, &digits, &err) != 0 ||
        plot_mistakes(*state, &digits, 1, 3, &err) != 0 || plot_render(*state, &err) != 5)
        fail_msg("%s", err.text);
    s_expect_picture(*state, "cost_history.png");
    s_expect_picture(*state, "accuracy_history.png");
    s_expect_picture(*state, "confusion.png");
    s_expect_picture(*state, "digits.png");
    s_expect_picture(*state, "mistakes.png");

    size_t size;
    char *script = s_read(*state, "plots/cost_history.gp", &size);
    assert_non_null(strstr(script, "$data << END\n1 1.8\n2 1.2\n3 nan\n4 0.9\nEND\n"));
    free(script);
    script = s_read(*state, "plots/confusion.gp", &size);
    assert_non_null(strstr(script, "\n0 0 5 0.8333\n0 1 1 0.1667\n0 2 0 0.0000\n"));
    assert_non_null(strstr(script, "accuracy 58.3 %"));
    free(script);
    script = s_read(*state, "plots/digits.gp", &size);
    assert_non_null(strstr(script, "2 of 3 right"));
    assert_non_null(strstr(script, "'predicted 0, is 1'"));
    free(script);
    script = s_read(*state, "plots/mistakes.gp", &size);
    assert_non_null(strstr(script, ": 1 of 3 rows are wrong"));
    assert_non_null(strstr(script, "'4000000000: predicted 0, is 1'"));
    free(script);
    /* and the same without a script, to the byte */
    char *alone = file_join(*state, "alone.png");
    if (plot_mistakes_picture(alone, &digits, 1, 3, &err) != 0)
        fail_msg("%s", err.text);
    char *a = s_read(*state, "mistakes.png", &size);
    size_t alone_size;
    char *b = s_read(*state, "alone.png", &alone_size);
    assert_int_equal(size, alone_size);
    assert_memory_equal(a, b, size);
    free(a);
    free(b);
    free(alone);
}

/* From one step to many, and as many digits as there may be and more. */
static void test_extremes(void **state)
{
    err_t err = {{0}};
    double values[5000];
    uint8_t images[20] = {0};
    uint8_t classes[20] = {0};
    const uint32_t rows[20] = {0};
    plot_digits_t digits = {images, 1, 1, classes, classes, rows, 20};
    const plot_digits_t none = {images, 1, 1, classes, classes, rows, 0};
    uint32_t *counts = calloc((size_t)256 * 256, sizeof(*counts));
    for (int i = 0; i < 5000; i++)
        values[i] = 1e-7 * i;
    static const int sizes[] = {1, 2, 12, 5000};
    for (int i = 0; i < 4; i++) {
        if (plot_cost_history(*state, values, sizes[i], &err) != 0 ||
            plot_accuracy_history(*state, values, sizes[i], &err) != 0 ||
            plot_render(*state, &err) != 2)
            fail_msg("%d steps: %s", sizes[i], err.text);
    }
    if (plot_confusion(*state, counts, 256, &err) != 0 || plot_render(*state, &err) != 3 ||
        plot_digits(*state, &digits, &err) != 0 || plot_render(*state, &err) != 4)
        fail_msg("%s", err.text);
    digits.n = 1;
    if (plot_digits(*state, &digits, &err) != 0 || plot_mistakes(*state, &none, 0, 5, &err) != 0 ||
        plot_render(*state, &err) != 5)
        fail_msg("%s", err.text);
    s_expect_picture(*state, "mistakes.png");
    free(counts);
}

static void test_nothing_to_plot(void **state)
{
    err_t err = {{0}};
    const double nothing[] = {(double)NAN};
    char expected[256];
    assert_int_equal(plot_cost_history(*state, nothing, 1, &err), -1);
    (void)snprintf(expected, sizeof(expected),
                   "%s: nothing to plot in cost_history, no step has a value", (char *)*state);
    assert_string_equal(err.text, expected);
    assert_int_equal(plot_accuracy_history(*state, nothing, 0, &err), -1);
    assert_int_equal(plot_render(*state, &err), 0);
    char *plots = file_join(*state, "plots");
    file_part_t part = {"", 0};
    assert_int_equal(file_write_atomic(plots, &part, 1, &err), 0);
    assert_int_equal(plot_render(*state, &err), -1);
    (void)snprintf(expected, sizeof(expected), "%s: cannot list the scripts: Not a directory",
                   plots);
    assert_string_equal(err.text, expected);
    free(plots);
}

static void test_a_broken_script_leaves_the_old_picture(void **state)
{
    err_t err = {{0}};
    char expected[512];
    char *plots = file_join(*state, "plots");
    char *script = file_join(plots, "own [1].gp");
    char *picture = file_join(*state, "own [1].png");
    file_part_t part = {"set title 'x'\nplot undefined_thing\n", 34};
    assert_int_equal(file_make_folder(plots, &err), 0);
    assert_int_equal(file_write_atomic(script, &part, 1, &err), 0);
    file_part_t old = {"old", 3};
    assert_int_equal(file_write_atomic(picture, &old, 1, &err), 0);
    assert_int_equal(plot_render(*state, &err), -1);
    (void)snprintf(expected, sizeof(expected),
                   "%s: gnuplot failed with status 1: line 2: undefined variable: undefined_thing",
                   script);
    assert_string_equal(err.text, expected);
    size_t size;
    char *text = s_read(*state, "own [1].png", &size);
    assert_string_equal(text, "old");
    free(text);
    char *partial = file_join(*state, "own [1].png.partial");
    assert_false(file_exists(partial));
    free(partial);
    free(picture);
    free(script);
    free(plots);
}

static void test_without_gnuplot(void **state)
{
    err_t err = {{0}};
    const double costs[] = {1, 2};
    char expected[512];
    assert_int_equal(plot_cost_history(*state, costs, 2, &err), 0);
    const char *now = getenv("PATH");
    char *path = strdup(now ? now : "");
    assert_int_equal(setenv("PATH", *state, 1), 0);
    err_t other = {{0}};
    int r = plot_render(*state, &err);
    int r_other = plot_mistakes_picture("m.png", &(plot_digits_t){.n = 0}, 0, 1, &other);
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
    assert_int_equal(r, -1);
    assert_int_equal(r_other, -1);
    assert_string_equal(other.text, "m.png: cannot draw it, there is no program 'gnuplot' "
                                    "(Debian: gnuplot-nox)");
    assert_false(file_exists("m.png") || file_exists("m.png.partial"));
    (void)snprintf(expected, sizeof(expected),
                   "%s/plots/cost_history.gp: cannot draw it, there is no program 'gnuplot' "
                   "(Debian: gnuplot-nox)",
                   (char *)*state);
    assert_string_equal(err.text, expected);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_all_pictures),    IN_FOLDER(test_extremes),
        IN_FOLDER(test_nothing_to_plot), IN_FOLDER(test_a_broken_script_leaves_the_old_picture),
        IN_FOLDER(test_without_gnuplot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
