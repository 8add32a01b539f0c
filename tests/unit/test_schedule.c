/* scalar and schedule: against the C library's functions, and rates worked out by hand. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "math/scalar.h"
#include "math/schedule.h"

static bool s_near(double a, double b, double ulps)
{
    return fabs(a - b) <= ulps * DBL_EPSILON * fabs(b);
}

static void test_power_is_within_its_bound(void **state)
{
    (void)state;
    static const double bases[] = {0.9, 0.999, 0.5, 1.0 - 0x1p-20, 0.1};
    assert_true(scalar_power(0.3, 0) == 1.0 && scalar_power(0.0, 0) == 1.0);
    assert_true(scalar_power(0.0, 3) == 0.0 && scalar_power(1.0, UINT64_MAX) == 1.0);
    assert_true(scalar_power(0.3, 1) == 0.3 && scalar_power(0.5, 40) == 0x1p-40);
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
        for (uint64_t n = 1; n < 250; n = n * 2 + n % 3)
            assert_true(s_near(scalar_power(bases[i], n), pow(bases[i], (double)n), (double)n + 1));
}

static void test_root_is_within_its_bound(void **state)
{
    (void)state;
    assert_true(scalar_root(1.0, 7) == 1.0 && scalar_root(0.1, 1) == 0.1);
    assert_true(scalar_root(0.25, 2) == 0.5);
    for (uint64_t n = 2; n < 2000000; n = n * 3 + 1)
        for (int i = 0; i < 12; i++) {
            double x = pow(1e-300, 1.0 / (1 << i));
            assert_true(s_near(scalar_root(x, n), (double)powl(x, 1.0L / n), 2));
        }
}

static void test_cosine_is_within_its_bound(void **state)
{
    (void)state;
    assert_true(scalar_cos_pi(0.0) == 1.0 && scalar_cos_pi(1.0) == -1.0);
    for (int i = 0; i <= 10000; i++) {
        double x = i / 10000.0;
        assert_true(fabs(scalar_cos_pi(x) - (double)cosl(3.14159265358979323846264338328L * x)) <=
                    0x1p-51);
    }
}

static void test_constant_and_warmup(void **state)
{
    (void)state;
    schedule_t schedule = {.kind = SCHEDULE_CONSTANT};
    assert_true(schedule_rate(&schedule, 0.3, 1) == 0.3);
    assert_true(schedule_rate(&schedule, 0.3, 1000000) == 0.3);
    schedule.warmup_steps = 4;
    static const double rates[] = {0.125, 0.25, 0.375, 0.5, 0.5, 0.5};
    for (uint64_t step = 1; step <= 6; step++)
        assert_true(schedule_rate(&schedule, 0.5, step) == rates[step - 1]);
}

static void test_step(void **state)
{
    (void)state;
    schedule_t schedule = {.kind = SCHEDULE_STEP, .every_steps = 3, .factor = 0.5};
    static const double rates[] = {8, 8, 8, 4, 4, 4, 2};
    for (uint64_t step = 1; step <= 7; step++)
        assert_true(schedule_rate(&schedule, 8, step) == rates[step - 1]);
    schedule.warmup_steps = 2;
    static const double warm[] = {4, 8, 8, 8, 8, 4};
    for (uint64_t step = 1; step <= 6; step++)
        assert_true(schedule_rate(&schedule, 8, step) == warm[step - 1]);
}

static void test_exponential(void **state)
{
    (void)state;
    schedule_t schedule = {.kind = SCHEDULE_EXPONENTIAL, .every_steps = 1, .factor = 0.5};
    assert_true(schedule_rate(&schedule, 8, 1) == 8 && schedule_rate(&schedule, 8, 4) == 1);
    schedule.every_steps = 10;
    schedule.factor = 0.1;
    for (uint64_t step = 1; step < 100; step++)
        assert_true(s_near(schedule_rate(&schedule, 0.2, step),
                           0.2 * pow(0.1, (double)(step - 1) / 10), 40));
    assert_true(schedule_rate(&schedule, 0.2, 11) == 0.2 * 0.1); /* exact where it is a power */
}

static void test_cosine(void **state)
{
    (void)state;
    schedule_t schedule = {.kind = SCHEDULE_COSINE, .steps = 10, .final_rate = 0.1};
    assert_true(schedule_rate(&schedule, 1.1, 1) == 1.1);
    assert_true(s_near(schedule_rate(&schedule, 1.1, 6), 0.6, 4)); /* half way */
    for (uint64_t step = 2; step <= 10; step++)
        assert_true(s_near(schedule_rate(&schedule, 1.1, step),
                           0.1 + 0.5 * (1 + cos(3.14159265358979323846 * (double)(step - 1) / 10)),
                           8));
    assert_true(schedule_rate(&schedule, 1.1, 11) == 0.1);
    assert_true(schedule_rate(&schedule, 1.1, 5000) == 0.1);
    schedule.warmup_steps = 2;
    assert_true(schedule_rate(&schedule, 1.1, 1) == 0.55);
    assert_true(schedule_rate(&schedule, 1.1, 2) == 1.1 && schedule_rate(&schedule, 1.1, 3) == 1.1);
    assert_true(s_near(schedule_rate(&schedule, 1.1, 7), 0.6, 4)); /* half of the other 8 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_is_within_its_bound),
        cmocka_unit_test(test_root_is_within_its_bound),
        cmocka_unit_test(test_cosine_is_within_its_bound),
        cmocka_unit_test(test_constant_and_warmup),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_cosine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
