/* confusion: measures against values worked out by hand, and 0/0 = 0. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "math/confusion.h"

/* rows = truth: class 0 is never predicted, class 3 never occurs */
static const uint32_t s_counts[16] = {
    0, 2, 2, 0, /* */
    0, 5, 0, 0, /* */
    0, 1, 8, 1, /* */
    0, 0, 0, 0,
};

static void s_equal(double a, double b)
{
    assert_true(fabs(a - b) < 1e-15);
}

static void test_measures(void **state)
{
    (void)state;
    static const struct {
        double precision, recall, f1;
        uint32_t support;
    } expected[] = {
        {0, 0, 0, 4},
        {5.0 / 8, 1, 10.0 / 13, 5},
        {8.0 / 10, 8.0 / 10, 8.0 / 10, 10},
        {0, 0, 0, 0},
    };
    s_equal(confusion_accuracy(s_counts, 4), 13.0 / 19);
    for (uint32_t c = 0; c < 4; c++) {
        confusion_class_t measured = confusion_class(s_counts, 4, c);
        s_equal(measured.precision, expected[c].precision);
        s_equal(measured.recall, expected[c].recall);
        s_equal(measured.f1, expected[c].f1);
        assert_int_equal(measured.support, expected[c].support);
    }
}

static void test_averages(void **state)
{
    (void)state;
    const uint32_t weights[] = {4, 5, 10, 0};
    confusion_class_t macro = {0}, weighted = {0};
    for (uint32_t c = 0; c < 4; c++) {
        confusion_class_t one = confusion_class(s_counts, 4, c);
        macro.precision += one.precision / 4; /* the last one does not occur, but is predicted */
        macro.recall += one.recall / 4;
        macro.f1 += one.f1 / 4;
        weighted.precision += weights[c] * one.precision / 19;
        weighted.recall += weights[c] * one.recall / 19;
        weighted.f1 += weights[c] * one.f1 / 19;
    }
    confusion_class_t measured = confusion_macro(s_counts, 4);
    s_equal(measured.precision, macro.precision);
    s_equal(measured.recall, macro.recall);
    s_equal(measured.f1, macro.f1);
    assert_int_equal(measured.support, 19);
    measured = confusion_weighted(s_counts, 4);
    s_equal(measured.precision, weighted.precision);
    s_equal(measured.recall, confusion_accuracy(s_counts, 4)); /* as it must be */
    s_equal(measured.f1, weighted.f1);
    /* a class that neither occurs nor is predicted does not count */
    const uint32_t two_of_three[9] = {3, 1, 0, 0, 4, 0, 0, 0, 0};
    measured = confusion_macro(two_of_three, 3);
    s_equal(measured.precision, (1 + 4.0 / 5) / 2);
    s_equal(measured.recall, (3.0 / 4 + 1) / 2);
    const uint32_t none[4] = {0};
    s_equal(confusion_macro(none, 2).f1, 0);
    s_equal(confusion_weighted(none, 2).recall, 0);
}

static void test_add(void **state)
{
    (void)state;
    uint32_t counts[9] = {0};
    const uint32_t expected[9] = {0, 0, 2, 0, 1, 0, 0, 0, 0};
    confusion_add(counts, 3, 0, 2);
    confusion_add(counts, 3, 0, 2);
    confusion_add(counts, 3, 1, 1);
    assert_memory_equal(counts, expected, sizeof(expected));
}

static void test_empty_is_zero(void **state)
{
    (void)state;
    uint32_t counts[4] = {0};
    s_equal(confusion_accuracy(counts, 2), 0);
    confusion_class_t measured = confusion_class(counts, 2, 1);
    s_equal(measured.f1, 0);
}

/* More rows than a float counts exactly. */
static void test_large_counts(void **state)
{
    (void)state;
    uint32_t counts[4] = {4000000001u, 1, 1, 4000000001u};
    s_equal(confusion_accuracy(counts, 2), 8000000002.0 / 8000000004.0);
    s_equal(confusion_class(counts, 2, 0).recall, 4000000001.0 / 4000000002.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),     cmocka_unit_test(test_averages),
        cmocka_unit_test(test_add),          cmocka_unit_test(test_empty_is_zero),
        cmocka_unit_test(test_large_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
