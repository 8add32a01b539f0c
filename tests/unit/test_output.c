/* output: the origin's line formats to the byte, histories that survive and resume. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/output.h"
#include "scratch.h"

static void s_expect(const char *folder, const char *name, const char *expected)
{
    err_t err = {{0}};
    char *text;
    size_t size;
    char *path = file_join(folder, name);
    if (file_read(path, 1 << 20, &text, &size, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
    free(text);
    free(path);
}

static void s_put(const char *folder, const char *name, const char *text)
{
    err_t err = {{0}};
    char *path = file_join(folder, name);
    file_part_t part = {text, strlen(text)};
    assert_int_equal(file_write_atomic(path, &part, 1, &err), 0);
    free(path);
}

static void test_histories_grow_step_by_step(void **state)
{
    err_t err = {{0}};
    char *folder = file_join(*state, "runs/new");
    output_t *output = output_open(folder, 0, NULL, &err);
    assert_non_null(output);
    assert_int_equal(output_step(output, 1.8, 0.19, "{}\n", &err), 0);
    s_expect(folder, OUTPUT_COST_HISTORY, "1.8\n"); /* before it is closed */
    assert_int_equal(output_step(output, 1.0, 1, "{}\n", &err), 0);
    assert_int_equal(output_step(output, 1e-5, 1.0 / 3, "{}\n", &err), 0);
    s_expect(folder, OUTPUT_COST_HISTORY, "1.8\n1.0\n1e-05\n");
    s_expect(folder, OUTPUT_ACCURACY_HISTORY, "0.19\n1.0\n0.3333333333333333\n");
    output_close(&output);
    assert_null(output);
    output_close(&output);
    free(folder);
}

static void test_resume_cuts_what_is_behind_the_checkpoint(void **state)
{
    err_t err = {{0}};
    int n_missing = -1;
    output_t *output = output_open(*state, 0, NULL, &err);
    for (int i = 0; i < 5; i++)
        assert_int_equal(output_step(output, i, i, "{}\n", &err), 0);
    output_close(&output);
    output = output_open(*state, 3, &n_missing, &err);
    assert_int_equal(n_missing, 0);
    assert_int_equal(output_step(output, 9, 9, "{}\n", &err), 0);
    output_close(&output);
    s_expect(*state, OUTPUT_COST_HISTORY, "0.0\n1.0\n2.0\n9.0\n");
    s_expect(*state, OUTPUT_ACCURACY_HISTORY, "0.0\n1.0\n2.0\n9.0\n");

    /* a torn last line is no line; a step without one gets nan, so that line numbers are steps */
    s_put(*state, OUTPUT_COST_HISTORY, "0.5\n0.2");
    output = output_open(*state, 3, &n_missing, &err);
    assert_int_equal(n_missing, 2);
    output_close(&output);
    s_expect(*state, OUTPUT_COST_HISTORY, "0.5\nnan\nnan\n");

    output = output_open(*state, 0, &n_missing, &err);
    assert_int_equal(n_missing, 0);
    output_close(&output);
    s_expect(*state, OUTPUT_COST_HISTORY, "");
}

#define TRIAL(step) "{\"step\": " step ", \"test_cost\": 0.5, \"test_accuracy\": 0.9}\n"
#define DONE(step)  "{\"step\": " step ", \"cost\": 0.5, \"accuracy\": 0.9}\n"

/* Lines of evaluations are no steps, and one that is done again goes. */
static void test_resume_knows_evaluations_from_steps(void **state)
{
    err_t err = {{0}};
    int n_missing = -1;
    static const char all[] = DONE("1") DONE("2") DONE("3") TRIAL("2") DONE("4") TRIAL("4")
        DONE("5") DONE("6") TRIAL("6");
    assert_int_equal(output_forget(*state, 4, &err), 0);   /* there is nothing yet */
    output_t *output = output_open(*state, 0, NULL, &err); /* makes the folders */
    output_close(&output);
    s_put(*state, OUTPUT_STEPS, all);
    s_put(*state, OUTPUT_COST_HISTORY, "1.0\n1.0\n1.0\n1.0\n1.0\n1.0\n");
    s_put(*state, OUTPUT_ACCURACY_HISTORY, "1.0\n1.0\n1.0\n1.0\n1.0\n1.0\n");
    assert_int_equal(output_forget(*state, 0, &err), 0);
    s_expect(*state, OUTPUT_STEPS, all);
    assert_int_equal(output_forget(*state, 4, &err), 0);
    s_expect(*state, OUTPUT_STEPS,
             DONE("1") DONE("2") DONE("3") TRIAL("2") DONE("4") DONE("5") DONE("6"));
    output = output_open(*state, 5, &n_missing, &err);
    assert_int_equal(n_missing, 0);
    assert_int_equal(output_evaluation(output, TRIAL("4"), &err), 0);
    output_close(&output);
    s_expect(*state, OUTPUT_STEPS,
             DONE("1") DONE("2") DONE("3") TRIAL("2") DONE("4") DONE("5") TRIAL("4"));
}

static void test_unwritable_folder(void **state)
{
    err_t err = {{0}};
    s_put(*state, "file", "x");
    char *folder = file_join(*state, "file/run");
    char expected[256];
    (void)snprintf(expected, sizeof(expected),
                   "%s/cost_history: cannot make the folder: File exists", folder);
    assert_null(output_open(folder, 0, NULL, &err));
    assert_string_equal(err.text, expected);
    assert_int_equal(output_write_evaluation(folder, "{}", &err), -1);
    assert_int_equal(output_write_metrics(folder, NULL, 0, &err), -1);
    assert_int_equal(output_write_tests(folder, NULL, NULL, 0, &err), -1);
    free(folder);

    char *taken = file_join(*state, OUTPUT_COST_HISTORY);
    assert_int_equal(file_make_folder(taken, &err), 0); /* a folder where the file should be */
    assert_null(output_open(*state, 0, NULL, &err));
    (void)snprintf(expected, sizeof(expected), "%s: cannot open: Is a directory", taken);
    assert_string_equal(err.text, expected);
    free(taken);
}

static void test_a_full_disk_is_an_error(void **state)
{
    err_t err = {{0}};
    char *parent = file_join(*state, "cost_history");
    char *link = file_join(*state, OUTPUT_COST_HISTORY);
    assert_int_equal(file_make_folder(parent, &err), 0);
    assert_int_equal(symlink("/dev/full", link), 0);
    output_t *output = output_open(*state, 0, NULL, &err);
    if (output) { /* a system may refuse to cut a device */
        assert_int_equal(output_step(output, 1, 1, "{}\n", &err), -1);
        assert_non_null(strstr(err.text, "part-00000: cannot write: No space left on device"));
    }
    output_close(&output);
    free(link);
    free(parent);
}

static void test_metrics_and_tests(void **state)
{
    err_t err = {{0}};
    const confusion_class_t classes[] = {{0.9, 0.5, 2 * 0.9 * 0.5 / 1.4, 10}, {0, 0, 0, 0}};
    const uint8_t predictions[] = {7, 2, 0};
    const uint8_t labels[] = {7, 1, 9};
    assert_int_equal(output_write_metrics(*state, classes, 2, &err), 0);
    s_expect(*state, OUTPUT_METRICS, "(0.9, 0.5, 0.6428571428571429)\n(0.0, 0.0, 0.0)\n");
    assert_int_equal(output_write_tests(*state, predictions, labels, 3, &err), 0);
    s_expect(*state, OUTPUT_TESTS, "(7, 7)\n(2, 1)\n(0, 9)\n");
    assert_int_equal(output_write_evaluation(*state, "{\"rows\": 3}\n", &err), 0);
    s_expect(*state, OUTPUT_EVALUATION, "{\"rows\": 3}\n");
}

static void test_read_history(void **state)
{
    static const struct {
        const char *text;
        int n;
        const char *expected; /* behind the path */
    } rows[] = {
        {"", 0, NULL},
        {"1.5\nnan\n1e-05\n", 3, NULL},
        {"1.5\n0.2", 1, NULL}, /* a torn last line */
        {"1.5\nx\n", -1, ":2: 'x' is not a number"},
        {"1.5\n\n2\n", -1, ":2: '' is not a number"},
        {"1.5 2\n", -1, ":1: '1.5 2' is not a number"},
    };
    char *path = file_join(*state, "h");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        double *values = NULL;
        s_put(*state, "h", rows[i].text);
        assert_int_equal(output_read_history(path, &values, &err), rows[i].n);
        if (rows[i].expected) {
            assert_true(strncmp(err.text, path, strlen(path)) == 0);
            assert_string_equal(err.text + strlen(path), rows[i].expected);
        } else if (rows[i].n > 0) {
            assert_true(values[0] == 1.5);
        }
        free(values);
    }
    free(path);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_histories_grow_step_by_step),
        IN_FOLDER(test_resume_cuts_what_is_behind_the_checkpoint),
        IN_FOLDER(test_resume_knows_evaluations_from_steps),
        IN_FOLDER(test_unwritable_folder),
        IN_FOLDER(test_a_full_disk_is_an_error),
        IN_FOLDER(test_metrics_and_tests),
        IN_FOLDER(test_read_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
