/* sweep: the trials of a file, in order for a grid, pinned to their bits for a random search. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/sweep.h"

static void s_load(sweep_t *sweep, const char *text)
{
    err_t err = {{0}};
    if (sweep_load_text(sweep, "here/sweep.yaml", text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
}

/* Trial t's values with spaces between them. */
static void s_expect(const sweep_t *sweep, uint32_t t, const char *expected)
{
    char line[512] = "";
    for (int d = 0; d < sweep->keys.n_dimensions; d++) {
        char *value = sweep_value(sweep, t, d);
        (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s", d > 0 ? " " : "",
                       value);
        free(value);
    }
    assert_string_equal(line, expected);
}

static void test_grid(void **state)
{
    (void)state;
    sweep_t sweep;
    s_load(&sweep, "config: base.yaml\n"
                   "keys:\n"
                   "  training.optimizer: [momentum, adam]\n"
                   "  data: {path: [~, \"a b\"]}\n"
                   "  training: {steps: [+7, 8, 9]}\n");
    static const char *const expected[] = {
        "momentum  +7",   "momentum  8",    "momentum  9", "momentum a b +7",
        "momentum a b 8", "momentum a b 9", "adam  +7",    "adam  8",
        "adam  9",        "adam a b +7",    "adam a b 8",  "adam a b 9",
    };
    assert_int_equal(sweep.n_trials, 12);
    assert_string_equal(sweep.config, "here/base.yaml");
    for (uint32_t t = 0; t < 12; t++)
        s_expect(&sweep, t, expected[t]);
    assert_string_equal(sweep_objective_name(&sweep), "test_accuracy");
    assert_true(sweep_better(&sweep, 2, 1) && !sweep_better(&sweep, 1, 1));
    sweep_clear(&sweep);
}

static void test_objectives(void **state)
{
    (void)state;
    static const char *const names[] = {"test_accuracy", "test_cost", "validation_accuracy",
                                        "validation_cost"};
    for (int i = 0; i < 4; i++) {
        sweep_t sweep;
        char text[80];
        (void)snprintf(text, sizeof(text), "objective: %s\nkeys: {training.seed: [1]}", names[i]);
        s_load(&sweep, text);
        assert_string_equal(sweep_objective_name(&sweep), names[i]);
        assert_int_equal(sweep_better(&sweep, 2, 1), i % 2 == 0);
        assert_int_equal(sweep_better(&sweep, 1, 2), i % 2 == 1);
        assert_int_equal(sweep_validates(&sweep), i >= 2);
        sweep_clear(&sweep);
    }
}

static void test_random_is_pinned(void **state)
{
    (void)state;
    sweep_t sweep;
    s_load(&sweep, "search: random\ntrials: 3\nseed: 5\nobjective: test_cost\n"
                   "keys:\n"
                   "  training.learning_rate: {min: 0.0001, max: 1, scale: log}\n"
                   "  training.momentum: {min: 0.8, max: 0.99}\n"
                   "  training.steps: {min: 10, max: 1000, scale: log}\n"
                   "  training.seed: {min: 0, max: 9}\n"
                   "  training.optimizer: [momentum, nesterov]\n");
    assert_int_equal(sweep.n_trials, 3);
    s_expect(&sweep, 0, "0.3614306723303937 0.836633113901513 48 1 nesterov");
    s_expect(&sweep, 1, "0.2924482111281108 0.8311546542693637 129 5 nesterov");
    s_expect(&sweep, 2, "0.021837084304048415 0.8970059830773532 57 7 nesterov");
    assert_true(sweep_better(&sweep, 1, 2) && sweep_better(&sweep, 1, 0.0 / 0.0));
    assert_false(sweep_better(&sweep, 0.0 / 0.0, 1));
    sweep_clear(&sweep);
}

/* Over many draws: within the range, both ends of a whole one, halves of a log one by the root. */
static void test_random_is_uniform(void **state)
{
    (void)state;
    sweep_t sweep;
    int whole[5] = {0}, low = 0, words[3] = {0};
    s_load(&sweep, "search: random\ntrials: 10000\n"
                   "keys:\n"
                   "  training.learning_rate: {min: 0.0001, max: 1, scale: log}\n"
                   "  training.steps: {min: 3, max: 7}\n"
                   "  training.momentum: {min: 0.5, max: 0.5}\n"
                   "  training.seed: [0, 1, 2]\n");
    for (uint32_t t = 0; t < 10000; t++) {
        char *values[4];
        for (int d = 0; d < 4; d++)
            values[d] = sweep_value(&sweep, t, d);
        double rate = strtod(values[0], NULL);
        long steps = strtol(values[1], NULL, 10);
        assert_true(rate >= 0.0001 && rate <= 1 && steps >= 3 && steps <= 7);
        low += rate < 0.01;
        whole[steps - 3]++;
        words[values[3][0] - '0']++;
        assert_string_equal(values[2], "0.5");
        for (int d = 0; d < 4; d++)
            free(values[d]);
    }
    assert_in_range(low, 4750, 5250); /* 5 sigma */
    for (int i = 0; i < 5; i++)
        assert_in_range(whole[i], 1800, 2200);
    for (int i = 0; i < 3; i++)
        assert_in_range(words[i], 3098, 3569);
    sweep_clear(&sweep);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } bad[] = {
        {"", "s.yaml: no 'keys'"},
        {"keys:\n", "s.yaml: no 'keys'"},
        {"keys: [1]", "s.yaml:1: a list where keys with values are expected"},
        {"keys: {training.seed: [1], training: {seed: [2]}}", "duplicate key 'training.seed'"},
        {"keys: {training.seed: [[1]]}", "s.yaml:1: training.seed: a list is no value"},
        {"keys: {training.seed: [\"1\"]}", "is not a whole number"},
        {"keys: {training.seed: &a [1], training.steps: *a}", "alias"},
        {"keys: {model.layers: [&a [*a]]}", "alias"},
        {"keys: {model.layers: [\"[{units: 3}]\\0\"]}", "s.yaml:1: the value has a NUL byte in it"},
        {"keys: {model.layers: [{units: 3}]}", "s.yaml:1: model.layers: a mapping where a list"},
        {"keys: {training.steps: {min: 1.5, max: 2}}", "training.steps.min: '1.5' is not a whole"},
        {"keys: {training.steps: {min: 1, max: 2, step: 1}}", "unknown key 'training.steps.step'"},
        {"keys: {training.steps: {min: 1, max: 2, scale: lin}}", "expected linear or log"},
        {"search: grids\nkeys: {training.seed: [1]}", "did you mean 'grid'?"},
        {"objective: accuracy\nkeys: {training.seed: [1]}",
         "expected test_accuracy, test_cost, "
         "validation_accuracy or validation_cost"},
        {"keys: {training.seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], training.steps: [1, 2, 3, 4, 5, "
         "6, "
         "7, 8, 9, 10], training.l1: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], training.l2: [1, 2, 3, 4, 5, "
         "6, 7, 8, 9, 10], training.ema: [0, 0.1]}",
         "s.yaml: a grid of more than 10000 trials"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sweep_t sweep;
        err_t err = {{0}};
        assert_int_equal(sweep_load_text(&sweep, "s.yaml", bad[i].text, strlen(bad[i].text), &err),
                         -1);
        if (!strstr(err.text, bad[i].said))
            fail_msg("%s\nsaid: %s", bad[i].text, err.text);
        sweep_clear(&sweep);
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    enum {
        DEPTH = 5000
    };
    static char text[2 * DEPTH + 64] = "keys: {model.layers: [";
    size_t n = strlen(text);
    sweep_t sweep;
    err_t err = {{0}};
    memset(text + n, '[', DEPTH);
    memset(text + n + DEPTH, ']', DEPTH);
    (void)strcpy(text + n + 2 * DEPTH, "]}");
    assert_int_equal(sweep_load_text(&sweep, "s.yaml", text, strlen(text), &err), -1);
    assert_non_null(strstr(err.text, "s.yaml:1: lists in lists"));
    sweep_clear(&sweep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_objectives),
        cmocka_unit_test(test_random_is_pinned),
        cmocka_unit_test(test_random_is_uniform),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_deep_nesting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
